"""The README.md of a comparison: its arms and their results."""

import pathlib
import sys
from collections.abc import Sequence

from smoothie_tf.environments import task_names
from smoothie_tf.experiments.evidence import evidence, metrics, statistics, writing
from smoothie_tf.experiments.figures.grids import Figure
from smoothie_tf.experiments.report import tables
from smoothie_tf.runs import prefix
from smoothie_tf.runs.run import Run
from smoothie_tf.runs.status import read_json
from smoothie_tf.training import files, gin_text, renamed_bindings

# Arms on tasks that are listed with the seeds that are missing.
_MOST_NAMED = 6


def write(
    figure: Figure, runs: Sequence[Run], out_dir: pathlib.Path, command: str
) -> pathlib.Path:
    """Writes README.md beside a comparison's pictures and tables.

    Args:
        figure: The comparison; differences are from its first arm.
        runs: All runs of the grid.
        out_dir: Directory of `<figure>_runs.csv` and its pictures.
        command: The command that reproduces all of it.

    Returns:
        The path of README.md.
    """
    path = out_dir / f"{figure.name}_runs.csv"
    baseline, edited = figure.arms[0], _of_edited_tasks(runs)
    lines = [
        f"# {figure.title}: {', '.join(figure.labels.values())}\n",
        "```",
        command,
        "```\n",
        "Returns are of the policy's mean action, averaged over a run's last ten "
        "evaluations (at most half of all). ± is the standard deviation over seeds, "
        "dividing by n. Intervals are 95 %: Welch's for differences, and for "
        "probabilities a stratified bootstrap over runs, which is too narrow with few "
        "seeds.\n",
        *_arms(figure, runs),
        *_missing(figure, runs),
        *_without_effect(figure, runs),
        *edited,
        *tables.returns(path, figure, baseline.variant, picture_folder=""),
        *_improvement(figure, path),
        *_untrained(figure, path),
        f"σ over training is in [{figure.name}_stddev.png]({figure.name}_stddev.png), "
        f"every evaluation in [{path.name}]({path.name}).\n",
    ]
    for each in edited:
        print(each.replace("*", "").strip(), file=sys.stderr)
    readme = out_dir / "README.md"
    text = "\n".join(lines).rstrip() + "\n"
    files.replace(readme, text, lasts_power_cut=False)
    return readme


def _arms(figure, runs):
    tuned = any(run.tuned for run in runs)
    values = "those that searches found" if tuned else "those of the agents' gin files"
    rows = [
        [
            arm.label,
            arm.agent,
            "; ".join([*_chosen(arm), *arm.gin_bindings]) or "–",
            f"`{arm.variant}`",
        ]
        for arm in figure.arms
    ]
    recommended = sorted({run.agent for run in runs if run.recommended})
    if recommended and not any(map(_chosen, figure.arms)):
        values += f"; {', '.join(recommended)} uses the recommended ones"
    shared = runs[0].preset.gin_bindings
    of_all = ""
    if shared:
        of_all = f". All arms also bind, where not in the table, {'; '.join(shared)}"
    return [
        tables.table(["arm", "agent", "bindings", "variant in CSV files"], rows),
        f"Other values are {values}{of_all}.\n",
    ]


def _chosen(arm):
    return [f"{arm.values} values"] if arm.values else []


def _missing(figure, runs):
    """Says which runs no table of returns counts: those that failed or go on."""
    missing = [run for run in runs if not prefix.is_done(run)]
    if not missing:
        return []
    seeds: dict[str, list[str]] = {}
    for run in missing:
        arm = f"{figure.labels[run.variant]} on {run.env}"
        seeds.setdefault(arm, []).append(str(run.seed))
    named = [
        f"{arm}, seed{'s' * (len(each) > 1)} {', '.join(each)}"
        for arm, each in seeds.items()
    ]
    if len(named) > _MOST_NAMED:
        named[_MOST_NAMED:] = [f"and {len(named) - _MOST_NAMED} more arms and tasks"]
    return [
        f"**Not done: {len(missing)} of {len(runs)} runs** ({'; '.join(named)}). "
        "Returns and n below are those of the others.\n"
    ]


def _without_effect(figure, runs):
    """Names the bindings that none of their runs has read."""
    of = [(arm.label, arm.gin_bindings, {arm.variant}) for arm in figure.arms]
    of += [("all arms", runs[0].preset.gin_bindings, {*figure.labels})]
    unread = []
    for label, bindings, variants in of:
        records = _records(run for run in runs if run.variant in variants)
        for binding in bindings if records else ():
            names = gin_text.bound_values(renamed_bindings.renamed(binding)).keys()
            if all(names <= {*each.get("without_effect", ())} for each in records):
                unread.append(f"{binding} ({label})")
    if not unread:
        return []
    return [f"**Without effect: {', '.join(unread)}.** No run reads it.\n"]


def _of_edited_tasks(runs):
    """Names the tasks whose code has changed since some of their runs."""
    lines = []
    for env in dict.fromkeys(run.env for run in runs):
        now = task_names.code(env).items()
        records = _records(run for run in runs if run.env == env)
        edited = 0
        for record in records:
            parts = record, *record.get("earlier", ())
            made_with = [part.get("versions") or {} for part in parts]
            edited += any(
                each.get(name, digest) != digest
                for each in made_with
                for name, digest in now
            )
        if edited:
            lines.append(
                f"**{env} has been edited since {edited} of its {len(records)} runs "
                "were trained.** Their returns are of the earlier code.\n"
            )
    return lines


def _records(runs):
    """Returns the run.json of each run that has one."""
    records = (read_json(prefix.locate(run).directory / "run.json") for run in runs)
    return [each for each in records if each]


def _untrained(figure, path):
    """Names the arms that have not been trained."""
    runs = metrics.read_table(path)
    trained = runs["actor_loss"].notna().groupby(runs["variant"]).any()
    names = [arm.label for arm in figure.arms if not trained.get(arm.variant, True)]
    if not names:
        return []
    return [
        f"**Not trained: {', '.join(names)}.** The runs have fewer environment steps "
        "than `train.initial_collect_steps`.\n"
    ]


def _improvement(figure, path):
    """Tabulates how probably a run of each arm beats one of the first, by task."""
    finals = metrics.by_run(metrics.read_table(path))
    rows = []
    for env in dict.fromkeys(finals["env"]):
        of_env = finals[finals["env"] == env]
        first, *others = (
            of_env.loc[of_env["variant"] == arm.variant, "evaluation_return"].to_numpy()
            for arm in figure.arms
        )
        for arm, returns in zip(figure.arms[1:], others, strict=True):
            if min(len(first), len(returns)) < evidence.LEAST_SEEDS:
                continue
            estimate = statistics.probability_of_improvement([returns], [first])
            rows.append([env, arm.label, writing.interval(estimate, 2)])
    if not rows:
        return []
    head = [
        "task",
        "arm",
        f"probability that a run beats one of {figure.arms[0].label}",
    ]
    return [tables.table(head, rows)]
