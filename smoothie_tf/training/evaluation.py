"""Evaluation of a policy over several episodes in parallel.

Shapes: E episodes, S state, A action.
"""

from collections.abc import Callable

import gymnasium
import numpy as np
from tf_agents.policies import tf_policy
from tf_agents.trajectories import time_step as ts

from smoothie_tf.environments import checked_task
from smoothie_tf.training import (
    compiled,
    episode_limit,
    random_streams,
    rollout,
    stopping,
)

# Environment steps in which two episodes from one seed are compared.
_COMPARED_STEPS = 3


class Evaluator:
    """Evaluates a policy with separate environments and random streams."""

    def __init__(
        self,
        make_environment: Callable[[], gymnasium.Env],
        policy: tf_policy.TFPolicy,
        num_episodes: int,
        streams: random_streams.RandomStreams,
        use_xla: bool = True,
        max_steps: int = episode_limit.MAX_STEPS,
        stop: stopping.StopRequest | None = None,
    ):
        """Creates one environment per episode, so that the policy acts in one batch.

        Args:
          make_environment: Creates a task with flat observations.
          policy: A stateless policy; `TFAgent.policy` for the mean action.
          num_episodes: E, at least 1.
          streams: Source of the reset seeds.
          use_xla: Whether to compile the policy with XLA.
          max_steps: Steps after which an episode ends in a task without
            max_episode_steps, at least 1.
          stop: Once set, an evaluation takes no further environment step.
        """
        self._environments = checked_task.make_several(make_environment, num_episodes)
        self._limit = episode_limit.EpisodeLimit(self._environments[0], max_steps)
        self._stop = stop or stopping.StopRequest()
        self._streams = streams
        self._policy = policy
        self._act = compiled.Compiled(self._traced_act, use_xla)

    @property
    def environments(self) -> tuple[gymnasium.Env, ...]:
        """The environments of the E episodes."""
        return tuple(self._environments)

    def evaluate(self, step: int) -> np.ndarray:
        """Runs E episodes, each from its reset to its end.

        Args:
          step: Environment steps of training so far. The resets depend on it and on
            the run's seed, not on earlier evaluations.

        Returns:
          The episodes' undiscounted returns in the task's own reward, float64, shape
          [E].

        Raises:
          Interrupted: If a stop was requested.
          EnvironmentFault: If the task raised an error or violated its specs.
          NotFiniteError: If an observation, reward or action is not finite.
        """
        self._stop.waits_for = "an environment step of the evaluation"
        observations = np.stack(
            [self._reset(step, i) for i in range(len(self._environments))]
        )
        return rollout.play_episodes(
            lambda states: self._act(states)[0].numpy(),
            self._environments,
            observations,
            self._limit,
            self._stop,
        ).returns

    def warning(self) -> str | None:
        """Returns a warning if the past of a task changes its episodes.

        Then evaluations and exported policies are of another task than training, since
        each has a task of its own. A task with noise that its seed does not determine
        is found as well.

        Returns:
          A sentence for the user; None if two episodes begin alike.

        Raises:
          EnvironmentFault: If the task raised an error or violated its specs.
          NotFiniteError: If an observation or reward is not finite.
        """
        task = self._environments[0]
        layers = checked_task.normalizers(task)
        named = f" ({', '.join(layers)})" if layers else ""
        self._stop.waits_for = "an environment step before training"
        seed = self._streams.seed("evaluation", 0, 0)
        if _first_steps(task, seed) != _first_steps(task, seed):
            return (
                f"{checked_task.name_of(task)} does not repeat an episode from the same"
                f" seed and actions{named}: evaluations and exported policies may see"
                " other observations or rewards than training, and a resumed run may"
                " be refused, or differ from one that was not stopped."
            )
        if layers:
            return (
                f"{checked_task.name_of(task)} changes observations or rewards by what"
                f" it has seen{named}: evaluations and exported policies may see"
                " others than training."
            )
        return None

    def _reset(self, step, i):
        self._stop.check()
        seed = self._streams.seed("evaluation", step, i)
        return self._environments[i].reset(seed=seed)[0]

    def _traced_act(self, observations):
        time_steps = ts.restart(observations, observations.shape[0])
        return [self._policy.action(time_steps).action]


def _first_steps(task, seed):
    """Returns what a task returns in the first steps of an episode, with one action."""
    observation, _ = task.reset(seed=seed)
    seen = [observation.tobytes()]
    action = (task.action_space.low + task.action_space.high) / 2
    for _ in range(_COMPARED_STEPS):
        observation, *rest, _ = task.step(action)
        seen.append((observation.tobytes(), *rest))
        if any(rest[1:]):
            break
    return seen
