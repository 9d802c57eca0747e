"""Kinds of covariance Σ_φ of a Gaussian policy, as pure functions of φ.

The paper's is diagonal, Σ = e^φ (supplement D); Theorem 1 holds for any. φ is a
variable, so that Σ is the same in every state, or a network's output, one a state: the
functions here do not know which.

Each kind has a factor L with Σ = LLᵀ, and what depends on Σ is written with it: with
η ~ N(0, I), a phantom action is a = ã + L·η, and so Σ⁻¹(ã − a) = −L⁻ᵀη.

Shapes: B batch, A action, P parameters. φ has shape [P] or [B, P].
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from smoothie_tf import gaussian

__all__ = ["DIAGONAL", "FULL", "Diagonal", "Full", "HermiteFactors"]


class HermiteFactors(NamedTuple):
    """What multiplies a target in the derivative Bellman equations, supplement (8).

    With d = ã − a, a stored action less the phantom action drawn around it:

    Attributes:
      first: Σ^(−1/2)·H₁ = Σ⁻¹d, shape [B, A].
      second: Σ⁻¹·H₂ = Σ⁻¹ddᵀΣ⁻¹ − Σ⁻¹, shape [B, A, A], or its diagonal, [B, A].
    """

    first: tf.Tensor
    second: tf.Tensor


class Diagonal:
    """Σ = diag(e^φ), P = A."""

    #: Whether (15) meets more than the Hessian's diagonal.
    full_hessian = False

    def number_of_parameters(self, actions: int) -> int:
        """Returns P for actions of a size."""
        return actions

    def initial_parameters(self, actions: int, log_variance: float) -> tf.Tensor:
        """Returns the φ of independent components of one variance, shape [P]."""
        return tf.fill([actions], float(log_variance))

    def parameter_sizes(self, actions: int, log_variance: float) -> tf.Tensor:
        """Returns changes of φ that move L alike from that start, shape [P].

        Args:
          actions: A.
          log_variance: Of the independent components at the start.
        """
        del log_variance
        return tf.ones([actions])

    def stddev(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the standard deviations, shape [A] or [B, A]."""
        return tf.exp(0.5 * parameters)

    def covariance(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the diagonal of Σ_φ, shape [A] or [B, A]."""
        return tf.exp(parameters)

    def half_trace(self, hessian: tf.Tensor, parameters: tf.Tensor) -> tf.Tensor:
        """Returns ½·tr(H·Σ_φ), the surrogate of (15).

        Args:
          hessian: The diagonal of H, shape [B, A].
          parameters: φ.

        Returns:
          One number a row, shape [B].
        """
        return 0.5 * tf.reduce_sum(hessian * tf.exp(parameters), axis=-1)

    def perturb(
        self, action: tf.Tensor, parameters: tf.Tensor, noise: tf.Tensor
    ) -> tf.Tensor:
        """Returns a ~ N(action, Σ_φ): a phantom action, or a policy's.

        Args:
          action: Shape [B, A], or [M, B, A].
          parameters: φ.
          noise: Standard normal draws, of the shape of `action`.
        """
        return gaussian.phantom_actions(action, self.stddev(parameters), noise)

    def distribution(
        self, mean: tf.Tensor, parameters: tf.Tensor
    ) -> tfp.distributions.Distribution:
        """Returns N(mean, Σ_φ), of means of shape [B, A]."""
        return tfp.distributions.MultivariateNormalDiag(mean, self.stddev(parameters))

    def kl_divergence(
        self,
        mean: tf.Tensor,
        parameters: tf.Tensor,
        previous_mean: tf.Tensor,
        previous_parameters: tf.Tensor,
    ) -> tf.Tensor:
        """Returns KL(N(mean, Σ_φ) ‖ N(previous mean, previous Σ)), as in (20).

        Args:
          mean: Of the current policy, shape [B, A].
          parameters: Its φ.
          previous_mean: Of the earlier policy, shape [B, A].
          previous_parameters: Its φ.

        Returns:
          The divergence in nats, shape [B].
        """
        return self.distribution(mean, parameters).kl_divergence(
            self.distribution(previous_mean, previous_parameters)
        )

    def hermite_factors(
        self, parameters: tf.Tensor, noise: tf.Tensor
    ) -> HermiteFactors:
        """Returns the factors at phantom actions a = ã + L·noise.

        The supplement's (9) has a − ã in the place of its (7)'s ã − a, which is the
        derivative's: with it, the first factor would have the wrong sign.

        Args:
          parameters: φ.
          noise: What the phantom actions were drawn with, shape [B, A].
        """
        stddev = self.stddev(parameters)
        return HermiteFactors(
            -noise / stddev, (tf.square(noise) - 1.0) / tf.square(stddev)
        )


class Full(Diagonal):
    """Σ = LLᵀ with L lower triangular, P = A(A + 1)/2.

    The first A parameters are the logarithms of the squares of L's diagonal, so that
    with nothing below it they are those of `Diagonal`; the others are the entries
    below it, row by row.
    """

    full_hessian = True

    def number_of_parameters(self, actions: int) -> int:
        """Returns P for actions of a size."""
        return actions * (actions + 1) // 2

    def initial_parameters(self, actions: int, log_variance: float) -> tf.Tensor:
        """Returns the φ of independent components of one variance, shape [P]."""
        below = self.number_of_parameters(actions) - actions
        return tf.concat([tf.fill([actions], float(log_variance)), tf.zeros(below)], 0)

    def parameter_sizes(self, actions: int, log_variance: float) -> tf.Tensor:
        """As `Diagonal`: an entry on L's diagonal is e^(φ/2), one below it φ itself."""
        below = self.number_of_parameters(actions) - actions
        slope = 0.5 * tf.exp(0.5 * float(log_variance))
        return tf.concat([tf.ones(actions), tf.fill([below], slope)], 0)

    def factor(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns L, shape [A, A] or [B, A, A]."""
        # P = A(A + 1)/2, solved for A.
        actions = int((np.sqrt(8 * parameters.shape[-1] + 1) - 1) // 2)
        diagonal = tf.exp(0.5 * parameters[..., :actions])
        # A product with ones and zeros puts each entry into its place.
        rows, columns = np.tril_indices(actions, -1)
        place = np.zeros([len(rows), actions * actions])
        place[np.arange(len(rows)), rows * actions + columns] = 1.0
        below = tf.einsum(
            "...p,pq->...q",
            parameters[..., actions:],
            tf.constant(place, diagonal.dtype),
        )
        shape = tf.concat([tf.shape(parameters)[:-1], [actions, actions]], axis=0)
        return tf.linalg.diag(diagonal) + tf.reshape(below, shape)

    def stddev(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the standard deviations of the components, [A] or [B, A]."""
        return tf.sqrt(tf.reduce_sum(tf.square(self.factor(parameters)), axis=-1))

    def covariance(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns Σ_φ, shape [A, A] or [B, A, A]."""
        factor = self.factor(parameters)
        return tf.matmul(factor, factor, transpose_b=True)

    def half_trace(self, hessian: tf.Tensor, parameters: tf.Tensor) -> tf.Tensor:
        """As `Diagonal`, of the whole Hessian, shape [B, A, A]."""
        factor = self.factor(parameters)
        return 0.5 * tf.reduce_sum(factor * (hessian @ factor), axis=[-2, -1])

    def perturb(
        self, action: tf.Tensor, parameters: tf.Tensor, noise: tf.Tensor
    ) -> tf.Tensor:
        """As `Diagonal`."""
        factor = self.factor(parameters)
        return action + tf.reduce_sum(factor * noise[..., tf.newaxis, :], axis=-1)

    def distribution(
        self, mean: tf.Tensor, parameters: tf.Tensor
    ) -> tfp.distributions.Distribution:
        """As `Diagonal`."""
        return tfp.distributions.MultivariateNormalTriL(mean, self.factor(parameters))

    def hermite_factors(
        self, parameters: tf.Tensor, noise: tf.Tensor
    ) -> HermiteFactors:
        """As `Diagonal`, with the whole second factor."""
        factor = self.factor(parameters)
        inverse = tf.linalg.triangular_solve(
            factor, tf.eye(noise.shape[-1], dtype=noise.dtype)
        )
        # L⁻ᵀη.
        whitened = tf.reduce_sum(inverse * noise[..., tf.newaxis], axis=-2)
        outer = whitened[..., tf.newaxis] * whitened[..., tf.newaxis, :]
        precision = tf.matmul(inverse, inverse, transpose_a=True)
        return HermiteFactors(-whitened, outer - precision)


DIAGONAL = Diagonal()
FULL = Full()
