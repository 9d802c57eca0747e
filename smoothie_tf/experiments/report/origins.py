"""The report's sections on the origin of its numbers: searches, commits, versions."""

import pathlib

from smoothie_tf import rounding
from smoothie_tf.experiments.evidence import evidence, metrics
from smoothie_tf.experiments.figures.continuous_control import FIGURE_3
from smoothie_tf.experiments.report import tables
from smoothie_tf.training import gin_directory

# The study of each agent on each task that figures 3 and 4 are to take values from.
# HalfCheetah's had two further trials, which TPE proposed; neither was any good.
_SPACE = "first_block"
_SEARCH = f"--space {_SPACE} --num_trials 8 --reduction_factor 4 --seed 2000"
_SEARCHED = ("HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Swimmer-v5")
# What the report reads from a search's record, and from its table.
_RECORDED = ("study", "env", "agent", "command")
_TABULATED = ("trial", "state", "objective")


def searches(found: evidence.Evidence) -> list[str]:
    """Writes the searches, and the hyperparameters that each task trains with.

    Args:
        found: The results.

    Raises:
        metrics.DamagedRunError: If a search's record or table cannot be read.
    """
    parts = ["## Hyperparameters\n"]
    rows, done = [], set()
    for path in sorted(found.directory.glob("table1-*/*.json")):
        record = metrics.read_record(path, _RECORDED)
        table = path.with_suffix(".csv")
        if not table.is_file():
            continue
        trials = metrics.read_table(table, columns=_TABULATED)
        best = trials[trials["trial"] == record.get("best_trial")]
        if len(best) and f"-{_SPACE}-" in record["study"]:
            done.add((record["env"], record["agent"]))
        value = "not yet run"
        if len(best):
            objective = best["objective"].iloc[0]
            value = f"{objective:,.{rounding.decimals(objective)}f}"
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
            "Best: the objective of the chosen trial, on the trial's seed. As the best "
            "of many trials it is optimistic.\n"
        )
    missing = [
        f"python reproduce/table1.py --agent {agent} --env {env} {_SEARCH}"
        for env in _SEARCHED
        for agent in ("smoothie", "ddpg")
        if (env, agent) not in done
    ]
    if missing:
        parts += [tables.not_yet(*missing)]
    rows = []
    for env in FIGURE_3.envs:
        cells = [env]
        for agent in ("smoothie", "ddpg"):
            tuned = gin_directory.find_tuned(agent, env)
            if tuned is None:
                origin = f"`gin/agents/{agent}.gin`, not searched on this task"
            elif tuned.stem == gin_directory.file_name(env):
                origin = f"`gin/tuned/{agent}/{tuned.name}`: {_origin(tuned)}"
            else:
                origin = f"{tuned.stem}'s: not searched on this task"
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


def provenance(found: evidence.Evidence) -> list[str]:
    """Writes the commits and package versions of the runs."""
    parts = ["## Where the numbers come from\n"]
    rows, versions = [], set[str]()
    of = {preset.name: found.runs(preset.name) for preset in found.presets}
    svg = {run.directory: run for run in (*found.svg_tasks.runs, *found.svg.runs)}
    for name, runs in (of | {evidence.SVG_PRESET: svg.values()}).items():
        records = metrics.provenance(runs)
        made: dict[tuple[str, ...], list] = {}
        for record in records:
            made.setdefault(tuple(metrics.commits(record)), []).append(record)
        for commits, of_commit in sorted(made.items(), key=lambda each: each[0]):
            versions.update(map(_versions, of_commit))
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
                ]
            )
    if rows:
        parts.append(f"Versions: {'; or '.join(sorted(versions))}.\n")
        head = ["preset", "commit", "finished runs", "hours"]
        parts.append(tables.table(head, rows))
    else:
        parts.append("No run has been collected yet.\n")
    if other := found.other_values():
        parts.append(
            f"{other} collected runs are left out: they are of other comparisons, or "
            "their hyperparameters differ from those that are in `gin/` now.\n"
        )
    parts.append(
        "`runs/` has the files that each run wrote: `metrics.csv` (one row per "
        "evaluation), `run.json` and `operative_config.gin`. Figures 1 and 2 are in "
        "[`figure1/`](figure1) and [`figure2/`](figure2).\n"
    )
    return parts


def _versions(record: dict) -> str:
    """Writes the versions of packages that a run was made with."""
    versions = sorted(record.get("versions", {}).items())
    return ", ".join(f"{name} {version}" for name, version in versions)
