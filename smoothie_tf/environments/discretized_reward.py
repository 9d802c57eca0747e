"""Tasks with the reward rounded to a few levels, and their registration.

The action value of such a task has steps where the original one has slopes. Agents
learn from the rounded reward; they are evaluated by the task's original reward, which
is in `info`.
"""

import copy
import math
from collections.abc import Mapping
from typing import Any, SupportsFloat

import gin
import gymnasium
import numpy as np
from gymnasium import utils
from gymnasium.envs import registration

from smoothie_tf import validation

#: Key in `info` of a step's reward before rounding; no task uses it.
ORIGINAL_REWARD = "smoothie_tf/original_reward"

# Ids of the original tasks by ids of their versions.
_BASES: dict[str, str] = {}


@gin.configurable(module="smoothie_tf", allowlist=["levels"])
class DiscretizedReward(gymnasium.Wrapper, utils.RecordConstructorArgs):
    """Rounds each reward to the nearest of k evenly spaced levels.

    The lowest level is `low`, the highest `high`; rewards beyond them are clipped.
    """

    def __init__(self, env: gymnasium.Env, low: float, high: float, levels: int = 5):
        """Wraps a task.

        Args:
          env: The task.
          low: The lowest level, in units of reward.
          high: The highest level, above `low`.
          levels: k, the number of levels, ≥ 2.

        Raises:
          ValueError: If a number is not allowed.
        """
        utils.RecordConstructorArgs.__init__(self, low=low, high=high, levels=levels)
        gymnasium.Wrapper.__init__(self, env)
        owner = type(self).__name__
        validation.check(owner, "finite", low=low, high=high)
        validation.check(owner, "count", levels=levels)
        if not low < high:
            raise ValueError(
                f"{owner}.high must be above low, {low!r}, but is {high!r}."
            )
        if levels < 2:
            raise ValueError(f"{owner}.levels must be at least 2, but is {levels!r}.")
        self._levels = np.linspace(low, high, levels)

    def discretize(self, reward: np.ndarray | float) -> np.ndarray:
        """Rounds rewards of any shape to the nearest level; halves go up."""
        between = (self._levels[1:] + self._levels[:-1]) / 2
        return self._levels[np.searchsorted(between, reward, side="right")]

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Steps the task; `info[ORIGINAL_REWARD]` is its original reward."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        info = {**info, ORIGINAL_REWARD: original_reward(reward, info)}
        reward = float(reward)
        # A NaN or infinity is not rounded, so that it is reported.
        if math.isfinite(reward):
            reward = float(self.discretize(reward))
        return observation, reward, terminated, truncated, info


def original_reward(reward: SupportsFloat, info: Mapping[str, Any]) -> float:
    """Returns a task's original reward, also if a wrapper has changed it.

    Args:
      reward: The reward that a step returned.
      info: The info that it returned.

    Returns:
      The reward for reported returns.
    """
    return float(info.get(ORIGINAL_REWARD, reward))


def register(environment_id: str, low: float, high: float) -> str:
    """Registers a task's version with a discretized reward.

    Its gin files are those of the task, then its own; see `lineage`.

    Args:
      environment_id: The registered id of the task, such as "Hopper-v5".
      low: The lowest level of its reward.
      high: The highest level.

    Returns:
      The new id, such as "smoothie_tf/DiscretizedHopper-v5".

    Raises:
      ValueError: If another task of the same name has this id.
    """
    spec = registration.spec(environment_id)
    version = "" if spec.version is None else f"-v{spec.version}"
    new_id = f"smoothie_tf/Discretized{spec.name}{version}"
    # The namespace of the task is no part of the id.
    if (base := _BASES.get(new_id, environment_id)) != environment_id:
        raise ValueError(
            f"{environment_id!r} cannot be registered as {new_id!r}, which is the "
            f"version of {base!r}."
        )
    wrapper = registration.WrapperSpec(
        name=DiscretizedReward.__name__,
        entry_point=f"{__name__}:{DiscretizedReward.__name__}",
        kwargs={"low": low, "high": high},
    )
    gymnasium.register(
        new_id,
        entry_point=spec.entry_point,
        reward_threshold=spec.reward_threshold,
        nondeterministic=spec.nondeterministic,
        max_episode_steps=spec.max_episode_steps,
        order_enforce=spec.order_enforce,
        disable_env_checker=spec.disable_env_checker,
        additional_wrappers=(*spec.additional_wrappers, wrapper),
        kwargs=copy.deepcopy(spec.kwargs),
    )
    _BASES[new_id] = environment_id
    return new_id


def lineage(environment_id: str) -> tuple[str, ...]:
    """Returns the ids whose settings apply to a task, the most general first.

    Args:
      environment_id: An id, registered or not, also as "module:id".

    Returns:
      The id, preceded by that of its original task, if any.
    """
    base = _BASES.get(environment_id.rsplit(":", 1)[-1])
    return (environment_id,) if base is None else (*lineage(base), environment_id)
