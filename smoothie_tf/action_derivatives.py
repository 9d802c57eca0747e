"""Value of a critic with its gradient and Hessian in the action.

Two functions compute the same numbers. `by_nested_tapes` works for any differentiable
critic. `by_forward_propagation` is the supplement's D.1: it propagates (O_L, G_L, H_L),
the output of layer L with its gradient and Hessian in the action, from layer to layer,
which for a dense critic costs little more than its value.

Unless `full_hessian` is True, only the diagonal of the Hessian is computed: a diagonal
covariance needs no more in (15).

Shapes: B batch, A action, N units of a layer, P entries of the Hessian that are
propagated: A for the diagonal, A(A + 1)/2 for the whole one, which is symmetric.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

__all__ = [
    "ACTIVATIONS",
    "ActionDerivatives",
    "DenseLayer",
    "by_forward_propagation",
    "by_nested_tapes",
]


class ActionDerivatives(NamedTuple):
    """Q̃(s, a) and its first two derivatives in a.

    Attributes:
      value: Q̃(s, a), shape [B].
      gradient: ∂Q̃/∂a, shape [B, A].
      hessian: ∂²Q̃/∂a_i∂a_j, shape [B, A, A], or its diagonal, shape [B, A].
    """

    value: tf.Tensor
    gradient: tf.Tensor
    hessian: tf.Tensor


class DenseLayer(NamedTuple):
    """A dense layer's parameters for forward propagation.

    Attributes:
      kernel: Weights, shape [inputs, outputs].
      bias: Biases, shape [outputs].
      activation: Name of the activation: one of `ACTIVATIONS`.
    """

    kernel: tf.Tensor
    bias: tf.Tensor
    activation: str


def by_nested_tapes(
    critic: Callable[[tf.Tensor], tf.Tensor],
    action: tf.Tensor,
    full_hessian: bool = False,
) -> ActionDerivatives:
    """Differentiates any critic twice by nested `tf.GradientTape`.

    Args:
      critic: Maps actions, shape [B, A], to values, shape [B]. Row b of its result
        may depend on row b of the actions only.
      action: Where to differentiate, shape [B, A].
      full_hessian: Whether to return the whole Hessian.

    Returns:
      The value, gradient and Hessian, or its diagonal, at `action`.
    """
    with tf.GradientTape(watch_accessed_variables=False) as outer:
        outer.watch(action)
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(action)
            value = critic(action)
        gradient = inner.gradient(
            value, action, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
    # The gradient of a critic that is linear in the action does not depend on the
    # action: its Hessian is zero, not missing.
    hessian = outer.batch_jacobian(
        gradient, action, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    if not full_hessian:
        hessian = tf.linalg.diag_part(hessian)
    return ActionDerivatives(value, gradient, hessian)


def _linear(x):
    return x, tf.ones_like(x), tf.zeros_like(x)


def _relu(x):
    return tf.nn.relu(x), tf.cast(x > 0, x.dtype), tf.zeros_like(x)


def _tanh(x):
    f = tf.tanh(x)
    slope = 1.0 - f * f
    return f, slope, -2.0 * f * slope


def _softplus(x):
    slope = tf.sigmoid(x)
    return tf.nn.softplus(x), slope, slope * (1.0 - slope)


def _squareplus(x):
    # f = (x + r) / 2 with r = √(x² + 4), so f′ = f / r and f″ = 2 / r³.
    root = tf.sqrt(x * x + 4.0)
    f = 0.5 * (x + root)
    return f, f / root, 2.0 / root**3


#: Activation → function that returns (f, f′, f″), which share their costly part.
ACTIVATIONS = {
    "linear": _linear,
    "relu": _relu,
    "softplus": _softplus,
    "squareplus": _squareplus,
    "tanh": _tanh,
}


def by_forward_propagation(
    embedding: tf.Tensor,
    action: tf.Tensor,
    action_kernel: tf.Tensor,
    layers: Sequence[DenseLayer],
    full_hessian: bool = False,
) -> ActionDerivatives:
    """Propagates value, gradient and Hessian through a dense critic, D.1.

    The first layer acts on the concatenation of `embedding` and `action`: its kernel
    has the rows of the former, `action_kernel` those of the latter. Layers before the
    concatenation do not depend on the action: they compute the embedding.
    With the chain rules (10) and (11) of the supplement, a product with a kernel W
    maps (O, G, H) to (O·W + b, G·W, H·W), and an activation f maps it to
    (f(O), f′(O)·G, f″(O)·GᵀG + f′(O)·H).

    Args:
      embedding: Concatenated with the action, and independent of it, shape [B, N].
      action: Where to differentiate, shape [B, A].
      action_kernel: The action's weights in the first layer, shape [A, outputs].
      layers: The layers after the concatenation, each with its own activation, the
        last with one linear output.
      full_hessian: Whether to return the whole Hessian.

    Returns:
      The value, gradient and Hessian, or its diagonal, at `action`.

    Raises:
      ValueError: If `layers` is empty, an activation has no rule here, or the last
        layer is not linear with a single output.
    """
    _check_layers(layers)
    *hidden, output = layers
    first = hidden[0] if hidden else output
    products = _Products(action.shape[-1], full_hessian)
    O = tf.matmul(embedding, first.kernel) + tf.matmul(action, action_kernel)
    O += first.bias
    # G and H of the first product are its kernel and zero, the same for the whole
    # batch: they have no batch dimension until the first activation.
    G, H = action_kernel, None
    if not hidden:
        gradient = tf.ones_like(action) * G[:, 0]
        return products.derivatives(O[:, 0], gradient, products.zeros_like(action))
    for layer, following in zip(hidden[:-1], hidden[1:], strict=True):
        f, df, d2f = ACTIVATIONS[layer.activation](O)
        G, H = _activate(df, d2f, G, H, products)
        # A product with a kernel W: O·W + b, G·W and H·W.
        O = tf.matmul(f, following.kernel) + following.bias
        G = tf.einsum("ban,nm->bam", G, following.kernel)
        H = tf.einsum("ban,nm->bam", H, following.kernel)
    # The last activation feeds a single output: contracting f′·w and f″·w with G and H
    # avoids activations of shape [B, P, N].
    f, df, d2f = ACTIVATIONS[hidden[-1].activation](O)
    w = output.kernel[:, 0]
    value = tf.linalg.matvec(f, w) + output.bias[0]
    gradient = _contract(df * w, G)  # (10)
    hessian = _contract(d2f * w, products(G))  # (11), first term
    if H is not None:
        hessian += _contract(df * w, H)  # (11), second term
    return products.derivatives(value, gradient, hessian)


class _Products:
    """Products for the computed entries of a Hessian: diagonal or upper triangle."""

    def __init__(self, size, full):
        self._size, self._full = size, full
        self._rows, self._columns = np.triu_indices(size)

    def __call__(self, G):
        """Returns G_i·G_j for each entry, shape [P, N] or [B, P, N]."""
        if not self._full:
            return tf.square(G)
        # The indices are constants of the graph: no gather operations.
        each = tf.unstack(G, axis=-2)
        pairs = zip(self._rows, self._columns, strict=True)
        return tf.stack([each[i] * each[j] for i, j in pairs], axis=-2)

    def zeros_like(self, action):
        """Returns the entries of a Hessian of zero, shape [B, P]."""
        if not self._full:
            return tf.zeros_like(action)
        return tf.tile(tf.zeros_like(action[:, :1]), [1, len(self._rows)])

    def derivatives(self, value, gradient, entries):
        """Returns the result, given the entries, shape [B, P]."""
        if not self._full:
            return ActionDerivatives(value, gradient, entries)
        place = np.zeros([self._size, self._size], np.int64)
        place[self._rows, self._columns] = np.arange(len(self._rows))
        place[self._columns, self._rows] = np.arange(len(self._rows))
        each = tf.unstack(entries, axis=-1)
        hessian = [tf.stack([each[k] for k in row], axis=-1) for row in place]
        return ActionDerivatives(value, gradient, tf.stack(hessian, axis=-2))


def _activate(df, d2f, G, H, products):
    """Returns f′·G, as in (10), and f″·GᵀG + f′·H, as in (11)."""
    df, d2f = df[:, tf.newaxis], d2f[:, tf.newaxis]
    curved = d2f * products(G)
    # H is 0 before the first activation.
    return df * G, curved if H is None else curved + df * H


def _contract(weights, derivatives):
    if derivatives.shape.rank == 2:
        return tf.matmul(weights, derivatives, transpose_b=True)
    return tf.einsum("bn,ban->ba", weights, derivatives)


def _check_layers(layers):
    if not layers:
        raise ValueError("Forward propagation needs at least one layer, but got none.")
    for layer in layers:
        if layer.activation not in ACTIVATIONS:
            raise ValueError(
                f"Forward propagation has no rule for activation {layer.activation!r}:"
                f" it knows {', '.join(sorted(ACTIVATIONS))}. With"
                " SmoothieAgent.nested_tapes = True any activation can be used."
            )
    output = layers[-1]
    if output.activation != "linear" or output.kernel.shape[-1] != 1:
        raise ValueError(
            "The last layer of a critic must be linear with 1 output, but is "
            f"{output.activation} with {output.kernel.shape[-1]}."
        )
