"""Covariances that depend on the state: φ(s) of Σ_φ(s).

The paper writes Σ(s) throughout but uses one e^φ for all states; its equations allow
both. The network is that of the mean, except for its output:

    φ(s) = φ₀ + c·tanh(u(s))

Adam changes each weight by its learning rate, so an output, a sum over many weights,
changes far more than a single φ: without a bound, σ(s) diverges before the critic has
learned a useful Hessian (docs/variants.md).

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
          initial_parameters: φ₀, near the initial output in every state, shape [P].
          hidden_units: Width of each hidden layer.
          activation: Keras name of the hidden layers' activation.
          largest_change: c, > 0: largest distance of φ from φ₀, in units of
            `parameter_sizes`. With 2, the variances of a diagonal Σ stay within a
            factor e², its standard deviations within e.
          parameter_sizes: Unit of each parameter's change, as `parameter_sizes` in
            `covariances`, shape [P] or one number for all.
          name: Name of the network.

        Raises:
          ValueError: If a width is not a whole number of at least 1, the activation is
            unknown, or `largest_change` is not a finite number above 0.
        """
        validation.check("CovarianceNetwork", "positive", largest_change=largest_change)
        dense.check("CovarianceNetwork", activation, hidden_units=hidden_units)
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
    """Creates φ and φ′: variables, or networks if Σ depends on the state.

    Args:
      kind: One of `covariances.KINDS`.
      observation_spec: Spec of the observations, shape [S].
      actions: A.
      log_variance: Initial log-variance; the components are initially independent.
      trainable: Whether φ is trained, if it is a variable.

    Returns:
      Σ_φ, whose target is Σ_φ′. A target network's weights are not yet set to φ's.
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
    if phi.create_variables(observation_spec).shape.rank != 1:
        raise ValueError(
            f"The covariance {kind!r} needs observations of shape [S], but theirs is"
            f" {observation_spec.shape}."
        )
    target = common.maybe_copy_target_network_with_checks(
        phi, None, "TargetCovarianceNetwork", observation_spec
    )
    return covariances.Covariance(form, phi, target)
