"""The rules that decide the verdicts on the claims of Smoothie's paper."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from smoothie_tf.experiments.evidence import evidence, statistics, writing
from smoothie_tf.experiments.evidence.evidence import Evidence
from smoothie_tf.experiments.evidence.verdicts import (
    NOT,
    NOT_YET,
    PARTLY,
    REPRODUCED,
    TOO_FEW,
    UNDECIDED,
    Finding,
    MissingError,
    all_or_some,
    needed,
    too_few,
)
from smoothie_tf.experiments.theory import figure1

#: Share of DDPG's return by which "at least as good" may fall short.
MARGIN = 0.1
IDENTITY = 1e-6
HESSIAN = 1e-4
MOST, FEWEST = 0.9, 0.1


def _checks(found, *names: str) -> list[pd.Series]:
    """Returns rows of the table of identities."""
    table = needed(found, "identities/identities.csv")
    rows = [table[table["check"] == name] for name in names]
    if not all(map(len, rows)):
        raise MissingError(NOT_YET)
    return [each.iloc[0] for each in rows]


def theorem_1(found: Evidence) -> Finding:
    """Judges Theorem 1."""
    (row,) = _checks(found, "theorem 1")
    verdict = REPRODUCED if row["largest_error"] <= IDENTITY else NOT
    number = f"largest relative error {row['largest_error']:.0e}"
    return Finding(verdict, number, f"{row['cases']:.0f} functions")


def fixed_point(found: Evidence) -> Finding:
    """Judges the fixed point of (18)."""
    names = [f"fixed point, 1/q, {q}" for q in ("uniform", "on-policy")]
    rows = _checks(found, *names)
    held = [row["largest_error"] <= IDENTITY for row in rows]
    number = "largest relative error {:.0e} (uniform), {:.0e} (on-policy)".format(
        *(row["largest_error"] for row in rows)
    )
    return Finding(all_or_some(held), number, f"{rows[0]['cases']:.0f} actions")


def without_weights(found: Evidence) -> Finding:
    """Judges whether the weights 1/q can be left out."""
    names = [f"fixed point, no weights, {q}" for q in ("uniform", "on-policy")]
    rows = _checks(found, *names)
    held = [abs(row["gradient"] - 1) <= 0.1 for row in rows]
    number = "{:.2f} (uniform) and {:.2f} (on-policy) of the slope of Q̃".format(
        *(row["gradient"] for row in rows)
    )
    return Finding(all_or_some(held), number, f"{rows[0]['cases']:.0f} actions")


def hessians(found: Evidence) -> Finding:
    """Judges the Hessians of supplement D.1."""
    rows = _checks(found, *(f"hessian, {size} actions" for size in (3, 6, 17)))
    equal = all(row["largest_error"] <= HESSIAN for row in rows)
    faster = [row["speedup_low"] > 1 for row in rows]
    verdict = all_or_some(faster) if equal else NOT
    speedups = (
        statistics.Estimate(row["speedup"], row["speedup_low"], row["speedup_high"])
        for row in rows
    )
    number = "relative error ≤ {:.0e}; {} times as fast".format(
        max(row["largest_error"] for row in rows),
        ", ".join(writing.interval(each, 1) for each in speedups),
    )
    return Finding(verdict, number, f"{rows[0]['cases']:.0f} calls each")


def _arms_of_figure2(found) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns Smoothie's and DDPG's runs."""
    table = needed(found, "figure2/figure2_runs.csv")
    ours, theirs = (table[table["agent"] == agent] for agent in ("smoothie", "ddpg"))
    if min(len(ours), len(theirs)) < evidence.LEAST_SEEDS:
        raise MissingError(TOO_FEW, f"smoothie {len(ours)}, ddpg {len(theirs)}")
    return ours, theirs


def escape(found: Evidence) -> Finding:
    """Judges which agents leave the local optimum in Figure 2."""
    arms = _arms_of_figure2(found)
    ours, theirs = (
        statistics.share(int((arm["ends_on"] == "better").sum()), len(arm))
        for arm in arms
    )
    if ours.value >= MOST and theirs.value <= FEWEST:
        verdict = REPRODUCED
    else:
        verdict = PARTLY if ours.value > theirs.value else NOT
    number = f"Smoothie {writing.percent(ours)}, DDPG {writing.percent(theirs)} on the "
    number += "better mode"
    return Finding(verdict, number, f"{len(arms[0])} + {len(arms[1])}")


def critic_knows(found: Evidence) -> Finding:
    """Judges whether DDPG's critic knows of the better mode."""
    _, ddpg = _arms_of_figure2(found)
    knows = ddpg["value_at_better"] > ddpg["value_at_worse"]
    return _counted(knows, "of DDPG's runs")


def turns(found: Evidence) -> Finding:
    """Judges whether σ falls, rises and falls."""
    smoothie, _ = _arms_of_figure2(found)
    turned = smoothie["stddev_fell_rose_fell"].astype(bool)
    return _counted(turned, "of Smoothie's runs")


def _counted(holds: pd.Series, what: str) -> Finding:
    estimate = statistics.share(int(holds.sum()), len(holds))
    if estimate.value >= MOST:
        verdict = REPRODUCED
    else:
        verdict = PARTLY if estimate.value >= 0.5 else NOT
    return Finding(verdict, f"{writing.percent(estimate)} {what}", str(len(holds)))


def near_zero(found: Evidence) -> Finding:
    """Judges whether σ ends near zero."""
    smoothie, _ = _arms_of_figure2(found)
    start, final = figure1.INITIAL_STDDEV, smoothie["final_stddev"]
    left = final.mean() / start
    verdict = NOT
    if left <= 0.5:
        verdict = REPRODUCED if left <= 0.1 else PARTLY
    number = f"σ from {start:.2f} to {final.mean():.2f}"
    number += f" (runs {final.min():.2f} to {final.max():.2f})"
    return Finding(verdict, number, str(len(final)))


def at_least_as_good(found: Evidence, env: str) -> Finding:
    """Judges Smoothie against DDPG on a task by rule A."""
    return _compared(
        found, env, "smoothie", "ddpg", lambda estimate, slack: estimate.low >= -slack
    )


def better(found: Evidence, env: str, ours: str, theirs: str) -> Finding:
    """Judges by rule B whether `ours` is better on a task; arms are variants."""
    return _compared(found, env, ours, theirs, lambda estimate, _: estimate.low > 0)


def slightly_better(found: Evidence, env: str) -> Finding:
    """Judges Smoothie against DDPG on a task by rule C."""
    return _compared(
        found,
        env,
        "smoothie",
        "ddpg",
        lambda estimate, slack: estimate.value > 0 and estimate.low >= -slack,
    )


def doubled(found: Evidence) -> Finding:
    """Judges whether Smoothie doubles DDPG's return on Hopper."""
    pair = _comparison(found, "Hopper-v5", "smoothie", "ddpg")
    ratio = _ratio(pair.ours, pair.theirs)
    over_twice = statistics.difference(pair.ours, 2 * pair.theirs)
    if statistics.difference(pair.ours, pair.theirs).low > 0:
        verdict = REPRODUCED if ratio >= 2 else PARTLY
    else:
        verdict = NOT if over_twice.high < 0 else UNDECIDED
    number = f"{_times(ratio)}, {_told(pair)}"
    if pair.has_training:
        number += f", {_times(_ratio(*pair.training))}"
    number += f"; above twice DDPG's {writing.interval(over_twice, with_signs=True)}"
    return Finding(verdict, number, _runs(pair))


def _compared(
    found: Evidence,
    env: str,
    ours: str,
    theirs: str,
    holds: Callable[[statistics.Estimate, float], bool],
) -> Finding:
    """Judges a difference of final returns.

    Args:
        found: The evidence.
        env: Gymnasium id of the task.
        ours: Variant of the first arm.
        theirs: Variant of the second arm.
        holds: Says whether the claim is reproduced, from the difference and `MARGIN` of
            the second arm's mean.
    """
    pair = _comparison(found, env, ours, theirs)
    estimate = statistics.difference(pair.ours, pair.theirs)
    judged = NOT if estimate.high < 0 else UNDECIDED
    if holds(estimate, MARGIN * abs(pair.theirs.mean())):
        judged = REPRODUCED
    number = _told(pair)
    if not pair.has_learned:
        judged = UNDECIDED if judged == REPRODUCED else judged
        first = " and ".join(writing.beside(*(each.mean() for each in pair.first)))
        number += f"; nothing learned: first evaluations {first}"
    return Finding(judged, number.replace("-", "−"), _runs(pair))


def _told(pair) -> str:
    """Writes both arms' means and their difference, also in training returns."""
    estimate = statistics.difference(pair.ours, pair.theirs)
    ours, theirs = writing.beside(pair.ours.mean(), pair.theirs.mean())
    number = f"{ours} against {theirs}: "
    number += f"{writing.interval(estimate, with_signs=True)}, "
    number += f"{pair.preset.num_steps:,} steps"
    if pair.has_training:
        training = statistics.difference(*pair.training)
        number += f"; training returns {writing.interval(training, with_signs=True)}"
    return number


def _ratio(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Returns the ratio of means; not a number if the second is not above 0."""
    return ours.mean() / theirs.mean() if theirs.mean() > 0 else np.nan


def _times(ratio: float) -> str:
    return "no ratio" if np.isnan(ratio) else f"{ratio:.2f} times"


def _comparison(found, env: str, ours: str, theirs: str) -> evidence.Comparison:
    pair = found.comparison(env, ours, theirs)
    if pair is None:
        raise too_few(env, (ours, theirs), *found.finals.values())
    return pair


def _runs(pair) -> str:
    return f"{len(pair.ours)} + {len(pair.theirs)}"
