"""The claims of Section 3, and of the limit Σ → 0, from results/section3/."""

import pathlib
from typing import NamedTuple

import numpy as np
import pandas as pd

from smoothie_tf.experiments.evidence import evidence, statistics, writing
from smoothie_tf.experiments.evidence.verdicts import (
    NOT,
    PARTLY,
    REPRODUCED,
    Claim,
    Finding,
    all_or_some,
    needed,
)
from smoothie_tf.experiments.report import tables
from smoothie_tf.experiments.theory import figure1, likelihood_ratio, section3

_COMMAND = "python reproduce/section3.py"
_SOURCE = "Section 3"
_START = figure1.INITIAL_STDDEV
#: Number of stored actions behind the learned updates that the table shows.
_SHOWN_ACTIONS = 1000
#: Single precision makes two equal gradients differ by up to this.
_ROUNDING = 1e-5
_HEAD = """\
The naive update, and local maxima and critics of the raw and of the smoothed reward, at
the start of Figure 2: μ at the worse mode, σ = {stddev:.2f}. Bands span the minimum and
maximum of {fits} seeds; bars are the standard deviation over {critics} seeds.
"""


def claims() -> list[Claim]:
    """Lists the claims of Section 3, in its order."""
    return [
        Claim(
            "The naive update from one action has a large variance, which grows as σ "
            "shrinks",
            _SOURCE,
            "reproduced: for μ and for σ, the update's standard deviation at "
            f"σ = {_START:.2f} is above the absolute value of its mean, and grows as σ "
            "falls from 0.8 to 0.0125; partly: in some of these cases; else not",
            _COMMAND,
            _naive_variance,
        ),
        Claim(
            "Smoothie's update, from a Q̃ learned from many actions, has a smaller "
            "variance than the naive update from one",
            _SOURCE,
            "the 95 % interval of the variance over critics, relative to the squared "
            "mean, decides. reproduced: it is below the relative variance of one "
            "action's naive update for μ and σ, after each number of actions, "
            "on-policy and uniform; partly: in some cases; else not",
            _COMMAND,
            _learned_variance,
        ),
        Claim(
            "Smoothie's update has less error than the mean of naive updates from as "
            "many actions",
            "Section 1: avoids sample inefficiency",
            "the 95 % interval of the mean squared error over critics decides. "
            "reproduced: it is below the variance of the mean of as many naive "
            "updates, which have no bias, for μ and σ, after each number of actions, "
            "on-policy and uniform; partly: in some cases; else not",
            _COMMAND,
            _error_for_as_many_actions,
        ),
        Claim(
            "Smoothing can remove but never add local optima",
            f"{_SOURCE}, (1)",
            "reproduced: no function of one or of two actions has more local maxima "
            "at a larger σ; partly: no function of one action has; else not",
            _COMMAND,
            _never_adds,
        ),
        Claim(
            "Smoothing removes the local optimum of the synthetic task",
            f"{_SOURCE}, Figure 1",
            f"reproduced: the reward has two local maxima, and one when smoothed with "
            f"σ = {_START:.2f}; else not",
            _COMMAND,
            _removes,
        ),
        Claim(
            "Q̃ is easier to approximate than Q",
            f"{_SOURCE}, (2)",
            "error: the mean over the box of actions after 3,000 updates, relative to "
            "the standard deviation of the fitted function. The ratio of this error to "
            "that of the raw reward, with the same critic and updates, decides. "
            "reproduced: its 95 % interval is below 1 at 10 and at 300 units, for the "
            "smoothed reward itself and for the rewards of sampled actions that (18) "
            "uses instead; partly: in some cases; else not",
            _COMMAND,
            _easier,
        ),
    ]


def limit() -> Claim:
    """Returns the claim of Section 5 on the limit of small covariances."""
    return Claim(
        "As Σ → 0, the updates of critic and mean become DDPG's",
        "Section 5",
        "reproduced: the critic's gradient differs from DDPG's, relative to it, in "
        "proportion to σ (exponent within 5 % of 1, from 0.1 to 1e-4) and by "
        f"≤ {_ROUNDING:g} at σ = 1e-6, and μ's by ≤ {_ROUNDING:g} at each σ; partly: "
        "one of the two gradients does; else not",
        _COMMAND,
        _limit,
    )


def section(results_dir: pathlib.Path, found: evidence.Evidence) -> list[str]:
    """Returns the report's section on Section 3.

    Args:
        results_dir: Directory of results, with the picture in `section3/`.
        found: The evidence.
    """
    title, learned = f"## {_SOURCE}\n", found.table("section3/learned_updates.csv")
    fits = found.table("section3/fits.csv")
    if learned is None or fits is None:
        return [title, tables.not_yet(_COMMAND)]
    head = _HEAD.format(
        stddev=_START, critics=learned["seed"].nunique(), fits=fits["seed"].nunique()
    )
    lines = [title, head]
    if (results_dir / "section3/section3.png").is_file():
        lines.append(f"![{_SOURCE}](section3/section3.png)\n")
    return lines


def _naive_variance(found) -> Finding:
    table = needed(found, "section3/likelihood_ratio.csv")
    large, grows, numbers = [], [], []
    for parameter, symbol in likelihood_ratio.PARAMETERS.items():
        rows = table[table["parameter"] == parameter].sort_values("stddev")
        stddev = np.sqrt(rows["variance"].to_numpy())
        times = stddev / rows["exact"].abs().to_numpy()
        start = int(np.argmin((rows["stddev"] - _START).abs()))
        large.append(times[start] > 1)
        grows.append(bool((np.diff(stddev) < 0).all()))
        least = np.sqrt(rows["variance_with_baseline"].to_numpy())
        numbers.append(
            f"{symbol}: {stddev[start]:.2f}, {times[start]:.1f} times the "
            f"mean's size, and {stddev[0]:.0f} at σ = {rows['stddev'].iloc[0]:g} (with "
            f"the best constant baseline {least[start]:.2f} and {least[0]:.2f})"
        )
    return Finding(all_or_some([*large, *grows]), "; ".join(numbers), "exact")


class _Case(NamedTuple):
    """Learned updates of μ or of σ, from uniform or from on-policy actions.

    Attributes:
        name: Such as "on-policy, μ".
        naive: The row of the naive update from one action, at the initial σ.
        rows: One row per critic and number of actions.
    """

    name: str
    naive: pd.Series
    rows: pd.DataFrame


def _learned_cases(found) -> list[_Case]:
    learned, exact = (
        needed(found, f"section3/{name}.csv")
        for name in ("learned_updates", "likelihood_ratio")
    )
    cases = learned.groupby(["replay", "parameter"], sort=False)
    return [
        _Case(
            f"{replay}, {likelihood_ratio.PARAMETERS[parameter]}",
            _at_start(exact, parameter),
            rows,
        )
        for (replay, parameter), rows in cases
    ]


def _critics(cases: list[_Case]) -> str:
    return f"{cases[0].rows['seed'].nunique()} critics a case"


def _learned_variance(found) -> Finding:
    cases, less, numbers = _learned_cases(found), [], []
    for name, naive, rows in cases:
        one_action = naive["variance"] / naive["exact"] ** 2
        for actions, each in rows.groupby("actions"):
            updates = each["update"].to_numpy()
            estimate = statistics.relative_variance(updates)
            less.append(estimate.high < one_action)
            if actions == _SHOWN_ACTIONS:
                numbers.append(
                    f"{name}: {writing.interval(estimate, 2)} (naive "
                    f"{one_action:.0f}), {updates.mean() / naive['exact']:.2f} of the "
                    "slope"
                )
    number = f"after {_SHOWN_ACTIONS:,} actions: " + "; ".join(numbers)
    number = number.replace(" -", " −")
    return Finding(all_or_some(less), number, _critics(cases))


def _error_for_as_many_actions(found) -> Finding:
    cases, less, numbers = _learned_cases(found), [], []
    for name, naive, rows in cases:
        told = []
        for actions, each in rows.groupby("actions"):
            squares = (each["update"].to_numpy() - naive["exact"]) ** 2
            naive_error = naive["variance"] / actions
            less.append(statistics.mean(squares).high < naive_error)
            told.append(f"{np.sqrt(squares.mean() / naive_error):.2g}")
        numbers.append(f"{name}: {', '.join(told)}")
    after = ", ".join(f"{each:,}" for each in sorted(cases[0].rows["actions"].unique()))
    number = f"root mean square error in multiples of the naive mean's after {after} "
    number += "actions: " + "; ".join(numbers)
    return Finding(all_or_some(less), number, _critics(cases))


def _at_start(exact: pd.DataFrame, parameter: str) -> pd.Series:
    rows = exact[exact["parameter"] == parameter]
    return rows.loc[(rows["stddev"] - _START).abs().idxmin()]


def _never_adds(found) -> Finding:
    table = needed(found, "section3/local_optima.csv")
    by_function = table.groupby("function")
    gained = by_function["gained"].sum()
    of_one = gained[[section3.TWO_GAUSSIANS, section3.RANDOM]].sum()
    of_two = gained[section3.RIDGE]
    verdict = NOT
    if not of_one:
        verdict = PARTLY if of_two else REPRODUCED
    number = by_function["functions"].first()[section3.RANDOM]
    ridge = table[table["function"] == section3.RIDGE]
    two = ridge.loc[ridge["maxima"] > ridge["maxima"].iloc[0], "stddev"]
    told = (
        f"one action: {of_one} of {number + 1} functions gain a maximum; "
        "two actions: a ridge"
    )
    if len(two):
        told += (
            f" has {ridge['maxima'].iloc[0]:.0f}, and {ridge['maxima'].max():.0f} from "
            f"σ = {two.min():.3f} to {two.max():.3f}"
        )
    else:
        told += " gains none"
    return Finding(verdict, told, f"{number + 2} functions")


def _removes(found) -> Finding:
    table = needed(found, "section3/local_optima.csv")
    rows = table[table["function"] == section3.TWO_GAUSSIANS]
    raw = rows.loc[rows["stddev"] == 0, "maxima"].iloc[0]
    smoothed = rows.loc[(rows["stddev"] - _START).abs().idxmin(), "maxima"]
    verdict = REPRODUCED if (raw, smoothed) == (2, 1) else NOT
    number = (
        f"{raw:.0f} maxima, and {smoothed:.0f} at σ = {_START:.2f}; the second "
        "vanishes at "
    )
    number += f"σ = {rows['vanishing_stddev'].iloc[0]:.4f}"
    return Finding(verdict, number, "exact")


def _easier(found) -> Finding:
    table = needed(found, "section3/fits.csv")
    last = table[table["updates"] == table["updates"].max()]
    held, numbers = [], []
    for target in ("smoothed", "smoothed, from samples"):
        told = []
        for units, rows in last.groupby("hidden_units"):
            errors = [
                rows.loc[rows["target"] == each, "relative_error"].to_numpy()
                for each in (target, "reward")
            ]
            estimate = statistics.ratio(*errors)
            held.append(estimate.high < 1)
            told.append(f"{writing.interval(estimate, 2)} times at {units} units")
        numbers.append(f"{target}: {', '.join(told)}")
    seeds = last["seed"].nunique()
    return Finding(all_or_some(held), "; ".join(numbers), f"{seeds} + {seeds} a case")


def _limit(found) -> Finding:
    table = needed(found, "section3/ddpg_limit.csv")
    table = table.sort_values("stddev")
    above = table[table["stddev"] > 0.9e-4]
    exponent, _ = np.polyfit(
        np.log(above["stddev"]), np.log(above["critic_gradient"]), 1
    )
    smallest = table.iloc[0]
    critic = abs(exponent - 1) <= 0.05 and smallest["critic_gradient"] <= _ROUNDING
    policy = table["policy_gradient"].max()
    number = (
        f"critic's {smallest['critic_gradient']:.0e} at σ = {smallest['stddev']:.0e}, "
        f"exponent {exponent:.3f}; μ's ≤ {policy:.0e} at every σ"
    )
    return Finding(
        all_or_some([critic, policy <= _ROUNDING]), number, "one minibatch of 256"
    )
