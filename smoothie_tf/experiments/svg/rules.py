"""The rules that decide the verdicts on the claims of the SVG paper.

They use two numbers per run: the final return is the mean of the last tenth of its
evaluations, the area the mean of all evaluations.
"""

from collections.abc import Callable, Sequence

import numpy as np

from smoothie_tf.experiments.evidence import evidence, statistics, writing
from smoothie_tf.experiments.evidence.evidence import Evidence
from smoothie_tf.experiments.evidence.verdicts import (
    NOT,
    NOT_YET,
    PARTLY,
    REPRODUCED,
    UNDECIDED,
    Finding,
    MissingError,
    all_or_some,
    too_few,
)
from smoothie_tf.experiments.figures import svg as figures
from smoothie_tf.experiments.figures.grids import Arm

# S8: smallest share of episodes that end at the target.
_LEAST_AT_TARGET = 0.9
# S1: the planner "barely improves" if its gain is at most this share of SVG(∞)'s.
_LARGEST_GAIN = 1 / 3
_BEHAVIOUR = f"{figures.SVG_FIGURE_4.name}-{evidence.SVG_PRESET}/{figures.BEHAVIOUR}"


def ahead(
    found: Evidence,
    env: str,
    ours: Arm,
    others: Sequence[Arm],
    columns: Sequence[str],
) -> Finding:
    """Judges whether one arm is better than each of the others.

    Args:
        found: The evidence.
        env: Gymnasium id of the task.
        ours: The arm that the claim is about.
        others: The arms that it is compared with.
        columns: Columns of `metrics.NUMBERS` that are compared.
    """
    arms = (ours, *others)
    _check(found, env, arms)
    estimates = {
        (other, column): statistics.difference(
            found.svg.values(env, ours, column), found.svg.values(env, other, column)
        )
        for other in others
        for column in columns
    }
    number = ", ".join(
        f"{writing.gap(estimate)} over {other.label} ({_NAMES[column]})"
        for (other, column), estimate in estimates.items()
    )
    return Finding(_verdict(estimates.values()), number, found.svg.count(env, arms))


def hand(found: Evidence) -> Finding:
    """Judges S1."""
    arms = (figures.SVG_INFINITY, figures.PLANNER)
    _check(found, figures.HAND, arms)
    ours, theirs = (found.svg.values(figures.HAND, arm) for arm in arms)
    gains = [
        final.mean() - found.svg.values(figures.HAND, arm, "first").mean()
        for arm, final in zip(arms, (ours, theirs), strict=True)
    ]
    estimate = statistics.difference(ours, theirs)
    verdict = _verdict([estimate])
    if gains[1] > _LARGEST_GAIN * gains[0]:
        verdict = PARTLY if verdict == REPRODUCED else NOT
    number = f"{writing.gap(estimate)}; gains "
    number += " against ".join(map(writing.with_decimals, gains))
    return Finding(verdict, number, found.svg.count(figures.HAND, arms))


def _losses(found, env, smaller, arms, sizes):
    """Estimates how much two arms lose with the smallest instead of the largest size.

    Returns:
        The numbers of runs, and a list of the two losses and their difference.
    """
    four = [smaller(arm, size) for arm in arms for size in (sizes[0], sizes[-1])]
    _check(found, env, four)
    finals = [found.svg.values(env, arm) for arm in four]
    own = [statistics.difference(*finals[:2]), statistics.difference(*finals[2:])]
    return found.svg.count(env, four), [*own, statistics.excess(*finals)]


def value_units(found: Evidence) -> Finding:
    """Judges S3."""
    counts, losses = _losses(
        found,
        figures.CARTPOLE,
        figures.with_value_units,
        (figures.DPG, figures.SVG1),
        figures.VALUE_UNITS,
    )
    of_dpg, of_svg, more = map(writing.gap, losses)
    number = f"DPG loses {of_dpg}, SVG(1) {of_svg}: {more}"
    return Finding(_verdict(losses[2:]), number, counts)


def model_units(found: Evidence) -> Finding:
    """Judges S5."""
    counts, losses = _losses(
        found,
        figures.SWIMMER_3,
        figures.with_model_units,
        (figures.SVG_INFINITY, figures.SVG1),
        figures.MODEL_UNITS,
    )
    verdict = _verdict(losses[2:])
    largest = figures.with_model_units(figures.SVG1, figures.MODEL_UNITS[0])
    final, first = (
        found.svg.values(figures.SWIMMER_3, largest, column)
        for column in ("evaluation_return", "first")
    )
    gain = statistics.mean(final - first)  # Of the same runs.
    hurts_one = losses[0].low > 0 >= losses[1].low
    if verdict == REPRODUCED and not (hurts_one and gain.low > 0):
        verdict = PARTLY
    of_infinity, of_one, more = map(writing.gap, losses)
    number = f"SVG(∞) loses {of_infinity}, SVG(1) {of_one}: {more}; SVG(1) had learned "
    number += writing.gap(gain)
    return Finding(verdict, number, counts)


def swimmer_3(found: Evidence) -> Finding:
    """Judges S4."""
    env = figures.SWIMMER_3
    arms = (figures.SVG_INFINITY, figures.SVG1, figures.ACTOR_CRITIC)
    _check(found, env, arms)
    infinity, ours, theirs = (found.svg.values(env, arm) for arm in arms)
    estimate = statistics.difference(ours, theirs)
    verdict = _verdict([estimate])
    if verdict == REPRODUCED and infinity.mean() < ours.mean():
        verdict = PARTLY
    number = f"SVG(1) {writing.gap(estimate)} over the actor-critic; SVG(∞) "
    number += f"{writing.gap(statistics.difference(infinity, ours))} over SVG(1)"
    return Finding(verdict, number, found.svg.count(env, arms))


def swimmer_7(found: Evidence) -> Finding:
    """Judges S7."""
    env = figures.SWIMMER_7
    arms = (figures.SVG1_ER, figures.SVG1, figures.ACTOR_CRITIC)
    _check(found, env, arms)
    replayed, ours, theirs = (found.svg.values(env, arm) for arm in arms)
    over_critic = statistics.difference(ours, theirs)
    by_replay = statistics.difference(replayed, ours)
    verdict = _verdict([over_critic, by_replay])
    if verdict == UNDECIDED and over_critic.low > 0:
        verdict = PARTLY
    number = f"SVG(1) {writing.gap(over_critic)} over the actor-critic; SVG(1)-ER "
    number += f"{writing.gap(by_replay)} over SVG(1)"
    return Finding(verdict, number, found.svg.count(env, arms))


def four_targets(found: Evidence) -> Finding:
    """Judges S8."""
    env = figures.FOUR_TARGETS
    others = (figures.SVG1, figures.ACTOR_CRITIC)
    returns = ahead(found, env, figures.SVG1_ER, others, ("evaluation_return", "area"))
    reached = found.measured(_BEHAVIOUR, "ends at the target", env=env)
    if not len(reached):
        raise MissingError(NOT_YET, returns.n)
    verdict = returns.verdict
    if verdict == REPRODUCED and reached.mean() < _LEAST_AT_TARGET:
        verdict = PARTLY
    number = f"{returns.number}; at the target in {100 * reached.mean():.0f} %"
    return Finding(verdict, number, returns.n)


def every_run(
    found: Evidence,
    env: str,
    name: str,
    holds: Callable[[float], bool],
    unit: str,
    digits: int,
) -> Finding:
    """Judges whether the policy of every run behaves as claimed.

    Args:
        found: The evidence.
        env: Gymnasium id of the task.
        name: Name of the measure.
        holds: Whether a run's measure is as claimed.
        unit: Unit of the measure.
        digits: Number of decimals.
    """
    values = found.measured(_BEHAVIOUR, name, env=env)
    if len(values) < evidence.LEAST_SEEDS:
        raise too_few(env, (figures.SVG1_ER,), found.svg)
    held = [bool(holds(value)) for value in values]
    number = f"{values.mean():.{digits}f} {unit} "
    number += f"(runs {values.min():.{digits}f} to {values.max():.{digits}f})"
    return Finding(all_or_some(held), number, str(len(values)))


def monoped(found: Evidence) -> Finding:
    """Judges S11."""
    env = figures.MONOPED
    little, much = (
        found.measured(_BEHAVIOUR, f"stands, {x} % noise", env=env) for x in (5, 25)
    )
    if min(len(little), len(much)) < evidence.LEAST_SEEDS:
        raise too_few(env, (figures.SVG1_ER,), found.svg)
    verdict = PARTLY if little.mean() >= 0.5 else NOT
    if much.mean() >= 0.5:
        verdict = REPRODUCED
    number = f"stands in {100 * little.mean():.0f} % of episodes at 5 % noise, in "
    number += f"{100 * much.mean():.0f} % at 25 %"
    return Finding(verdict, number, str(len(much)))


def cheetahs(found: Evidence) -> Finding:
    """Judges S12."""
    arm = figures.SVG1_ER
    for env in figures.CHEETAHS:
        _check(found, env, (arm,))
    finals = [found.svg.values(env, arm) for env in figures.CHEETAHS]
    share = np.mean(np.concatenate(finals) > 0)
    verdict = PARTLY if share >= 0.5 else NOT
    number = "with springs {}, without {}".format(*map(writing.least_and_most, finals))
    number += f"; {100 * share:.0f} % above 0"
    return Finding(
        REPRODUCED if share == 1 else verdict,
        number,
        " + ".join(str(len(each)) for each in finals),
    )


def walker(found: Evidence) -> Finding:
    """Judges S13."""
    env, arm = figures.WALKER, figures.SVG1_ER
    _check(found, env, (arm,))
    finals = found.svg.values(env, arm)
    verdict = NOT
    if finals.min() > 1000:
        alike = np.abs(finals - finals.mean()).max() <= 0.5 * finals.mean()
        verdict = REPRODUCED if alike else PARTLY
    return Finding(verdict, writing.least_and_most(finals), str(len(finals)))


_NAMES = {"evaluation_return": "final return", "area": "area"}


def _verdict(estimates) -> str:
    """Returns the verdict on differences that should all be above 0."""
    estimates = list(estimates)
    if any(estimate.high < 0 for estimate in estimates):
        return NOT
    above = all(estimate.low > 0 for estimate in estimates)
    return REPRODUCED if above else UNDECIDED


def _check(found, env, arms) -> None:
    """Raises `MissingError` unless arms have enough finished runs on a task."""
    if not found.svg.has(env, arms):
        raise too_few(env, arms, found.svg)
