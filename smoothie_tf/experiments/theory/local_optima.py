"""How many local maxima a reward has, raw and smoothed by a Gaussian.

Section 3 of the paper: "the smoothed value function Q̃ cannot add but can only remove
local minima from Q". In one dimension that is a theorem: the Gaussian kernel is the one
whose convolution never adds a zero of the derivative (Babaud et al., 1986; Yuille and
Poggio, 1986). In two it is false (Lifshitz and Pizer, 1990): `RIDGE` has one maximum,
and two after smoothing.

Units are those of the task's actions.
"""

import math
from typing import NamedTuple

import numpy as np

from smoothie_tf.environments import two_gaussians


def count_local_maxima(mixture: two_gaussians.TwoGaussians, stddev: float) -> int:
    """Counts the local maxima of a smoothed mixture, without a grid.

    Outside its centres c₁ < c₂ the mixture is monotone. Between them, with smoothed
    bumps Bᵢ of variance vᵢ, its derivative has the sign of −g(a) with

        g(a) = log[B₁(a)·(a − c₁)/v₁] − log[B₂(a)·(c₂ − a)/v₂],

    which rises from −∞ to ∞ and turns where a polynomial of degree three is zero. So
    the signs of g at these turns count its zeros, of which every crossing from below is
    a maximum.

    Args:
        mixture: Of positive heights.
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
    # D − t²(D − t)/v₁ − (D − t)²t/v₂, of the sign of g′; t = a − c₁ and D = c₂ − c₁.
    turns = np.roots(
        [1 / v1 - 1 / v2, (2 / v2 - 1 / v1) * length, -(length**2) / v2, length]
    )
    t = np.sort(turns[np.abs(turns.imag) < 1e-12].real)
    t = t[(t > 0) & (t < length)]
    g = np.log(h1 * t / v1) - t**2 / (2 * v1)
    g -= np.log(h2 * (length - t) / v2) - (length - t) ** 2 / (2 * v2)
    above = np.concatenate([[False], g > 0, [True]])
    return int((~above[:-1] & above[1:]).sum())


def vanishing_stddev(
    mixture: two_gaussians.TwoGaussians, largest: float = 10.0
) -> float:
    """Returns the σ from which on a smoothed mixture has one local maximum.

    Args:
        mixture: Of positive heights.
        largest: A σ at which it has one.

    Returns:
        The smallest such σ, by bisection; 0 for a mixture with one maximum.

    Raises:
        ValueError: If there are two maxima at `largest`.
    """
    if count_local_maxima(mixture, 0.0) == 1:
        return 0.0
    if count_local_maxima(mixture, largest) != 1:
        raise ValueError(
            f"largest must be a σ that leaves one local maximum, but is {largest!r}."
        )
    low, high = 0.0, largest
    while high - low > 1e-12 * largest:
        middle = (low + high) / 2
        if count_local_maxima(mixture, middle) == 1:
            high = middle
        else:
            low = middle
    return high


class Bump(NamedTuple):
    """height·exp(−(x − centre)²/2·width² − y²/2·breadth²), symmetric in y.

    Attributes:
        height: In units of reward, above 0.
        centre: On the axis y = 0.
        width: Along x, above 0.
        breadth: Along y, above 0; ∞ for a function of x alone.
    """

    height: float
    centre: float
    width: float
    breadth: float = math.inf


#: Two hills, and a narrow ridge up from the lower to the higher one. Smoothing with any
#: σ of its breadth or more flattens the ridge first: what was one hill is then two.
RIDGE = (
    Bump(0.5, -1.25, 0.5, 1.0),
    Bump(1.0, 1.25, 0.5, 1.0),
    Bump(0.9, 0.25, 0.8, 0.1),
)


def smoothed_on_axis(
    bumps: tuple[Bump, ...], x: np.ndarray, stddev: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a sum of bumps, smoothed by N(0, σ²I), and its slope along y = 0.

    A Gaussian bump convolved with a Gaussian is one again, of larger variances.

    Args:
        bumps: The function.
        x: Where, shape [N].
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

    Off the axis y = 0 every bump falls with |y|, so the sum does, and all its maxima
    lie on the axis, where it falls with |y| and only its slope along x counts.

    Args:
        bumps: The function; heights above 0.
        stddev: σ of the smoothing Gaussian, at least 0.
        points: Of the grid along x on which changes of the slope's sign are counted.

    Returns:
        How many there are.
    """
    centres = [bump.centre for bump in bumps]
    # Outside its centres a sum of bumps is monotone.
    x = np.linspace(min(centres) - 1e-3, max(centres) + 1e-3, points)
    _, slope = smoothed_on_axis(bumps, x, stddev)
    return int(((slope[:-1] > 0) & (slope[1:] <= 0)).sum())


def random_bumps(rng: np.random.Generator, number: int) -> tuple[Bump, ...]:
    """Draws a function of one action: bumps of any height, place and width in a box."""
    return tuple(
        Bump(*values)
        for values in zip(
            rng.uniform(0.1, 1.0, number),
            rng.uniform(-3.0, 3.0, number),
            rng.uniform(0.1, 0.6, number),
            strict=True,
        )
    )
