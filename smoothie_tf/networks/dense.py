"""A dense layer with a fast bias gradient, and stacks of it.

Shapes: B batch, N units.
"""

from collections.abc import Callable, Iterable

import tensorflow as tf

from smoothie_tf.networks import initializers


class Dense(tf.keras.layers.Dense):
    """Keras's dense layer on inputs [B, inputs], with a faster bias gradient."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns activation(inputs·kernel + bias), shape [B, N]."""
        return self.activation(add_bias(tf.matmul(inputs, self.kernel), self.bias))


@tf.custom_gradient
def add_bias(x: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Adds a bias, shape [N], to every row of x, shape [B, N].

    The bias gradient, a sum over rows, is computed as a product with ones: XLA compiles
    the sum as a scalar loop, which takes twice as long.
    """

    def gradient(upstream):
        ones = tf.ones_like(upstream[:, :1])
        return upstream, tf.matmul(ones, upstream, transpose_a=True)[0]

    return x + bias, gradient


def squareplus(x: tf.Tensor) -> tf.Tensor:
    """Returns (x + √(x² + 4)) / 2, Barron's "squareplus" (2021).

    It is smooth and unbounded like softplus. Compiled by XLA it takes as long as tanh,
    softplus more than twice as long (benchmarks/activations.py).
    """
    return 0.5 * (x + tf.sqrt(x * x + 4.0))


#: Names of activations, for `validation.check_layers`.
ACTIVATIONS = frozenset((*dir(tf.keras.activations), "squareplus"))


def activation_of(name: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns an activation by its name: one of Keras's, or "squareplus"."""
    return squareplus if name == "squareplus" else tf.keras.activations.get(name)


def hidden_layers(
    units: Iterable[int], activation: str, inputs: int | None = None
) -> list[Dense]:
    """Returns hidden layers, with their initial weights.

    Args:
      units: Width of each layer.
      activation: Name of their activation, as of `activation_of`.
      inputs: As of `initializers.hidden`.
    """
    return [
        Dense(
            width,
            activation_of(activation),
            kernel_initializer=initializers.hidden(inputs),
        )
        for width in units
    ]


def chain(layers: Iterable[Dense], x: tf.Tensor) -> tf.Tensor:
    """Applies layers one after the other to inputs [B, inputs]."""
    for layer in layers:
        x = layer(x)
    return x
