"""The actor-critic that SVG(1) is compared with in Section 6.1 of Heess et al. (2015).

It has the same value function, learned by the same code, and no model: "the TD-error
δ = r + γV' − V as an estimate of the advantage, yielding the policy gradient
v_θ = δ∇_θ log π". With the return of the rest of the episode instead of r + γV' it is
REINFORCE (Williams, 1992) with V as baseline, which the paper "also tested"
(footnote 5).

Shapes: B batch, T transitions of an episode, S state, A action.
"""

import dataclasses
from typing import ClassVar

import tensorflow as tf
from tf_agents.utils import value_ops

from smoothie_tf import validation
from smoothie_tf.agents import value_gradient_agent


@dataclasses.dataclass(frozen=True, kw_only=True)
class TdActorCriticConfig(value_gradient_agent.ValueGradientConfig):
    """Hyperparameters of the actor-critic: no model, no replay for the policy.

    Attributes:
      trace_decay: λ in [0, 1] of the advantage Σᵢ(γλ)ⁱδ_{t+i} (Schulman et al., 2016):
        0 is the TD error, as in the paper; 1 is the return of the rest of the episode
        minus V̂(s), REINFORCE with a baseline. An episode that a time limit truncates
        is bootstrapped with V̂.
    """

    owner: ClassVar[str] = "TdActorCriticAgent"
    takes: ClassVar[tuple[str, ...]] = ("value_network", "max_episode_steps")

    trace_decay: float = 0.0
    model_updates: int | None = dataclasses.field(default=None, init=False)
    policy_replay: bool = dataclasses.field(default=False, init=False)
    trains_at_episode_end: bool = dataclasses.field(default=True, init=False)
    kl_penalty: float = dataclasses.field(default=0.0, init=False)

    def __post_init__(self):
        super().__post_init__()
        validation.check(self.owner, "probability", trace_decay=self.trace_decay)


class TdActorCriticAgent(value_gradient_agent.ValueGradientAgent):
    """Learns a Gaussian policy by the likelihood ratio, from the last episode."""

    config_class = TdActorCriticConfig
    _config: TdActorCriticConfig

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
        policy = self._covariance.at(batch.state).distribution(mean)
        log_probability = policy.log_prob(batch.action)
        value, _ = self._value_network(batch.state)
        advantage = tf.stop_gradient(self.advantages(batch, value))
        importance = self._importance_weights(batch)
        return (
            -tf.reduce_mean(batch.weight * importance * advantage * log_probability),
            tf.reduce_mean(batch.weight * value),
            tf.reduce_mean(batch.weight * importance),
        )

    def advantages(
        self, batch: value_gradient_agent.Batch, value: tf.Tensor
    ) -> tf.Tensor:
        """Returns Σᵢ(γλ)ⁱδ_{t+i} along an episode, with δ = r + γ·d·V̂(s') − V̂(s).

        Args:
          batch: The episode in its order, padded to T, shape [T, …].
          value: V̂(s) along it, shape [T].

        Returns:
          The advantages, shape [T]; those after the episode's end have no meaning.
        """
        next_value, _ = self._value_network(batch.next_state)
        following = self._config.gamma * batch.discount * next_value
        if not self._config.trace_decay:
            return batch.reward + following - value  # δ
        # After the last transition only V̂ follows: the discount there is 0.
        within = tf.cast(batch.weight[1:] > 0, value.dtype)
        within = tf.concat([within, tf.zeros_like(within[:1])], axis=0)
        within = self._config.gamma * within
        reward = tf.where(within > 0, batch.reward, batch.reward + following)
        return value_ops.generalized_advantage_estimation(
            value[:, tf.newaxis],
            tf.zeros([1], value.dtype),
            within[:, tf.newaxis],
            reward[:, tf.newaxis],
            td_lambda=self._config.trace_decay,
        )[:, 0]
