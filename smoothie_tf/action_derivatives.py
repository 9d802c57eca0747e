"""Value of a critic with its gradient and Hessian diagonal in the action.

Two ways to the same numbers. `by_nested_tapes` asks nothing of the critic but that
it be differentiable. `by_forward_propagation` is the supplement's D.1: it carries
(O_L, G_L, H_L), the output of layer L with its gradient and Hessian in the action,
from layer to layer, which for a dense critic costs little more than its value.

Only the diagonal of the Hessian is formed: it is all that a diagonal covariance
meets in (15).

Shapes: B batch, A action, N units of a layer.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

__all__ = [
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
      hessian_diagonal: ∂²Q̃/∂a_i² for each action dimension i, shape [B, A].
    """

    value: tf.Tensor
    gradient: tf.Tensor
    hessian_diagonal: tf.Tensor


class DenseLayer(NamedTuple):
    """A dense layer as forward propagation sees it.

    Attributes:
      kernel: Weights, shape [inputs, outputs].
      bias: Biases, shape [outputs].
      activation: Name of the activation: one of `ACTIVATIONS`.
    """

    kernel: tf.Tensor
    bias: tf.Tensor
    activation: str


def by_nested_tapes(
    critic: Callable[[tf.Tensor], tf.Tensor], action: tf.Tensor
) -> ActionDerivatives:
    """Differentiates any critic twice by nested `tf.GradientTape`.

    Args:
      critic: Maps actions, shape [B, A], to values, shape [B]. Row b of its result
        may depend on row b of the actions only.
      action: Where to differentiate, shape [B, A].

    Returns:
      The value, gradient and Hessian diagonal at `action`.
    """
    with tf.GradientTape(watch_accessed_variables=False) as outer:
        outer.watch(action)
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(action)
            value = critic(action)
        gradient = inner.gradient(
            value, action, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
    # A critic that is linear in the action has a gradient that no longer depends
    # on it: its Hessian is zero, not missing.
    hessian = outer.batch_jacobian(
        gradient, action, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return ActionDerivatives(value, gradient, tf.linalg.diag_part(hessian))


def _linear(x):
    return x, tf.ones_like(x), tf.zeros_like(x)


def _relu(x):
    return tf.nn.relu(x), tf.cast(x > 0, x.dtype), tf.zeros_like(x)


def _tanh(x):
    f = tf.tanh(x)
    slope = 1.0 - f * f
    return f, slope, -2.0 * f * slope


# Activation → (f, f′, f″) at once: they share their costly part.
ACTIVATIONS = {"linear": _linear, "relu": _relu, "tanh": _tanh}


def by_forward_propagation(
    embedding: tf.Tensor,
    action: tf.Tensor,
    action_kernel: tf.Tensor,
    layers: Sequence[DenseLayer],
) -> ActionDerivatives:
    """Propagates value, gradient and Hessian through a dense critic, D.1.

    The first layer acts on the concatenation of `embedding` and `action`: its kernel
    has the rows of the former, `action_kernel` those of the latter. With the chain
    rules (10) and (11) of the supplement, a product with a kernel W maps
    (O, G, H) to (O·W + b, G·W, H·W), and an activation f maps it to
    (f(O), f′(O)·G, f″(O)·G² + f′(O)·H).

    Args:
      embedding: What joins the action, and does not depend on it, shape [B, N].
      action: Where to differentiate, shape [B, A].
      action_kernel: The action's weights in the first layer, shape [A, outputs].
      layers: The layers after the concatenation, the last with one linear output.

    Returns:
      The value, gradient and Hessian diagonal at `action`.

    Raises:
      ValueError: If `layers` is empty, an activation has no rule here, or the last
        layer is not linear with a single output.
    """
    _check_layers(layers)
    *hidden, output = layers
    first = hidden[0] if hidden else output
    O = tf.matmul(embedding, first.kernel) + tf.matmul(action, action_kernel)
    O += first.bias
    # G and H of the first product are its kernel and zero, the same for the whole
    # batch: they stay without a batch dimension until an activation gives them one.
    G, H = action_kernel, None
    if not hidden:
        gradient = tf.ones_like(action) * G[:, 0]
        return ActionDerivatives(O[:, 0], gradient, tf.zeros_like(action))
    for layer, following in zip(hidden[:-1], hidden[1:], strict=True):
        f, df, d2f = ACTIVATIONS[layer.activation](O)
        G, H = _activate(df, d2f, G, H)
        O = tf.matmul(f, following.kernel) + following.bias
        G = tf.einsum("ban,nm->bam", G, following.kernel)
        H = tf.einsum("ban,nm->bam", H, following.kernel)
    # The last activation meets a single output: contracting f′·w and f″·w with G
    # and H avoids ever forming activations of shape [B, A, N].
    f, df, d2f = ACTIVATIONS[hidden[-1].activation](O)
    w = output.kernel[:, 0]
    value = tf.linalg.matvec(f, w) + output.bias[0]
    gradient = _contract(df * w, G)  # (10)
    hessian = _contract(d2f * w, tf.square(G))  # (11), first term
    if H is not None:
        hessian += _contract(df * w, H)  # (11), second term
    return ActionDerivatives(value, gradient, hessian)


def _activate(df, d2f, G, H):
    df, d2f = df[:, tf.newaxis], d2f[:, tf.newaxis]
    curved = d2f * tf.square(G)
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
                f" it knows {', '.join(sorted(ACTIVATIONS))}."
            )
    output = layers[-1]
    if output.activation != "linear" or output.kernel.shape[-1] != 1:
        raise ValueError(
            "The last layer of a critic must be linear with 1 output, but is "
            f"{output.activation} with {output.kernel.shape[-1]}."
        )
