"""Covariances that depend on the state: φ(s) of Σ_φ(s).

The paper writes Σ(s) throughout and uses one e^φ for all states; this is what its
equations allow. The network is that of the mean, but for its output:

    φ(s) = φ₀ + c·tanh(u(s))

Adam moves each weight by its learning rate, and so an output, which sums many, far more
than a lone φ: without a bound σ(s) runs off before the critic has learned which way to
send it (docs/variants.md).

Shapes: B batch, S state, P parameters of a covariance.
"""

from collections.abc import Sequence

import gin
import numpy as np
import tensorflow as tf
from tf_agents.networks import network
from tf_agents.typing import types
from tf_agents.utils import common

from smoothie_tf import covariances, validation
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
        largest_change: float = 2.0,
        parameter_sizes: Sequence[float] | float = 1.0,
        name: str = "CovarianceNetwork",
    ):
        """Builds the network.

        Args:
          input_tensor_spec: Spec of the observations, shape [S].
          initial_parameters: φ₀, that the network starts near in every state, shape
            [P].
          hidden_units: Width of each hidden layer.
          activation: Keras name of the hidden layers' activation.
          largest_change: c, > 0: how far φ may come from φ₀, in units of
            `parameter_sizes`. With 2, the variances of a diagonal Σ stay within a
            factor e², its standard deviations within e.
          parameter_sizes: What counts as a change of 1 of each parameter, as
            `covariances` has it, shape [P] or one number for all.
          name: Name of the network.

        Raises:
          ValueError: If a width is not a whole number of at least 1, the activation is
            unknown, or `largest_change` is not a finite number above 0.
        """
        validation.check("CovarianceNetwork", "positive", largest_change=largest_change)
        validation.check_layers(
            "CovarianceNetwork",
            activation,
            dir(tf.keras.activations),
            hidden_units=hidden_units,
        )
        super().__init__(input_tensor_spec=input_tensor_spec, name=name)
        self._hidden = dense.hidden_layers(hidden_units, activation)
        self._largest_change = largest_change * np.asarray(parameter_sizes)
        self._initial_parameters = np.asarray(initial_parameters)
        self._output = dense.Dense(
            len(initial_parameters), "tanh", kernel_initializer=initializers.output()
        )

    def call(
        self, observation, step_type=(), network_state=(), training=False
    ) -> tuple[tf.Tensor, types.NestedTensor]:
        """Returns φ(s), shape [B, P], and the untouched network state."""
        del step_type, training
        change = dense.chain([*self._hidden, self._output], observation)
        initial = tf.constant(self._initial_parameters, change.dtype)
        largest = tf.constant(self._largest_change, change.dtype)
        return initial + largest * change, network_state


def create_covariance(
    kind: str,
    observation_spec: types.NestedTensorSpec,
    actions: int,
    log_variance: float,
    trainable: bool = True,
) -> covariances.Covariance:
    """Makes φ and φ′, equal: variables, or networks where Σ depends on the state.

    Args:
      kind: One of `covariances.KINDS`.
      observation_spec: Spec of the observations, shape [S].
      actions: A.
      log_variance: Of the independent components that Σ starts with.
      trainable: Whether φ learns, where it is a variable.

    Returns:
      Σ_φ, whose target is Σ_φ′. The target's network is yet to be set to φ.
    """
    form, depends_on_state = covariances.KINDS[kind]
    initial = form.initial_parameters(actions, log_variance)
    if not depends_on_state:
        phi = tf.Variable(initial, trainable=trainable, name="log_variance")
        target = tf.Variable(phi, trainable=False, name="target_log_variance")
        return covariances.Covariance(form, phi, target)
    phi = CovarianceNetwork(
        observation_spec,
        initial.numpy().tolist(),
        parameter_sizes=form.parameter_sizes(actions, log_variance).numpy().tolist(),
    )
    phi.create_variables(observation_spec)
    target = common.maybe_copy_target_network_with_checks(
        phi, None, "TargetCovarianceNetwork", observation_spec
    )
    return covariances.Covariance(form, phi, target)
