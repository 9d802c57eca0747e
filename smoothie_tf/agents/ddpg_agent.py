"""DDPG, the paper's baseline: a subclass of TF-Agents' agent with three corrections.

Lillicrap et al. (2016), as `tf_agents.agents.ddpg.ddpg_agent` implements it, with these
changes:

* exploration noise restarts with every episode, and can be seeded;
* pairs of steps across an episode's end have weight 0;
* gradients are clipped by the critic's global norm, as for Smoothie, where TF-Agents
  clips each variable of both networks separately.

Its hyperparameters are bound in gin as `DdpgAgent.…`, on TF-Agents' class.
"""

from typing import Any, NamedTuple

import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.agents.ddpg import ddpg_agent
from tf_agents.networks import network
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types

from smoothie_tf import validation
from smoothie_tf.agents import parts
from smoothie_tf.policies import ornstein_uhlenbeck_policy


class DdpgInfo(NamedTuple):
    """Metrics of one training step, each a scalar.

    Attributes:
      actor_loss: TF-Agents' loss; its gradient is 2/A times that of −Q(s, μ(s)), a
        factor that Adam cancels.
      critic_loss: Huber loss of the Bellman error (8).
      q: Mean Q(s, μ(s)), of the scaled reward.
      policy_stddev: Stationary standard deviation of the exploration noise.
    """

    actor_loss: tf.Tensor
    critic_loss: tf.Tensor
    q: tf.Tensor
    policy_stddev: tf.Tensor


class DdpgAgent(ddpg_agent.DdpgAgent):
    """TF-Agents' `DdpgAgent` with episodic noise and masked episode boundaries."""

    def __init__(
        self,
        time_step_spec: ts.TimeStep,
        action_spec: types.BoundedTensorSpec,
        *,
        seed: int | None = None,
        **kwargs: Any,
    ):
        """Creates the agent.

        Args:
          time_step_spec: Spec of the time steps, observations of shape [S].
          action_spec: Bounded float spec of the actions, shape [A].
          seed: Ignored, since DDPG's training step draws no random numbers.
          **kwargs: Arguments of TF-Agents' `DdpgAgent`.

        Raises:
          ValueError: If a number is out of range.
        """
        del seed
        owner = "DdpgAgent"
        parts.check_action_spec(owner, action_spec)
        optimizers = ("actor_optimizer", "critic_optimizer")
        parts.check_optimizers(owner, **{name: kwargs.get(name) for name in optimizers})
        super().__init__(time_step_spec, action_spec, **kwargs)
        parts.check_common(owner, self)
        validation.check(
            owner, "positive", optional=True, dqda_clipping=self._dqda_clipping
        )
        validation.check(owner, "non-negative", ou_stddev=self._ou_stddev)
        validation.check(owner, "share", ou_damping=self._ou_damping)
        self._collect_policy = ornstein_uhlenbeck_policy.OrnsteinUhlenbeckPolicy(
            self.policy, self._ou_stddev, self._ou_damping
        )
        self.minibatches_per_train = 1
        for optimizer, trained in (
            (self._actor_optimizer, self._actor_network),
            (self._critic_optimizer, self._critic_network),
        ):
            parts.build_optimizer(optimizer, trained.trainable_variables)
        # x ← (1 − d)·x + N(0, s²) has variance s² / (1 − (1 − d)²) in the long run.
        self._noise_stddev = self._ou_stddev / (1 - (1 - self._ou_damping) ** 2) ** 0.5

    @property
    def critic_network(self) -> network.Network:
        """Q_w."""
        return self._critic_network

    def critic_loss(
        self, time_steps, actions, next_time_steps, weights=None, training=False
    ) -> tf.Tensor:
        """TF-Agents' critic loss, over true transitions only; a scalar."""
        weights = parts.boundary_weights(time_steps, weights)
        return super().critic_loss(
            time_steps, actions, next_time_steps, weights, training
        )

    def actor_loss(self, time_steps, weights=None, training=False) -> tf.Tensor:
        """TF-Agents' actor loss, over states in which the agent acted; a scalar."""
        weights = parts.boundary_weights(time_steps, weights)
        # The loss to weigh has shape [B, A].
        loss = super().actor_loss(time_steps, weights[:, tf.newaxis], training)
        # The loss has just computed the same Q(s, μ(s)): XLA computes it once.
        action, _ = self._actor_network(time_steps.observation)
        value, _ = self._critic_network((time_steps.observation, action))
        self._q = tf.reduce_mean(weights * value)
        return loss

    def _train(self, experience, weights=None):
        return self._with_info(super()._train(experience, weights))

    def _loss(self, experience, weights=None, training=False):
        return self._with_info(super()._loss(experience, weights, training))

    def _with_info(self, loss_info):
        # A tensor of a trace must not outlive it.
        q, self._q = self._q, None
        info = DdpgInfo(*loss_info.extra, q, tf.constant(self._noise_stddev))
        return tf_agent.LossInfo(loss_info.loss, info)

    def _apply_gradients(self, gradients, variables, optimizer):
        of_critic = optimizer is self._critic_optimizer
        clipping = self._gradient_clipping if of_critic else None
        step = self.train_step_counter if self._summarize_grads_and_vars else None
        parts.apply_gradients(optimizer, gradients, variables, clipping, step)
