"""Draws how much memory a real run holds, step by step.

    python benchmarks/memory.py --run_dir runs/memory --num_steps 1000000

The same command again goes on where the run stopped; each process has a line of its
own in the picture, for a new one begins with other memory than the one before had.
Replay is written as the run goes and so is its share of memory: the second line leaves
it out, and has to be flat.
"""

import argparse
import csv
import io
import os
import pathlib
import shlex
import sys
from collections.abc import Sequence

from smoothie_tf import quiet
from smoothie_tf.training import files, huge_pages

_MIB = 2**20
COLUMNS = ("step", "process", "resident_mib", "replay_mib")


class Watch:
    """Notes the resident memory of this process while it trains."""

    def __init__(self, path: pathlib.Path, every: int):
        """Goes on with a file, or begins one.

        Args:
          path: CSV file, columns `COLUMNS`.
          every: Environment steps between rows.
        """
        self._path = path
        self._every = every
        self._rows = list(read(path)) if path.exists() else []
        self._process = 1 + max((row["process"] for row in self._rows), default=0)
        self._begun = False

    def __call__(self, trainer) -> None:
        """Notes a row when one is due; told of every step."""
        if not self._begun:
            # What came after the checkpoint that the run goes on from, comes again.
            self._rows = [row for row in self._rows if row["step"] < trainer.step]
            self._begun = True
        if trainer.step % self._every == 0:
            replay = trainer.replay
            rows = min(replay.total_rows, replay.capacity)
            self._rows.append(
                {
                    "step": trainer.step,
                    "process": self._process,
                    "resident_mib": round(resident() / _MIB, 2),
                    "replay_mib": round(rows * replay.row_size * 4 / _MIB, 2),
                }
            )
            text = io.StringIO()
            writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self._rows)
            files.replace(self._path, text.getvalue())


def resident() -> int:
    """Returns the bytes of memory that this process holds now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def read(path: pathlib.Path) -> list[dict[str, float]]:
    """Reads what a watch has written.

    Args:
      path: The file.

    Returns:
      A dictionary of numbers a row, by `COLUMNS`.
    """
    import pandas as pd

    return pd.read_csv(path).to_dict("records")


def draw(rows: Sequence[dict[str, float]], title: str, path: pathlib.Path) -> None:
    """Draws resident memory over steps, with replay and without it.

    Args:
      rows: As `read` returns them.
      title: What was run.
      path: PNG file.
    """
    import matplotlib.pyplot as plt

    from smoothie_tf.experiments import style

    with plt.rc_context(style.STYLE):
        figure, axes = plt.subplots(figsize=(5.2, 3.0), layout="constrained")
        for process in sorted({row["process"] for row in rows}):
            own = [row for row in rows if row["process"] == process]
            steps = [row["step"] for row in own]
            whole = [row["resident_mib"] for row in own]
            rest = [row["resident_mib"] - row["replay_mib"] for row in own]
            first = process == min(row["process"] for row in rows)
            for values, color, label in (
                (whole, style.DDPG, "resident memory"),
                (rest, style.SMOOTHIE, "without the rows of replay"),
            ):
                marks = {"marker": "o", "markersize": 3}
                axes.plot(
                    steps, values, color=color, label=label if first else None, **marks
                )
        axes.set(title=title, xlabel="environment steps", ylabel="MiB")
        axes.set_ylim(0, 1.15 * max(row["resident_mib"] for row in rows))
        axes.legend(loc="lower right")
        figure.savefig(path)
        plt.close(figure)


def slope(rows: Sequence[dict[str, float]]) -> float:
    """Returns how much memory but replay's grows, in MiB a million steps.

    Args:
      rows: As `read` returns them; of the last process, without the first quarter,
        in which tables and caches fill.

    Returns:
      Slope of the least-squares line; nan below three rows.
    """
    import numpy as np

    last = [row for row in rows if row["process"] == rows[-1]["process"]]
    last = last[len(last) // 4 :]
    if len(last) < 3:
        return float("nan")
    steps = [row["step"] / 1e6 for row in last]
    return float(
        np.polyfit(steps, [r["resident_mib"] - r["replay_mib"] for r in last], 1)[0]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs, notes and draws; the exit statuses are those of reproduce/train.py."""
    as_program = arguments is None
    arguments = sys.argv[1:] if as_program else list(arguments)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agent", default="smoothie")
    parser.add_argument("--env", default="Hopper-v5")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num_steps", type=int, default=1_000_000)
    parser.add_argument("--every", type=int, default=50_000, help="steps between rows")
    parser.add_argument("--run_dir", type=pathlib.Path, required=True)
    parser.add_argument("--gin_bindings", action="append", default=[])
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    flags = parser.parse_args(arguments)
    if flags.every < 1:
        parser.error(f"--every must be at least 1, but is {flags.every}")
    if as_program:
        # As a run is started by reproduce/train.py.
        huge_pages.restart()
    quiet.silence_imports()
    import tensorflow as tf

    from smoothie_tf.training import config, train

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    bindings = [*flags.gin_bindings, f"train.num_steps={flags.num_steps}"]
    table = flags.run_dir / "memory.csv"
    try:
        config.parse(flags.agent, flags.env, "paper", bindings=bindings)
        train.run(
            flags.agent,
            flags.env,
            flags.seed,
            flags.run_dir,
            command=shlex.join(["python", "benchmarks/memory.py", *arguments]),
            gin_bindings=tuple(flags.gin_bindings),
            quiet=flags.quiet,
            on_step=Watch(table, flags.every),
        )
    except train.Interrupted:
        print("Stopped; the same command goes on from there.", file=sys.stderr)
        return 130
    except ValueError as error:
        print(f"memory.py: {error}", file=sys.stderr)
        return 2
    if not table.exists():
        print(f"memory.py: {flags.run_dir} has no memory.csv.", file=sys.stderr)
        return 2
    rows = read(table)
    picture = flags.run_dir / "memory.png"
    draw(rows, f"{flags.agent} on {flags.env}, seed {flags.seed}", picture)
    print(
        f"{rows[-1]['resident_mib']:.0f} MiB after {rows[-1]['step']:,.0f} steps,"
        f" {rows[-1]['replay_mib']:.0f} MiB of it replay; the rest grows by"
        f" {slope(rows):.1f} MiB a million steps. {table} and {picture}."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
