"""The actor-critic that SVG(1) is compared with in Section 6.1 of Heess et al. (2015).

It has the same value function, learned by the same code, and no model: "the TD-error
δ = r + γV' − V as an estimate of the advantage, yielding the policy gradient
v_θ = δ∇_θ log π". With the return of the rest of the episode in the place of r + γV'
it is REINFORCE (Williams, 1992), which the paper "also tested" (footnote 5), with V as
its baseline.

Shapes: B batch, T transitions of an episode, S state, A action.
"""

import gin
import tensorflow as tf
from tf_agents.networks import network
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types
from tf_agents.utils import value_ops

from smoothie_tf import gaussian, validation
from smoothie_tf.agents import value_gradient_agent


@gin.configurable(module="smoothie_tf")
class TdActorCriticAgent(value_gradient_agent.ValueGradientAgent):
    """Learns a Gaussian policy by the likelihood ratio, from the last episode."""

    takes = ("value_network", "max_episode_steps")

    def __init__(
        self,
        time_step_spec: ts.TimeStep,
        action_spec: types.BoundedTensorSpec,
        actor_network: network.Network | tf.keras.Model,
        value_network: network.Network | tf.keras.Model,
        actor_optimizer: types.Optimizer,
        critic_optimizer: types.Optimizer,
        max_episode_steps: int | None = None,
        gamma: float = 0.99,
        stddev: float = 0.2,
        learn_stddev: bool = False,
        trace_decay: float = 0.0,
        value_updates: int | None = None,
        policy_updates: int | None = 1,
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
          actor_optimizer: Optimizer of θ.
          critic_optimizer: Optimizer of ν.
          max_episode_steps: T, the task's time limit.
          gamma: Discount γ, in [0, 1].
          stddev: σ_π, > 0, in action units.
          learn_stddev: Whether σ_π learns as well.
          trace_decay: λ in [0, 1] of the advantage Σᵢ(γλ)ⁱδ_{t+i} (Schulman et al.,
            2016): 0 is the TD error, as in the paper; 1 is the return of the rest of
            the episode less V̂(s), REINFORCE with a baseline. An episode that a time
            limit cuts off has V̂ behind its end.
          value_updates: A training step; T if None.
          policy_updates: A training step, each on the whole episode; T if None.
          importance_weight_clipping: Largest importance weight, > 0.
          target_update_period: C of Algorithm 4.
          policy_gradient_clipping: V_max, > 0, or None.
          seed: Accepted as every agent's is; training draws nothing.
          train_step_counter: Counts training steps; the global step if None.
          name: Name of the agent.

        Raises:
          ValueError: If an argument is not allowed.
        """
        validation.check(type(self).__name__, "probability", trace_decay=trace_decay)
        self._trace_decay = trace_decay
        super().__init__(
            time_step_spec,
            action_spec,
            actor_network,
            actor_optimizer,
            value_network=value_network,
            critic_optimizer=critic_optimizer,
            max_episode_steps=max_episode_steps,
            gamma=gamma,
            stddev=stddev,
            learn_stddev=learn_stddev,
            value_updates=value_updates,
            policy_updates=policy_updates,
            importance_weight_clipping=importance_weight_clipping,
            target_update_period=target_update_period,
            policy_gradient_clipping=policy_gradient_clipping,
            seed=seed,
            train_step_counter=train_step_counter,
            name=name,
        )

    def policy_loss(
        self, batch: value_gradient_agent.Batch
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The surrogate −w·A·log π_θ(a|s), whose gradient is −w·A·∇_θ log π_θ.

        Args:
          batch: The episode, padded, shape [T, …].

        Returns:
          The loss, the mean of V̂(s), and the mean importance weight.
        """
        mean, _ = self._actor_network(batch.state, training=True)
        log_probability = gaussian.log_probability(
            batch.action, mean, tf.exp(0.5 * self._log_variance)
        )
        value, _ = self._value_network(batch.state)
        advantage = tf.stop_gradient(self.advantages(batch))
        importance = self._importance_weights(batch)
        return (
            -tf.reduce_mean(batch.weight * importance * advantage * log_probability),
            tf.reduce_mean(batch.weight * value),
            tf.reduce_mean(batch.weight * importance),
        )

    def advantages(self, batch: value_gradient_agent.Batch) -> tf.Tensor:
        """Returns Σᵢ(γλ)ⁱδ_{t+i} along an episode, with δ = r + γ·d·V̂(s') − V̂(s).

        Args:
          batch: The episode in its order, padded to T, shape [T, …].

        Returns:
          The advantages, shape [T]; those behind the episode's end have no meaning.
        """
        value, _ = self._value_network(batch.state)
        next_value, _ = self._value_network(batch.next_state)
        following = self._gamma * batch.discount * next_value
        if not self._trace_decay:
            return batch.reward + following - value  # δ
        # Behind the last transition there is only V̂: then a discount of 0 ends all.
        within = tf.cast(batch.weight[1:] > 0, value.dtype)
        within = self._gamma * tf.concat([within, tf.zeros_like(within[:1])], axis=0)
        reward = tf.where(within > 0, batch.reward, batch.reward + following)
        return value_ops.generalized_advantage_estimation(
            value[:, tf.newaxis],
            tf.zeros([1], value.dtype),
            within[:, tf.newaxis],
            reward[:, tf.newaxis],
            td_lambda=self._trace_decay,
        )[:, 0]
