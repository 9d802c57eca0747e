"""Networks that contain the exact solution of the linear–quadratic task.

With them, errors come from the algorithm and not from function approximation.

Shapes: B batch, S state, A action.
"""

from collections.abc import Sequence

import gin
import numpy as np
import tensorflow as tf
from tf_agents.networks import network
from tf_agents.typing import types

from smoothie_tf import action_derivatives


@gin.configurable(module="smoothie_tf")
class LinearMeanNetwork(network.Network):
    """Maps observations, shape [B, S], to means K·s, shape [B, A], without bounds."""

    def __init__(
        self,
        input_tensor_spec: types.NestedTensorSpec,
        action_spec: types.BoundedTensorSpec,
        gain: Sequence[Sequence[float]] | None = None,
        name: str = "LinearMeanNetwork",
    ):
        """Builds the network.

        Args:
          input_tensor_spec: Spec of the observations, shape [S].
          action_spec: Spec of the actions, shape [A].
          gain: Initial K, shape [A, S]; None for 0.
          name: Name of the network.

        Raises:
          ValueError: If the gain is not a matrix of finite numbers of that shape.
        """
        shape = (action_spec.shape[-1], input_tensor_spec.shape[-1])
        initial = np.zeros(shape) if gain is None else _numbers(gain)
        if initial.shape != shape or not np.isfinite(initial).all():
            raise ValueError(
                f"LinearMeanNetwork.gain must be a matrix of finite numbers of shape"
                f" {shape}, but is {gain!r}."
            )
        super().__init__(input_tensor_spec=input_tensor_spec, name=name)
        self.gain = self.add_weight(
            name="gain",
            shape=shape,
            initializer=tf.keras.initializers.Constant(initial),
        )

    def call(
        self, observation, step_type=(), network_state=(), training=False
    ) -> tuple[tf.Tensor, types.NestedTensor]:
        """Returns the means, shape [B, A], and the untouched network state."""
        del step_type, training
        return tf.matmul(observation, self.gain, transpose_b=True), network_state


@gin.configurable(module="smoothie_tf")
class QuadraticCriticNetwork(network.Network):
    """Maps x = [s; a], [B, S] and [B, A], to ½·xᵀWx + b, shape [B]."""

    def __init__(
        self,
        input_tensor_spec: types.NestedTensorSpec,
        name: str = "QuadraticCriticNetwork",
    ):
        """Builds the network, initially zero.

        Args:
          input_tensor_spec: Specs of the observations, shape [S], and of the
            actions, shape [A].
          name: Name of the network.
        """
        super().__init__(input_tensor_spec=input_tensor_spec, name=name)
        size = sum(spec.shape[-1] for spec in input_tensor_spec)
        self._matrix = self.add_weight(
            name="matrix", shape=(size, size), initializer="zeros"
        )
        self._bias = self.add_weight(name="bias", shape=(), initializer="zeros")

    def call(
        self, inputs, step_type=(), network_state=(), training=False
    ) -> tuple[tf.Tensor, types.NestedTensor]:
        """Returns the values, shape [B], and the untouched network state."""
        del step_type, training
        x = tf.concat(inputs, axis=-1)
        value = 0.5 * tf.reduce_sum(x * tf.matmul(x, self._matrix), axis=-1)
        return value + self._bias, network_state

    def action_derivatives(
        self, observation: tf.Tensor, action: tf.Tensor, full_hessian: bool = False
    ) -> action_derivatives.ActionDerivatives:
        """Returns Q̃, ∂Q̃/∂a and ∂²Q̃/∂a², or its diagonal.

        Args:
          observation: States, shape [B, S].
          action: Actions, shape [B, A].
          full_hessian: Whether to return the whole Hessian.
        """
        value, _ = self((observation, action))
        size = action.shape[-1]
        symmetric = 0.5 * (self._matrix + tf.transpose(self._matrix))
        x = tf.concat([observation, action], axis=-1)
        gradient = tf.matmul(x, symmetric[:, -size:])
        hessian = symmetric[-size:, -size:]
        each = tf.ones_like(action)
        if full_hessian:
            hessian = hessian * each[:, :, tf.newaxis]
        else:
            hessian = tf.linalg.diag_part(hessian) * each
        return action_derivatives.ActionDerivatives(value, gradient, hessian)


def _numbers(value):
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return np.empty(0)
