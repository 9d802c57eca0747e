"""What a search has found: a table, a picture, and the best as a gin file."""

import json
import math
import os
import pathlib
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib.lines
import matplotlib.ticker
import pandas as pd

from smoothie_tf.experiments.drawing import style
from smoothie_tf.experiments.evidence import metrics as results
from smoothie_tf.experiments.search import search
from smoothie_tf.runs.status import read_json
from smoothie_tf.training import gin_directory

OBJECTIVE = (
    "mean of the last ten evaluations, never more than half of those made (an "
    "evaluation: the mean action, without noise, over the preset's episodes)"
)


def stem(study: search.Search) -> str:
    """Names the files of a study."""
    return f"{gin_directory.file_name(study.env)}_{study.name}"


def best(trials: Sequence[search.Trial]) -> search.Trial | None:
    """Returns the best of the trials that came to the end, if any has."""
    complete = [trial for trial in trials if trial.state == "complete"]
    return max(
        complete, key=lambda trial: (trial.objective, -trial.number), default=None
    )


def table(study: search.Search, trials: Sequence[search.Trial]) -> pd.DataFrame:
    """Tabulates trials.

    Returns:
        One row a trial: trial, state, seed of its run, steps of the last level it
        has reached, objective there, its values by the paper's names, its objective
        at each level, and commit, wall_seconds, run_dir and reason of its run.
    """
    levels = study.halving.levels(len(trials), study.preset.num_steps)
    rows = []
    for trial in trials:
        run = study.run(trial.number, trial.values, study.preset.num_steps)
        record = read_json(run.directory / "run.json")
        rows.append(
            {
                "trial": trial.number,
                "state": trial.state,
                "seed": run.seed,
                "steps": trial.steps,
                "objective": trial.objective,
                **trial.values,
                **{
                    f"objective_at_{steps}": trial.returns.get(steps)
                    for steps, _ in levels
                },
                "commit": " ".join(results.commits(record)) if record else None,
                "wall_seconds": record.get("wall_seconds"),
                "run_dir": os.path.relpath(run.directory, study.root),
                "reason": trial.reason,
            }
        )
    return pd.DataFrame(rows)


def gin_text(study: search.Search, trials: Sequence[search.Trial], command: str) -> str:
    """Writes the best trial as a gin file that says where it comes from.

    Args:
        study: The study.
        trials: All its trials, one of them complete.
        command: The command that has found it.
    """
    found = best(trials)
    run = study.run(found.number, found.values, study.preset.num_steps)
    commits = results.commits(read_json(run.directory / "run.json"))
    failed = sum(trial.state == "failed" for trial in trials)
    header = [
        f"{study.agent} on {study.env}: the best of {len(trials)} trials of Table 1's "
        f"search. Written by the search, not by hand.",
        f"Study {study.name}, preset {study.preset.name}, {study.sampler} sampling, "
        f"{failed} failed. {describe_halving(study, len(trials))}",
        f"Objective: {found.objective:.1f} in trial {found.number} at {found.steps:,} "
        f"steps, {OBJECTIVE}. One run, seed {run.seed}: chosen as the best, it "
        "flatters; the figures' seeds are others.",
        f"Commit of the run: {', then '.join(commits)}.",
        "Figures 3 and 4 and reproduce/train.py take these values for this task.",
    ]
    lines = [
        line
        for paragraph in header
        for line in textwrap.wrap(paragraph, 86, break_on_hyphens=False)
    ]
    text = "".join(f"# {line}\n" for line in lines)
    # In one line however long: it is to be copied.
    text += f"# Command: {command}\n\n"
    for each in study.parameters:
        sampling = "log" if each.log else "uniform"
        text += f"# {each.name} in [{each.low:g}, {each.high:g}], {sampling}.\n"
        text += f"{each.binding} = {found.values[each.name]!r}\n"
    return text


def describe_halving(study: search.Search, trials: int) -> str:
    """Says in a sentence or two what halving does to a study of so many trials."""
    num_steps = study.preset.num_steps
    whole = trials * num_steps
    if not study.halving.rungs:
        return f"No halving: each trial gets all {num_steps:,} steps, {whole:,} in all."
    levels = study.halving.levels(trials, num_steps)
    first, *others = (f"{count} to {steps:,}" for steps, count in levels)
    cost = study.halving.cost(trials, num_steps)
    return (
        f"Halving: {first} steps, the best {', the best '.join(others)}; {cost:,} "
        f"steps in all in place of {whole:,}. What learns late is stopped early, so "
        "this favours fast learning over the paper's search, in which every trial "
        "gets all its steps."
    )


def write(
    study: search.Search,
    trials: Sequence[search.Trial],
    out_dir: pathlib.Path,
    command: str,
) -> pathlib.Path | None:
    """Writes table, picture, record and best values of a study.

    Args:
        study: The study.
        trials: All its trials.
        out_dir: Where to; made where it does not exist.
        command: The command that has made them.

    Returns:
        The gin file of the best values; `None` while no trial has come to its end.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    frame = table(study, trials)
    frame.to_csv(out_dir / f"{stem(study)}.csv", index=False)
    draw(study, frame, out_dir / f"{stem(study)}.png")
    found = best(trials)
    text = json.dumps(_record(study, trials, command), indent=1) + "\n"
    (out_dir / f"{stem(study)}.json").write_text(text, encoding="utf-8")
    if found is None:
        return None
    path = out_dir / f"{stem(study)}.gin"
    path.write_text(gin_text(study, trials, command), encoding="utf-8")
    return path


def _record(study, trials, command) -> dict[str, Any]:
    found = best(trials)
    runs = [
        study.run(trial.number, trial.values, study.preset.num_steps)
        for trial in trials
    ]
    return {
        "study": study.name,
        "agent": study.agent,
        "env": study.env,
        "preset": study.preset.label,
        "num_steps": study.preset.num_steps,
        "trials": len(trials),
        "sampler": study.sampler,
        "study_seed": study.seed,
        "rungs": list(study.halving.rungs),
        "reduction_factor": study.halving.reduction_factor,
        "objective": OBJECTIVE,
        "best_trial": None if found is None else found.number,
        "command": command,
        "runs": results.provenance(runs),
    }


def draw(
    study: search.Search, frame: pd.DataFrame, path: str | os.PathLike[str]
) -> None:
    """Draws each trial's objective against each of its values.

    Args:
        study: The study.
        frame: As `table` returns it.
        path: The picture to write.
    """
    levels = [
        steps for steps, _ in study.halving.levels(len(frame), study.preset.num_steps)
    ]
    colours = style.sequence(len(levels))
    reached = frame[frame["objective"].notna()]
    failed = frame[frame["state"] == "failed"]
    complete = frame[frame["state"] == "complete"]
    top = complete.loc[[complete["objective"].idxmax()]] if len(complete) else complete
    columns = 2 if len(study.parameters) in (2, 4) else 3
    rows = math.ceil(len(study.parameters) / columns)
    size = style.PANEL_INCHES[0] * columns, style.PANEL_INCHES[1] * rows + 1.3
    with style.picture(path, figsize=size, layout="constrained") as canvas:
        # Labels of neighbouring axes' ends must not touch.
        canvas.get_layout_engine().set(w_pad=0.12)
        body = canvas.subfigures()
        axes = body.subplots(rows, columns, squeeze=False, sharey=True)
        for place, panel in enumerate(axes.flat):
            if place >= len(study.parameters):
                panel.set_visible(False)
                continue
            each = study.parameters[place]
            for steps, colour in zip(levels, colours, strict=True):
                chosen = reached[reached["steps"] == steps]
                # A value at the end of its range is to be seen whole.
                panel.scatter(
                    chosen[each.name],
                    chosen["objective"],
                    color=colour,
                    s=24,
                    zorder=2,
                    clip_on=False,
                )
            panel.scatter(
                top[each.name],
                top["objective"],
                s=110,
                facecolors="none",
                edgecolors="black",
                linewidths=1.3,
                zorder=3,
                clip_on=False,
            )
            # On the lower edge: they have no return.
            panel.plot(
                failed[each.name],
                [0.02] * len(failed),
                "x",
                color="black",
                transform=panel.get_xaxis_transform(),
            )
            panel.set_xscale("log" if each.log else "linear")
            panel.set_xlim(each.low, each.high)
            panel.xaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
            panel.set_xlabel(each.name.replace("_", " "))
            if place % columns == 0:
                panel.set_ylabel("objective")
        marks = [
            matplotlib.lines.Line2D(
                [], [], marker="o", linestyle="", color=colour, label=f"{steps:,} steps"
            )
            for steps, colour in zip(levels, colours, strict=True)
        ]
        ring = {"marker": "o", "markersize": 10, "markerfacecolor": "none"}
        marks.append(
            matplotlib.lines.Line2D(
                [], [], linestyle="", color="black", label="best", **ring
            )
        )
        if len(failed):
            marks.append(
                matplotlib.lines.Line2D(
                    [], [], marker="x", linestyle="", color="black", label="failed"
                )
            )
        body.legend(handles=marks, loc="outside upper center", ncols=len(marks))
        unfinished = int((frame["state"] == "running").sum())
        facts = [
            f"preset {study.preset.name}",
            f"{len(frame)} trials",
            "one seed each",
            *study.preset.gin_bindings,
        ]
        if unfinished:
            facts.append(f"unfinished: {unfinished} still to decide")
        characters = int(canvas.get_figwidth() * 11)
        canvas.suptitle(
            textwrap.fill(
                f"Search over Table 1's ranges: {study.agent} on {study.env}",
                characters,
            )
            + "\n"
            + textwrap.fill(", ".join(facts), characters),
            fontsize=11,
        )
        note = f"Objective: {OBJECTIVE}, at the last level that a trial has reached."
        canvas.supxlabel(
            textwrap.fill(note, int(canvas.get_figwidth() * 16)), fontsize=8
        )
