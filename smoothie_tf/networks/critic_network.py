"""The critic Q̃_w(s, a) of supplement D, with its fast derivatives of D.1.

The state passes through one layer of 400 tanh units, is concatenated with the
action, and passes through one layer of 300 tanh units to a single value.

Shapes: B batch, S state, A action, M samples.
"""

from collections.abc import Sequence

import gin
import tensorflow as tf
from tf_agents.networks import network
from tf_agents.typing import types

from smoothie_tf import action_derivatives, validation
from smoothie_tf.networks import dense, initializers


@gin.configurable(module="smoothie_tf")
class CriticNetwork(network.Network):
    """Maps observations [B, S] and actions [B, A] to values [B]."""

    def __init__(
        self,
        input_tensor_spec: types.NestedTensorSpec,
        observation_units: Sequence[int] = (400,),
        joint_units: Sequence[int] = (300,),
        activation: str = "tanh",
        initial_value: float = 0.0,
        name: str = "CriticNetwork",
    ):
        """Builds the network.

        Args:
          input_tensor_spec: Specs of the observations, shape [S], and of the
            actions, shape [A].
          observation_units: Widths of the layers before the concatenation.
          joint_units: Widths of the hidden layers after the concatenation, at least
            one.
          activation: Name of all hidden layers' activation: Keras's, or "squareplus".
            With a piecewise linear one, such as relu, the Hessian is zero almost
            everywhere, and the covariance would never learn.
          initial_value: Value of all states and actions before training, apart from
            the small first weights: the first bias of the output. In units of the
            scaled reward; finite.
          name: Name of the network.

        Raises:
          ValueError: If `joint_units` is empty, a width is not a whole number of at
            least 1, the activation is unknown, or `initial_value` is not finite.
        """
        dense.check(
            "CriticNetwork",
            activation,
            observation_units=observation_units,
            joint_units=joint_units,
        )
        validation.check("CriticNetwork", "finite", initial_value=initial_value)
        super().__init__(input_tensor_spec=input_tensor_spec, name=name)
        if not joint_units:
            raise ValueError(
                "CriticNetwork.joint_units must name at least one layer, but is"
                f" {joint_units!r}."
            )
        self._observation_layers = dense.hidden_layers(observation_units, activation)
        # The product of [h; a] with a kernel is that of h with its upper rows plus that
        # of a with its lower rows. Two kernels avoid the concatenation, which doubles
        # the time of the product under XLA, and give the lower rows directly as ∂/∂a.
        observation_spec, action_spec = input_tensor_spec
        embedding_size = [observation_spec.shape[-1], *observation_units][-1]
        action_size = action_spec.shape[-1]
        first, *rest = joint_units
        inputs = embedding_size + action_size
        self._joint_layers = [
            *dense.hidden_layers([first], activation, inputs),
            *dense.hidden_layers(rest, activation),
        ]
        self._joint_layers[0].build([None, embedding_size])
        self._action_kernel = self.add_weight(
            name="action_kernel",
            shape=(action_size, first),
            initializer=initializers.hidden(inputs),
        )
        self._output = dense.Dense(
            1,
            kernel_initializer=initializers.output(),
            bias_initializer=tf.keras.initializers.Constant(initial_value),
        )

    def call(
        self, inputs, step_type=(), network_state=(), training=False
    ) -> tuple[tf.Tensor, types.NestedTensor]:
        """Returns the values, shape [B], and the untouched network state."""
        del step_type, training
        observation, action = inputs
        first, *rest = self._joint_layers
        embedding = self._embed(observation)
        x = tf.matmul(embedding, first.kernel) + tf.matmul(action, self._action_kernel)
        x = first.activation(dense.add_bias(x, first.bias))
        x = dense.chain([*rest, self._output], x)
        return tf.squeeze(x, axis=-1), network_state

    def action_derivatives(
        self, observation: tf.Tensor, action: tf.Tensor, full_hessian: bool = False
    ) -> action_derivatives.ActionDerivatives:
        """Returns Q̃, ∂Q̃/∂a and ∂²Q̃/∂a², or its diagonal, by D.1.

        Args:
          observation: States, shape [B, S].
          action: Actions, shape [B, A].
          full_hessian: Whether to return the whole Hessian.

        Returns:
          The value, gradient and Hessian, equal to those of nested tapes.
        """
        return action_derivatives.by_forward_propagation(
            self._embed(observation),
            action,
            self._action_kernel,
            [
                action_derivatives.DenseLayer(
                    layer.kernel, layer.bias, layer.activation.__name__
                )
                for layer in (*self._joint_layers, self._output)
            ],
            full_hessian,
        )

    def sample_values(self, observation: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Returns Q̃ of several actions per state, which share the state's embedding.

        For values only: layers after the first cannot be differentiated here.

        Args:
          observation: States, shape [B, S].
          actions: Actions, shape [M, B, A].

        Returns:
          The values, shape [M, B].
        """
        first, *rest = self._joint_layers
        x = tf.matmul(self._embed(observation), first.kernel) + first.bias
        # Sums instead of a product with a narrow matrix: XLA fuses them with the
        # activation, and a call takes a quarter of the time.
        kernels = tf.unstack(self._action_kernel)
        x += sum(actions[..., i, tf.newaxis] * k for i, k in enumerate(kernels))
        x = dense.chain(rest, first.activation(x))
        value = tf.reduce_sum(x * self._output.kernel[:, 0], axis=-1)
        return value + self._output.bias[0]

    def _embed(self, observation):
        return dense.chain(self._observation_layers, observation)


def has_method_of_call(critic: network.Network, name: str) -> bool:
    """Says whether a critic has a method that belongs to its `call`.

    Args:
      critic: The critic.
      name: `action_derivatives` or `sample_values`.

    Returns:
      Whether it has the method, unless a subclass overrides `call` alone: it inherits
      the method of another function.
    """
    if name in vars(critic) or not hasattr(critic, name):
        return hasattr(critic, name)
    owner, of_call = (
        next(each for each in type(critic).__mro__ if method in vars(each))
        for method in (name, "call")
    )
    is_overridden = owner is not of_call and issubclass(of_call, owner)
    return not (is_overridden and hasattr(owner, "call"))


def sample_values(
    critic: network.Network, observation: tf.Tensor, actions: tf.Tensor
) -> tf.Tensor:
    """Evaluates any critic at several actions in each state.

    Args:
      critic: A network from (observations [B, S], actions [B, A]) to values [B]. With
        a method `sample_values`, as in `CriticNetwork`, each state is embedded once
        instead of once per action.
      observation: States, shape [B, S].
      actions: Actions, shape [M, B, A].

    Returns:
      The values, shape [M, B].
    """
    if has_method_of_call(critic, "sample_values"):
        return critic.sample_values(observation, actions)
    samples, batch, size = tf.unstack(tf.shape(actions))
    values, _ = critic(
        (
            tf.nest.map_structure(
                lambda x: tf.tile(x, [samples] + [1] * (x.shape.rank - 1)), observation
            ),
            tf.reshape(actions, [samples * batch, size]),
        )
    )
    return tf.reshape(values, [samples, batch])
