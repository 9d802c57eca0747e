"""Parts of alternative losses for Q̃, as pure functions.

The losses themselves are in `SmoothieAgent` and its subclasses. This module has the
weights of (18), and the errors of the derivative Bellman equations of supplement C.

Shapes: B batch, A action.
"""

import tensorflow as tf

__all__ = ["inverse_density_weights", "squared_error"]


def inverse_density_weights(
    log_density: tf.Tensor, weights: tf.Tensor, clipping: float
) -> tf.Tensor:
    """Returns the weights 1/q(ã|s) of (18), self-normalised and clipped.

    Only their ratios affect the minimum of (18), which needs only a "q (possibly
    unnormalized)". So they are scaled to a mean of 1 over the minibatch, clipped at
    `clipping`, and scaled again. Clipping trades variance for a bias towards equal
    weights: for a Gaussian q, the mean of 1/q is the volume of all actions, infinite.

    Args:
      log_density: log q(ã|s) of the stored actions, in nats, shape [B].
      weights: Other weights of the transitions, at least 0, shape [B]; transitions of
        weight 0 are excluded from all means.
      clipping: Largest weight before the second scaling, in multiples of the mean,
        ≥ 1.

    Returns:
      `weights` times the new ones, with the mean that `weights` had, shape [B].
    """
    counted = weights > 0
    # Logarithms: 1/q may be too large for a float.
    logarithms = tf.where(counted, -log_density, log_density.dtype.min)
    scaled = tf.nn.softmax(logarithms) * tf.reduce_sum(tf.cast(counted, weights.dtype))
    clipped = weights * tf.minimum(scaled, clipping)
    share = tf.math.divide_no_nan(tf.reduce_sum(weights), tf.reduce_sum(clipped))
    return tf.stop_gradient(share * clipped)


def squared_error(derivative: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Returns ½·‖derivative − target‖², one number per row, shape [B].

    The loss is squared, independent of the loss of values. Targets of derivatives are
    products of a Hermite polynomial and a return, and far from symmetric: the minimum
    of another loss would not be at their mean, which supplement (8) asks for.

    Args:
      derivative: The critic's derivative, shape [B, A] or [B, A, A].
      target: Its target, of the same shape.
    """
    axes = list(range(1, derivative.shape.rank))
    return 0.5 * tf.reduce_sum(tf.square(derivative - target), axis=axes)
