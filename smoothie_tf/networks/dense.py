"""A dense layer with a fast bias gradient, and stacks of it.

Shapes: B batch, N units.
"""

from collections.abc import Callable, Iterable, Sequence

import tensorflow as tf

from smoothie_tf import validation
from smoothie_tf.networks import initializers


class Dense(tf.keras.layers.Dense):
    """Keras's dense layer on inputs [B, inputs], with a faster bias gradient."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns activation(inputs·kernel + bias), shape [B, N]."""
        inputs = tf.cast(inputs, self.kernel.dtype)
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


def check(owner: str, activation: str, **widths: Sequence[int]) -> None:
    """Checks the widths of layers and the name of their activation.

    Args:
      owner: What they belong to, as a gin binding names it.
      activation: Name of the layers' activation.
      **widths: Sequences of widths by their parameters' names.

    Raises:
      ValueError: If a width is not a whole number of at least 1, or the activation is
        unknown.
    """
    for name, value in widths.items():
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise ValueError(
                f"{owner}.{name} must be a sequence of widths, such as (400, 300), but"
                f" is {value!r}."
            )
        for width in value:
            validation.check(owner, "count", optional=False, **{name: width})
    if not isinstance(activation, str) or activation not in _ACTIVATIONS:
        raise ValueError(
            f"{owner}.activation must be the Keras name of an activation, such as"
            f" 'tanh', or 'squareplus', but is {activation!r}."
        )


# Keras's module has three functions that are no activations.
_ACTIVATIONS = {
    name for name in dir(tf.keras.activations) if not name.startswith("_")
} - {"get", "serialize", "deserialize"} | {"squareplus"}


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
