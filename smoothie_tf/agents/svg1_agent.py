"""SVG(1), and with replay SVG(1)-ER: Algorithms 2 and 4 of Heess et al. (2015).

The value gradient of one step: a learned model gives the derivative of the next state
in the action, a learned V̂ the value of that state,

    v_θ = w·(r_a + (r_{s'} + γ·V̂_{s'})·f̂_a)·π_θ    at the inferred η and ξ, (13),

where r_{s'} is ours, since our rewards may depend on the next state.

Both derivatives are taken at the observed next state, so that model errors do not
accumulate: only the model's Jacobian is used.

Equation and line numbers are that paper's. Shapes: B batch, S state, A action.
"""

import dataclasses
from typing import ClassVar

import tensorflow as tf

from smoothie_tf import value_gradients
from smoothie_tf.agents import value_gradient_agent


@dataclasses.dataclass(frozen=True, kw_only=True)
class Svg1Config(value_gradient_agent.ValueGradientConfig):
    """Hyperparameters of SVG(1), or of SVG(1)-ER if `policy_replay` (the default)."""

    owner: ClassVar[str] = "Svg1Agent"
    takes: ClassVar[tuple[str, ...]] = (
        "value_network",
        "dynamics_network",
        "max_episode_steps",
    )

    policy_replay: bool = True
    policy_updates: int | None = None


class Svg1Agent(value_gradient_agent.ValueGradientAgent):
    """Learns a Gaussian policy through a model of one step and a value function."""

    config_class = Svg1Config
    _config: Svg1Config

    def policy_loss(
        self, batch: value_gradient_agent.Batch
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The surrogate whose gradient is (13), negated.

        With ã = μ_θ(s) + σ·η and s̃' = s + μ̂(s, ã) + σ̂·ξ, where η and ξ are constants
        inferred from the stored a and s', ã = a and s̃' = s' in value, and

            ∇ w·[r(s, ã, s̃') + γ·d·V̂(s̃')] = w·(r_a + r_{s'}·f̂_a + γ·d·V̂_{s'}·f̂_a)·π_θ

        Args:
          batch: Transitions, shape [B, …].

        Returns:
          The loss, the mean of r + γ·d·V̂(s'), and the mean importance weight.
        """
        mean, _ = self._actor_network(batch.state, training=True)
        stddev = self.policy_stddev(batch.state)
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
        value = reward + self._config.gamma * batch.discount * next_value
        importance = self._importance_weights(batch)
        return (
            -tf.reduce_mean(batch.weight * importance * value),
            tf.reduce_mean(batch.weight * value),
            tf.reduce_mean(batch.weight * importance),
        )
