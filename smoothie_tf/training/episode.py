"""The training episode in progress, which a resumed run plays again.

Shapes: S state, A action.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import gymnasium
import numpy as np

from smoothie_tf.environments import discretized_reward
from smoothie_tf.training import random_streams, stopping


class NotRepeatedError(RuntimeError):
    """The task does not repeat an episode from its seed and actions."""


class Episode:
    """The episode in progress: its task, last observation, length and return.

    Attributes:
      number: How many episodes have ended before.
      observation: The last observation, float32, shape [S].
      length: Environment steps so far.
      total_return: Undiscounted sum of the task's original rewards so far.
    """

    def __init__(
        self,
        task: gymnasium.Env,
        streams: random_streams.RandomStreams,
        stop: stopping.StopRequest,
    ):
        """Takes the task; `begin` begins an episode.

        Args:
          task: A checked task with flat observations.
          streams: Source of the reset seeds.
          stop: Told what it would wait for; it interrupts `play_again`.
        """
        self._task = task
        self._streams = streams
        self._stop = stop

    def begin(self, number: int) -> None:
        """Begins an episode.

        Its reset has a seed of its own, so that a resumed run can play it again from
        its beginning.
        """
        self._stop.waits_for = "the environment's reset"
        seed = self._streams.seed("environment", number)
        self.number = number
        self.observation, _ = self._task.reset(seed=seed)
        self._stop.waits_for = "the step of training"
        self.total_return = 0.0
        self.length = 0

    def step(self, action: np.ndarray) -> tuple[float, bool, bool]:
        """Takes an environment step.

        Args:
          action: Shape [A], in the task's units.

        Returns:
          The reward, and whether the task terminated or truncated the episode.
        """
        self._stop.waits_for = "the environment's step"
        step = self._task.step(action)
        self._stop.waits_for = "the step of training"
        self.observation, reward, terminated, truncated, info = step
        self.total_return += discretized_reward.original_reward(reward, info)
        self.length += 1
        return float(reward), terminated, truncated

    def play_again(self, state: Mapping[str, Any], rows: Iterable[np.ndarray]) -> None:
        """Plays the episode of a checkpoint up to its last step.

        Args:
          state: As `state` returns it; older checkpoints lack the observation and the
            return.
          rows: The episode's rows in replay: each begins with an observation and the
            action that followed it.

        Raises:
          NotRepeatedError: If an observation or the return is another than before.
          Interrupted: If a stop was requested.
        """
        self.begin(state["episode"])
        size = len(self.observation)
        end = size + gymnasium.spaces.flatdim(self._task.action_space)
        for row in rows:
            if not np.array_equal(row[:size], self.observation):
                raise NotRepeatedError
            self._stop.check()
            self.step(row[size:end])
        if any(state.get(name, value) != value for name, value in self.state.items()):
            raise NotRepeatedError

    @property
    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of the episode."""
        return {
            "episode": self.number,
            "episode_length": self.length,
            # Exact, as the return: every float32 is a float64.
            "observation": self.observation.tolist(),
            "episode_return": float(self.total_return),
        }
