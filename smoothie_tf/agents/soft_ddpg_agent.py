"""Soft DDPG: a smoothed Bellman operator, and an actor without ∂Q/∂a.

The deterministic actor π_θ acts, and is valued, through the Gaussian around it,

    ν_θ(·|s) = N(π_θ(s), σ²I),  σ fixed,                                        (S1)

    Q_σ(s, a) = r + γ·E_{u ~ N(0, I)}[Q_σ(s′, π_θ(s′) + σu)],                   (S2)

    ∇θ J ∝ E_{s, u}[(1/σ)·∇θ π_θ(s)·u·Q_σ(s, π_θ(s) + σu)].                     (S7)

The last line asks for values of the critic and for no derivative, so that a critic
with steps in it still teaches the actor.

The algorithm's printed equations are not available to us: these are our reading, and
docs/soft_ddpg.md derives them from the stochastic policy gradient theorem. Equation
numbers are that page's. What is not a loss is Smoothie's, and so equal between the two.

Shapes: B batch, S state, A action, M samples.
"""

from typing import NamedTuple

import gin
import numpy as np
import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.networks import network
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types
from tf_agents.utils import common

from smoothie_tf import gaussian, validation
from smoothie_tf.agents import smoothie_agent
from smoothie_tf.networks import critic_network as critic_networks


class SoftDdpgInfo(NamedTuple):
    """What one training step saw, each a scalar.

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


@gin.configurable(module="smoothie_tf")
class SoftDdpgAgent(smoothie_agent.SmoothieAgent):
    """Learns the mean of a Gaussian policy of fixed width from values alone."""

    _learns_covariance = False

    def __init__(
        self,
        time_step_spec: ts.TimeStep,
        action_spec: types.BoundedTensorSpec,
        actor_network: network.Network | tf.keras.Model,
        critic_network: network.Network | tf.keras.Model,
        actor_optimizer: types.Optimizer,
        critic_optimizer: types.Optimizer,
        stddev: float = 0.3,
        actor_samples: int = 16,
        target_samples: int = 16,
        variance_reduction: str = "antithetic",
        gamma: float = 0.995,
        target_update_tau: float = 0.01,
        reward_scale_factor: float = 1.0,
        gradient_clipping: float | None = 4.0,
        td_errors_loss_fn: types.LossFn = common.element_wise_huber_loss,
        independent_minibatches: bool = False,
        seed: int | None = None,
        train_step_counter: tf.Variable | None = None,
        name: str | None = None,
    ):
        """Creates the agent.

        Args:
          time_step_spec: Spec of the time steps, observations of shape [S].
          action_spec: Bounded float spec of the actions, shape [A].
          actor_network: π_θ, from observations [B, S] to actions [B, A].
          critic_network: Q_σ, from (observations [B, S], actions [B, A]) to values
            [B]. A method `sample_values`, as `CriticNetwork` has, makes several
            samples in a state cheap.
          actor_optimizer: Optimizer of θ.
          critic_optimizer: Optimizer of the critic.
          stddev: σ of (S1), > 0, the same in every action dimension: how far the
            value is smoothed, and how widely the agent explores.
          actor_samples: M of (S8), values of the critic a state in the actor's
            update, ≥ 1; even for "antithetic".
          target_samples: Samples of (S3) a target, ≥ 1.
          variance_reduction: One of `gaussian.REDUCTIONS`, for the actor's update.
          gamma: Discount γ, in [0, 1].
          target_update_tau: Share τ of the new weights in each target update, in
            (0, 1].
          reward_scale_factor: Multiplies every reward, > 0.
          gradient_clipping: Largest global norm of the critic's weight gradients,
            > 0; None leaves them alone.
          td_errors_loss_fn: Elementwise loss of targets and values, both [B].
          independent_minibatches: As `SmoothieAgent`'s; DDPG has one minibatch.
          seed: Seed of the samples, as `SmoothieAgent`'s.
          train_step_counter: Counts training steps; the global step if None.
          name: Name of the agent.

        Raises:
          ValueError: If an argument is not allowed, as `SmoothieAgent` says.
        """
        owner = type(self).__name__
        validation.check(owner, "positive", stddev=stddev)
        validation.check(
            owner, "count", actor_samples=actor_samples, target_samples=target_samples
        )
        if variance_reduction not in gaussian.REDUCTIONS:
            raise ValueError(
                f"{owner}.variance_reduction must be one of"
                f" {', '.join(gaussian.REDUCTIONS)}, but is {variance_reduction!r}."
            )
        if variance_reduction == "antithetic" and actor_samples % 2:
            raise ValueError(
                f"{owner}.actor_samples must be even for antithetic samples, but is"
                f" {actor_samples!r}."
            )
        super().__init__(
            time_step_spec,
            action_spec,
            actor_network,
            critic_network,
            actor_optimizer,
            critic_optimizer,
            gamma=gamma,
            kl_penalty=0.0,
            target_update_tau=target_update_tau,
            reward_scale_factor=reward_scale_factor,
            initial_log_variance=2 * float(np.log(stddev)),
            gradient_clipping=gradient_clipping,
            dqda_clipping=None,
            td_errors_loss_fn=td_errors_loss_fn,
            independent_minibatches=independent_minibatches,
            nested_tapes=False,
            seed=seed,
            train_step_counter=train_step_counter,
            name=name,
        )
        self._stddev = float(stddev)
        self._actor_samples = actor_samples
        self._target_samples = target_samples
        self._variance_reduction = variance_reduction

    def policy_loss(
        self, observation: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The surrogate whose gradient is (S7), negated.

        With g an estimate of ∂/∂μ E_u[Q_σ(s, μ + σu)] at μ = π_θ(s), held constant,

            ∇θ [g·π_θ(s)] = g·∇θ π_θ(s)      the integrand of (S7),

        so descending −g·π_θ ascends J. The surrogate's value means nothing; only its
        gradient does.

        Args:
          observation: States, shape [B, S].
          weights: Weight of each state, shape [B].

        Returns:
          The loss and the mean of the critic's samples: scalars.
        """
        mean, _ = self._actor_network(observation, training=True)
        g, value = gaussian.smoothed_gradient(
            lambda actions: critic_networks.sample_values(
                self._critic_network, observation, actions
            ),
            tf.stop_gradient(mean),
            self._stddev,
            self._samples(self._actor_samples, mean, draw=0),
            self._variance_reduction,
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

        The critic is valued where the agent acted: it is the next action that is
        smoothed, and not the value. So no phantom actions, and no assumption on how
        stored actions are distributed.

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
        noise = self._samples(self._target_samples, next_mean, draw=1)
        next_value = tf.reduce_mean(
            critic_networks.sample_values(
                self._target_critic_network,
                next_time_steps.observation,
                next_mean + self._stddev * noise,
            ),
            axis=0,
        )  # (S3)
        target = tf.stop_gradient(
            self._reward_scale_factor * next_time_steps.reward
            + self._gamma * next_time_steps.discount * next_value
        )  # (S2)
        value, _ = self._critic_network((time_steps.observation, action), training=True)
        return tf.reduce_mean(weights * self._td_errors_loss_fn(target, value))  # (S4)

    def _samples(self, number, mean, draw):
        noise = self._noise(
            tf.concat([[number], tf.shape(mean)], axis=0), draw, draws_a_step=2
        )
        return tf.ensure_shape(noise, [number, *mean.shape])

    def _loss_info(self, policy_batch, critic_loss, actor_loss, q):
        del policy_batch
        return tf_agent.LossInfo(
            actor_loss + critic_loss,
            SoftDdpgInfo(actor_loss, critic_loss, q, tf.constant(self._stddev)),
        )
