"""Evaluation of a policy over several episodes side by side.

Shapes: E episodes, S state, A action.
"""

from collections.abc import Callable

import gymnasium
import numpy as np
from tf_agents.policies import tf_policy
from tf_agents.trajectories import time_step as ts

from smoothie_tf.environments import discretized_reward
from smoothie_tf.training import compiled, random_streams


class Evaluator:
    """Runs a policy in environments and random streams of its own."""

    def __init__(
        self,
        make_environment: Callable[[], gymnasium.Env],
        policy: tf_policy.TFPolicy,
        num_episodes: int,
        streams: random_streams.RandomStreams,
        use_xla: bool = True,
    ):
        """Makes one environment an episode, so that the policy acts in all at once.

        Args:
          make_environment: Makes a task with flat observations.
          policy: A stateless policy; `TFAgent.policy` for the mean action.
          num_episodes: E, at least 1.
          streams: Source of the reset seeds.
          use_xla: Whether to compile the policy with XLA.
        """
        self._environments = [make_environment() for _ in range(num_episodes)]
        self._streams = streams
        self._policy = policy
        self._act = compiled.Compiled(self._traced_act, use_xla)

    def evaluate(self, step: int) -> np.ndarray:
        """Runs E episodes, each from the first reset to its end.

        Args:
          step: Environment steps of training so far. The resets are a function of
            it and of the run's seed, not of earlier evaluations.

        Returns:
          The episodes' undiscounted returns in the task's own reward, float64, shape
          [E].
        """
        environments = self._environments
        observations = np.stack(
            [
                env.reset(seed=self._streams.seed("evaluation", step, i))[0]
                for i, env in enumerate(environments)
            ]
        )
        returns = np.zeros(len(environments))
        running = list(range(len(environments)))
        while running:
            # Ended episodes keep their rows: one shape, one compilation.
            (actions,) = self._act(observations)
            actions = actions.numpy()
            still_running = []
            for i in running:
                observation, reward, terminated, truncated, info = environments[i].step(
                    actions[i]
                )
                observations[i] = observation
                returns[i] += discretized_reward.original_reward(reward, info)
                if not (terminated or truncated):
                    still_running.append(i)
            running = still_running
        return returns

    def close(self) -> None:
        """Closes the environments."""
        for env in self._environments:
            env.close()

    def _traced_act(self, observations):
        time_steps = ts.restart(observations, observations.shape[0])
        return [self._policy.action(time_steps).action]
