"""The critic V̂(s) of the SVG family: layers of tanh units to a single value.

Shapes: B batch, S state.
"""

from collections.abc import Sequence

import gin
import tensorflow as tf
from tf_agents.networks import network
from tf_agents.typing import types

from smoothie_tf.networks import dense, initializers


@gin.configurable(module="smoothie_tf")
class ValueNetwork(network.Network):
    """Maps observations, shape [B, S], to values, shape [B]."""

    def __init__(
        self,
        input_tensor_spec: types.NestedTensorSpec,
        hidden_units: Sequence[int] = (200, 100),
        activation: str = "tanh",
        name: str = "ValueNetwork",
    ):
        """Builds the network.

        Args:
          input_tensor_spec: Spec of the observations, shape [S].
          hidden_units: Width of each hidden layer; Table 1 of Heess et al. (2015)
            has them by task.
          activation: Keras name of the hidden layers' activation.
          name: Name of the network.

        Raises:
          ValueError: If a width is not a whole number of at least 1, or the
            activation is unknown.
        """
        dense.check("ValueNetwork", activation, hidden_units=hidden_units)
        super().__init__(input_tensor_spec=input_tensor_spec, name=name)
        self._hidden = dense.hidden_layers(hidden_units, activation)
        self._output = dense.Dense(1, kernel_initializer=initializers.output())

    def call(
        self, observation, step_type=(), network_state=(), training=False
    ) -> tuple[tf.Tensor, types.NestedTensor]:
        """Returns the values, shape [B], and the untouched network state."""
        del step_type, training
        x = dense.chain(self._hidden, observation)
        return tf.squeeze(self._output(x), axis=-1), network_state
