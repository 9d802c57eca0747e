"""SVG(1), and with replay SVG(1)-ER: Algorithms 2 and 4 of Heess et al. (2015).

The value gradient of one step: a learned model says how an action changes the next
state, a learned V̂ what that state is worth,

    v_θ = w·(r_a + γ·V̂_{s'}·f̂_a)·π_θ        at the inferred η and ξ, (13).

Both derivatives are taken where the task really went, so that an error of the model
does not add up: only its Jacobian counts.

Equation and line numbers are that paper's. Shapes: B batch, S state, A action.
"""

import gin
import tensorflow as tf
from tf_agents.networks import network
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types

from smoothie_tf import value_gradients
from smoothie_tf.agents import value_gradient_agent


@gin.configurable(module="smoothie_tf")
class Svg1Agent(value_gradient_agent.ValueGradientAgent):
    """Learns a Gaussian policy through a model of one step and a value function."""

    takes = ("value_network", "dynamics_network", "max_episode_steps")

    def __init__(
        self,
        time_step_spec: ts.TimeStep,
        action_spec: types.BoundedTensorSpec,
        actor_network: network.Network | tf.keras.Model,
        value_network: network.Network | tf.keras.Model,
        dynamics_network: tf.Module,
        actor_optimizer: types.Optimizer,
        critic_optimizer: types.Optimizer,
        model_optimizer: types.Optimizer,
        reward_fn: value_gradients.RewardFunction | None = None,
        max_episode_steps: int | None = None,
        gamma: float = 0.99,
        stddev: float = 0.2,
        learn_stddev: bool = False,
        policy_replay: bool = True,
        trains_at_episode_end: bool = True,
        model_updates: int | None = None,
        value_updates: int | None = None,
        policy_updates: int | None = None,
        kl_penalty: float = 0.0,
        importance_weight_clipping: float = 5.0,
        target_update_period: int = 50,
        policy_gradient_clipping: float | None = 10.0,
        seed: int | None = None,
        train_step_counter: tf.Variable | None = None,
        name: str | None = None,
    ):
        """Creates the agent.

        Args:
          time_step_spec: As `ValueGradientAgent`'s, like all that is not said here.
          action_spec: As there.
          actor_network: μ_θ, from observations [B, S] to means [B, A].
          value_network: V̂, from observations [B, S] to values [B].
          dynamics_network: The model, as `DynamicsNetwork`.
          actor_optimizer: Optimizer of θ.
          critic_optimizer: Optimizer of ν.
          model_optimizer: Optimizer of the model.
          reward_fn: The task's rewards, where they are known.
          max_episode_steps: T, the task's time limit.
          gamma: Discount γ, in [0, 1].
          stddev: σ_π, > 0, in action units.
          learn_stddev: Whether σ_π learns by its pathwise gradient.
          policy_replay: Whether the policy learns from replay, SVG(1)-ER, or from
            the last episode, SVG(1).
          trains_at_episode_end: False trains after each environment step, as
            Algorithm 2 has it.
          model_updates: A training step; if None, T, or 1 where training follows each
            environment step.
          value_updates: The same of the value function.
          policy_updates: The same of the policy.
          kl_penalty: λ of Appendix D, ≥ 0.
          importance_weight_clipping: Largest importance weight, > 0.
          target_update_period: C of Algorithm 4.
          policy_gradient_clipping: V_max, > 0, or None.
          seed: Accepted as every agent's is; training draws nothing.
          train_step_counter: Counts training steps; the global step if None.
          name: Name of the agent.

        Raises:
          ValueError: If an argument is not allowed.
        """
        super().__init__(
            time_step_spec,
            action_spec,
            actor_network,
            actor_optimizer,
            value_network=value_network,
            critic_optimizer=critic_optimizer,
            dynamics_network=dynamics_network,
            model_optimizer=model_optimizer,
            reward_fn=reward_fn,
            max_episode_steps=max_episode_steps,
            gamma=gamma,
            stddev=stddev,
            learn_stddev=learn_stddev,
            model_updates=model_updates,
            value_updates=value_updates,
            policy_updates=policy_updates,
            policy_replay=policy_replay,
            trains_at_episode_end=trains_at_episode_end,
            importance_weight_clipping=importance_weight_clipping,
            target_update_period=target_update_period,
            kl_penalty=kl_penalty,
            policy_gradient_clipping=policy_gradient_clipping,
            seed=seed,
            train_step_counter=train_step_counter,
            name=name,
        )

    def policy_loss(
        self, batch: value_gradient_agent.Batch
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The surrogate whose gradient is (13), negated.

        With ã = μ_θ(s) + σ·η and s̃' = s + μ̂(s, ã) + σ̂·ξ, where η and ξ are held at
        what the stored a and s' say they were, ã = a and s̃' = s' in value, and

            ∇ w·[r(s, ã, s̃') + γ·d·V̂(s̃')] = w·(r_a + r_{s'}·f̂_a + γ·d·V̂_{s'}·f̂_a)·π_θ

        Args:
          batch: Transitions, shape [B, …].

        Returns:
          The loss, the mean of r + γ·d·V̂(s'), and the mean importance weight.
        """
        mean, _ = self._actor_network(batch.state, training=True)
        stddev = tf.exp(0.5 * self._log_variance)
        action = value_gradients.reproduce(batch.action, mean, stddev)
        prediction = self._dynamics_network(batch.state, action)
        next_state = value_gradients.reproduce(
            batch.next_state, prediction.next_state, self._dynamics_network.stddev
        )
        if self._reward_fn is not None:
            reward = self._reward_fn(batch.state, action, next_state)
        else:
            reward = prediction.reward
        next_value, _ = self._value_network(next_state)
        value = reward + self._gamma * batch.discount * next_value
        importance = self._importance_weights(batch)
        return (
            -tf.reduce_mean(batch.weight * importance * value),
            tf.reduce_mean(batch.weight * value),
            tf.reduce_mean(batch.weight * importance),
        )
