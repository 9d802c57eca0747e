"""Formats numbers for the report."""

import numpy as np

from smoothie_tf import rounding
from smoothie_tf.experiments.evidence import statistics


def interval(
    estimate: statistics.Estimate, digits: int | None = None, with_signs: bool = False
) -> str:
    """Writes a number and its interval, which may be unknown (not a number).

    Args:
        estimate: The number.
        digits: Decimals of all three; `None` for those of `rounding.decimals`.
        with_signs: Whether it is a difference.
    """
    digits = rounding.decimals(*estimate) if digits is None else digits
    sign = "+" if with_signs else ""
    texts = [f"{each:{sign},.{digits}f}" for each in estimate]
    return _with_bounds(texts, estimate).replace("-", "−")


def gap(estimate: statistics.Estimate) -> str:
    """Writes a difference and its interval; small numbers have decimals."""
    return _with_bounds([with_decimals(each) for each in estimate], estimate)


def _with_bounds(texts, estimate):
    value, low, high = texts
    bounds = "no interval" if np.isnan(estimate.low) else f"{low}, {high}"
    return f"{value} [{bounds}]"


def with_decimals(value: float) -> str:
    """Writes a difference with its sign; a small one has decimals."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:+,.{digits}f}".replace("-", "−")


def percent(estimate: statistics.Estimate) -> str:
    """Writes a share and its interval."""
    value, low, high = (f"{100 * each:.0f}" for each in estimate)
    return f"{value} % [{low}, {high}]"


def mean_and_std(values: np.ndarray, digits: int | None = None) -> str:
    """Writes mean ± standard deviation; of one value, the value alone.

    Args:
        values: The values; those that are not numbers are left out.
        digits: Decimals of both; `None` for those of `rounding.decimals`.
    """
    values = np.asarray(values, float)
    values = values[~np.isnan(values)]
    if not len(values):
        return "–"
    if digits is None:
        digits = rounding.decimals(values.mean(), values.std())
    text = f"{values.mean():,.{digits}f}"
    if len(values) > 1:
        text += f" ± {values.std():,.{digits}f}"
    return text.replace("-", "−")


def least_and_most(values: np.ndarray) -> str:
    """Writes the minimum and the maximum of values."""
    return " to ".join(beside(values.min(), values.max()))


def beside(*values: float) -> list[str]:
    """Writes numbers beside each other with the decimals of `rounding.decimals`."""
    digits = rounding.decimals(*values)
    return [f"{each:,.{digits}f}".replace("-", "−") for each in values]
