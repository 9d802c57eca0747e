"""Gymnasium tasks as the agents see them, and as TF-Agents environments.

Agents see flat float32 observations and act in [−1, 1] per dimension. The action is
clipped and rescaled on its way into the task, so that an agent may store the
Gaussian sample itself.

Shapes: S state, A action.
"""

import math
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf
from gymnasium import spaces, wrappers
from tf_agents.environments import py_environment
from tf_agents.specs import array_spec, tensor_spec
from tf_agents.trajectories import time_step as ts

import smoothie_tf.environments  # noqa: F401  Registers the package's own tasks.
from smoothie_tf.environments import discretized_reward


class EnvironmentFault(ValueError):
    """A task raised, or broke what it announces; a sentence without its full stop."""


class NotFiniteError(ArithmeticError):
    """A task gave a NaN or infinity; the message says which, as in "Reward is nan"."""


def is_finite(values: np.ndarray) -> bool:
    """Returns whether no element of a vector of floats is NaN or infinite.

    A third of a microsecond, a quarter of what looking at each element takes.
    """
    # The square of a large number may overflow where the number itself is finite.
    return math.isfinite(values.dot(values)) or bool(np.isfinite(values).all())


class _Checked(gymnasium.Wrapper):
    """Casts observations, flat already, to float32, and checks all that a task gives.

    What a task raises, and every break with what it announces, becomes an
    `EnvironmentFault`.
    """

    def __init__(self, env, name):
        super().__init__(env)
        space = env.observation_space
        self._name = name
        self._shape = space.shape
        self.observation_space = spaces.Box(
            space.low.astype(np.float32), space.high.astype(np.float32)
        )

    def reset(self, *, seed=None, options=None):
        try:
            observation, info = self.env.reset(seed=seed, options=options)
        except Exception as error:
            raise self._raised("reset", error) from error
        return self._observation(observation, "reset"), info

    def step(self, action):
        try:
            observation, reward, terminated, truncated, info = self.env.step(action)
        except Exception as error:
            raise self._raised("step", error) from error
        try:
            finite = math.isfinite(reward)
        except TypeError:
            raise EnvironmentFault(
                f"Environment {self._name!r} returned reward {reward!r} from step, but"
                " it must be a number"
            ) from None
        if not finite:
            raise NotFiniteError(f"Reward is {reward}")
        observation = self._observation(observation, "step")
        return observation, reward, terminated, truncated, info

    def _observation(self, value, method):
        try:
            observation = np.asarray(value, np.float32)
        except (TypeError, ValueError):
            raise EnvironmentFault(
                f"Environment {self._name!r} returned an observation from {method} that"
                " is not made of numbers"
            ) from None
        if observation.shape != self._shape:
            raise EnvironmentFault(
                f"Environment {self._name!r} returned an observation of shape"
                f" {observation.shape} from {method}, but announces {self._shape}"
            )
        if not is_finite(observation):
            place = np.flatnonzero(~np.isfinite(observation))[0]
            raise NotFiniteError(f"Observation[{place}] is {observation[place]}")
        return observation

    def _raised(self, method, error):
        reason = (str(error).splitlines() or [""])[0].rstrip(".")
        return EnvironmentFault(
            f"Environment {self._name!r} raised {type(error).__name__} in {method}:"
            f" {reason}"
        )


class _ClippedActions(gymnasium.ActionWrapper):
    """Clips actions to the agent's box and rescales that to the task's.

    Gymnasium's `ClipAction` around its `RescaleAction` does the same in two steps,
    but announces an unbounded action space.
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
        self._dtype = space.dtype

    def action(self, action):
        clipped = action
        if self._clips:
            clipped = np.minimum(np.maximum(action, self._low), self._high)
        return (self._offset + self._scale * clipped).astype(self._dtype)


def make(environment_id: str, **kwargs: Any) -> gymnasium.Env:
    """Makes a Gymnasium task with flat observations and actions in [−1, 1].

    Args:
      environment_id: A registered id, such as "Hopper-v5". A "module:id" imports the
        module first, as everywhere in Gymnasium.
      **kwargs: Arguments of `gymnasium.make`.

    Returns:
      The task: observations float32 of shape [S], actions of shape [A]; actions
      outside [−1, 1] are clipped.

    Raises:
      ValueError: If the id is unknown, or the task's spaces are of a kind that no
        agent here can handle.
    """
    return adapt(make_task(environment_id, **kwargs))


def make_task(environment_id: str, **kwargs: Any) -> gymnasium.Env:
    """Makes a Gymnasium task as it is, with its own observations and actions.

    Args:
      environment_id: As `make` takes it.
      **kwargs: Arguments of `gymnasium.make`.

    Returns:
      The task.

    Raises:
      ValueError: If the id is unknown.
    """
    try:
        return gymnasium.make(environment_id, disable_env_checker=True, **kwargs)
    # A module that the id names may be missing, and a task's own code may raise.
    except Exception as error:
        known = isinstance(error, gymnasium.error.Error | ModuleNotFoundError)
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        raise ValueError(
            f"Environment {environment_id!r} cannot be made: {reason.rstrip('.')}."
        ) from error


def adapt(env: gymnasium.Env) -> gymnasium.Env:
    """Gives a Gymnasium task flat observations and actions in [−1, 1].

    A task whose metadata say `"rescale_action": False` keeps its own action bounds, and
    one whose metadata say `"clip_action": False` clips for itself: it may charge for
    what it clips.

    Args:
      env: A task with Box actions of rank 1 and bounded on all sides, and with
        observations that flatten to a vector of numbers.

    Returns:
      The wrapped task, as `make` describes it.

    Raises:
      ValueError: If the spaces are of another kind.
    """
    name = env.spec.id if env.spec else type(env).__name__
    actions = env.action_space
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
    observations = env.observation_space
    if any(_is_image(space) for space in _leaves(observations)):
        raise ValueError(
            f"Environment {name!r} has observation space {observations}, but an image"
            " is not an observation for networks of dense layers."
        )
    if not observations.is_np_flattenable or not spaces.flatdim(observations):
        raise ValueError(
            f"Environment {name!r} has observation space {observations}, which does"
            " not flatten to a vector of fixed length."
        )
    if not isinstance(observations, spaces.Box) or len(observations.shape) != 1:
        env = wrappers.FlattenObservation(env)
    env = _Checked(env, name)
    if env.metadata.get("rescale_action", True):
        return _ClippedActions(env, -1.0, 1.0)
    return _ClippedActions(env, actions.low, actions.high)


def _leaves(space):
    """Yields the spaces that a nest of dictionaries and tuples is made of."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = space.values() if isinstance(space, spaces.Dict) else space.spaces
        for part in parts:
            yield from _leaves(part)
    else:
        yield space


def _is_image(space):
    return isinstance(space, spaces.Box) and len(space.shape) >= 3


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

    Args:
      env: A task from `make` or `adapt`.
    """
    space = env.action_space
    return tensor_spec.BoundedTensorSpec(
        space.shape, tf.float32, space.low, space.high, name="action"
    )


def known_to_agents(env: gymnasium.Env) -> dict[str, Any]:
    """Returns what a task tells an agent beyond its specs.

    Args:
      env: A task from `make` or `adapt`.

    Returns:
      `max_episode_steps`, its time limit, or None; and `reward_fn`, a function in
      TensorFlow of states [B, S], actions [B, A] and next states [B, S] to rewards
      [B], where the task has a method of that name whose actions are the agent's own
      (neither clipped nor rescaled on their way), else None.
    """
    own = not env.metadata.get("clip_action", True)
    own = own and not env.metadata.get("rescale_action", True)
    # What changes rewards on their way makes the task's own function the wrong one.
    layer = env
    while layer is not env.unwrapped:
        changing = (discretized_reward.DiscretizedReward, gymnasium.RewardWrapper)
        own = own and not isinstance(layer, changing)
        layer = layer.env
    return {
        "reward_fn": getattr(env.unwrapped, "reward_fn", None) if own else None,
        "max_episode_steps": env.spec.max_episode_steps if env.spec else None,
    }


class GymnasiumEnvironment(py_environment.PyEnvironment):
    """A Gymnasium task as a TF-Agents environment, for its drivers and buffers.

    Termination gives a last step with discount 0, a time limit one with discount 1:
    only the former ends what is to come.
    """

    def __init__(self, env: gymnasium.Env | str, seed: int | None = None):
        """Wraps a task.

        Args:
          env: A Gymnasium task, or the id of one.
          seed: Seeds the first reset, and through it all later ones.

        Raises:
          ValueError: If the task's spaces are of a kind that no agent here can
            handle.
        """
        super().__init__()
        self._env = make(env) if isinstance(env, str) else adapt(env)
        self._seed = seed

    def observation_spec(self) -> array_spec.ArraySpec:
        """Spec of the observations, shape [S]."""
        return tensor_spec.to_array_spec(time_step_spec(self._env).observation)

    def action_spec(self) -> array_spec.BoundedArraySpec:
        """Spec of the actions, in [−1, 1], shape [A]."""
        return tensor_spec.to_array_spec(action_spec(self._env))

    def close(self) -> None:
        """Closes the task."""
        self._env.close()

    def render(self, mode: str = "rgb_array") -> np.ndarray:
        """Returns the task's picture, if it was made with a `render_mode`."""
        del mode
        return self._env.render()

    def _reset(self):
        observation, _ = self._env.reset(seed=self._seed)
        self._seed = None
        return ts.restart(observation)

    def _step(self, action):
        if self._current_time_step is None or self._current_time_step.is_last():
            return self.reset()
        observation, reward, terminated, truncated, _ = self._env.step(action)
        reward = np.float32(reward)
        if terminated:
            return ts.termination(observation, reward)
        if truncated:
            return ts.truncation(observation, reward)
        return ts.transition(observation, reward)
