"""Keras models as TF-Agents networks, so that agents accept both."""

import tensorflow as tf
from tf_agents.networks import network
from tf_agents.typing import types


class KerasNetwork(network.Network):
    """A Sequential or functional Keras model behind TF-Agents' network interface.

    A critic's model takes a list [observations [B, S], actions [B, A]]; an output of
    shape [B, 1] is read as one value per row. Losses that a model adds, such as its
    regularizers', are not part of the agents' losses.
    """

    def __init__(
        self,
        input_tensor_spec: types.NestedTensorSpec,
        model: tf.keras.Model,
        name: str = "KerasNetwork",
    ):
        """Wraps a model.

        Args:
          input_tensor_spec: Spec of the input, or specs of the inputs.
          model: The model; its weights are used, not copied.
          name: Name of the network.
        """
        super().__init__(input_tensor_spec=input_tensor_spec, name=name)
        self._model = model

    def call(
        self, inputs, step_type=(), network_state=(), training=False
    ) -> tuple[tf.Tensor, types.NestedTensor]:
        """Returns the model's output and the untouched network state."""
        del step_type
        several = isinstance(inputs, tuple)
        output = self._model(list(inputs) if several else inputs, training=training)
        if several and output.shape.rank == 2 and output.shape[-1] == 1:
            output = tf.squeeze(output, axis=-1)
        return output, network_state

    def copy(self, **kwargs) -> "KerasNetwork":
        """Returns a network of the same architecture with separate weights."""
        model = tf.keras.models.clone_model(self._model)
        # A clone forgets what `Normalization.adapt` has set.
        for adapted, layer in zip(
            _normalizations(self._model), _normalizations(model), strict=True
        ):
            if adapted.built:
                layer.set_weights(adapted.get_weights())
                layer.finalize_state()
        arguments = {
            "input_tensor_spec": self.input_tensor_spec,
            "model": model,
            "name": self.name,
        }
        return KerasNetwork(**{**arguments, **kwargs})


def _normalizations(model):
    kind = tf.keras.layers.Normalization
    return [layer for layer in model.submodules if isinstance(layer, kind)]


def as_network(
    net: network.Network | tf.keras.Model,
    input_spec: types.NestedTensorSpec,
    name: str,
) -> network.Network:
    """Returns `net` itself if it is a network, or wraps it if it is a Keras model.

    Args:
      net: The network or model.
      input_spec: Spec of its input.
      name: Name of the network if it is wrapped.

    Returns:
      A TF-Agents network.

    Raises:
      TypeError: If `net` is neither.
    """
    if isinstance(net, network.Network):
        return net
    if isinstance(net, tf.keras.Model):
        return KerasNetwork(input_spec, net, name)
    raise TypeError(
        f"{name} must be a TF-Agents network or a Keras model, but is a"
        f" {type(net).__name__}."
    )
