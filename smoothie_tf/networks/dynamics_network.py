"""The model of the dynamics, one small network per state dimension.

    s' = s + μ̂(s, a) + σ̂·ξ,  ξ ~ N(0, I),

where each component of μ̂ has its own tanh layers and σ̂ is one constant per dimension
(Section 5 and Appendix C of Heess et al., 2015). All networks are evaluated in one
batch.

The paper does not say how inputs and outputs are scaled. Here both are standardised by
the moments of the training data: the change of position in a time step of 10 ms is too
small for a network of unit scale to learn.

Shapes: B batch, S state, A action, N networks (S, and one more for rewards).
"""

from collections.abc import Sequence
from typing import NamedTuple

import gin
import tensorflow as tf
from tf_agents.typing import types

from smoothie_tf import validation
from smoothie_tf.networks import dense, initializers

# Lower bounds of the standard deviations in divisions: some dimensions are constant.
_LEAST_INPUT = 1e-3
_LEAST_CHANGE = 1e-6
# Smallest weight of the newest moments.
_LEAST_SHARE = 1e-3


class Prediction(NamedTuple):
    """The model's prediction.

    Attributes:
      next_state: s + μ̂(s, a), shape [B, S].
      reward: Expected reward, shape [B]; None if the model does not learn it.
    """

    next_state: tf.Tensor
    reward: tf.Tensor | None


@gin.configurable(module="smoothie_tf")
class DynamicsNetwork(tf.Module):
    """One network per dimension, evaluated with batched products."""

    def __init__(
        self,
        observation_spec: types.TensorSpec,
        action_spec: types.BoundedTensorSpec,
        learns_reward: bool = False,
        hidden_units: Sequence[int] = (20, 20),
        initial_stddev: float = 1.0,
        clip_actions: bool = False,
        name: str = "DynamicsNetwork",
    ):
        """Builds the network.

        Args:
          observation_spec: Spec of the states, shape [S].
          action_spec: Spec of the actions, shape [A].
          learns_reward: Whether one more network learns the reward of (s, a).
          hidden_units: Widths of the hidden layers of *each* network, at least one;
            Table 1 gives them by task.
          initial_stddev: Initial σ̂ of each dimension, > 0, relative to the standard
            deviation of its changes.
          clip_actions: Whether to clip actions to their bounds, as the task does, so
            that the model need not learn this.
          name: Name of the network.

        Raises:
          ValueError: If a width is not a whole number of at least 1, there is no layer,
            `initial_stddev` is not positive, or `clip_actions` and `learns_reward` are
            both True, since rewards depend on the unclipped actions.
        """
        super().__init__(name=name)
        owner = "DynamicsNetwork"
        dense.check(owner, "tanh", hidden_units=hidden_units)
        if not hidden_units:
            raise ValueError(
                f"{owner}.hidden_units must name at least one layer, but is"
                f" {hidden_units!r}."
            )
        validation.check(owner, "positive", initial_stddev=initial_stddev)
        validation.check_flags(owner, clip_actions=clip_actions)
        if clip_actions and learns_reward:
            raise ValueError(
                f"{owner}.clip_actions must be False where the model learns rewards,"
                " which depend on the unclipped actions, but is True."
            )
        self.learns_reward = learns_reward
        self._bounds = None
        if clip_actions:
            self._bounds = action_spec.minimum, action_spec.maximum
        self._dtype = observation_spec.dtype
        self._state_size = observation_spec.shape[0]
        inputs = self._state_size + action_spec.shape[0]
        self._number = self._state_size + int(learns_reward)
        self._layers = []
        for place, units in enumerate(hidden_units):
            limit = inputs**-0.5
            shape = [self._number, inputs, units]
            kernel = tf.random.uniform(shape, -limit, limit, self._dtype)
            self._layers.append(
                (
                    self._variable(kernel, f"kernel_{place}"),
                    self._variable(
                        tf.zeros([self._number, 1, units], self._dtype),
                        f"bias_{place}",
                    ),
                )
            )
            inputs = units
        limit = initializers.OUTPUT_RANGE
        shape = [self._number, 1, inputs]
        self._output_kernel = self._variable(
            tf.random.uniform(shape, -limit, limit, self._dtype), "output_kernel"
        )
        self._output_bias = self._variable(
            tf.zeros([self._number, 1], self._dtype), "output_bias"
        )
        self._log_stddev = self._variable(
            tf.math.log(tf.fill([self._number], tf.cast(initial_stddev, self._dtype))),
            "log_stddev",
        )
        # Moments of inputs (s, a) and of outputs (s' − s, r).
        self._times_observed = tf.Variable(
            0, dtype=tf.int64, trainable=False, name="times_observed"
        )
        size = self._state_size + action_spec.shape[0]
        self._input_mean, self._input_variance = self._moments(size, "input")
        self._change_mean, self._change_variance = self._moments(self._number, "change")

    @property
    def stddev(self) -> tf.Tensor:
        """σ̂ of the states, in their units, shape [S]."""
        size = self._state_size
        return tf.exp(self._log_stddev[:size]) * self._change_scale[:size]

    def __call__(self, state: tf.Tensor, action: tf.Tensor) -> Prediction:
        """Predicts the next state and the reward.

        Args:
          state: s, shape [B, S].
          action: a, shape [B, A].

        Returns:
          The next state's mean, and the reward if it is learned.
        """
        change = self._unstandardize(self._evaluate(state, action)[0])
        size = self._state_size
        return Prediction(
            state + change[:, :size], change[:, size] if self.learns_reward else None
        )

    def jacobians(
        self, state: tf.Tensor, action: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the derivatives of the next state's mean.

        Each network has one output and its own input, so that one backward pass through
        all networks gives the whole matrix.

        Args:
          state: s, shape [B, S].
          action: a, shape [B, A].

        Returns:
          The derivatives in the state, shape [B, S, S], and in the action, shape
          [B, S, A].
        """
        _, hidden = self._evaluate(state, action)
        upstream = self._output_kernel
        for (kernel, _), units in zip(
            reversed(self._layers), reversed(hidden), strict=True
        ):
            upstream = tf.matmul(
                upstream * (1 - tf.square(units)), kernel, transpose_b=True
            )
        size = self._state_size
        # [N, B, S + A]: derivatives of standardised changes in standardised inputs.
        scaled = upstream[:size] * self._change_scale[:size, tf.newaxis, tf.newaxis]
        scaled = tf.transpose(scaled / self._input_scale, [1, 0, 2])
        identity = tf.eye(size, dtype=self._dtype)
        by_state, by_action = identity + scaled[..., :size], scaled[..., size:]
        if self._bounds is not None:
            low, high = self._bounds
            within = tf.cast((action >= low) & (action <= high), self._dtype)
            by_action *= within[:, tf.newaxis]
        return by_state, by_action

    def loss(
        self,
        state: tf.Tensor,
        action: tf.Tensor,
        next_state: tf.Tensor,
        reward: tf.Tensor,
        weights: tf.Tensor,
    ) -> tf.Tensor:
        """Returns the mean negative log-likelihood of standardised changes, in nats.

        Args:
          state: s, shape [B, S].
          action: a, shape [B, A].
          next_state: s', shape [B, S].
          reward: r, shape [B].
          weights: Weight of each transition, shape [B].

        Returns:
          The sum over dimensions, without its constant, a scalar.
        """
        output, _ = self._evaluate(state, action)
        target = self._observed_changes(state, next_state, reward)
        target = (target - self._change_mean) / self._change_scale
        error = (tf.transpose(target) - output) * tf.exp(-self._log_stddev)[:, None]
        likelihood = tf.reduce_sum(0.5 * tf.square(error), axis=0)
        return tf.reduce_mean(weights * likelihood) + tf.reduce_sum(self._log_stddev)

    def observe(
        self,
        state: tf.Tensor,
        action: tf.Tensor,
        next_state: tf.Tensor,
        reward: tf.Tensor,
        weights: tf.Tensor,
    ) -> tf.Operation:
        """Updates the moments for the standardisation by transitions.

        Arguments as for `loss`; a transition of weight 0 does not count. The first call
        sets the moments; the k-th has weight 1/k, but at least 1/1000.
        """
        share = 1 / (tf.cast(self._times_observed, self._dtype) + 1)
        share = tf.maximum(share, tf.cast(_LEAST_SHARE, self._dtype))
        updates = []
        for values, mean, variance in (
            (
                self._inputs(state, action),
                self._input_mean,
                self._input_variance,
            ),
            (
                self._observed_changes(state, next_state, reward),
                self._change_mean,
                self._change_variance,
            ),
        ):
            seen_mean, seen_variance = tf.nn.weighted_moments(
                values, [0], weights[:, tf.newaxis]
            )
            old_mean, old_variance = mean.read_value(), variance.read_value()
            new_mean = old_mean + share * (seen_mean - old_mean)
            spread = old_variance + tf.square(old_mean - new_mean)
            seen_spread = seen_variance + tf.square(seen_mean - new_mean)
            new_variance = spread + share * (seen_spread - spread)
            updates += [(mean, new_mean), (variance, new_variance)]
        with tf.control_dependencies([value for _, value in updates]):
            done = [variable.assign(value) for variable, value in updates]
            done.append(self._times_observed.assign_add(1))
        return tf.group(done)

    @property
    def _input_scale(self):
        return tf.maximum(
            tf.sqrt(self._input_variance), tf.cast(_LEAST_INPUT, self._dtype)
        )

    @property
    def _change_scale(self):
        return tf.maximum(
            tf.sqrt(self._change_variance), tf.cast(_LEAST_CHANGE, self._dtype)
        )

    def _evaluate(self, state, action):
        """Returns standardised outputs [N, B], and all hidden units."""
        x = (self._inputs(state, action) - self._input_mean) / self._input_scale
        hidden = []
        for place, (kernel, bias) in enumerate(self._layers):
            # The first layers' inputs are the same for all networks.
            product = "bi,nih->nbh" if place == 0 else "nbi,nih->nbh"
            x = tf.tanh(tf.einsum(product, x, kernel) + bias)
            hidden.append(x)
        output = tf.reduce_sum(x * self._output_kernel, axis=-1) + self._output_bias
        return output, hidden

    def _inputs(self, state, action):
        if self._bounds is not None:
            action = tf.clip_by_value(action, *self._bounds)
        return tf.concat([state, action], axis=-1)

    def _unstandardize(self, output):
        return tf.transpose(output) * self._change_scale + self._change_mean

    def _observed_changes(self, state, next_state, reward):
        change = next_state - state
        if self.learns_reward:
            change = tf.concat([change, reward[:, tf.newaxis]], axis=-1)
        return change

    def _variable(self, value, name):
        return tf.Variable(value, name=f"{self.name}/{name}")

    def _moments(self, size, name):
        return (
            tf.Variable(
                tf.zeros([size], self._dtype), trainable=False, name=f"{name}_mean"
            ),
            tf.Variable(
                tf.ones([size], self._dtype), trainable=False, name=f"{name}_variance"
            ),
        )
