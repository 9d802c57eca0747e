"""Writes the results of a search: a table, two pictures, and the best values in gin."""

import json
import os
import pathlib
import textwrap
import warnings

import optuna
import pandas as pd

from smoothie_tf import rounding
from smoothie_tf.experiments.drawing import style
from smoothie_tf.experiments.evidence import metrics
from smoothie_tf.experiments.search import search
from smoothie_tf.runs.run import is_length
from smoothie_tf.runs.status import read_json
from smoothie_tf.training import files

OBJECTIVE = (
    "mean of the last ten evaluations, never more than half of those made (an "
    "evaluation: the mean action, without noise, over the preset's episodes)"
)
_RECORDED = "env", "num_trials", "cost", "sampler", "seed", "rungs", "reduction_factor"
_STATES = {"COMPLETE": "complete", "PRUNED": "stopped", "FAIL": "failed"}


def describe(plan: search.Search) -> str:
    """Describes the trials of a search, their steps, and the successive halving."""
    hand = min(len(plan.first), plan.num_trials)
    levels = (f"{trials} to {steps:,}" for steps, trials in plan.levels.items())
    text = (
        f"{hand} trials by hand, {plan.num_trials - hand} by {plan.sampler} sampling: "
    )
    text += f"{', the best '.join(levels)} environment steps, {plan.cost:,} in all."
    if plan.rungs:
        text += (
            f" Rungs compare means of the last {search.RUNG_EVALUATIONS} evaluations "
            "(at most half of those made). What learns late is stopped early, unlike "
            "in the paper's search."
        )
    return text


def difference(plan: search.Search, home: pathlib.Path) -> str:
    """Compares a search with the finished one whose results are there.

    Args:
        plan: The search.
        home: Path of the results, without suffixes.

    Returns:
        What differs, such as "num_trials 3, not 5"; empty if nothing does, or there are
        no results of a finished search.
    """
    record = read_json(f"{home}.json")
    if record.get("best_trial") is None:
        return ""
    for key, value in _recorded(plan).items():
        value = list(value) if isinstance(value, tuple) else value
        if record.get(key, value) != value:
            return f"{key} {record[key]!r}, not {value!r}"
    return ""


def _recorded(plan):
    return {
        "num_steps": plan.preset.num_steps,
        **{key: getattr(plan, key) for key in _RECORDED},
    }


def number_failed(study: search.Study) -> int:
    """Returns the number of trials whose runs failed."""
    return sum(each.state is search.State.FAIL for each in study.trials)


def write(study: search.Study, home: pathlib.Path, command: str) -> str:
    """Writes the table, pictures, record and best values of a study.

    Args:
        study: The study.
        home: Path of the files to write, without suffixes.
        command: The command that made the study.

    Returns:
        The text of the gin file with the best values; empty while no trial is complete.
    """
    plan, rows = study.search, []
    runs = [plan.run(each.number, each.params) for each in study.trials]
    for trial, run in zip(study.trials, runs, strict=True):
        run_record = read_json(run.directory / "run.json")
        at = {steps: search.objective(trial, steps) for steps in plan.levels}
        steps = max((key for key in at if at[key] is not None), default=0)
        rows.append(
            {
                "trial": trial.number,
                "state": _STATES.get(trial.state.name, "running"),
                "seed": run.seed,
                "steps": steps,
                "objective": at.get(steps),
                **trial.params,
                **{f"objective_at_{key}": value for key, value in at.items()},
                "commit": " ".join(metrics.commits(run_record)) if run_record else None,
                "wall_seconds": run_record.get("wall_seconds"),
                "run_dir": os.path.relpath(run.directory, plan.root),
                "reason": trial.user_attrs.get("reason", ""),
            }
        )
    record = {
        "study": plan.name,
        "agent": plan.arm.variant,
        "preset": plan.preset.label,
        **_recorded(plan),
        "objective": OBJECTIVE,
        "best_trial": study.best and study.best.number,
        "command": command,
        "runs": metrics.provenance(runs),
    }
    text = _gin_text(study, command) if study.best else ""
    home.parent.mkdir(parents=True, exist_ok=True)
    # Several processes may write the results of a study that they share.
    with files.replacing(home.parent) as folder:
        aside = folder / home.name
        pd.DataFrame(rows).to_csv(f"{aside}.csv", index=False)
        if any(each.value is not None for each in study.asked.trials):
            _draw(study, aside)
        described = json.dumps(record, indent=1) + "\n"
        pathlib.Path(f"{aside}.json").write_text(described, encoding="utf-8")
        if text:
            write_gin(pathlib.Path(f"{aside}.gin"), text)
    return text


def write_gin(path: pathlib.Path, text: str) -> None:
    """Writes a gin file, whose command may have a path that is not UTF-8."""
    path.write_text(text, encoding="utf-8", errors="surrogateescape")


def _gin_text(study, command):
    """Returns the text of a gin file with the best values and their provenance."""
    plan, best = study.search, study.best
    run = plan.run(best.number, best.params)
    (value,) = rounding.beside(best.value, least=1)
    commits = metrics.commits(read_json(run.directory / "run.json"))
    failed = number_failed(study)
    failed = f", of which {failed} failed" if failed else ""
    header = (
        f"{plan.arm.variant} on {plan.env}: the best of {plan.num_trials} trials of "
        f"the study {plan.name}{failed}. Written by the search, not by hand.",
        f"Preset {plan.preset.name}. {describe(plan)}",
        f"Objective: {value} in trial {best.number} at {run.num_steps:,} "
        f"steps, {OBJECTIVE}. One run, seed {run.seed}; as the best of many it "
        "is biased upwards. The figures' seeds are others.",
        f"Commit of the run: {', then '.join(commits)}.",
    )
    wrapped = (textwrap.wrap(each, 86, break_on_hyphens=False) for each in header)
    text = "".join(f"# {line}\n" for lines in wrapped for line in lines)
    text += f"# Command: {command}\n\n"
    for name, each in plan.ranges.items():
        text += f"# {name} in [{each.low:g}, {each.high:g}].\n"
        text += f"{plan.bindings[name]} = {best.params[name]!r}\n"
    # The length of a trial is not among the values found.
    bound = (each for each in plan.fixed if not is_length(each))
    return text + "".join(f"# Bound in all trials.\n{each}\n" for each in bound)


def _draw(study, home):
    """Draws learning curves, and the first level's objective over each value."""
    import matplotlib.style
    from matplotlib import pyplot, ticker
    from optuna.visualization import matplotlib as pictures

    plan, names = study.search, list(study.search.ranges)
    title = f"{plan.arm.variant} on {plan.env}: {plan.num_trials} trials, one seed each"
    title += f"\npreset {', '.join((plan.preset.name, *plan.preset.gin_bindings))}"
    what = f"objective at {next(iter(plan.levels)):,} steps"
    curves = optuna.create_study(direction="maximize")
    curves.add_trials(study.trials)
    # Optuna changes Matplotlib's global style; the context restores it.
    with matplotlib.style.context("default"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        axes = pictures.plot_intermediate_values(curves)
        axes.set(xlabel="environment steps", ylabel="evaluation return", title=title)
        panels = pictures.plot_slice(study.asked, names, target_name=what)
        for panel in panels:
            panel.xaxis.set_minor_formatter(ticker.NullFormatter())
            low, high = panel.get_xlim()
            if high < 20 * low:  # Too narrow for two powers of ten.
                ticks = (
                    float(f"{i}e{power}") for power in range(-7, 1) for i in (1, 3)
                )
                panel.set_xticks([each for each in ticks if low <= each <= high])
                panel.xaxis.set_major_formatter(ticker.LogFormatterSciNotation())
            panel.set_xlabel(panel.get_xlabel().replace("_", " "))
        panels[0].figure.suptitle(title)
        for figure, end in ((axes.figure, "_returns.png"), (panels[0].figure, ".png")):
            figure.savefig(f"{home}{end}", dpi=style.DOTS_PER_INCH, bbox_inches="tight")
            pyplot.close(figure)
