"""Measures the memory of a run over its steps; writes a table and a figure.

python benchmarks/memory.py --out_dir runs/memory-table --run_dir runs/memory \
    --num_steps 1000000

The run is a process of its own. Every 50,000 steps its resident memory is read. The
same command resumes a stopped run, and continues the table; memory.json beside it holds
the command, and a table of another one is refused.
"""

import json
import pathlib
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from smoothie_tf import command_line, program
from smoothie_tf.experiments.drawing import style
from smoothie_tf.runs.status import read_json

ROOT = pathlib.Path(__file__).resolve().parents[1]
_POLL_SECONDS = 0.2
# Flags that determine what the rows of a table mean. A run may become longer.
_OF_A_TABLE = "agent", "env", "run_dir", "every", "gin_bindings"


def resident_megabytes(process_id: int) -> tuple[float, float] | None:
    """Returns the memory of a process.

    Args:
      process_id: A process of this Linux machine.

    Returns:
      The current and the peak resident memory in MB; None if the process has ended.
    """
    try:
        text = pathlib.Path(f"/proc/{process_id}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    sizes = dict(line.split(":", 1) for line in text.splitlines())
    if "VmRSS" not in sizes:
        return None
    now, most = (int(sizes[key].split()[0]) * 1024 for key in ("VmRSS", "VmHWM"))
    return now / 1e6, most / 1e6


def watch(
    command: Sequence[str], run_dir: pathlib.Path, every: int, table: pathlib.Path
) -> int:
    """Runs a command, and writes a row after every `every` steps.

    Args:
      command: The command that trains the run.
      run_dir: The run's directory.
      every: The number of environment steps between rows.
      table: The CSV file to which rows are appended.

    Returns:
      The command's exit status.
    """
    if not table.exists():
        table.write_text(
            "step,resident_megabytes,peak_megabytes,seconds\n", encoding="utf-8"
        )
    last = max(pd.read_csv(table)["step"], default=-every)
    started = time.monotonic()
    process = subprocess.Popen(command)
    try:
        while process.poll() is None:
            step = int(read_json(run_dir / "progress.json").get("step") or 0)
            memory = resident_megabytes(process.pid)
            if step and step // every > last // every and memory is not None:
                last = step
                seconds = time.monotonic() - started
                with open(table, "a", encoding="utf-8") as file:
                    file.write(
                        f"{step},{memory[0]:.1f},{memory[1]:.1f},{seconds:.0f}\n"
                    )
            time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        # Ctrl-C has reached the run, too; a second signal does no harm.
        process.terminate()
    return process.wait()


def other_command(table: pathlib.Path, command: Mapping[str, Any]) -> str:
    """Returns how a table's command differs from another; empty if it does not.

    Args:
      table: The CSV file, which need not exist.
      command: The flags that the table must be of.
    """
    if not table.exists():
        return ""
    recorded = read_json(table.with_suffix(".json"))
    if not recorded:
        return f"there is no {table.with_suffix('.json').name} that says of what run"
    differing = (
        f"it is of --{flag} {recorded.get(flag)}, not {value}"
        for flag, value in command.items()
        if recorded.get(flag) != value
    )
    return next(differing, "")


def draw(table: pathlib.Path, path: pathlib.Path, title: str) -> None:
    """Plots resident memory over steps."""
    rows = pd.read_csv(table)
    with style.picture(path, figsize=(6.0, 3.4), layout="constrained") as figure:
        axes = figure.subplots()
        for column, label, line in (
            ("resident_megabytes", "resident", "o-"),
            ("peak_megabytes", "most so far", ":"),
        ):
            colour = style.SMOOTHIE
            axes.plot(rows["step"], rows[column], line, color=colour, ms=3, label=label)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlabel("environment steps")
        axes.set_ylabel("memory (MB)")
        axes.set_title(title, fontsize=10)
        axes.legend()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures a run, and plots its memory; returns the run's exit status."""
    parser = command_line.Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--out_dir", type=pathlib.Path, required=True)
    parser.add_argument("--run_dir", type=pathlib.Path, required=True)
    parser.add_argument("--agent", default="smoothie")
    parser.add_argument("--env", default="Hopper-v5")
    parser.add_argument("--num_steps", type=int, default=1_000_000)
    parser.add_argument("--every", action=command_line.AtLeast, default=50_000)
    parser.add_argument("--gin_bindings", action="append", default=[])
    flags = parser.parse_args(arguments)
    table = flags.out_dir / "memory.csv"
    described = {key: getattr(flags, key) for key in _OF_A_TABLE}
    described["run_dir"] = str(flags.run_dir)
    if other := other_command(table, described):
        parser.error(f"{table} cannot be continued: {other}; choose another --out_dir.")
    parser.make_directory("--out_dir", flags.out_dir)
    table.with_suffix(".json").write_text(
        json.dumps(described, indent=1) + "\n", encoding="utf-8"
    )
    command = [sys.executable, str(ROOT / "reproduce" / "train.py"), "--quiet"]
    command += ["--agent", flags.agent, "--env", flags.env, "--preset", "paper"]
    command += ["--num_steps", str(flags.num_steps), "--run_dir", str(flags.run_dir)]
    for binding in flags.gin_bindings:
        command += ["--gin_bindings", binding]
    status = watch(command, flags.run_dir, flags.every, table)
    title = f"{flags.agent} on {flags.env}, {flags.num_steps:,} steps"
    draw(table, flags.out_dir / "memory.png", title)
    print(f"The figure is in {flags.out_dir / 'memory.png'}, the numbers in {table}.")
    return status


if __name__ == "__main__":
    sys.exit(program.run(main))
