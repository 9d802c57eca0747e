"""Soft DDPG: a smoothed Bellman operator, and an actor without ∂Q/∂a.

The policy acts with, and the critic learns the value of, a Gaussian around the
deterministic actor π_θ,

    ν_θ(·|s) = N(π_θ(s), σ²I),  σ fixed,                                        (S1)

    Q_σ(s, a) = r + γ·E_{u ~ N(0, I)}[Q_σ(s′, π_θ(s′) + σu)],                   (S2)

    ∇θ J ∝ E_{s, u}[(1/σ)·∇θ π_θ(s)·u·Q_σ(s, π_θ(s) + σu)].                     (S7)

(S7) needs values of the critic but no derivatives, so a critic with discontinuities
still trains the actor.

We had no access to the algorithm's printed equations: these are our reading, derived in
docs/soft_ddpg.md from the stochastic policy gradient theorem. Equation numbers are
that page's. Networks, minibatches and optimizer steps are those of `actor_critic`, as
for Smoothie.

Shapes: B batch, S state, A action, M samples.
"""

import dataclasses
from typing import ClassVar, NamedTuple

import numpy as np
import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.trajectories import time_step as ts
from tf_agents.utils import common

from smoothie_tf import gaussian, validation
from smoothie_tf.agents import actor_critic
from smoothie_tf.networks import critic_network as critic_networks


class SoftDdpgInfo(NamedTuple):
    """Metrics of one training step, each a scalar.

    Attributes:
      actor_loss: Negative of the surrogate that the actor ascends.
      critic_loss: Huber loss of the Bellman error (S2).
      q: Mean of E_u[Q_σ(s, π_θ(s) + σu)] over its samples, of the scaled reward.
      policy_stddev: σ, in action units.
    """

    actor_loss: tf.Tensor
    critic_loss: tf.Tensor
    q: tf.Tensor
    policy_stddev: tf.Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class SoftDdpgConfig(actor_critic.ActorCriticConfig):
    """Hyperparameters of Soft DDPG, besides those of every actor-critic.

    By default both networks share one minibatch, as in DDPG.

    Attributes:
      stddev: σ of (S1), > 0, the same in every action dimension: the width of the
        smoothing and of the exploration.
      actor_samples: M of (S8), critic values per state in the actor's update, ≥ 1;
        even for "antithetic".
      target_samples: Samples of (S3) per target, ≥ 1.
      variance_reduction: One of `gaussian.REDUCTIONS`, for the actor's update.
      clip_actions: Whether perturbed actions are clipped to the action bounds wherever
        they occur: in `collect_policy`, in the target and in the actor's update. The
        environment clips them anyway, so this changes only where the critic is fitted
        and evaluated.
    """

    owner: ClassVar[str] = "SoftDdpgAgent"
    learns_covariance: ClassVar[bool] = False

    independent_minibatches: bool = False
    stddev: float = 0.3
    actor_samples: int = 16
    target_samples: int = 16
    variance_reduction: str = "antithetic"
    clip_actions: bool = False

    @property
    def initial_log_variance(self) -> float:
        """φ = ln σ²."""
        return 2 * float(np.log(self.stddev))

    def __post_init__(self):
        self._check("positive", "stddev")
        super().__post_init__()
        self._check("count", "actor_samples", "target_samples")
        self._check_flags("clip_actions")
        validation.check_choice(
            self.owner, gaussian.REDUCTIONS, variance_reduction=self.variance_reduction
        )
        if self.variance_reduction == "antithetic" and self.actor_samples % 2:
            raise ValueError(
                f"{self.owner}.actor_samples must be even for antithetic samples, but"
                f" is {self.actor_samples!r}."
            )


class SoftDdpgAgent(actor_critic.ActorCriticAgent):
    """Learns the mean of a Gaussian policy of fixed width from critic values only."""

    config_class = SoftDdpgConfig
    _config: SoftDdpgConfig

    def policy_loss(
        self, observation: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The surrogate whose gradient is (S7), negated.

        With g an estimate of ∂/∂μ E_u[Q_σ(s, μ + σu)] at μ = π_θ(s), held constant,

            ∇θ [g·π_θ(s)] = g·∇θ π_θ(s)      the integrand of (S7),

        so descending −g·π_θ ascends J. Only the surrogate's gradient has a meaning, not
        its value.

        Args:
          observation: States, shape [B, S].
          weights: Weight of each state, shape [B].

        Returns:
          The loss and the mean of the critic's samples: scalars.
        """
        mean, _ = self._actor_network(observation, training=self._training)
        g, value = gaussian.smoothed_gradient(
            lambda actions: critic_networks.sample_values(
                self._critic_network, observation, self._within_bounds(actions)
            ),
            tf.stop_gradient(mean),
            self._config.stddev,
            self._samples(self._config.actor_samples, mean, draw=0),
            self._config.variance_reduction,
        )  # (S8)
        surrogate = tf.reduce_sum(tf.stop_gradient(g) * mean, axis=-1)  # (S7)
        return -tf.reduce_mean(weights * surrogate), tf.reduce_mean(weights * value)

    def critic_loss(
        self,
        time_steps: ts.TimeStep,
        action: tf.Tensor,
        next_time_steps: ts.TimeStep,
        weights: tf.Tensor,
    ) -> tf.Tensor:
        """The error of the smoothed Bellman equation (S2) at stored actions.

        The critic is fitted at the stored actions; only the next action is smoothed.
        So there are no phantom actions, and stored actions may have any distribution.

        Args:
          time_steps: States s, observations of shape [B, S].
          action: Stored actions, shape [B, A].
          next_time_steps: Rewards, discounts (0 where the episode terminated) and
            next states s′.
          weights: Weight of each transition, shape [B].

        Returns:
          The mean loss, a scalar.
        """
        next_mean, _ = self._target_actor_network(next_time_steps.observation)
        noise = self._samples(self._config.target_samples, next_mean, draw=1)
        next_value = tf.reduce_mean(
            critic_networks.sample_values(
                self._target_critic_network,
                next_time_steps.observation,
                self._within_bounds(next_mean + self._config.stddev * noise),
            ),
            axis=0,
        )  # (S3)
        target = self._bellman_target(next_time_steps, next_value)  # (S2)
        value, _ = self._critic_network(
            (time_steps.observation, action), training=self._training
        )
        errors = self._config.td_errors_loss_fn(target, value)
        return tf.reduce_mean(weights * errors)  # (S4)

    def _train(self, experience, weights=None):
        policy_batch, critic_batch = self._minibatches(experience, weights)
        policy_outputs = self._train_policy(policy_batch)
        with tf.control_dependencies(policy_outputs):
            critic_loss = self._train_critic(critic_batch)
        with tf.control_dependencies([critic_loss]):
            self._update_targets(self._config.target_update_tau)
            self.train_step_counter.assign_add(1)
        return self._loss_info(policy_batch, critic_loss, *policy_outputs)

    def _within_bounds(self, actions):
        if not self._config.clip_actions:
            return actions
        return common.clip_to_spec(actions, self.action_spec)

    def _samples(self, number, mean, draw):
        noise = self._noise(
            tf.concat([[number], tf.shape(mean)], axis=0), draw, draws_a_step=2
        )
        return tf.ensure_shape(noise, [number, *mean.shape])

    def _loss_info(self, policy_batch, critic_loss, actor_loss, q):
        del policy_batch
        return tf_agent.LossInfo(
            actor_loss + critic_loss,
            SoftDdpgInfo(
                actor_loss, critic_loss, q, tf.constant(float(self._config.stddev))
            ),
        )
