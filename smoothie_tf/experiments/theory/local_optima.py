"""Counts the local maxima of rewards and of rewards smoothed by a Gaussian.

Section 3 of the paper claims that "the smoothed value function Q̃ cannot add but can
only remove local minima from Q". In one dimension this is a theorem: convolution with a
Gaussian never adds a zero of the derivative (Babaud et al., 1986; Yuille and Poggio,
1986). In two dimensions it is false (Lifshitz and Pizer, 1990): `RIDGE` has one maximum
before smoothing and two after it.

Units are those of the task's actions.
"""

import math
from typing import NamedTuple

import numpy as np

from smoothie_tf.environments import two_gaussians


def count_local_maxima(mixture: two_gaussians.TwoGaussians, stddev: float) -> int:
    """Counts the local maxima of a smoothed mixture, without a grid.

    The mixture is monotone outside its centres c₁ < c₂. Between them, the smoothed
    components are Bᵢ with variance vᵢ, and the derivative has the sign of −g(a) with

        g(a) = log[B₁(a)·(a − c₁)/v₁] − log[B₂(a)·(c₂ − a)/v₂].

    g goes from −∞ to ∞, and its extrema are zeros of a polynomial of degree three. The
    signs of g at its extrema give the number of its zeros. Each zero at which g changes
    from negative to positive is a maximum.

    Args:
        mixture: A mixture with positive heights.
        stddev: σ of the smoothing Gaussian, at least 0.

    Returns:
        1 or 2.

    Raises:
        ValueError: If a height is not above 0.
    """
    if min(mixture.heights) <= 0:
        raise ValueError(
            f"The mixture's heights must be above 0, but are {mixture.heights!r}."
        )
    order = np.argsort(mixture.centres)
    first, second = np.asarray(mixture.centres, np.float64)[order]
    widths = np.asarray(mixture.widths, np.float64)[order]
    v1, v2 = widths**2 + stddev**2
    h1, h2 = np.asarray(mixture.heights)[order] * widths / np.sqrt([v1, v2])
    length = second - first
    if length == 0:
        return 1
    # D − t²(D − t)/v₁ − (D − t)²t/v₂ has the sign of g′; t = a − c₁ and D = c₂ − c₁.
    turns = np.roots(
        [1 / v1 - 1 / v2, (2 / v2 - 1 / v1) * length, -(length**2) / v2, length]
    )
    t = np.sort(turns[np.abs(turns.imag) < 1e-12].real)
    t = t[(t > 0) & (t < length)]
    g = np.log(h1 * t / v1) - t**2 / (2 * v1)
    g -= np.log(h2 * (length - t) / v2) - (length - t) ** 2 / (2 * v2)
    above = np.concatenate([[False], g > 0, [True]])
    return int((~above[:-1] & above[1:]).sum())


def vanishing_stddev(mixture: two_gaussians.TwoGaussians) -> float:
    """Returns the smallest σ with which the smoothed mixture has one local maximum.

    Args:
        mixture: A mixture with positive heights, and one maximum at σ = 10.

    Returns:
        σ by bisection; 0 for a mixture that has one maximum without smoothing.
    """
    if count_local_maxima(mixture, 0.0) == 1:
        return 0.0
    low, high = 0.0, 10.0
    while high - low > 1e-11:
        middle = (low + high) / 2
        if count_local_maxima(mixture, middle) == 1:
            high = middle
        else:
            low = middle
    return high


class Bump(NamedTuple):
    """The function height·exp(−(x − centre)²/(2·width²) − y²/(2·breadth²)).

    Attributes:
        height: Height in units of reward, above 0.
        centre: Place of the maximum on the axis y = 0.
        width: Standard deviation along x, above 0.
        breadth: Standard deviation along y, above 0; ∞ for a function of x alone.
    """

    height: float
    centre: float
    width: float
    breadth: float = math.inf


#: Two hills, and a narrow ridge that ascends from the lower to the higher one, so that
#: only the higher one is a maximum. Smoothing with σ of at least the ridge's breadth
#: flattens the ridge, and both hills are maxima.
RIDGE = (
    Bump(0.5, -1.25, 0.5, 1.0),
    Bump(1.0, 1.25, 0.5, 1.0),
    Bump(0.9, 0.25, 0.8, 0.1),
)


def smoothed_on_axis(
    bumps: tuple[Bump, ...], x: np.ndarray, stddev: float
) -> tuple[np.ndarray, np.ndarray]:
    """Evaluates a sum of bumps, smoothed by N(0, σ²I), on the axis y = 0.

    A Gaussian bump convolved with a Gaussian is a Gaussian bump with larger variances.

    Args:
        bumps: The bumps of the sum.
        x: Places on the axis, shape [N].
        stddev: σ of the smoothing Gaussian, at least 0.

    Returns:
        Values and derivatives by x, each of shape [N].
    """
    values, slopes = np.zeros_like(x), np.zeros_like(x)
    for height, centre, width, breadth in bumps:
        variance = width**2 + stddev**2
        factor = width / math.sqrt(variance)
        if not math.isinf(breadth):
            factor *= breadth / math.hypot(breadth, stddev)
        bump = factor * height * np.exp(-((x - centre) ** 2) / (2 * variance))
        values += bump
        slopes += bump * (centre - x) / variance
    return values, slopes


def count_on_axis(bumps: tuple[Bump, ...], stddev: float, points: int = 40_001) -> int:
    """Counts the local maxima of a smoothed sum of bumps of positive heights.

    Every bump decreases with |y|, so their sum does. All maxima therefore lie on the
    axis y = 0, and the sign of the slope along x locates them.

    Args:
        bumps: The bumps of the sum, with heights above 0.
        stddev: σ of the smoothing Gaussian, at least 0.
        points: Size of the grid along x on which sign changes of the slope are counted.

    Returns:
        The number of local maxima.
    """
    centres = [bump.centre for bump in bumps]
    # A sum of bumps is monotone outside its centres.
    x = np.linspace(min(centres) - 1e-3, max(centres) + 1e-3, points)
    _, slope = smoothed_on_axis(bumps, x, stddev)
    return int(((slope[:-1] > 0) & (slope[1:] <= 0)).sum())


def random_bumps(rng: np.random.Generator, number: int) -> tuple[Bump, ...]:
    """Draws `number` bumps of one action, with uniform heights, centres and widths."""
    return tuple(
        Bump(*values)
        for values in zip(
            rng.uniform(0.1, 1.0, number),
            rng.uniform(-3.0, 3.0, number),
            rng.uniform(0.1, 0.6, number),
            strict=True,
        )
    )
