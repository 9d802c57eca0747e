"""Copies the files that the report reads from run directories to results/.

The `metrics.csv`, `run.json` and `operative_config.gin` of each run are copied to

    <results_dir>/runs/<preset>/<environment>/<variant>/seed<seed>/

with the same layout as the runs. The copies are exact, except that the command in
`run.json` has a relative `--run_dir`, without the path of this machine.
"""

import json
import pathlib
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from smoothie_tf.command_line import DONE, FAILED, Parser, reporting
from smoothie_tf.experiments.evidence import metrics
from smoothie_tf.training import files

_COPIED = ("metrics.csv", "operative_config.gin")


def collect(
    runs_dir: pathlib.Path, results_dir: pathlib.Path, presets: Sequence[str]
) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    """Copies the records of runs that have been evaluated at least once.

    A record that is there already is never replaced by one with fewer evaluations, such
    as that of a run that was begun again.

    Args:
        runs_dir: Directory of the runs.
        results_dir: Directory that the records are copied to.
        presets: Names of the subdirectories of `runs_dir` to copy from.

    Returns:
        The directories of the copied runs, and of those whose longer record was kept.
        Trials of searches are skipped, because the search writes its own tables.

    Raises:
        metrics.DamagedRunError: If a run's metrics or record is damaged.
        files.StorageError: If a file could not be written; it is unchanged then.
    """
    collected, kept = [], []
    for preset in presets:
        for source in sorted((runs_dir / preset).glob("*/*/seed*")):
            # A user's copy of a run, such as "seed0-old", is not part of the grid.
            if not source.name.removeprefix("seed").isdigit():
                continue
            if (source.parent / "study.journal").exists():
                continue
            if not (source / "metrics.csv").exists():
                continue
            evaluations = len(metrics.read_metrics(source / "metrics.csv"))
            if not evaluations:
                continue
            record = metrics.read_record(source / "run.json")
            target = results_dir / "runs" / source.relative_to(runs_dir)
            there = target / "metrics.csv"
            if there.exists() and len(metrics.read_metrics(there)) > evaluations:
                kept.append(source)
                continue
            target.mkdir(parents=True, exist_ok=True)
            for name in _COPIED:
                if (source / name).exists():
                    content = (source / name).read_bytes()
                    files.replace(target / name, content, lasts_power_cut=False)
            run_dir = pathlib.Path("runs") / source.relative_to(runs_dir)
            record["command"] = _with_run_dir(record.get("command", ""), run_dir)
            text = json.dumps(record, indent=2) + "\n"
            files.replace(target / "run.json", text, lasts_power_cut=False)
            collected.append(source)
    return collected, kept


def _with_run_dir(command: Any, run_dir: pathlib.Path) -> str:
    """Returns a run's command with its --run_dir replaced; "" if it is none."""
    try:
        words = shlex.split(command)
    except (ValueError, AttributeError):  # Its record was edited by hand.
        return ""
    for place, word in enumerate(words):
        if words[max(0, place - 1)] == "--run_dir":
            words[place] = str(run_dir)
        elif word.startswith("--run_dir="):
            words[place] = f"--run_dir={run_dir}"
    return shlex.join(words)


@reporting
def collect_command(argv: Sequence[str] | None = None) -> int:
    """Copies the records of runs to results/; status 1 also if there are none."""
    parser = Parser(
        description="Copies the metrics.csv, run.json and operative_config.gin of runs "
        "to results/runs, from which reproduce/report.py writes its report.",
    )
    parser.add_directory("--runs_dir", "runs", "directory of the runs")
    parser.add_directory("--results_dir", "results", "directory of the copies")
    parser.add_argument(
        "--presets",
        nargs="+",
        default=["short", "paper"],
        help="subdirectories of runs_dir to copy from; default short paper",
    )
    flags = parser.parse_args(argv)
    collected, kept = collect(flags.runs_dir, flags.results_dir, flags.presets)
    for source in kept:
        print(
            f"{source} has fewer evaluations than its record in {flags.results_dir}, "
            "which is kept.",
            file=sys.stderr,
        )
    if not collected and not kept:
        others = sorted(each.name for each in flags.runs_dir.glob("*") if each.is_dir())
        others = [each for each in others if each not in flags.presets]
        also = f"; --presets may also name {', '.join(others)}" if others else ""
        print(
            f"Nothing to collect: no run of {', '.join(flags.presets)} under "
            f"{flags.runs_dir} has been evaluated yet{also}.",
            file=sys.stderr,
        )
        return FAILED
    print(f"{len(collected)} runs are in {flags.results_dir / 'runs'}")
    return DONE
