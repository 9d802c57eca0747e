"""Reproducible random draws, and gradients of Gaussian-smoothed functions from samples.

Shapes: B batch, A action, M samples. `stddev` holds the standard deviations of a
diagonal Gaussian, shape [A] or [B, A].
"""

import math
from collections.abc import Callable

import tensorflow as tf

__all__ = [
    "REDUCTIONS",
    "smoothed_gradient",
    "stateless_normal",
    "stateless_uniform",
]

#: Ways to lower the variance of `smoothed_gradient`.
REDUCTIONS = ("none", "value", "antithetic")


def stateless_normal(
    shape: tf.types.experimental.TensorLike,
    seed: tf.types.experimental.TensorLike,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Draws standard normal numbers that depend only on `seed`.

    TensorFlow's own stateless normals differ between XLA and graph mode. These are
    computed from `stateless_uniform` by the Box-Muller transform, so that compiled and
    uncompiled updates have the same noise.

    Args:
      shape: Shape of the result.
      seed: Two integers, shape [2].
      dtype: `tf.float32` or `tf.float64`.

    Returns:
      A tensor of `shape` and `dtype`, distributed as N(0, 1).
    """
    shape = tf.convert_to_tensor(shape, tf.int32)
    uniform = stateless_uniform(tf.concat([[2], shape], axis=0), seed, dtype)
    # One minus numbers in [0, 1) is never 0.
    radius = tf.sqrt(-2.0 * tf.math.log(1.0 - uniform[0]))
    return radius * tf.cos(2.0 * math.pi * uniform[1])


def stateless_uniform(
    shape: tf.types.experimental.TensorLike,
    seed: tf.types.experimental.TensorLike,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Draws uniform numbers in [0, 1) that depend only on `seed`.

    TensorFlow's own differ between XLA and graph mode. Only its random integers agree,
    from which these are computed.

    Args:
      shape: Shape of the result.
      seed: Two integers, shape [2].
      dtype: `tf.float32` or `tf.float64`.

    Returns:
      A tensor of `shape` and `dtype`.
    """
    integers, digits = (tf.uint32, 23) if dtype == tf.float32 else (tf.uint64, 52)
    bits = tf.random.stateless_uniform(shape, seed, None, None, integers, alg="philox")
    # The leading digits, as in XLA; graph mode uses the trailing ones.
    bits = tf.bitwise.right_shift(bits, tf.cast(8 * integers.size - digits, integers))
    return tf.cast(bits, dtype) * 2.0**-digits


def smoothed_gradient(
    function: Callable[[tf.Tensor], tf.Tensor],
    mean: tf.Tensor,
    stddev: tf.Tensor,
    noise: tf.Tensor,
    reduction: str = "none",
) -> tuple[tf.Tensor, tf.Tensor]:
    """Estimates the gradient of a Gaussian-smoothed function from its values only.

    With u ~ N(0, I), ∇_μ E[f(μ + σu)] = E[u·f(μ + σu)]/σ for any f, differentiable
    or not: see docs/soft_ddpg.md, (S5) to (S8). Every reduction is unbiased.

    Args:
      function: f, from points [M, B, A] to values [M, B].
      mean: μ, shape [B, A].
      stddev: σ, positive, shape [A] or [B, A].
      noise: Independent draws of u, shape [M, B, A]; "antithetic" uses the first
        half and its negative.
      reduction: "none"; "value" subtracts f(μ) from every value, with one more
        evaluation; "antithetic" draws pairs u and −u, for which M must be even.

    Returns:
      The estimate, shape [B, A], and the mean of f at the M points, shape [B].

    Raises:
      ValueError: If the reduction is unknown, or M is odd for "antithetic".
    """
    number = noise.shape[0]
    if reduction not in REDUCTIONS:
        raise ValueError(
            f"reduction must be one of {', '.join(REDUCTIONS)}, but is {reduction!r}."
        )
    if reduction == "antithetic":
        if number % 2:
            raise ValueError(
                "Antithetic samples come in pairs: their number must be even, but is"
                f" {number}."
            )
        half = noise[: number // 2]
        noise = tf.concat([half, -half], axis=0)
    points = mean + stddev * noise
    if reduction == "value":
        # One call for all: f may share work between points.
        values = function(tf.concat([points, mean[tf.newaxis]], axis=0))
        values, baseline = values[:-1], values[-1]
    else:
        values = function(points)
        baseline = tf.zeros_like(values[0])
    gradient = tf.reduce_mean((values - baseline)[..., tf.newaxis] * noise, axis=0)
    return gradient / stddev, tf.reduce_mean(values, axis=0)
