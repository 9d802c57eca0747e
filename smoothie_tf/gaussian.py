"""Gaussian calculus as pure functions.

Shapes: B batch, A action. Every covariance here is diagonal and is given by its
standard deviations, so that `stddev` always has the action's shape.
"""

import math

import tensorflow as tf
import tensorflow_probability as tfp

__all__ = [
    "kl_divergence",
    "phantom_actions",
    "stateless_normal",
]


def stateless_normal(
    shape: tf.types.experimental.TensorLike,
    seed: tf.types.experimental.TensorLike,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Draws standard normal numbers that are a function of `seed` alone.

    TensorFlow's own stateless normals, and its uniform numbers in [0, 1), differ
    between XLA and graph mode: only the random integers below them agree. Made from
    those, by the Box-Muller transform, the noise of a compiled and of an uncompiled
    update is the same.

    Args:
      shape: Shape of the result.
      seed: Two integers, shape [2].
      dtype: `tf.float32` or `tf.float64`.

    Returns:
      A tensor of `shape` and `dtype`, distributed as N(0, 1).
    """
    shape = tf.convert_to_tensor(shape, tf.int32)
    integers, digits = (tf.uint32, 23) if dtype == tf.float32 else (tf.uint64, 52)
    bits = tf.random.stateless_uniform(
        tf.concat([[2], shape], axis=0), seed, None, None, integers, alg="philox"
    )
    # The leading digits, as XLA takes them; graph mode would take the trailing ones.
    bits = tf.bitwise.right_shift(bits, tf.cast(8 * integers.size - digits, integers))
    uniform = tf.cast(bits, dtype) * 2.0**-digits
    # The generator returns numbers in [0, 1): one minus them is never 0.
    radius = tf.sqrt(-2.0 * tf.math.log(1.0 - uniform[0]))
    return radius * tf.cos(2.0 * math.pi * uniform[1])


def phantom_actions(
    action: tf.Tensor, stddev: tf.Tensor, noise: tf.Tensor
) -> tf.Tensor:
    """Returns phantom actions a ~ N(ã, Σ(s)), Section 4.2.

    Args:
      action: The stored actions ã, shape [B, A].
      stddev: Standard deviations of Σ(s), positive, shape [A] or [B, A].
      noise: Standard normal draws, shape [B, A].

    Returns:
      The actions at which (18) evaluates the smoothed Q-function, shape [B, A].
    """
    return action + stddev * noise


def kl_divergence(
    mean: tf.Tensor,
    stddev: tf.Tensor,
    previous_mean: tf.Tensor,
    previous_stddev: tf.Tensor,
) -> tf.Tensor:
    """Returns KL(N(mean, Σ) ‖ N(previous mean, previous Σ)), as in (20).

    Args:
      mean: Mean of the current policy, shape [B, A].
      stddev: Its standard deviations, positive, shape [A] or [B, A].
      previous_mean: Mean of the earlier policy, shape [B, A].
      previous_stddev: Its standard deviations, positive, shape [A] or [B, A].

    Returns:
      The divergence in nats, shape [B].
    """
    distribution = tfp.distributions.MultivariateNormalDiag
    return distribution(mean, stddev).kl_divergence(
        distribution(previous_mean, previous_stddev)
    )
