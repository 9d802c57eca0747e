"""Measures the memory of a run over its steps; writes a table and a figure.

python benchmarks/memory.py --out_dir results/memory --run_dir runs/memory \
    --num_steps 1000000

The run is a process of its own. Every 50,000 steps its resident memory is read. The
same command resumes a stopped run, and continues the table.
"""

import csv
import pathlib
import subprocess
import sys
import time
from collections.abc import Sequence

from smoothie_tf import command_line, program
from smoothie_tf.experiments.drawing import style
from smoothie_tf.runs.status import read_json

ROOT = pathlib.Path(__file__).resolve().parents[1]
_POLL_SECONDS = 0.2


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
    last = max((int(row["step"]) for row in rows(table)), default=-every)
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


def rows(table: pathlib.Path) -> list[dict[str, str]]:
    """Returns the rows of a table."""
    with open(table, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def draw(table: pathlib.Path, path: pathlib.Path, title: str) -> None:
    """Plots resident memory over steps."""
    found = rows(table)
    steps = [int(row["step"]) for row in found]
    with style.picture(path, figsize=(6.0, 3.4), layout="constrained") as figure:
        axes = figure.subplots()
        for column, label, line in (
            ("resident_megabytes", "resident", "o-"),
            ("peak_megabytes", "most so far", ":"),
        ):
            values = [float(row[column]) for row in found]
            axes.plot(steps, values, line, color=style.SMOOTHIE, ms=3, label=label)
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
    parser.add_argument("--every", type=int, default=50_000)
    parser.add_argument("--gin_bindings", action="append", default=[])
    flags = parser.parse_args(arguments)
    flags.out_dir.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(ROOT / "reproduce" / "train.py"), "--quiet"]
    command += ["--agent", flags.agent, "--env", flags.env, "--preset", "paper"]
    command += ["--num_steps", str(flags.num_steps), "--run_dir", str(flags.run_dir)]
    for binding in flags.gin_bindings:
        command += ["--gin_bindings", binding]
    table = flags.out_dir / "memory.csv"
    status = watch(command, flags.run_dir, flags.every, table)
    title = f"{flags.agent} on {flags.env}, {flags.num_steps:,} steps"
    draw(table, flags.out_dir / "memory.png", title)
    print(f"The figure is in {flags.out_dir / 'memory.png'}, the numbers in {table}.")
    return status


if __name__ == "__main__":
    sys.exit(program.run(main))
