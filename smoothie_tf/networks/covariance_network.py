"""Covariances that depend on the state: φ(s) of Σ_φ(s).

The paper writes Σ(s) throughout and uses one e^φ for all states; this is what its
equations allow. The network is that of the mean, but for its output.

Shapes: B batch, S state, P parameters of a covariance.
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
class CovarianceNetwork(network.Network):
    """Maps observations, shape [B, S], to parameters of covariances, shape [B, P]."""

    def __init__(
        self,
        input_tensor_spec: types.NestedTensorSpec,
        initial_parameters: Sequence[float],
        hidden_units: Sequence[int] = (400, 300),
        activation: str = "relu",
        name: str = "CovarianceNetwork",
    ):
        """Builds the network.

        Args:
          input_tensor_spec: Spec of the observations, shape [S].
          initial_parameters: φ that the network starts near in every state, shape [P].
          hidden_units: Width of each hidden layer.
          activation: Keras name of the hidden layers' activation.
          name: Name of the network.

        Raises:
          ValueError: If a width is not a whole number of at least 1, or the activation
            is unknown.
        """
        validation.check_layers(
            "CovarianceNetwork",
            activation,
            dir(tf.keras.activations),
            hidden_units=hidden_units,
        )
        super().__init__(input_tensor_spec=input_tensor_spec, name=name)
        self._hidden = dense.hidden_layers(hidden_units, activation)
        self._output = dense.Dense(
            len(initial_parameters),
            kernel_initializer=initializers.output(),
            bias_initializer=tf.keras.initializers.Constant(
                np.asarray(initial_parameters)
            ),
        )

    def call(
        self, observation, step_type=(), network_state=(), training=False
    ) -> tuple[tf.Tensor, types.NestedTensor]:
        """Returns φ(s), shape [B, P], and the untouched network state."""
        del step_type, training
        x = dense.chain(self._hidden, observation)
        return self._output(x), network_state
