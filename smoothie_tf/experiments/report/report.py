"""Writes results/README.md and its pictures from what results/ holds, and no more."""

import json
import pathlib
from collections.abc import Iterable

import pandas as pd

from smoothie_tf.experiments.drawing import curves
from smoothie_tf.experiments.evidence import evidence, metrics, statistics
from smoothie_tf.experiments.figures import svg as svg_figures
from smoothie_tf.experiments.figures.continuous_control import FIGURE_3, FIGURE_4
from smoothie_tf.experiments.report import ablations as report_ablations
from smoothie_tf.experiments.report import (
    behind_ddpg,
    claims,
    neighbours,
    section3,
    summary,
    svg,
    tables,
)
from smoothie_tf.experiments.svg import claims as svg_claims
from smoothie_tf.runs.run import Preset
from smoothie_tf.runs.status import read_json
from smoothie_tf.training import gin_directory

_HEAD = """\
# Results

Written by `python reproduce/report.py` from the CSV files in this folder. Nothing here
is edited by hand; what is missing says so.
"""

_PROTOCOL = """\
Final return of a run: the mean of its last ten evaluations (never more than half of
them). An evaluation is the mean action's return over ten episodes in environments of
its own, without noise, every 5,000 steps. ± is the standard deviation over seeds,
divided by n. Training return: the training episodes between the same evaluations, with
noise. The headline is the evaluation. Final σ is the policy's at the last evaluation,
in units of actions scaled to [−1, 1]; DDPG's is its noise's, which it does not learn.
Intervals are 95 %: of returns by rliable's stratified bootstrap over runs
({repetitions:,} resamples, seeded), of counts Wilson's. With three to six runs
bootstrap intervals are too narrow; read them as the least there is of doubt.
Hyperparameters were chosen on other seeds than those shown.
"""


def report(results_dir: pathlib.Path) -> pathlib.Path:
    """Writes the report.

    Args:
        results_dir: As `evidence.Evidence` reads it; README.md and report/ go there.

    Returns:
        The path of README.md.

    Raises:
        metrics.DamagedRunError: If a file is there and cannot be read.
    """
    found = evidence.Evidence(results_dir)
    out_dir = results_dir / "report"
    out_dir.mkdir(parents=True, exist_ok=True)
    of_svg = svg_claims.Evidence(results_dir)
    svg_tasks = svg_claims.Evidence(results_dir, (svg_figures.SVG_TASKS,))
    judged = claims.judge(found, svg_claims.claims_of(of_svg))
    judged.to_csv(out_dir / "claims.csv", index=False)
    summary.write(summary.summary(found, judged), results_dir)
    parts = [_HEAD, *_claims(judged), "## Protocol\n", _protocol()]
    parts += section3.section(results_dir, found)
    for preset in found.presets:
        parts += _returns(found, preset, out_dir)
    parts += behind_ddpg.section(results_dir)
    parts += _published(found)
    parts += neighbours.section(results_dir)
    parts += report_ablations.section(results_dir)
    parts += svg.section(of_svg, svg_tasks, out_dir)
    parts += _searches(found)
    svg_runs = {run.directory: run for run in (*svg_tasks.runs, *of_svg.runs)}
    parts += _provenance(found, {of_svg.preset.name: list(svg_runs.values())})
    path = results_dir / "README.md"
    path.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")
    return path


def _protocol() -> str:
    return _PROTOCOL.format(repetitions=statistics.REPETITIONS)


def _claims(judged: pd.DataFrame) -> list[str]:
    """Writes the claims table, its rules, and what would finish it."""
    counts = judged["verdict"].value_counts()
    words = (claims.REPRODUCED, claims.PARTLY, claims.NOT, claims.NOT_YET)
    told = ", ".join(f"{counts.get(word, 0)} {word}" for word in words)
    parts = [
        "## Claims of the paper\n",
        f"{len(judged)} claims: {told}.\n",
        tables.table(
            ["", "claim", "where", "verdict", "number [95 % interval]", "n"],
            [
                [
                    str(number),
                    row.claim,
                    row.source,
                    f"**{row.verdict}**",
                    row.number,
                    row.n,
                ]
                for number, row in enumerate(judged.itertuples(), 1)
            ],
        ),
        "### Rules\n",
        "Those of returns (rules A and B, and Hopper doubled) were fixed before any "
        "run of 300,000 steps; those of identities, of Section 3 and of Figure 2 were "
        "written when these had been seen; S1 to S13 are claims of Heess et al. "
        "(2015), whose rules were fixed before any of their runs. n is runs of the "
        "first + of the second "
        f"arm; with fewer than {evidence.LEAST_SEEDS} finished runs of either a claim "
        "is not yet run. "
        "Where there are enough runs of 1,000,000 steps they count, else those of "
        "300,000.\n",
    ]
    for letter, rule in claims.SHARED_RULES.items():
        parts.append(f"- Rule {letter}: {rule}.")
    for number, row in enumerate(judged.itertuples(), 1):
        rule = f"rule {row.rule}" if row.rule in claims.SHARED_RULES else row.rule
        parts.append(f"- {number}: {rule}.")
    parts.append("\n### Commands\n")
    parts.append("```")
    for line in dict.fromkeys(judged["command"]):
        numbers = [
            str(number)
            for number, row in enumerate(judged.itertuples(), 1)
            if row.command == line
        ]
        parts.append(f"{line}  # {', '.join(numbers)}")
    parts.append("```\n")
    return parts


def _returns(found, preset: Preset, out_dir: pathlib.Path) -> list[str]:
    """Writes tables and pictures of the runs of one length."""
    runs, frame = found.runs[preset.name], found.frames[preset.name]
    parts = [f"## Returns after {preset.num_steps:,} steps (preset {preset.name})\n"]
    if frame.empty:
        lines = [
            f"python reproduce/figure{number}.py --preset {preset.name}"
            for number in (3, 4)
        ]
        return [*parts, "Not yet run:\n", *_code([*lines, _COLLECT])]
    finals = found.finals[preset.name]
    finals.to_csv(out_dir / f"final_{preset.name}.csv", index=False)
    rows = [
        [env, arm.label, *_final_cells(finals, frame, env, arm.variant)]
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
        parts += _pictures(figure, runs, frame, out_dir, preset)
    return parts


def _final_cells(finals, frame, env: str, variant: str) -> list[str]:
    """Writes an arm's final returns on a task."""
    chosen = finals[(finals["env"] == env) & (finals["variant"] == variant)]
    if chosen.empty:
        begun = frame[(frame["env"] == env) & (frame["variant"] == variant)]
        seeds = begun["seed"].nunique()
        note = f"not yet run ({seeds} unfinished)" if seeds else "not yet run"
        return [note, "", "", "0"]
    cells = [
        _mean_and_std(chosen[column], digits)
        for column, digits in (
            ("evaluation_return", 0),
            ("training_return", 0),
            ("policy_stddev", 2),
        )
    ]
    return [*cells, str(len(chosen))]


def _aggregates(found, preset: Preset) -> list[str]:
    """Writes interquartile means and probabilities of improvement."""
    parts = []
    pairs = (
        ("Smoothie over DDPG", "smoothie", "ddpg", FIGURE_3.envs),
        (
            "λ > 0 over λ = 0",
            "smoothie",
            "smoothie-no-kl",
            FIGURE_4.envs,
        ),
    )
    searched = [env for env in FIGURE_4.envs if evidence.without_kl(env) != pairs[1][2]]
    if searched:
        title, theirs = (
            "λ > 0 over λ = 0, searched without λ",
            evidence.ARMS[-1].variant,
        )
        pairs = (*pairs, (title, "smoothie", theirs, searched))
    for title, ours, theirs, envs in pairs:
        rows, both = [], ([], [])
        for env in envs:
            pair = [found.returns(preset.name, env, each) for each in (ours, theirs)]
            if min(map(len, pair)) < evidence.LEAST_SEEDS:
                rows.append(
                    [env, "not yet run", "", "", found.progress(env, (ours, theirs))]
                )
                continue
            for arm, values in zip(both, pair, strict=True):
                arm.append(values)
            rows.append(
                [
                    env,
                    *(
                        _interval(statistics.interquartile_mean([each]))
                        for each in pair
                    ),
                    _interval(
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
                        _interval(statistics.interquartile_mean(arm), 2)
                        for arm in scaled
                    ),
                    _interval(statistics.probability_of_improvement(*both), 2),
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


def _pictures(figure, runs, frame, out_dir, preset) -> list[str]:
    """Draws a figure from the runs of its arms."""
    arms = {arm.variant for arm in figure.arms}
    runs = [run for run in runs if run.variant in arms and run.env in figure.envs]
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


def _published(found) -> list[str]:
    """Writes others' DDPG beside ours."""
    table = found.published
    if table is None:
        return []
    rows = [["" if pd.isna(cell) else cell for cell in row] for row in table.to_numpy()]
    steps = list(table.columns).index("steps")
    for row in rows:
        row[steps] = f"{int(row[steps]):,}"
    for preset in found.presets:
        finals = found.finals[preset.name]
        ddpg = finals[finals["variant"] == "ddpg"]
        if ddpg.empty:
            continue
        cells = {
            env.split("-")[0]: _mean_and_std(arm["evaluation_return"])
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


def _searches(found) -> list[str]:
    """Writes what was searched, and which values each task trains with."""
    parts = ["## Hyperparameters\n"]
    rows = []
    for path in sorted(found.directory.glob("table1-*/*.json")):
        record = read_json(path)
        table = path.with_suffix(".csv")
        if not record or not table.is_file():
            continue
        trials = pd.read_csv(table)
        best = trials[trials["trial"] == record.get("best_trial")]
        value = f"{best['objective'].iloc[0]:,.0f}" if len(best) else "not yet run"
        states = trials["state"].value_counts()
        told = ", ".join(f"{count} {state}" for state, count in states.items())
        link = path.relative_to(found.directory).with_suffix("")
        rows.append(
            [
                record["env"],
                record["agent"],
                f"{len(trials)} ({told})",
                value,
                f"[picture]({link}.png), [trials]({link}.csv)",
                f"`{record['command']}`",
            ]
        )
    if rows:
        parts.append(
            tables.table(["task", "agent", "trials", "best", "search", "command"], rows)
        )
        parts.append(
            "Best: the objective of the trial that was chosen, on its own seed. As the "
            "best of many it flatters.\n"
        )
    searched = {(row[0], row[1]) for row in rows}
    missing = [
        f"{_SEARCH} --agent {agent} --env {env} --num_trials 16"
        for env in ("Hopper-v5", "HalfCheetah-v5", "Walker2d-v5")
        for agent in ("smoothie", "ddpg")
        if (env, agent) not in searched
    ]
    if missing:
        parts += ["Not yet run:\n", *_code(missing)]
    rows = []
    for env in FIGURE_3.envs:
        cells = [env]
        for agent in ("smoothie", "ddpg"):
            path = gin_directory.find_tuned(agent, env)
            if path is None:
                origin = f"`gin/agents/{agent}.gin`, not searched on this task"
            elif path.stem == gin_directory.file_name(env):
                origin = f"`gin/tuned/{agent}/{path.name}`: {_origin(path)}"
            else:
                origin = f"{path.stem}'s: not searched on this task"
            cells.append(origin)
        rows.append(cells)
    head = ["task", "Smoothie's values", "DDPG's values"]
    parts.append(tables.table(head, rows))
    return parts


def _origin(path: pathlib.Path) -> str:
    """Returns the first sentence of a gin file's comment."""
    words = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        words.append(line.lstrip("# "))
    return " ".join(words).split(". ")[0].rstrip(".")


def _provenance(found, svg_runs) -> list[str]:
    """Writes which code and which versions the runs come from."""
    parts = ["## Where the numbers come from\n"]
    rows = []
    for name, runs in (found.runs | svg_runs).items():
        records = metrics.provenance(runs)
        made: dict[tuple[str, ...], list] = {}
        for record in records:
            made.setdefault(tuple(metrics.commits(record)), []).append(record)
        for commits, of_commit in sorted(made.items(), key=lambda each: each[0]):
            versions = {
                json.dumps(each.get("versions", {}), sort_keys=True)
                for each in of_commit
            }
            seconds = sum(each.get("wall_seconds") or 0 for each in of_commit)
            done = sum(each.get("status") == "done" for each in of_commit)
            rows.append(
                [
                    name,
                    ", then ".join(
                        each[:10] + ("-dirty" if each.endswith("-dirty") else "")
                        for each in commits
                    ),
                    f"{done} of {len(of_commit)}",
                    f"{seconds / 3600:.1f}",
                    "; ".join(_versions(each) for each in sorted(versions)),
                ]
            )
    if rows:
        head = ["preset", "commit", "finished runs", "hours", "versions"]
        parts.append(tables.table(head, rows))
    else:
        parts.append("No run has been collected yet.\n")
    if other := found.other_values():
        parts.append(
            f"{other} collected runs are left out: their hyperparameters are not those "
            "that `gin/tuned` has now.\n"
        )
    parts.append(
        "Per-seed files are in `runs/`: `metrics.csv`, a row an evaluation, `run.json` "
        "and `operative_config.gin` of each run, as the run left them. Figures 1 and 2 "
        "are in [`figure1/`](figure1) and [`figure2/`](figure2).\n"
    )
    return parts


_COLLECT = "python reproduce/collect.py"
_SEARCH = "python reproduce/table1.py"


def _versions(text: str) -> str:
    return ", ".join(f"{name} {version}" for name, version in json.loads(text).items())


def _label(variant: str) -> str:
    return next(arm.label for arm in evidence.ARMS if arm.variant == variant)


def _mean_and_std(values: pd.Series, digits: int = 0) -> str:
    """Writes mean ± standard deviation; of one value, the value alone."""
    values = values.dropna()
    if values.empty:
        return "–"
    text = f"{values.mean():,.{digits}f}"
    if len(values) > 1:
        text += f" ± {values.std(ddof=0):,.{digits}f}"
    return text.replace("-", "−")


def _interval(estimate: statistics.Estimate, digits: int = 0) -> str:
    value, low, high = (f"{each:,.{digits}f}".replace("-", "−") for each in estimate)
    return f"{value} [{low}, {high}]"


def _code(lines: Iterable[str]) -> list[str]:
    return ["```", *lines, "```\n"]
