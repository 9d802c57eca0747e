"""Complete episodes of several tasks, side by side.

Shapes: E episodes, A action.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from smoothie_tf.environments import checked_task, discretized_reward
from smoothie_tf.training import episode_limit, stopping


class Episodes(NamedTuple):
    """Complete episodes.

    Attributes:
      returns: Undiscounted returns, float64, shape [E]. They are sums of the task's
        original reward, even if the task discretizes it.
      lengths: Numbers of environment steps, int64, shape [E].
    """

    returns: np.ndarray
    lengths: np.ndarray


def play_episodes(
    act: Callable[[Any], np.ndarray],
    tasks: Sequence[gymnasium.Env],
    observations: Any,
    limit: episode_limit.EpisodeLimit,
    stop: stopping.StopRequest,
    report: Callable[[int], Any] = lambda number: None,
) -> Episodes:
    """Plays one episode in each task, from its first observation to its end.

    Args:
      act: Maps the observations of all episodes to their actions, shape [E, A].
      tasks: At least E checked tasks, of which the first E have been reset.
      observations: Their first observations: a list, or an array of shape [E, ...].
        Later observations replace them.
      limit: The limit on an episode's length.
      stop: No environment step is taken once it is set.
      report: Called with the number of steps taken, after each step of all episodes.

    Raises:
      Interrupted: If a stop was requested.
      EnvironmentFault: If a task raised an error or violated its specs.
      NotFiniteError: If an observation, reward or action is not finite.
    """
    returns = np.zeros(len(observations))
    lengths = np.zeros(len(observations), np.int64)
    running, length = list(range(len(observations))), 0
    while running:
        # Ended episodes keep their rows: a constant shape compiles only once, and the
        # batch size affects the results.
        actions = act(observations)
        length += 1
        still_running = []
        for i in running:
            stop.check()
            if not np.isfinite(actions[i]).all():
                listed = np.asarray(actions[i]).tolist()
                raise checked_task.NotFiniteError(f"The policy's action is {listed}")
            step = tasks[i].step(actions[i])
            observations[i], reward, terminated, truncated, info = step
            returns[i] += discretized_reward.original_reward(reward, info)
            lengths[i] = length
            if not (terminated or truncated or limit.ends(length)):
                still_running.append(i)
        report(len(running))
        running = still_running
    return Episodes(returns, lengths)
