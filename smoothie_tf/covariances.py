"""The covariance Σ_φ of a Gaussian policy: what it may be, and who owns φ and φ′.

The paper's is diagonal, Σ = e^φ (supplement D); Theorem 1 holds for any. `Diagonal` and
`Full` are Σ for a given φ, and know all that depends on it. `Covariance` owns φ, which
is a variable, so that Σ is the same in every state, or a network, and gives Σ in a
state; its `target` does the same for φ′.

Each kind has a factor L with Σ = LLᵀ, and what depends on Σ is written with it: with
η ~ N(0, I), a phantom action is a = ã + L·η, and so Σ⁻¹(ã − a) = −L⁻ᵀη.

Shapes: B batch, S state, A action, P parameters. φ has shape [P] or [B, P].
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from smoothie_tf import gaussian

__all__ = ["KINDS", "Covariance", "Diagonal", "Full", "HermiteFactors", "Kind"]


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

    #: Whether (15) needs more than the Hessian's diagonal.
    full_hessian = False

    def __init__(self, parameters: tf.Tensor | tf.Variable):
        """Σ for one φ.

        Args:
          parameters: φ, shape [P] or [B, P].
        """
        self.parameters = parameters

    @classmethod
    def number_of_parameters(cls, actions: int) -> int:
        """Returns P for actions of a size."""
        return actions

    @classmethod
    def initial_parameters(cls, actions: int, log_variance: float) -> tf.Tensor:
        """Returns the φ of independent components of one variance, shape [P]."""
        return tf.fill([actions], float(log_variance))

    @classmethod
    def parameter_sizes(cls, actions: int, log_variance: float) -> tf.Tensor:
        """Returns changes of φ that move L alike from that start, shape [P].

        Args:
          actions: A.
          log_variance: Of the independent components at the start.
        """
        del log_variance
        return tf.ones([actions])

    def stddev(self) -> tf.Tensor:
        """Returns the standard deviations, shape [A] or [B, A]."""
        return tf.exp(0.5 * self.parameters)

    def matrix(self) -> tf.Tensor:
        """Returns the diagonal of Σ, shape [A] or [B, A]."""
        return tf.exp(self.parameters)

    def half_trace(self, hessian: tf.Tensor) -> tf.Tensor:
        """Returns ½·tr(H·Σ), the surrogate of (15).

        Args:
          hessian: The diagonal of H, shape [B, A].

        Returns:
          One number a row, shape [B].
        """
        return 0.5 * tf.reduce_sum(hessian * tf.exp(self.parameters), axis=-1)

    def perturb(self, action: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Returns a ~ N(action, Σ): a phantom action, or a policy's.

        Args:
          action: Shape [B, A], or [M, B, A].
          noise: Standard normal draws, of the shape of `action`.
        """
        return gaussian.phantom_actions(action, self.stddev(), noise)

    def distribution(self, mean: tf.Tensor) -> tfp.distributions.Distribution:
        """Returns N(mean, Σ), of means of shape [B, A]."""
        return tfp.distributions.MultivariateNormalDiag(mean, self.stddev())

    def kl_divergence(
        self, mean: tf.Tensor, previous_mean: tf.Tensor, previous: "Diagonal"
    ) -> tf.Tensor:
        """Returns KL(N(mean, Σ) ‖ N(previous mean, previous Σ)), as in (20).

        Args:
          mean: Of the current policy, shape [B, A].
          previous_mean: Of the earlier policy, shape [B, A].
          previous: The earlier policy's Σ, of the same kind.

        Returns:
          The divergence in nats, shape [B].
        """
        return self.distribution(mean).kl_divergence(
            previous.distribution(previous_mean)
        )

    def hermite_factors(self, noise: tf.Tensor) -> HermiteFactors:
        """Returns the factors at phantom actions a = ã + L·noise.

        The supplement's (9) has a − ã in the place of its (7)'s ã − a, which is the
        derivative's: with it, the first factor would have the wrong sign.

        Args:
          noise: What the phantom actions were drawn with, shape [B, A].
        """
        stddev = self.stddev()
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

    @classmethod
    def number_of_parameters(cls, actions: int) -> int:
        """Returns P for actions of a size."""
        return actions * (actions + 1) // 2

    @classmethod
    def initial_parameters(cls, actions: int, log_variance: float) -> tf.Tensor:
        """Returns the φ of independent components of one variance, shape [P]."""
        below = cls.number_of_parameters(actions) - actions
        return tf.concat([tf.fill([actions], float(log_variance)), tf.zeros(below)], 0)

    @classmethod
    def parameter_sizes(cls, actions: int, log_variance: float) -> tf.Tensor:
        """As `Diagonal`: an entry on L's diagonal is e^(φ/2), one below it φ itself."""
        below = cls.number_of_parameters(actions) - actions
        slope = 0.5 * tf.exp(0.5 * float(log_variance))
        return tf.concat([tf.ones(actions), tf.fill([below], slope)], 0)

    def factor(self) -> tf.Tensor:
        """Returns L, shape [A, A] or [B, A, A]."""
        # P = A(A + 1)/2, solved for A.
        actions = int((np.sqrt(8 * self.parameters.shape[-1] + 1) - 1) // 2)
        diagonal = tf.exp(0.5 * self.parameters[..., :actions])
        # A product with ones and zeros puts each entry into its place.
        rows, columns = np.tril_indices(actions, -1)
        place = np.zeros([len(rows), actions * actions])
        place[np.arange(len(rows)), rows * actions + columns] = 1.0
        below = tf.einsum(
            "...p,pq->...q",
            self.parameters[..., actions:],
            tf.constant(place, diagonal.dtype),
        )
        shape = tf.concat([tf.shape(self.parameters)[:-1], [actions, actions]], axis=0)
        return tf.linalg.diag(diagonal) + tf.reshape(below, shape)

    def stddev(self) -> tf.Tensor:
        """Returns the standard deviations of the components, [A] or [B, A]."""
        return tf.sqrt(tf.reduce_sum(tf.square(self.factor()), axis=-1))

    def matrix(self) -> tf.Tensor:
        """Returns Σ, shape [A, A] or [B, A, A]."""
        factor = self.factor()
        return tf.matmul(factor, factor, transpose_b=True)

    def half_trace(self, hessian: tf.Tensor) -> tf.Tensor:
        """As `Diagonal`, of the whole Hessian, shape [B, A, A]."""
        factor = self.factor()
        return 0.5 * tf.reduce_sum(factor * (hessian @ factor), axis=[-2, -1])

    def perturb(self, action: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """As `Diagonal`."""
        return action + tf.reduce_sum(
            self.factor() * noise[..., tf.newaxis, :], axis=-1
        )

    def distribution(self, mean: tf.Tensor) -> tfp.distributions.Distribution:
        """As `Diagonal`."""
        return tfp.distributions.MultivariateNormalTriL(mean, self.factor())

    def hermite_factors(self, noise: tf.Tensor) -> HermiteFactors:
        """As `Diagonal`, with the whole second factor."""
        inverse = tf.linalg.triangular_solve(
            self.factor(), tf.eye(noise.shape[-1], dtype=noise.dtype)
        )
        # L⁻ᵀη.
        whitened = tf.reduce_sum(inverse * noise[..., tf.newaxis], axis=-2)
        outer = whitened[..., tf.newaxis] * whitened[..., tf.newaxis, :]
        precision = tf.matmul(inverse, inverse, transpose_a=True)
        return HermiteFactors(-whitened, outer - precision)


class Kind(NamedTuple):
    """What Σ_φ may be.

    Attributes:
      form: `Diagonal` or `Full`.
      depends_on_state: Whether φ is a network's output.
    """

    form: type[Diagonal]
    depends_on_state: bool


#: Kinds by name. The paper's e^φ is "diagonal".
KINDS = {
    "diagonal": Kind(Diagonal, False),
    "full": Kind(Full, False),
    "state_diagonal": Kind(Diagonal, True),
    "state_full": Kind(Full, True),
}


class Covariance:
    """Σ_φ of a policy, and Σ_φ′ of its target: owns φ and φ′.

    No `tf.Module`: an agent tracks φ and φ′ as attributes of its own, whose names are
    those in its checkpoints.
    """

    def __init__(
        self,
        form: type[Diagonal],
        source: tf.Variable | Callable[[tf.Tensor], tuple[tf.Tensor, ...]],
        target_source: tf.Variable | Callable | None = None,
    ):
        """Takes φ and φ′ over.

        Args:
          form: `Diagonal` or `Full`.
          source: φ, a variable of shape [P], or a network from states [B, S] to
            (φ(s) of shape [B, P], its state).
          target_source: φ′, the same; None where there is no target.
        """
        self.form = form
        self.source = source
        #: Σ_φ′.
        self.target = None if target_source is None else Covariance(form, target_source)

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """φ, or the variables of the network that gives it."""
        return self.source.variables if callable(self.source) else [self.source]

    def parameters(self, observation: tf.Tensor) -> tf.Tensor | tf.Variable:
        """Returns φ in states [B, S], shape [P] or [B, P]."""
        return self.source(observation)[0] if callable(self.source) else self.source

    def at(self, observation: tf.Tensor) -> Diagonal:
        """Returns Σ in states [B, S]."""
        return self.form(self.parameters(observation))
