"""The compatible critic of Section 4.4: (22), with its two conditions.

    Q̃_w(s, a) = V_w₀(s) + (a − μ)ᵀ·g(s) + ½·(a − μ)ᵀ·M(s)·(a − μ),      μ = μ_θ(s),
    g(s) = ∇θ μ_θ(s)ᵀ w₁,     M(s) = ∇φ Σ_φ(s)ᵀ w₂.

So at a = μ its gradient is ∇θμᵀw₁ and its Hessian ∇φΣᵀw₂: the first of the two
conditions for the mean and for the covariance. The second condition, that w minimises
the error of gradients and Hessians at a = μ, is trained by
`SmoothieAgent.mean_error_weights` for k = 1 and 2. If both hold, the policy gradient is
exact. `SmoothieAgent.bellman_error_weights` minimises these errors at phantom actions.

The paper's (22) has no ½: its Hessian would be 2·∇φΣᵀw₂, and w₂ half of what is meant.

w₁ has one number for each of θ, w₂ one for each of φ. No Jacobian is computed: ∇θμᵀw₁
is the derivative of μ in the direction w₁, one forward pass for all actions.

Shapes: B batch, S state, A action.
"""

from collections.abc import Callable, Sequence

import gin
import tensorflow as tf
from tf_agents.networks import network
from tf_agents.typing import types

from smoothie_tf import action_derivatives, covariances
from smoothie_tf.networks import dense, initializers


@gin.configurable(module="smoothie_tf")
class CompatibleCriticNetwork(network.Network):
    """Maps observations [B, S] and actions [B, A] to values [B], as (22)."""

    def __init__(
        self,
        input_tensor_spec: types.NestedTensorSpec,
        value_units: Sequence[int] = (400, 300),
        activation: str = "tanh",
        name: str = "CompatibleCriticNetwork",
    ):
        """Builds the network; `bind_policy` sets its policy.

        Args:
          input_tensor_spec: Specs of the observations, shape [S], and of the
            actions, shape [A].
          value_units: Widths of the hidden layers of V_w₀.
          activation: Keras name of their activation.
          name: Name of the network.

        Raises:
          ValueError: If a width is not a whole number of at least 1, or the activation
            is unknown.
        """
        dense.check("CompatibleCriticNetwork", activation, value_units=value_units)
        super().__init__(input_tensor_spec=input_tensor_spec, name=name)
        self._value_layers = dense.hidden_layers(value_units, activation)
        self._output = dense.Dense(1, kernel_initializer=initializers.output())
        self._mean_weights: list[tf.Variable] = []
        self._covariance_weights: list[tf.Variable] = []
        self._policy: Callable[[], tuple] | None = None

    def bind_policy(
        self,
        actor_network: network.Network,
        covariance: covariances.Covariance,
    ) -> None:
        """Sets the policy. θ and φ remain the policy's: the critic learns only w.

        Args:
          actor_network: μ_θ, with its variables created.
          covariance: Σ_φ, with its variables created.
        """
        theta, phi = actor_network.trainable_variables, covariance.variables

        # In a function, which a network does not track: the policy's variables must not
        # become the critic's.
        def policy():
            return actor_network, covariance, theta, phi

        self._policy = policy
        if not self._mean_weights:
            self._mean_weights = self._weights("mean_weights", theta)  # w₁
            self._covariance_weights = self._weights("covariance_weights", phi)  # w₂

    def copy(self, **kwargs) -> "CompatibleCriticNetwork":
        """Returns a network with separate weights, for the same policy until bound."""
        other = super().copy(**kwargs)
        if self._policy is not None:
            other.bind_policy(*self._policy()[:2])
        return other

    def call(
        self, inputs, step_type=(), network_state=(), training=False
    ) -> tuple[tf.Tensor, types.NestedTensor]:
        """Returns the values, shape [B], and the untouched network state."""
        del step_type, training
        return self._derivatives(*inputs)[0], network_state

    def action_derivatives(
        self, observation: tf.Tensor, action: tf.Tensor, full_hessian: bool = False
    ) -> action_derivatives.ActionDerivatives:
        """Returns Q̃, ∂Q̃/∂a and ∂²Q̃/∂a², or its diagonal, in closed form from (22).

        Args:
          observation: States, shape [B, S].
          action: Actions, shape [B, A].
          full_hessian: Whether to return the whole Hessian.
        """
        value, gradient, hessian = self._derivatives(observation, action)
        is_diagonal = hessian.shape.rank == 2
        if full_hessian and is_diagonal:
            hessian = tf.linalg.diag(hessian)
        elif not full_hessian and not is_diagonal:
            hessian = tf.linalg.diag_part(hessian)
        return action_derivatives.ActionDerivatives(value, gradient, hessian)

    def _derivatives(self, observation, action):
        """Returns value, gradient and M(s), [B, A] where Σ is diagonal."""
        if self._policy is None:
            raise ValueError(
                "CompatibleCriticNetwork needs the policy whose critic it is: use it in"
                " an agent that calls its bind_policy, as SmoothieAgent does."
            )
        actor_network, covariance, theta, phi = self._policy()
        mean, slope = _along(
            lambda: actor_network(observation)[0], theta, self._mean_weights
        )

        def matrix():
            parameters = tf.convert_to_tensor(covariance.parameters(observation))
            return covariance.form(parameters).matrix()

        _, hessian = _along(matrix, phi, self._covariance_weights)
        x = dense.chain(self._value_layers, observation)
        value = tf.squeeze(self._output(x), axis=-1)
        apart = action - mean
        if covariance.form.full_hessian:
            shape = tf.concat([tf.shape(action), tf.shape(action)[-1:]], axis=0)
            hessian = tf.broadcast_to(hessian, shape)
            curved = tf.linalg.matvec(hessian, apart)
        else:
            hessian = tf.broadcast_to(hessian, tf.shape(action))
            curved = hessian * apart
        value += tf.reduce_sum(apart * (slope + 0.5 * curved), axis=-1)  # (22)
        return value, slope + curved, hessian

    def _weights(self, name, variables):
        return [
            self.add_weight(
                name=f"{name}_{place}",
                shape=variable.shape,
                dtype=variable.dtype,
                initializer="zeros",
            )
            for place, variable in enumerate(variables)
        ]


def _along(function, variables, directions):
    """Returns a function's value, and its derivative along directions.

    A vector-Jacobian product is linear in its vector. The gradient, in this vector, of
    its product with the directions is the Jacobian times the directions. This needs
    only reverse mode, which every layer has.

    Args:
      function: A function of `variables`, without arguments.
      variables: The variables.
      directions: One tensor for each variable, of its shape.
    """
    with tf.GradientTape(watch_accessed_variables=False) as outer:
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(variables)
            value = function()
        vector = tf.zeros_like(value)
        outer.watch(vector)
        gradients = inner.gradient(
            value, variables, vector, unconnected_gradients="zero"
        )
        products = [
            tf.reduce_sum(gradient * direction)
            for gradient, direction in zip(gradients, directions, strict=True)
        ]
        total = tf.add_n(products)
    return value, outer.gradient(total, vector, unconnected_gradients="zero")
