"""One compiled call per environment step: train, then choose the next action.

The agent's own `train` and its collect policy's own `action` are traced into one
function. This module contains no part of an algorithm.

Shapes: N sampled transitions, T transitions of an episode, S state, A action, P policy
info, W = S + A + P + 2.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.trajectories import policy_step, trajectory
from tf_agents.trajectories import time_step as ts

from smoothie_tf.agents import protocol
from smoothie_tf.training import compiled, replay_buffer


class Decision(NamedTuple):
    """The agent's next action.

    Attributes:
      action: The collect policy's action, shape [A].
      info: Its policy info, flattened, shape [P].
      policy_state: The policy's state after the action, flattened.
    """

    action: np.ndarray
    info: np.ndarray
    policy_state: tuple[tf.Tensor, ...]


class CompiledStep:
    """An agent's training step and next action as single calls."""

    def __init__(
        self,
        agent: tf_agent.TFAgent,
        seed: int,
        use_xla: bool = True,
        updates_per_call: int = 1,
    ):
        """Prepares the functions; each is traced at its first call.

        Args:
          agent: Any TFAgent that learns from transitions of flat observations. Its
            training step returns a named tuple of scalars as `LossInfo.extra`.
            `agents.protocol.Contract` lists further arguments of its `train`.
          seed: Seed of the collect policy's draws. The draws for a step depend only on
            the seed and the step's number.
          use_xla: Whether to compile with XLA; otherwise graphs run op by op, with the
            same result within float error.
          updates_per_call: Updates per call, each on an equal part of its rows.
        """
        self._agent = agent
        self._contract = protocol.contract(agent)
        self._seed = seed
        self._updates_per_call = updates_per_call
        spec = agent.collect_data_spec
        self._observation_size = spec.observation.shape[0]
        self._action_size = spec.action.shape[0]
        self._info_spec = spec.policy_info
        #: Names of the scalars that `train_and_act` returns.
        self.metric_names: tuple[str, ...] = ()
        self._act = compiled.Compiled(self._traced_act, use_xla)
        self._train_and_act = compiled.Compiled(self._traced_train_and_act, use_xla)

    @property
    def info_size(self) -> int:
        """P."""
        leaves = tf.nest.flatten(self._info_spec)
        return sum(leaf.shape.num_elements() for leaf in leaves)

    def initial_policy_state(self) -> tuple[tf.Tensor, ...]:
        """Returns the collect policy's state before its first action, flattened."""
        return tuple(tf.nest.flatten(self._agent.collect_policy.get_initial_state(1)))

    def act(
        self,
        observation: np.ndarray,
        is_first: bool,
        policy_state: tuple[tf.Tensor, ...],
        step: int,
    ) -> Decision:
        """Chooses an action without training.

        Args:
          observation: The observation, float32, shape [S].
          is_first: Whether it is an episode's first.
          policy_state: From the previous decision.
          step: Number of the environment step that the action is for.
        """
        numbers, *state = self._act(
            observation, np.array((is_first, step), np.int64), *policy_state
        )
        return self._decision(numbers.numpy(), state)

    def train_and_act(
        self,
        rows: np.ndarray,
        observation: np.ndarray,
        is_first: bool,
        policy_state: tuple[tf.Tensor, ...],
        step: int,
        episode: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> tuple[np.ndarray, Decision]:
        """Trains, then chooses an action with the new policy.

        Args:
          rows: Transitions as `ReplayBuffer.sample` returns them, shape [2, N, W],
            for all updates of the call.
          observation: The observation, float32, shape [S].
          is_first: Whether it is an episode's first.
          policy_state: From the previous decision.
          step: Number of the environment step that the action is for.
          episode: As `ReplayBuffer.last_episode` returns it, for an agent that trains
            at an episode's end.

        Returns:
          The training steps' mean scalars in the order of `metric_names`, and the
          decision.
        """
        flat, *state = self._train_and_act(
            rows,
            observation,
            np.array((is_first, step), np.int64),
            *(() if episode is None else episode),
            *policy_state,
        )
        flat = flat.numpy()
        metrics_end = len(self.metric_names)
        return flat[:metrics_end], self._decision(flat[metrics_end:], state)

    def _decision(self, numbers, policy_state):
        return Decision(
            numbers[: self._action_size],
            numbers[self._action_size :],
            tuple(policy_state),
        )

    def _traced_train_and_act(self, rows, observation, is_first_and_step, *state):
        if self._contract.trains_at_episode_end:
            episode, mask, *state = state
            metrics = self._traced_update(
                rows, episode=self._transition(episode), episode_mask=mask
            )
        else:
            metrics = self._traced_train(rows)
        numbers, *state = self._traced_act(observation, is_first_and_step, *state)
        return tf.concat([metrics, numbers], axis=0), *state

    def _traced_train(self, rows):
        if self._updates_per_call == 1:
            return self._traced_update(rows)
        shares = tf.stack(tf.split(rows, self._updates_per_call, axis=1))
        first = self._traced_update(shares[0])
        # A loop, so that the trace holds the update twice for any number of updates.
        _, sums = tf.while_loop(
            lambda i, sums: i < self._updates_per_call,
            lambda i, sums: (i + 1, sums + self._traced_update(shares[i])),
            (1, first),
        )
        return sums / self._updates_per_call

    def _traced_update(self, rows, **episode):
        if self._contract.uses_next_action:
            episode["next_action_step"] = self._action_step(rows[1])
            ended = rows[1, :, -1] == replay_buffer.NO_TRANSITION
            episode["next_is_stored"] = ~ended
        extra = self._agent.train(self._transition(rows), **episode).extra
        self.metric_names = extra._fields
        return tf.stack([tf.cast(value, tf.float32) for value in extra])

    def _traced_act(self, observation, is_first_and_step, *state):
        is_first, step = tf.unstack(is_first_and_step)
        time_step = ts.TimeStep(
            tf.where(is_first > 0, ts.StepType.FIRST, ts.StepType.MID)[tf.newaxis],
            tf.zeros([1]),
            tf.ones([1]),
            observation[tf.newaxis],
        )
        policy = self._agent.collect_policy
        decision = policy.action(
            time_step,
            tf.nest.pack_sequence_as(policy.policy_state_spec, state),
            seed=tf.stack([self._seed, tf.cast(step, tf.int32)]),
        )
        leaves = [decision.action, *tf.nest.flatten(decision.info)]
        numbers = tf.concat([tf.reshape(leaf, [-1]) for leaf in leaves], axis=0)
        return numbers, *tf.nest.flatten(decision.state)

    def _transition(self, rows):
        number = rows.shape[1]
        observation_end = self._observation_size
        start, following = rows[0], rows[1]
        reward, discount = start[:, -2], start[:, -1]
        middle = tf.fill([number], ts.StepType.MID)
        return trajectory.Transition(
            ts.TimeStep(
                middle,
                tf.zeros_like(reward),
                tf.ones_like(discount),
                start[:, :observation_end],
            ),
            self._action_step(start),
            ts.TimeStep(
                tf.where(discount > 0, ts.StepType.MID, ts.StepType.LAST),
                reward,
                discount,
                following[:, :observation_end],
            ),
        )

    def _action_step(self, rows):
        begin = self._observation_size + self._action_size
        action, info = rows[:, self._observation_size : begin], []
        for leaf in tf.nest.flatten(self._info_spec):
            size = leaf.shape.num_elements()
            values = rows[:, begin : begin + size]
            info.append(tf.reshape(values, [rows.shape[0], *leaf.shape]))
            begin += size
        return policy_step.PolicyStep(
            action, (), tf.nest.pack_sequence_as(self._info_spec, info)
        )
