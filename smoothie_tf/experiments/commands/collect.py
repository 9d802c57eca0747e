"""Copies the report's input from run directories to results/.

Each run's `metrics.csv`, `run.json` and `operative_config.gin` go to

    <results_dir>/runs/<preset>/<environment>/<variant>/seed<seed>/

which has the layout of the runs. Files are copied byte for byte, except that `run.json`
loses the machine's path to the runs.
"""

import json
import pathlib
import shlex
import sys
from collections.abc import Sequence

from smoothie_tf.command_line import DONE, FAILED, Parser
from smoothie_tf.experiments.evidence import metrics
from smoothie_tf.runs.status import read_json

_COPIED = ("metrics.csv", "operative_config.gin")


def collect(
    runs_dir: pathlib.Path, results_dir: pathlib.Path, presets: Sequence[str]
) -> list[pathlib.Path]:
    """Copies the records of runs that have been evaluated at least once.

    Args:
        runs_dir: Where runs are.
        results_dir: Where records go.
        presets: Names of the directories below `runs_dir` that are wanted.

    Returns:
        The runs' directories. Trials of searches are left out: their records are the
        tables of the search.

    Raises:
        metrics.DamagedRunError: If a run's metrics or record is damaged.
    """
    collected = []
    for preset in presets:
        for source in sorted((runs_dir / preset).glob("*/*/seed*")):
            # A copy of a run beside it, such as "seed0-old", is not a run of the grid.
            if not source.name.removeprefix("seed").isdigit():
                continue
            if (source.parent / "study.journal").exists():
                continue
            if not (source / "metrics.csv").exists():
                continue
            if metrics.read_metrics(source / "metrics.csv").empty:
                continue
            record = read_json(source / "run.json")
            if not record:
                raise metrics.DamagedRunError(f"{source / 'run.json'} is damaged.")
            target = results_dir / "runs" / source.relative_to(runs_dir)
            target.mkdir(parents=True, exist_ok=True)
            for name in _COPIED:
                if (source / name).exists():
                    (target / name).write_bytes((source / name).read_bytes())
            home = pathlib.Path("runs") / source.relative_to(runs_dir)
            record["command"] = _elsewhere(record.get("command", ""), home)
            text = json.dumps(record, indent=2) + "\n"
            (target / "run.json").write_text(text, encoding="utf-8")
            collected.append(source)
    return collected


def _elsewhere(line: str, home: pathlib.Path) -> str:
    """Returns a run's command with another --run_dir."""
    words = shlex.split(line)
    for place, word in enumerate(words[:-1]):
        if word == "--run_dir":
            words[place + 1] = str(home)
    return shlex.join(words)


def collect_command(argv: Sequence[str] | None = None) -> int:
    """Collects runs' records into results/.

    Args:
        argv: Flags; `None` for those of the process.

    Returns:
        Exit status: 0 done, 1 nothing to collect or a run is damaged.
    """
    parser = Parser(
        description="Copies the metrics.csv, run.json and operative_config.gin of runs "
        "to results/runs, from which reproduce/report.py writes its report.",
    )
    parser.add_directory("--runs_dir", "runs", "where the runs are")
    parser.add_directory("--results_dir", "results", "where the records go")
    parser.add_argument(
        "--presets",
        nargs="+",
        default=["short", "paper"],
        help="which directories of runs_dir; default short paper",
    )
    flags = parser.parse_args(argv)
    try:
        collected = collect(flags.runs_dir, flags.results_dir, flags.presets)
    except metrics.DamagedRunError as error:
        print(error, file=sys.stderr)
        return FAILED
    if not collected:
        print(
            f"Nothing to collect: no run of {', '.join(flags.presets)} under "
            f"{flags.runs_dir} has been evaluated yet.",
            file=sys.stderr,
        )
        return FAILED
    print(f"{len(collected)} runs are in {flags.results_dir / 'runs'}")
    return DONE
