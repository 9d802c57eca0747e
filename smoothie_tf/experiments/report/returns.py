"""The report's sections on the returns of Figures 3 and 4."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from smoothie_tf.experiments.drawing import curves
from smoothie_tf.experiments.evidence import evidence, metrics, statistics, writing
from smoothie_tf.experiments.figures.continuous_control import FIGURE_3, FIGURE_4
from smoothie_tf.experiments.report import tables
from smoothie_tf.runs.run import Preset

_COLLECT = "python reproduce/collect.py"
#: Steps after which returns are compared for little data.
_EARLY = 100_000


def section(
    found: evidence.Evidence, preset: Preset, out_dir: pathlib.Path
) -> list[str]:
    """Writes tables and pictures of Figures 3 and 4, for runs of one length.

    Args:
        found: The evidence.
        preset: The preset, which sets the length.
        out_dir: Directory of the pictures, a subdirectory of the report's.
    """
    finals = found.finals[preset.name]
    parts = [f"## Returns after {preset.num_steps:,} steps (preset {preset.name})\n"]
    if finals.frame.empty:
        lines = [
            f"python reproduce/figure{number}.py --preset {preset.name}"
            for number in (3, 4)
        ]
        return [*parts, tables.not_yet(*lines, _COLLECT)]
    columns = [*metrics.KEYS, *metrics.FINAL]
    path = out_dir / f"final_{preset.name}.csv"
    metrics.write_table(finals.by_run[columns], path)
    rows = [
        [env, arm.label, *_final_cells(finals, env, arm.variant)]
        for env in FIGURE_3.envs
        for arm in evidence.ARMS
        if arm.is_on(env) and (arm in FIGURE_3.arms or env in FIGURE_4.envs)
    ]
    parts.append(
        tables.table(
            ["task", "agent", "evaluation return", "training return", "final σ", "n"],
            rows,
        )
    )
    if preset == found.presets[-1]:
        parts += _early(early_differences(finals))
    parts += _aggregates(found, preset)
    for figure in (FIGURE_3, FIGURE_4):
        parts += _pictures(figure, finals, out_dir, preset)
    return parts


def _final_cells(finals: evidence.Finals, env: str, variant: str) -> list[str]:
    """Writes an arm's final returns on a task."""
    count = len(finals.values(env, variant))
    if not count:
        frame = finals.frame
        begun = frame[(frame["env"] == env) & (frame["variant"] == variant)]
        seeds = begun["seed"].nunique()
        note = f"not yet run ({seeds} unfinished)" if seeds else "not yet run"
        return [note, "", "", "0"]
    cells = [
        writing.mean_and_std(finals.values(env, variant, column), digits)
        for column, digits in (
            ("evaluation_return", None),
            ("training_return", None),
            ("policy_stddev", 2),
        )
    ]
    if variant == "ddpg":  # It learns no σ.
        cells[-1] = "–"
    return [*cells, str(count)]


_SMOOTHIE_AND_DDPG = ("smoothie", "ddpg")


class Early(NamedTuple):
    """Smoothie's and DDPG's returns on a task early in training.

    Attributes:
        env: Gymnasium id of the task.
        ours: Smoothie's returns, shape [N].
        theirs: DDPG's returns, shape [M].
        difference: That of their means.
    """

    env: str
    ours: np.ndarray
    theirs: np.ndarray
    difference: statistics.Estimate


def early_differences(finals: evidence.Finals) -> list[Early]:
    """Compares Smoothie and DDPG in the first part of their runs, on each task."""
    early = evidence.Finals(finals.frame[finals.frame["step"] <= _EARLY])
    compared = []
    for env in FIGURE_3.envs:
        if early.has(env, _SMOOTHIE_AND_DDPG):
            ours, theirs = (early.values(env, arm) for arm in _SMOOTHIE_AND_DDPG)
            difference = statistics.difference(ours, theirs)
            compared.append(Early(env, ours, theirs, difference))
    return compared


def told_early(differences: Sequence[Early]) -> str:
    """Says on which tasks Smoothie is ahead or behind with little data."""
    ahead = [each.env for each in differences if each.difference.low > 0]
    behind = [each.env for each in differences if each.difference.high < 0]
    if not differences:
        return "not yet run."
    anchor = f"after-the-first-{_EARLY}-steps"
    return (
        f"[after the first {_EARLY:,} steps](#{anchor}) it is ahead on"
        f" {', '.join(ahead) or 'no task'} and behind on"
        f" {', '.join(behind) or 'no task'} by its interval, of {len(differences)}."
    )


def _early(differences: Sequence[Early]) -> list[str]:
    """Writes the returns of the same runs early in training."""
    if not differences:
        return []
    rows = [
        [
            each.env,
            writing.mean_and_std(each.ours),
            writing.mean_and_std(each.theirs),
            writing.interval(each.difference, with_signs=True),
            f"{len(each.ours)} + {len(each.theirs)}",
        ]
        for each in differences
    ]
    head = ["task", *map(_label, _SMOOTHIE_AND_DDPG), "difference [95 % interval]", "n"]
    title = f"### After the first {_EARLY:,} steps\n"
    text = "Evaluation returns of the same runs, by the same rule.\n"
    return [title, text, tables.table(head, rows)]


def _aggregates(found, preset: Preset) -> list[str]:
    """Writes interquartile means and probabilities of improvement."""
    parts = []
    without, searched = (arm.variant for arm in evidence.ARMS[-2:])
    pairs = (
        ("Smoothie over DDPG", "smoothie", "ddpg", FIGURE_3.envs),
        ("λ > 0 over λ = 0", "smoothie", without, FIGURE_4.envs),
        (
            "λ > 0 over λ = 0, searched without λ",
            "smoothie",
            searched,
            [each for each in FIGURE_4.envs if evidence.without_kl(each) == searched],
        ),
    )
    for title, ours, theirs, envs in pairs:
        if not envs:
            continue
        finals, arms = found.finals[preset.name], (ours, theirs)
        compared = [env for env in envs if finals.has(env, arms)]
        rows = []
        for env in envs:
            if env in compared:
                rows.append([env, *_aggregate(finals, [env], arms)])
            else:
                few = evidence.progress(env, arms, *found.finals.values())
                rows.append([env, "not yet run", "", "", "", few])
        learned = [
            env
            for env in compared
            if found.comparison_of(preset, env, *arms).has_learned
        ]
        if len(learned) > 1:
            of_all = _aggregate(finals, learned, arms)
            rows.append([f"{len(learned)} tasks together, scaled", *of_all])
        parts += [
            f"### {title}\n",
            tables.table(
                [
                    "task",
                    f"{_label(ours)}, interquartile mean",
                    f"{_label(theirs)}, interquartile mean",
                    "probability of improvement",
                    "... in training returns",
                    "n",
                ],
                rows,
            ),
        ]
        if len(learned) > 1:
            parts.append(
                "The interquartile mean of three runs is their mean. Scaled: on each "
                "task, 0 and 1 are the lowest and the highest final return of any run "
                "of the two agents. The last row uses equally many runs of every task, "
                "the first ones, and leaves out tasks where neither agent has learned "
                "(by the condition of the claims' rules).\n"
            )
    return parts


def _aggregate(finals, envs, arms) -> list[str]:
    """Writes interquartile means, probabilities and counts of two arms on tasks."""
    several = len(envs) > 1
    pair, training = (
        [[finals.values(env, arm, column) for env in envs] for arm in arms]
        for column in ("evaluation_return", "training_return")
    )
    shown = statistics.scale_to_range(pair) if several else pair
    digits = 2 if several else None
    cells = [
        writing.interval(statistics.interquartile_mean(arm), digits) for arm in shown
    ]
    cells.append(writing.interval(statistics.probability_of_improvement(*pair), 2))
    known = not any(np.isnan(each).any() for arm in training for each in arm)
    better = statistics.probability_of_improvement(*training) if known else None
    cells.append("–" if better is None else writing.interval(better, 2))
    if not several:
        return [*cells, finals.count(envs[0], arms)]
    numbers = " + ".join(str(min(map(len, arm))) for arm in pair)
    return [*cells, f"{numbers} a task"]


def _pictures(figure, finals, out_dir, preset) -> list[str]:
    """Draws a figure from the runs of its arms."""
    arms, frame = {arm.variant for arm in figure.arms}, finals.frame
    runs = [
        run for run in finals.runs if run.variant in arms and run.env in figure.envs
    ]
    chosen = frame["variant"].isin(arms) & frame["env"].isin(figure.envs)
    frame = frame[chosen]
    if frame.empty:
        return [f"{figure.title}: not yet run.\n"]
    panels = curves.compared(figure, runs)
    parts = []
    drawings = [
        (curves.RETURN, "", "returns of the mean action"),
        (curves.TRAINING_RETURN, "_training", "training returns, with noise"),
    ]
    if figure is FIGURE_3:
        what = "learned σ over training"
        drawings.append((curves.POLICY_STDDEV, "_stddev", what))
    for quantity, suffix, what in drawings:
        name = f"{figure.name}_{preset.name}{suffix}.png"
        curves.draw(quantity, frame, figure, runs, out_dir / name, panels)
        parts.append(f"![{figure.title}, {what}](report/{name})\n")
    return parts


def _label(variant: str) -> str:
    return next(arm.label for arm in evidence.ARMS if arm.variant == variant)
