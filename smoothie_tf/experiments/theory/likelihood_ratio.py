"""Computes the exact moments of Section 3's naive update from one sampled action.

An action a ~ N(μ, σ²) with reward r updates μ and σ by the likelihood ratio,

    Δμ = r·∂ log π(a)/∂μ = r·(a − μ)/σ²,
    Δσ = r·∂ log π(a)/∂σ = r·((a − μ)²/σ³ − 1/σ),

whose means are the slopes ∂Q̃/∂a and σ·∂²Q̃/∂a² of the smoothed reward at μ (Theorem 1,
with ∂σ²/∂σ = 2σ). The paper prints Δμ with μ − a instead of a − μ, and Δσ with σ²
instead of σ³. The trapezoidal rule computes the expectations.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from smoothie_tf.environments import two_gaussians

#: Parameters of the policy, in the order of tables, and their symbols.
PARAMETERS = {"mean": "μ", "stddev": "σ"}
# The trapezoidal rule converges geometrically on Gaussians: see `two_gaussians`.
_REACH = 12.0
_NODES = 20_001


class UpdateMoments(NamedTuple):
    """Moments of the update of one parameter from one action.

    Attributes:
        exact: Slope of the smoothed reward, in closed form.
        average: Mean of the update.
        variance: Variance of the update.
        variance_with_baseline: Variance of the update with r − b instead of r, for the
            constant b that minimizes it.
        printed_average: Mean of the update as printed in the paper.
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
    """Returns the factor of r as printed in Section 3; same arguments as `score`."""
    if parameter == "mean":
        return -deviation / stddev
    return deviation**2 - 1 / stddev


def expectation(function: Callable[[np.ndarray], np.ndarray]) -> float:
    """Returns E[f(z)] for a standard normal z; f maps shape [N] to shape [N]."""
    z, spacing = np.linspace(-_REACH, _REACH, _NODES, retstep=True)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return float(density @ function(z) * spacing)


def moments(
    parameter: str,
    mean: float,
    stddev: float,
    mixture: two_gaussians.TwoGaussians = two_gaussians.MIXTURE,
) -> UpdateMoments:
    """Returns the moments of the update.

    Args:
        parameter: One of `PARAMETERS`.
        mean: μ.
        stddev: σ, above 0.
        mixture: The reward.
    """
    if parameter == "mean":
        exact = float(mixture.smoothed_reward_gradient(mean, stddev))
    else:
        exact = float(stddev * mixture.smoothed_reward_hessian(mean, stddev))

    def reward(z):
        return mixture.reward(mean + stddev * z)

    def factor(z):
        return score(parameter, z, stddev)

    average = expectation(lambda z: factor(z) * reward(z))
    # With the score s, b = E[s²·r]/E[s²] minimizes E[s²·(r − b)²]. As E[s·b] = 0, the
    # baseline does not change the mean.
    baseline = expectation(lambda z: factor(z) ** 2 * reward(z))
    baseline /= expectation(lambda z: factor(z) ** 2)
    return UpdateMoments(
        exact=exact,
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
