"""SVG(0) with replay: Algorithms 3 and 4 of Heess et al. (2015).

A Gaussian policy as a function of its noise, a = μ_θ(s) + σ_φ·η with η ~ N(0, I), is
differentiated through: E_η[Q_a·π_θ|η] is the policy gradient of the mean and of the
standard deviation alike. The critic is the ordinary one of this policy, nothing in it
is smoothed.

Equation and line numbers are those of "Learning Continuous Control Policies by
Stochastic Value Gradients". What it leaves open, and we chose, is in
docs/differences.md. What is not a loss is Smoothie's, and so equal between the two.

Shapes: B batch, S state, A action.
"""

import math
from typing import NamedTuple

import gin
import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.networks import network
from tf_agents.trajectories import policy_step
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types
from tf_agents.utils import common

from smoothie_tf import gaussian, validation
from smoothie_tf.agents import smoothie_agent


class Svg0Info(NamedTuple):
    """What one training step saw, each a scalar.

    Attributes:
      actor_loss: Negative of the surrogate that the policy ascends.
      critic_loss: Loss of the Bellman error of Algorithm 4.
      q: Mean Q̂(s, μ_θ(s) + σ_φ·η) at the noise of the update, of the scaled reward.
      importance_weight: Mean of the truncated weights w.
      policy_stddev: Mean of the policy's standard deviations, in action units.
    """

    actor_loss: tf.Tensor
    critic_loss: tf.Tensor
    q: tf.Tensor
    importance_weight: tf.Tensor
    policy_stddev: tf.Tensor


@gin.configurable(module="smoothie_tf")
class Svg0Agent(smoothie_agent.SmoothieAgent):
    """Learns a Gaussian policy by the pathwise gradient (Algorithm 3)."""

    _stores_log_probability = True

    def __init__(
        self,
        time_step_spec: ts.TimeStep,
        action_spec: types.BoundedTensorSpec,
        actor_network: network.Network | tf.keras.Model,
        critic_network: network.Network | tf.keras.Model,
        actor_optimizer: types.Optimizer,
        critic_optimizer: types.Optimizer,
        infer_noise: bool = True,
        importance_weight_clipping: float = 5.0,
        gamma: float = 0.995,
        target_update_period: int = 50,
        target_update_tau: float = 1.0,
        reward_scale_factor: float = 1.0,
        initial_log_variance: float = -1.0,
        policy_gradient_clipping: float | None = 10.0,
        gradient_clipping: float | None = 4.0,
        td_errors_loss_fn: types.LossFn = common.element_wise_huber_loss,
        independent_minibatches: bool = True,
        seed: int | None = None,
        train_step_counter: tf.Variable | None = None,
        name: str | None = None,
    ):
        """Creates the agent.

        Args:
          time_step_spec: Spec of the time steps, observations of shape [S].
          action_spec: Bounded float spec of the actions, shape [A].
          actor_network: μ_θ, from observations [B, S] to means [B, A].
          critic_network: Q̂, from (observations [B, S], actions [B, A]) to values
            [B].
          actor_optimizer: Optimizer of θ and φ.
          critic_optimizer: Optimizer of the critic, ν.
          infer_noise: Whether η is what the stored action says it was, weighted by
            importance, as in Algorithm 3; otherwise it is drawn anew, weight 1.
          importance_weight_clipping: Largest importance weight, > 0.
          gamma: Discount γ, in [0, 1].
          target_update_period: C of Algorithm 4, training steps between updates of
            the target critic, ≥ 1.
          target_update_tau: Share of the new weights in each of them, in (0, 1]; 1
            copies, as Algorithm 4.
          reward_scale_factor: Multiplies every reward, > 0.
          initial_log_variance: Initial φ of every action dimension; σ² = e^φ.
          policy_gradient_clipping: V_max of Appendix D, largest global norm of the
            policy's gradient, > 0; None leaves it alone.
          gradient_clipping: The same for the critic's weight gradients.
          td_errors_loss_fn: Elementwise loss of targets and values, both [B].
          independent_minibatches: As `SmoothieAgent`'s: lines 7 and 9 of Algorithm 3
            sample a minibatch each.
          seed: Seed of the draws, as `SmoothieAgent`'s.
          train_step_counter: Counts training steps; the global step if None.
          name: Name of the agent.

        Raises:
          ValueError: If an argument is not allowed, as `SmoothieAgent` says.
        """
        owner = type(self).__name__
        validation.check(owner, "count", target_update_period=target_update_period)
        validation.check(
            owner,
            "positive",
            optional=True,
            importance_weight_clipping=importance_weight_clipping,
            policy_gradient_clipping=policy_gradient_clipping,
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
            initial_log_variance=initial_log_variance,
            gradient_clipping=gradient_clipping,
            dqda_clipping=None,
            td_errors_loss_fn=td_errors_loss_fn,
            independent_minibatches=independent_minibatches,
            nested_tapes=False,
            seed=seed,
            train_step_counter=train_step_counter,
            name=name,
        )
        self._infer_noise = infer_noise
        self._importance_weight_clipping = importance_weight_clipping
        self._target_update_period = target_update_period
        self._policy_gradient_clipping = policy_gradient_clipping

    def policy_loss(
        self,
        observation: tf.Tensor,
        action: tf.Tensor,
        log_probability: tf.Tensor,
        weights: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The surrogate whose gradient is line 11 of Algorithm 3, negated.

        With ã = μ_θ(s) + σ_φ·η, and w and η held constant,

            ∇ [w·Q̂(s, ã)] = w·Q̂_a(s, ã)·(∇θ μ_θ(s) + η·∇φ σ_φ)     v_θ at η,

        so descending −w·Q̂ ascends the return. Where η is inferred, ã has the stored
        action's value, and w corrects for the policy that chose it, (13).

        Args:
          observation: States s^k, shape [B, S].
          action: Stored actions a^k, shape [B, A].
          log_probability: log p(a^k|s^k; θ^k) of the policy that chose them, in
            nats, shape [B].
          weights: Weight of each state, shape [B].

        Returns:
          The loss, the mean value, and the mean importance weight: scalars.
        """
        mean, _ = self._actor_network(observation, training=True)
        stddev = tf.exp(0.5 * self._log_variance)
        if self._infer_noise:
            noise = (action - mean) / stddev  # Infer η^k | (s^k, a^k), Appendix B.
            log_ratio = gaussian.log_probability(action, mean, stddev) - log_probability
            # The smaller logarithm: a ratio may be too large for a float.
            importance = tf.exp(
                tf.minimum(log_ratio, math.log(self._importance_weight_clipping))
            )  # w of (13), truncated as in Appendix D.
        else:
            noise = self._noise(tf.shape(action), draw=0, draws_a_step=2)  # η ~ ρ(η)
            importance = tf.ones_like(log_probability)
        noise, importance = tf.stop_gradient(noise), tf.stop_gradient(importance)
        value, _ = self._critic_network((observation, mean + stddev * noise))
        loss = -tf.reduce_mean(weights * importance * value)  # Line 11.
        return (
            loss,
            tf.reduce_mean(weights * value),
            tf.reduce_mean(weights * importance),
        )

    def critic_loss(
        self,
        time_steps: ts.TimeStep,
        action: tf.Tensor,
        next_time_steps: ts.TimeStep,
        weights: tf.Tensor,
    ) -> tf.Tensor:
        """The error of fitted policy evaluation, Algorithm 4, for Q̂.

        The next action is drawn anew from the current policy, so that nothing is to
        be weighted: the value of a stored action does not depend on how it was
        chosen.

        Args:
          time_steps: States s^k, observations of shape [B, S].
          action: Stored actions a^k, shape [B, A].
          next_time_steps: Rewards r^k, discounts (0 where the episode terminated)
            and next states s^{k+1}.
          weights: Weight of each transition, shape [B].

        Returns:
          The mean loss, a scalar.
        """
        next_mean, _ = self._actor_network(next_time_steps.observation)
        noise = self._noise(tf.shape(next_mean), draw=1, draws_a_step=2)
        next_action = next_mean + tf.exp(0.5 * self._log_variance) * noise
        next_value, _ = self._target_critic_network(
            (next_time_steps.observation, next_action)
        )
        target = tf.stop_gradient(
            self._reward_scale_factor * next_time_steps.reward
            + self._gamma * next_time_steps.discount * next_value
        )  # Algorithm 4, line 6.
        value, _ = self._critic_network((time_steps.observation, action), training=True)
        return tf.reduce_mean(weights * self._td_errors_loss_fn(target, value))

    def _train(self, experience, weights=None):
        policy_batch, critic_batch = self._minibatches(experience, weights)
        critic_loss = self._train_critic(critic_batch)  # Lines 6 and 7.
        with tf.control_dependencies([critic_loss]):
            seen_by_policy = self._train_policy(policy_batch)  # Lines 8 to 12.
        with tf.control_dependencies(seen_by_policy):
            self.train_step_counter.assign_add(1)
            self._update_targets_when_due()  # Algorithm 4, line 10.
        return self._loss_info(critic_loss, *seen_by_policy)

    def _update_targets_when_due(self):
        def update():
            self._update_targets(self._target_update_tau)
            return True

        due = self.train_step_counter % self._target_update_period == 0
        tf.cond(due, update, lambda: False)

    def _policy_batch(self, transition, weights):
        step = transition.action_step
        log_probability = policy_step.get_log_probability(step.info)
        return transition.time_step.observation, step.action, log_probability, weights

    def _loss_info(self, critic_loss, actor_loss, q, importance_weight):
        stddev = tf.reduce_mean(tf.exp(0.5 * self._log_variance))
        return tf_agent.LossInfo(
            actor_loss + critic_loss,
            Svg0Info(actor_loss, critic_loss, q, importance_weight, stddev),
        )
