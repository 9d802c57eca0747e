"""Gymnasium tasks adapted to the agents, and as TF-Agents environments.

Agents see flat float32 observations and act in [−1, 1] per dimension. The wrapper clips
and rescales the action for the task, so that an agent may store the Gaussian sample
itself. A task may keep its own action bounds, or clip actions itself: see `adapt`.

Shapes: S state, A action.
"""

from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf
from gymnasium import spaces, wrappers
from tf_agents.environments import py_environment
from tf_agents.specs import array_spec, tensor_spec
from tf_agents.trajectories import time_step as ts

from smoothie_tf.environments import checked_task, space_descriptions


class _ClippedActions(gymnasium.ActionWrapper):
    """Clips actions to the agent's box and rescales that to the task's.

    Gymnasium's `ClipAction` around its `RescaleAction` does the same in two steps, but
    has an unbounded action space.
    """

    def __init__(self, env, low, high):
        super().__init__(env)
        space = env.action_space
        self._clips = env.metadata.get("clip_action", True)
        self.action_space = spaces.Box(low, high, space.shape, np.float32)
        self._low, self._high = self.action_space.low, self.action_space.high
        task_low = space.low.astype(np.float64)
        self._scale = (space.high - task_low) / (self._high - self._low)
        self._offset = task_low - self._scale * self._low
        self._space = space

    def action(self, action):
        space, clipped = self._space, action
        if self._clips:
            clipped = np.minimum(np.maximum(action, self._low), self._high)
        own = (self._offset + self._scale * clipped).astype(space.dtype)
        # Again, since rounding may exceed a bound.
        return (
            np.minimum(np.maximum(own, space.low), space.high) if self._clips else own
        )


def make(environment_id: str, **kwargs: Any) -> gymnasium.Env:
    """Creates a Gymnasium task with flat observations and, mostly, actions in [−1, 1].

    Args:
      environment_id: As for `checked_task.create`.
      **kwargs: Arguments of `gymnasium.make`.

    Returns:
      The task: observations float32 of shape [S], actions of shape [A]. The bounds of
      the actions are −1 and 1, or with `"rescale_action": False` in the task's metadata
      the task's own; actions outside are clipped, except with `"clip_action": False`.

    Raises:
      ValueError: If the id is unknown, or the task's spaces are not supported.
    """
    env = checked_task.create(environment_id, **kwargs)
    try:
        return adapt(env)
    except ValueError:
        checked_task.close(env)
        raise


def adapt(env: gymnasium.Env) -> gymnasium.Env:
    """Wraps a Gymnasium task to have flat observations and, mostly, actions in [−1, 1].

    A task with `"rescale_action": False` in its metadata keeps its own action bounds. A
    task with `"clip_action": False` clips actions itself, for example because it
    penalises unclipped actions.

    Args:
      env: A task with bounded Box actions of rank 1, and with observations that flatten
        to a vector of numbers.

    Returns:
      The wrapped task, as `make` describes it.

    Raises:
      ValueError: If the spaces are not supported.
    """
    name = checked_task.name_of(env)
    actions = _space_of(env, "action_space", name)
    if not isinstance(actions, spaces.Box) or len(actions.shape) != 1:
        raise ValueError(
            f"Environment {name!r} has action space {actions}, but it must be a Box of"
            " rank 1."
        )
    if not actions.shape[0] or not np.issubdtype(actions.dtype, np.floating):
        raise ValueError(
            f"Environment {name!r} has action space {actions}, but it must have at"
            " least one dimension, of floats."
        )
    if not (np.isfinite(actions.low).all() and np.isfinite(actions.high).all()):
        raise ValueError(
            f"Environment {name!r} has action space {actions}, but every action must"
            " have a finite lower and upper bound."
        )
    observations = _space_of(env, "observation_space", name)
    leaves = list(_leaves(observations))
    if any(isinstance(leaf, spaces.Box) and len(leaf.shape) >= 3 for leaf in leaves):
        raise ValueError(
            f"Environment {name!r} has observation space {observations}, but an image"
            " is not an observation for networks of dense layers."
        )
    known = all(isinstance(leaf, checked_task.LEAVES) for leaf in leaves)
    if not known or not spaces.flatdim(observations):
        raise ValueError(
            f"Environment {name!r} has observation space {observations}, which does"
            " not flatten to a vector of fixed length: it must be made of Box,"
            " Discrete, MultiBinary, MultiDiscrete, and Dict and Tuple of them."
        )
    env = checked_task.Checked(env, flat=True)
    if env.metadata.get("rescale_action", True):
        return _ClippedActions(env, -1.0, 1.0)
    return _ClippedActions(env, actions.low, actions.high)


# Wrappers that change no observation, action and reward; with the metadata that
# `known_to_agents` checks, `_ClippedActions` is one of them.
_TRANSPARENT = (
    checked_task.Checked,
    _ClippedActions,
    wrappers.OrderEnforcing,
    wrappers.PassiveEnvChecker,
    wrappers.RecordEpisodeStatistics,
    wrappers.TimeLimit,
)


def _space_of(env, which, name):
    try:
        space = getattr(env, which)
    except (Exception, SystemExit) as error:
        raise ValueError(
            f"Environment {name!r} raised {type(error).__name__} where its {which} was"
            f" read: {checked_task.reason(error)}."
        ) from error
    if not isinstance(space, spaces.Space):
        raise ValueError(
            f"Environment {name!r} has {which} {checked_task.abbreviated(space)}, but"
            " it must be one of Gymnasium's spaces."
        )
    return space


def _leaves(space):
    """Yields the leaf spaces of a nest of Dict and Tuple spaces."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = space.values() if isinstance(space, spaces.Dict) else space.spaces
        for part in parts:
            yield from _leaves(part)
    else:
        yield space


def time_step_spec(env: gymnasium.Env) -> ts.TimeStep:
    """Returns the TF-Agents spec of an adapted task's time steps.

    Args:
      env: A task from `make` or `adapt`.
    """
    return ts.time_step_spec(
        tensor_spec.TensorSpec(
            env.observation_space.shape, tf.float32, name="observation"
        )
    )


def action_spec(env: gymnasium.Env) -> tensor_spec.BoundedTensorSpec:
    """Returns the TF-Agents spec of an adapted task's actions, shape [A].

    Its bounds are those that `make` describes.

    Args:
      env: A task from `make` or `adapt`.
    """
    space: Any = env.action_space  # A Box, as `adapt` requires.
    return tensor_spec.BoundedTensorSpec(
        space.shape, tf.float32, space.low, space.high, name="action"
    )


def known_to_agents(env: gymnasium.Env) -> dict[str, Any]:
    """Returns a task's information for agents besides its specs.

    Args:
      env: A task from `make` or `adapt`.

    Returns:
      `max_episode_steps`, its time limit, or None; and `reward_fn`, a TensorFlow
      function from states [B, S], actions [B, A] and next states [B, S] to rewards [B],
      if the task has such a method and the agent's actions are neither clipped nor
      rescaled, else None.
    """
    own = not env.metadata.get("clip_action", True)
    own = own and not env.metadata.get("rescale_action", True)
    # Any other wrapper may change what the function sees, or its rewards.
    layer = env
    while isinstance(layer, gymnasium.Wrapper):
        own = own and isinstance(layer, _TRANSPARENT)
        layer = layer.env
    return {
        "reward_fn": getattr(layer, "reward_fn", None) if own else None,
        "max_episode_steps": env.spec.max_episode_steps if env.spec else None,
    }


def own_spaces(env: gymnasium.Env) -> dict[str, Any]:
    """Describes the spaces that an adapted task has itself, by values for JSON.

    Args:
      env: A task from `make` or `adapt`.
    """
    layer: Any = env
    while not isinstance(layer, checked_task.Checked):
        layer = layer.env
    return space_descriptions.of_task(layer.env)


class GymnasiumEnvironment(py_environment.PyEnvironment):
    """A Gymnasium task as a TF-Agents environment, for its drivers and buffers.

    Termination gives a last step with discount 0, a time limit one with discount 1:
    values are bootstrapped only across the latter.
    """

    def __init__(self, env: gymnasium.Env | str, seed: int | None = None):
        """Wraps a task.

        Args:
          env: A Gymnasium task, or the id of one.
          seed: Seed of the first reset, and so of all later ones.

        Raises:
          ValueError: If the task's spaces are not supported.
        """
        super().__init__(handle_auto_reset=True)
        self._env = make(env) if isinstance(env, str) else adapt(env)
        self._seed = seed

    def observation_spec(self) -> array_spec.ArraySpec:
        """Spec of the observations, shape [S]."""
        return tensor_spec.to_array_spec(time_step_spec(self._env).observation)

    def action_spec(self) -> array_spec.BoundedArraySpec:
        """Spec of the actions, shape [A], with the bounds that `make` describes."""
        return tensor_spec.to_array_spec(action_spec(self._env))

    def close(self) -> None:
        """Closes the task."""
        self._env.close()

    def render(self, mode: str = "rgb_array") -> np.ndarray:
        """Returns the task's picture, if it was made with a `render_mode`."""
        del mode
        picture: Any = self._env.render()
        # A task may draw into the same array each time; callers collect pictures.
        return picture.copy() if isinstance(picture, np.ndarray) else picture

    def _reset(self):
        observation, _ = self._env.reset(seed=self._seed)
        self._seed = None
        return ts.restart(observation)

    def _step(self, action):
        observation, reward, terminated, truncated, _ = self._env.step(action)
        reward = np.float32(reward)
        if terminated:
            return ts.termination(observation, reward)
        if truncated:
            return ts.truncation(observation, reward)
        return ts.transition(observation, reward)
