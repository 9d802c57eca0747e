"""The report's sections on returns: Figures 3 and 4, and others' DDPG beside ours."""

import pathlib

import pandas as pd

from smoothie_tf.experiments.drawing import curves
from smoothie_tf.experiments.evidence import evidence, metrics, statistics, writing
from smoothie_tf.experiments.figures.continuous_control import FIGURE_3, FIGURE_4
from smoothie_tf.experiments.report import tables
from smoothie_tf.runs.run import Preset

_COLLECT = "python reproduce/collect.py"


def section(
    found: evidence.Evidence, preset: Preset, out_dir: pathlib.Path
) -> list[str]:
    """Writes tables and pictures of Figures 3 and 4, of runs of one length.

    Args:
        found: What there is.
        preset: The length.
        out_dir: Where the pictures go, a directory below that of the report.
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
    finals.by_run[columns].to_csv(path, index=False)
    rows = [
        [env, arm.label, *_final_cells(finals, env, arm.variant)]
        for env in FIGURE_3.envs
        for arm in evidence.ARMS
        if arm.is_on(env)
    ]
    parts.append(
        tables.table(
            ["task", "agent", "evaluation return", "training return", "final σ", "n"],
            rows,
        )
    )
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
            ("evaluation_return", 0),
            ("training_return", 0),
            ("policy_stddev", 2),
        )
    ]
    return [*cells, str(count)]


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
        rows, both = [], ([], [])
        for env in envs:
            finals, arms = found.finals[preset.name], (ours, theirs)
            if not finals.has(env, arms):
                few = evidence.progress(env, arms, *found.finals.values())
                rows.append([env, "not yet run", "", "", few])
                continue
            pair = [finals.values(env, arm) for arm in arms]
            for arm, values in zip(both, pair, strict=True):
                arm.append(values)
            rows.append(
                [
                    env,
                    *(
                        writing.interval(statistics.interquartile_mean([each]))
                        for each in pair
                    ),
                    writing.interval(
                        statistics.probability_of_improvement([pair[0]], [pair[1]]), 2
                    ),
                    f"{len(pair[0])} + {len(pair[1])}",
                ]
            )
        if len(both[0]) > 1:
            scaled = statistics.scale_to_range(both)
            number = min(len(each) for arm in both for each in arm)
            rows.append(
                [
                    f"all {len(both[0])} tasks, scaled",
                    *(
                        writing.interval(statistics.interquartile_mean(arm), 2)
                        for arm in scaled
                    ),
                    writing.interval(statistics.probability_of_improvement(*both), 2),
                    f"{number} + {number} a task",
                ]
            )
        parts += [
            f"### {title}\n",
            tables.table(
                [
                    "task",
                    f"{_label(ours)}, interquartile mean",
                    f"{_label(theirs)}, interquartile mean",
                    "probability of improvement",
                    "n",
                ],
                rows,
            ),
        ]
        if len(both[0]) > 1:
            parts.append(
                "Scaled: 0 and 1 are the lowest and the highest final return that any "
                "run of the two reached on the task. Over all tasks, the first runs of "
                "each, as many as every task has.\n"
            )
    return parts


def _pictures(figure, finals, out_dir, preset) -> list[str]:
    """Draws a figure from the runs of its arms."""
    arms, frame = {arm.variant for arm in figure.arms}, finals.frame
    runs = [
        run for run in finals.runs if run.variant in arms and run.env in figure.envs
    ]
    chosen = frame["variant"].isin(arms) & frame["env"].isin(figure.envs)
    frame = frame[chosen]
    if frame.empty:
        return [f"Figure {figure.number}: not yet run.\n"]
    panels = curves.compared(figure, runs)
    parts = []
    drawings = [(curves.draw_returns, "", "returns of the mean action")]
    if figure.number == 3:
        drawings += [
            (
                curves.draw_training_returns,
                "_training",
                "training returns, with noise",
            ),
            (curves.draw_policy_stddev, "_stddev", "learned σ over training"),
        ]
    for draw, suffix, what in drawings:
        name = f"{figure.name}_{preset.name}{suffix}.png"
        draw(frame, figure, runs, out_dir / name, panels)
        parts.append(f"![Figure {figure.number}, {what}](report/{name})\n")
    return parts


def published(found: evidence.Evidence) -> list[str]:
    """Writes others' DDPG beside ours."""
    table = found.table("published_ddpg.csv", text=True)
    if table is None:
        return []
    rows = [["" if pd.isna(cell) else cell for cell in row] for row in table.to_numpy()]
    steps = list(table.columns).index("steps")
    for row in rows:
        row[steps] = f"{int(row[steps]):,}"
    for preset in found.presets:
        finals = found.finals[preset.name].by_run
        ddpg = finals[finals["variant"] == "ddpg"]
        if ddpg.empty:
            continue
        cells = {
            env.split("-")[0]: writing.mean_and_std(arm["evaluation_return"])
            for env, arm in ddpg.groupby("env")
        }
        counts = sorted(set(ddpg.groupby("env").size()))
        seeds = str(counts[0]) if len(counts) == 1 else f"{counts[0]}–{counts[-1]}"
        head = ["**ours**", "v5", f"{preset.num_steps:,}", seeds]
        rows.append([*head, *(cells.get(task, "") for task in table.columns[4:])])
    return [
        "## DDPG elsewhere\n",
        "To tell a broken baseline from a working one. Versions of the tasks, networks "
        "and hyperparameters differ: orders of magnitude can be compared, no more. "
        "Others' numbers are as printed by their authors "
        "([`published_ddpg.csv`](published_ddpg.csv)).\n",
        tables.table(list(table.columns), rows),
    ]


def _label(variant: str) -> str:
    return next(arm.label for arm in evidence.ARMS if arm.variant == variant)
