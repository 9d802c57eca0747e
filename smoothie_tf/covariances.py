"""The covariance Σ_φ of a Gaussian policy: its kinds, and the owner of φ and φ′.

The paper's is diagonal, Σ = e^φ (supplement D); Theorem 1 holds for any. `Diagonal` and
`Full` are Σ for a given φ, with all functions of it. `Covariance` owns φ, a variable
(Σ is the same in every state) or a network (Σ depends on the state), and returns Σ in
a state; its `target` does the same for φ′.

Each kind has a factor L with Σ = LLᵀ, and functions of Σ are written with L: with
η ~ N(0, I), a phantom action is a = ã + L·η, and so Σ⁻¹(ã − a) = −L⁻ᵀη.

Shapes: B batch, S state, A action, P parameters. φ has shape [P] or [B, P].
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

__all__ = ["KINDS", "Covariance", "Diagonal", "Full", "HermiteFactors", "Kind"]


class HermiteFactors(NamedTuple):
    """Factors of the target in the derivative Bellman equations, supplement (8).

    With d = ã − a, a stored action minus the phantom action drawn around it:

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
        """Returns P for actions of size A."""
        return actions

    @classmethod
    def initial_parameters(cls, actions: int, log_variance: float) -> tf.Tensor:
        """Returns the φ of independent components of equal variance, shape [P]."""
        return tf.fill([actions], float(log_variance))

    @classmethod
    def parameter_sizes(cls, actions: int, log_variance: float) -> tf.Tensor:
        """Returns the size of a change of each parameter at the initial φ, shape [P].

        It moves the parameter's entry of L as far as a change of 1 in the log variance
        moves a diagonal entry.

        Args:
          actions: A.
          log_variance: Initial log-variance of the independent components.
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
          One number per row, shape [B].
        """
        return 0.5 * tf.reduce_sum(hessian * tf.exp(self.parameters), axis=-1)

    def perturb(self, action: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Returns a ~ N(action, Σ): a phantom action (Section 4.2), or a policy's.

        Args:
          action: Shape [B, A], or [M, B, A].
          noise: Standard normal draws, of the shape of `action`.
        """
        return action + self.stddev() * noise

    def distribution(self, mean: tf.Tensor) -> tfp.distributions.Distribution:
        """Returns N(mean, Σ), for means of shape [B, A]."""
        return tfp.distributions.MultivariateNormalDiag(mean, self.stddev())

    def kl_divergence(
        self, mean: tf.Tensor, previous_mean: tf.Tensor, previous: "Diagonal"
    ) -> tf.Tensor:
        """Returns KL(N(mean, Σ) ‖ N(previous mean, previous Σ)), as in (20).

        Args:
          mean: Mean of the current policy, shape [B, A].
          previous_mean: Mean of the target policy, shape [B, A].
          previous: Σ of the target policy, of the same kind.

        Returns:
          The divergence in nats, shape [B].
        """
        return self.distribution(mean).kl_divergence(
            previous.distribution(previous_mean)
        )

    def hermite_factors(self, noise: tf.Tensor) -> HermiteFactors:
        """Returns the factors at phantom actions a = ã + L·noise.

        The supplement's (9) has a − ã where its (7) has ã − a. (7) is the derivative;
        with (9), the first factor would have the wrong sign.

        Args:
          noise: Noise of the phantom actions, shape [B, A].
        """
        stddev = self.stddev()
        return HermiteFactors(
            -noise / stddev, (tf.square(noise) - 1.0) / tf.square(stddev)
        )


class Full(Diagonal):
    """Σ = LLᵀ with L lower triangular, P = A(A + 1)/2.

    The first A parameters are the logarithms of the squares of L's diagonal: those of
    `Diagonal` if the entries below it are 0. The others are these entries, row by row.
    """

    full_hessian = True

    @classmethod
    def number_of_parameters(cls, actions: int) -> int:
        """Returns P for actions of size A."""
        return actions * (actions + 1) // 2

    @classmethod
    def initial_parameters(cls, actions: int, log_variance: float) -> tf.Tensor:
        """Returns the φ of independent components of equal variance, shape [P]."""
        below = cls.number_of_parameters(actions) - actions
        return tf.concat([tf.fill([actions], float(log_variance)), tf.zeros(below)], 0)

    @classmethod
    def parameter_sizes(cls, actions: int, log_variance: float) -> tf.Tensor:
        """As `Diagonal`: L's diagonal entries are e^(φ/2), those below it are φ."""
        below = cls.number_of_parameters(actions) - actions
        slope = 0.5 * tf.exp(0.5 * float(log_variance))
        return tf.concat([tf.ones(actions), tf.fill([below], slope)], 0)

    def factor(self) -> tf.Tensor:
        """Returns L, shape [A, A] or [B, A, A]."""
        # P = A(A + 1)/2, solved for A.
        actions = int((np.sqrt(8 * self.parameters.shape[-1] + 1) - 1) // 2)
        diagonal = tf.exp(0.5 * self.parameters[..., :actions])
        # A product with a matrix of ones and zeros puts each entry into its place.
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
        """As `Diagonal`, for the whole Hessian, shape [B, A, A]."""
        factor = self.factor()
        # tr(H·LLᵀ) is the sum of the entries of L∘(H·L).
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
    """A kind of covariance.

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

    It is no `tf.Module`: the agent tracks φ and φ′ as its own attributes, whose names
    are those in its checkpoints.
    """

    def __init__(
        self,
        form: type[Diagonal],
        source: tf.Variable | tf.keras.layers.Layer,
        target_source: tf.Variable | tf.keras.layers.Layer | None = None,
    ):
        """Wraps φ and φ′.

        Args:
          form: `Diagonal` or `Full`.
          source: φ, a variable of shape [P], or a network from states [B, S] to
            (φ(s) of shape [B, P], its state).
          target_source: φ′, the same; None if there is no target.
        """
        self.form = form
        self.source = source
        #: Σ_φ′.
        self.target = None if target_source is None else Covariance(form, target_source)

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """φ, or the variables of the network whose output it is."""
        return self.source.variables if callable(self.source) else [self.source]

    def parameters(self, observation: tf.Tensor) -> tf.Tensor | tf.Variable:
        """Returns φ in states [B, S], shape [P] or [B, P]."""
        return self.source(observation)[0] if callable(self.source) else self.source

    def at(self, observation: tf.Tensor) -> Diagonal:
        """Returns Σ in states [B, S]."""
        return self.form(self.parameters(observation))
