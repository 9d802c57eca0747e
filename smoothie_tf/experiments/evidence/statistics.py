"""Intervals of final returns.

Means and their differences have Student's and Welch's t intervals, which hold what they
say with three runs. Other numbers have percentile intervals by rliable's stratified
bootstrap over runs, task by task. With three to six runs these are narrower than they
should be: three runs resample to ten different sets.

Shapes: N runs, T tasks.
"""

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from absl import logging
from rliable import library, metrics
from scipy import stats

CONFIDENCE = 0.95
REPETITIONS = 2000
_SEED = 0


class Estimate(NamedTuple):
    """A number and its interval.

    Attributes:
        value: The estimate from all runs, without resampling.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def interquartile_mean(returns: Sequence[np.ndarray]) -> Estimate:
    """Estimates the mean of the middle half of all runs (rliable's IQM).

    Args:
        returns: Final returns of an agent, for each of T tasks an array of shape [N].
    """
    return _estimate(_matrix(returns), lambda x: np.array([metrics.aggregate_iqm(x)]))


def mean(returns: np.ndarray) -> Estimate:
    """Estimates the mean of runs, shape [N]; the interval is Student's."""
    return _sum_of_means((1, returns))


def difference(ours: np.ndarray, theirs: np.ndarray) -> Estimate:
    """Estimates how much higher the mean of the first is; both of shape [N].

    The interval is Welch's.
    """
    return _sum_of_means((1, ours), (-1, theirs))


def excess(
    before: np.ndarray,
    after: np.ndarray,
    other_before: np.ndarray,
    other_after: np.ndarray,
) -> Estimate:
    """Estimates how much more the first falls than the second; each of shape [N].

    The interval is Welch's, for four means.
    """
    return _sum_of_means((1, before), (-1, after), (-1, other_before), (1, other_after))


def _sum_of_means(*terms: tuple[int, np.ndarray]) -> Estimate:
    """Estimates a weighted sum of the means of independent samples.

    The degrees of freedom are Welch and Satterthwaite's. Without two values of each
    sample, or where all of them are equal, the interval is not a number.
    """
    value = float(sum(weight * values.mean() for weight, values in terms))
    numbers = np.array([len(values) for _, values in terms])
    if numbers.min() < 2 or not any(np.ptp(values) for _, values in terms):
        return Estimate(value, np.nan, np.nan)
    variances = np.array(
        [weight**2 * values.var(ddof=1) / len(values) for weight, values in terms]
    )
    total = variances.sum()
    freedom = total**2 / (variances**2 / (numbers - 1)).sum()
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * np.sqrt(total))
    return Estimate(value, value - half, value + half)


def ratio(ours: np.ndarray, theirs: np.ndarray) -> Estimate:
    """Estimates the mean of the first as a multiple of the second's; shape [N].

    Returns:
        The estimate; not a number where the second's mean is not above 0.
    """
    if not theirs.mean() > 0:
        return Estimate(np.nan, np.nan, np.nan)

    def of_means(x, y):
        return np.array([x.mean() / y.mean() if y.mean() > 0 else np.inf])

    return _estimate((ours[:, np.newaxis], theirs[:, np.newaxis]), of_means)


def relative_variance(values: np.ndarray) -> Estimate:
    """Estimates the variance of values, shape [N], in multiples of their mean squared.

    Returns:
        The estimate, with N − 1 in the variance; the largest number for a mean of 0.
    """

    def of_values(x):
        square = x.mean() ** 2
        return np.array([x.var(ddof=1) / square if square else np.finfo(x.dtype).max])

    return _estimate(values[:, np.newaxis], of_values)


def probability_of_improvement(
    ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]
) -> Estimate:
    """Estimates how probably a run of the first beats one of the second.

    Args:
        ours: Final returns, for each of T tasks an array of shape [N].
        theirs: The same for the other agent.

    Returns:
        The probability, averaged over tasks; equal returns count half.
    """

    # What rliable's `probability_of_improvement` returns, which calls SciPy's test for
    # each resample and task and took a third of the report's time.
    def of_pairs(x, y):
        above = x[:, np.newaxis] - y
        return np.array([((above > 0) + 0.5 * (above == 0)).mean()])

    return _estimate((_matrix(ours), _matrix(theirs)), of_pairs)


def scale_to_range(
    arms: Sequence[Sequence[np.ndarray]],
) -> list[list[np.ndarray]]:
    """Scales each task's returns so that tasks can be averaged.

    Args:
        arms: For each arm, for each of T tasks, final returns of shape [N].

    Returns:
        The same, with 0 the lowest and 1 the highest final return that any run of any
        arm has reached on the task. Other scales, such as the baseline's mean, fail
        where it is near zero or below.
    """
    scaled: list[list[np.ndarray]] = [[] for _ in arms]
    for task in zip(*arms, strict=True):
        values = np.concatenate(task)
        low, width = values.min(), np.ptp(values)
        for arm, returns in zip(scaled, task, strict=True):
            # If all runs are equal, neither arm is ahead.
            arm.append((returns - low) / width if width else np.full_like(returns, 0.5))
    return scaled


def share(successes: int, number: int) -> Estimate:
    """Estimates a probability from counts, with Wilson's interval."""
    test = stats.binomtest(successes, number)
    interval = test.proportion_ci(CONFIDENCE, "wilson")
    return Estimate(test.statistic, interval.low, interval.high)


def _matrix(returns: Sequence[np.ndarray]) -> np.ndarray:
    """Stacks tasks to [N, T]: the first runs of each, as many as all tasks have."""
    number = min(len(task) for task in returns)
    return np.stack([task[:number] for task in returns], axis=1)


def _estimate(scores, function: Callable[..., np.ndarray]) -> Estimate:
    with _seeded():
        points, intervals = library.get_interval_estimates(
            {"": scores},
            function,
            reps=REPETITIONS,
            confidence_interval_size=CONFIDENCE,
        )
    return Estimate(float(points[""][0]), *map(float, intervals[""][:, 0]))


@contextmanager
def _seeded():
    """Seeds NumPy's global state, from which rliable resamples, and restores it."""
    state, verbosity = np.random.get_state(), logging.get_verbosity()  # noqa: NPY002
    np.random.seed(_SEED)  # noqa: NPY002
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
        logging.set_verbosity(verbosity)
