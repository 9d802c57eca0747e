"""Gymnasium tasks as the agents see them, and as TF-Agents environments.

Agents see flat float32 observations and act in [−1, 1] per dimension. The action is
clipped and rescaled on its way into the task, so that an agent may store the
Gaussian sample itself.

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

import smoothie_tf.environments  # noqa: F401  Registers the package's own tasks.


class _Float32Observations(gymnasium.ObservationWrapper):
    """Casts observations, flat already, to float32."""

    def __init__(self, env):
        super().__init__(env)
        space = env.observation_space
        self.observation_space = spaces.Box(
            space.low.astype(np.float32), space.high.astype(np.float32)
        )

    def observation(self, observation):
        return np.asarray(observation, np.float32)


class _ClippedActions(gymnasium.ActionWrapper):
    """Clips actions to the agent's box and rescales that to the task's.

    Gymnasium's `ClipAction` around its `RescaleAction` does the same in two steps,
    but announces an unbounded action space.
    """

    def __init__(self, env, low, high):
        super().__init__(env)
        space = env.action_space
        self.action_space = spaces.Box(low, high, space.shape, np.float32)
        self._low, self._high = self.action_space.low, self.action_space.high
        task_low = space.low.astype(np.float64)
        self._scale = (space.high - task_low) / (self._high - self._low)
        self._offset = task_low - self._scale * self._low
        self._dtype = space.dtype

    def action(self, action):
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
    # A module that the id names may be missing.
    except (gymnasium.error.Error, ModuleNotFoundError) as error:
        raise ValueError(
            f"Environment {environment_id!r} cannot be made: {error}"
        ) from error


def adapt(env: gymnasium.Env) -> gymnasium.Env:
    """Gives a Gymnasium task flat observations and actions in [−1, 1].

    A task whose metadata say `"rescale_action": False` keeps its own action bounds.

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
    if not (np.isfinite(actions.low).all() and np.isfinite(actions.high).all()):
        raise ValueError(
            f"Environment {name!r} has action space {actions}, but every action must"
            " have a finite lower and upper bound."
        )
    observations = env.observation_space
    if not observations.is_np_flattenable:
        raise ValueError(
            f"Environment {name!r} has observation space {observations}, which does"
            " not flatten to a vector of fixed length."
        )
    if not isinstance(observations, spaces.Box) or len(observations.shape) != 1:
        env = wrappers.FlattenObservation(env)
    env = _Float32Observations(env)
    if env.metadata.get("rescale_action", True):
        return _ClippedActions(env, -1.0, 1.0)
    return _ClippedActions(env, actions.low, actions.high)


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
