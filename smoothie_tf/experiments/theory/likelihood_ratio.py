"""The naive update of Section 3, from one sampled action, and its exact moments.

An action a ~ N(μ, σ²) with reward r moves μ and σ by the likelihood ratio,

    Δμ = r·∂ log π(a)/∂μ = r·(a − μ)/σ²,
    Δσ = r·∂ log π(a)/∂σ = r·((a − μ)²/σ³ − 1/σ),

whose means are the slopes ∂Q̃/∂a and σ·∂²Q̃/∂a² of the smoothed reward at μ (Theorem 1,
with ∂σ²/∂σ = 2σ). The paper prints Δμ with the sign of μ − a, and Δσ with σ² in the
place of σ³. Expectations here are integrals by the trapezoidal rule.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from smoothie_tf.environments import two_gaussians

#: What moves, in the order of tables.
PARAMETERS = ("mean", "stddev")
# The rule converges geometrically on Gaussians: see `two_gaussians`.
_REACH = 12.0
_NODES = 20_001


class UpdateMoments(NamedTuple):
    """Of the update of one parameter from one action.

    Attributes:
        exact: The slope of the smoothed reward, in closed form.
        average: Of the update.
        variance: Of the update.
        variance_with_baseline: The same, of r − b in place of r, with the constant b
            that makes it least.
        printed_average: Of the update as the paper prints it.
    """

    exact: float
    average: float
    variance: float
    variance_with_baseline: float
    printed_average: float


def score(parameter: str, deviation: np.ndarray, stddev: float) -> np.ndarray:
    """Returns ∂ log N(a | μ, σ²)/∂μ or ∂σ.

    Args:
        parameter: One of `PARAMETERS`.
        deviation: (a − μ)/σ, any shape.
        stddev: σ, above 0.
    """
    if parameter == "mean":
        return deviation / stddev
    return (deviation**2 - 1) / stddev


def printed_score(parameter: str, deviation: np.ndarray, stddev: float) -> np.ndarray:
    """Returns the factors of r that Section 3 prints; arguments as those of `score`."""
    if parameter == "mean":
        return -deviation / stddev
    return deviation**2 - 1 / stddev


def expectation(function: Callable[[np.ndarray], np.ndarray]) -> float:
    """Returns E[f(z)] of a standard normal z; f takes and returns shape [N]."""
    z, spacing = np.linspace(-_REACH, _REACH, _NODES, retstep=True)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return float(density @ function(z) * spacing)


def exact_gradient(
    parameter: str,
    mean: float,
    stddev: float,
    mixture: two_gaussians.TwoGaussians = two_gaussians.MIXTURE,
) -> float:
    """Returns the slope of the smoothed reward E[R(a)] in μ or in σ.

    Args:
        parameter: One of `PARAMETERS`.
        mean: μ.
        stddev: σ, above 0.
        mixture: The reward R.
    """
    if parameter == "mean":
        return float(mixture.smoothed_reward_gradient(mean, stddev))
    return float(stddev * mixture.smoothed_reward_hessian(mean, stddev))


def moments(
    parameter: str,
    mean: float,
    stddev: float,
    mixture: two_gaussians.TwoGaussians = two_gaussians.MIXTURE,
) -> UpdateMoments:
    """Returns the moments of the update from one action; see `exact_gradient`."""

    def reward(z):
        return mixture.reward(mean + stddev * z)

    def factor(z):
        return score(parameter, z, stddev)

    average = expectation(lambda z: factor(z) * reward(z))
    # b = E[s²·r]/E[s²] makes E[s²·(r − b)²] least; E[s·b] = 0 leaves the mean alone.
    baseline = expectation(lambda z: factor(z) ** 2 * reward(z))
    baseline /= expectation(lambda z: factor(z) ** 2)
    return UpdateMoments(
        exact=exact_gradient(parameter, mean, stddev, mixture),
        average=average,
        variance=expectation(lambda z: (factor(z) * reward(z)) ** 2) - average**2,
        variance_with_baseline=expectation(
            lambda z: (factor(z) * (reward(z) - baseline)) ** 2
        )
        - average**2,
        printed_average=expectation(
            lambda z: printed_score(parameter, z, stddev) * reward(z)
        ),
    )
