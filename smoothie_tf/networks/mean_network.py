"""The policy mean μ_θ(s): two hidden layers of 400 and 300 (supplement D).

Shapes: B batch, S state, A action.
"""

from collections.abc import Sequence

import gin
import numpy as np
import tensorflow as tf
from tf_agents.networks import network
from tf_agents.typing import types

from smoothie_tf import validation
from smoothie_tf.networks import dense, initializers


@gin.configurable(module="smoothie_tf")
class MeanNetwork(network.Network):
    """Maps observations, shape [B, S], to policy means, shape [B, A].

    The output passes through tanh and is scaled to the action bounds. The paper does
    not say how it bounds the mean. Without a bound, the gradient of a critic that is
    not trained on actions outside the bounds drives the mean there. `bounded=False`
    omits the tanh, for tasks that penalise the unclipped action.
    """

    def __init__(
        self,
        input_tensor_spec: types.NestedTensorSpec,
        action_spec: types.BoundedTensorSpec,
        hidden_units: Sequence[int] = (400, 300),
        activation: str = "relu",
        initial_mean: float | None = None,
        bounded: bool = True,
        name: str = "MeanNetwork",
    ):
        """Builds the network.

        Args:
          input_tensor_spec: Spec of the observations, shape [S].
          action_spec: Bounded spec of the actions, shape [A].
          hidden_units: Width of each hidden layer.
          activation: Keras name of the hidden layers' activation.
          initial_mean: Approximate initial mean, the same in every dimension,
            strictly within the action bounds; None for their middle.
          bounded: Whether the output passes through tanh; otherwise it is linear, in
            the same units.
          name: Name of the network.

        Raises:
          ValueError: If the action bounds are not finite, `initial_mean` is not within
            them, a width is not a whole number of at least 1, or the activation is
            unknown.
        """
        validation.check(
            "MeanNetwork", "finite", optional=True, initial_mean=initial_mean
        )
        dense.check("MeanNetwork", activation, hidden_units=hidden_units)
        super().__init__(input_tensor_spec=input_tensor_spec, name=name)
        self._hidden = dense.hidden_layers(hidden_units, activation)
        with np.errstate(over="ignore", invalid="ignore"):
            self._centre = (action_spec.maximum + action_spec.minimum) / 2.0
            self._half_range = (action_spec.maximum - action_spec.minimum) / 2.0
        # A range too large for a float32 would also make actions NaN.
        if not np.isfinite(self._half_range).all():
            raise ValueError(
                "MeanNetwork.action_spec must have finite bounds, but has"
                f" {action_spec.minimum.tolist()} and {action_spec.maximum.tolist()}."
            )
        validation.check_flags("MeanNetwork", bounded=bounded)
        self._output = dense.Dense(
            action_spec.shape[-1],
            "tanh" if bounded else None,
            kernel_initializer=initializers.output(),
            bias_initializer=self._output_bias(
                initial_mean, action_spec.shape, bounded
            ),
        )

    def call(
        self, observation, step_type=(), network_state=(), training=False
    ) -> tuple[tf.Tensor, types.NestedTensor]:
        """Returns the means, shape [B, A], and the untouched network state."""
        del step_type, training
        x = dense.chain(self._hidden, observation)
        return self._centre + self._half_range * self._output(x), network_state

    def _output_bias(self, initial_mean, shape, bounded):
        if initial_mean is None:
            return "zeros"
        share = np.broadcast_to((initial_mean - self._centre) / self._half_range, shape)
        if not (np.abs(share) < 1).all():
            raise ValueError(
                "MeanNetwork.initial_mean must lie strictly within the action bounds,"
                f" but is {initial_mean!r} where they are"
                f" {(self._centre - self._half_range).tolist()} and"
                f" {(self._centre + self._half_range).tolist()}."
            )
        return tf.keras.initializers.Constant(np.arctanh(share) if bounded else share)
