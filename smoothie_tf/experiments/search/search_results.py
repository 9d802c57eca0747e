"""What a search has found: a table, two pictures, and the best values as a gin file."""

import json
import os
import pathlib
import textwrap
import warnings

import pandas as pd

from smoothie_tf.experiments.drawing import style
from smoothie_tf.experiments.evidence import metrics
from smoothie_tf.experiments.search import search
from smoothie_tf.runs.status import read_json
from smoothie_tf.training import gin_directory

OBJECTIVE = (
    "mean of the last ten evaluations, never more than half of those made (an "
    "evaluation: the mean action, without noise, over the preset's episodes)"
)
_STATES = {"COMPLETE": "complete", "PRUNED": "stopped", "FAIL": "failed"}


def stem(plan: search.Search) -> str:
    """Names the files of a study."""
    return f"{gin_directory.file_name(plan.env)}_{plan.name}"


def describe(plan: search.Search) -> str:
    """Says which trials a study has, how many steps they take, and how it halves."""
    hand = min(len(plan.space.first), plan.num_trials)
    levels = (f"{trials} to {steps:,}" for steps, trials in plan.levels.items())
    text = (
        f"{hand} trials by hand, {plan.num_trials - hand} by {plan.sampler} sampling: "
    )
    text += f"{', the best '.join(levels)} environment steps, {plan.cost:,} in all"
    if not plan.rungs:
        return f"{text}. No halving: each trial gets all its steps."
    return (
        f"{text} in place of {plan.num_trials * plan.preset.num_steps:,}. Halving "
        f"compares the means of the last {search.RUNG_EVALUATIONS} evaluations. What "
        "learns late is stopped early, so this favours fast learning over the paper's "
        "search, in which every trial gets all its steps."
    )


def table(study: search.Study) -> pd.DataFrame:
    """Tabulates trials.

    Returns:
        One row a trial: trial, state, seed of its run, steps of the last level it
        has reached, objective there, its values by the paper's names, its objective
        at each level, and commit, wall_seconds, run_dir and reason of its run.
    """
    rows = []
    for trial in study.trials:
        run = study.search.run(trial)
        record = read_json(run.directory / "run.json")
        reached = {
            steps: value
            for steps in study.search.levels
            if (value := search.objective(trial, steps)) is not None
        }
        row = {
            "trial": trial.number,
            "state": _STATES.get(trial.state.name, "running"),
            "seed": run.seed,
            "steps": max(reached, default=0),
            "objective": reached[max(reached)] if reached else None,
        }
        row |= {name: search.rounded(value) for name, value in trial.params.items()}
        row |= {f"objective_at_{key}": reached.get(key) for key in study.search.levels}
        rows.append(
            row
            | {
                "commit": " ".join(metrics.commits(record)) if record else None,
                "wall_seconds": record.get("wall_seconds"),
                "run_dir": os.path.relpath(run.directory, study.search.root),
                "reason": trial.user_attrs.get("reason", ""),
            }
        )
    return pd.DataFrame(rows)


def write(study: search.Study, out_dir: pathlib.Path, command: str) -> str | None:
    """Writes table, pictures, record and best values of a study.

    Args:
        study: The study.
        out_dir: Where to; made where it does not exist.
        command: The command that has made them.

    Returns:
        The text of the gin file of the best values; `None` while no trial has come to
        its end.
    """
    plan, found = study.search, study.best()
    out_dir.mkdir(parents=True, exist_ok=True)
    home = out_dir / stem(plan)
    table(study).to_csv(f"{home}.csv", index=False)
    _draw(study, home)
    record = {
        "study": plan.name,
        "agent": plan.arm.variant,
        "env": plan.env,
        "preset": plan.preset.label,
        "num_steps": plan.preset.num_steps,
        "trials": len(study.trials),
        "sampler": plan.sampler,
        "study_seed": plan.seed,
        "rungs": plan.rungs,
        "reduction_factor": plan.reduction_factor,
        "environment_steps": plan.cost,
        "objective": OBJECTIVE,
        "best_trial": None if found is None else found.number,
        "command": command,
        "runs": metrics.provenance(plan.run(trial) for trial in study.trials),
    }
    text = json.dumps(record, indent=1) + "\n"
    pathlib.Path(f"{home}.json").write_text(text, encoding="utf-8")
    if found is None:
        return None
    text = _gin_text(study, found, command)
    pathlib.Path(f"{home}.gin").write_text(text, encoding="utf-8")
    return text


def _gin_text(study, found, command):
    """Writes the best trial as a gin file that says where it comes from."""
    plan, run = study.search, study.search.run(found)
    commits = metrics.commits(read_json(run.directory / "run.json"))
    failed = sum("reason" in trial.user_attrs for trial in study.trials)
    header = (
        f"{plan.arm.variant} on {plan.env}: the best of {plan.num_trials} trials of "
        "Table 1's search. Written by the search, not by hand.",
        f"Study {plan.name}, preset {plan.preset.name}, {failed} failed. "
        f"{describe(plan)}",
        f"Objective: {found.value:.1f} in trial {found.number} at {run.num_steps:,} "
        f"steps, {OBJECTIVE}. One run, seed {run.seed}; as the best of many it "
        "flatters. The figures' seeds are others.",
        f"Commit of the run: {', then '.join(commits)}.",
        "Figures 3 and 4 and reproduce/train.py take these values for this task.",
    )
    wrapped = (textwrap.wrap(each, 86, break_on_hyphens=False) for each in header)
    text = "".join(f"# {line}\n" for lines in wrapped for line in lines)
    # In one line however long: it is to be copied.
    text += f"# Command: {command}\n\n"
    for name, each in plan.space.distributions.items():
        sampling = "log" if each.log else "uniform"
        text += f"# {name} in [{each.low:g}, {each.high:g}], {sampling}.\n"
        text += (
            f"{plan.space.bindings[name]} = {search.rounded(found.params[name])!r}\n"
        )
    fixed = (*plan.preset.gin_bindings, *plan.arm.gin_bindings)
    return text + "".join(f"# Bound in all trials.\n{each}\n" for each in fixed)


def _draw(study, home):
    """Draws learning curves, and over each value the objective at the first level."""
    import matplotlib.style
    import matplotlib.ticker
    from optuna.visualization import matplotlib as pictures

    plan, found = study.search, study.best()
    if all(each.value is None for each in study.asked.trials):
        return
    facts = [f"preset {plan.preset.name}", *plan.preset.gin_bindings, "one seed each"]
    title = f"{plan.arm.variant} on {plan.env}, {plan.num_trials} trials\n"
    title += textwrap.fill(", ".join(facts), 80)
    # Optuna's style would stay for every picture after.
    with matplotlib.style.context("default"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        axes = pictures.plot_intermediate_values(study.copy())
        axes.set(xlabel="environment steps", ylabel="evaluation return", title=title)
        _finish(axes.figure, f"{home}_returns.png")
        steps, names = next(iter(plan.levels)), list(plan.space.distributions)
        panels = pictures.plot_slice(
            study.asked, names, target_name=f"objective at {steps:,} steps"
        )
        panels[0].figure.suptitle(title)
        for panel in panels:
            # Optuna sorts them.
            name = panel.get_xlabel()
            panel.set_xlabel(name.replace("_", " "))
            panel.xaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
            if found is not None:
                place = found.params[name], search.objective(found, steps)
                panel.plot(*place, "o", ms=13, mfc="none", mec="k", clip_on=False)
        _finish(panels[0].figure, f"{home}.png")


def _finish(figure, path):
    from matplotlib import pyplot

    figure.savefig(path, dpi=style.DOTS_PER_INCH, bbox_inches="tight")
    pyplot.close(figure)
