"""Reuses longer runs: a run of 1,000,000 steps contains one of 300,000.

Runs that differ only in length are equal, bit for bit, up to the end of the shorter
one. A longer run that has made the wanted steps, or is being trained, replaces a
shorter one. If a run is longer than all existing ones, the longest of these is resumed.
The files in each directory decide: see `Run.directories`.

There is one exception. A run whose length is not a multiple of the evaluation interval
is evaluated at its last step; a longer run is not evaluated at that step. If the run is
extended, it keeps this row of metrics.csv, and the averages in the next row cover only
the steps after it.
"""

import dataclasses
import os
import pathlib

from smoothie_tf.runs.run import Run
from smoothie_tf.runs.status import (
    Status,
    current_status,
    is_locked,
    read_json,
    recorded_status,
)
from smoothie_tf.training import run_directory


def locate(run: Run) -> Run:
    """Finds the existing or future directory of a run.

    Args:
        run: The run.

    Returns:
        The run with its directory, which is the first that exists of: a directory with
        all steps of the run, preferably its own; one that a process is training in; the
        one with a checkpoint and the most steps. If none exists, its own.
    """
    own, *others = run.directories
    same = [own, *(each for each in others if _holds_same_run(run, each))]
    complete = [each for each in same if _has_all_steps(run, each)]
    running = [each for each in same if is_locked(each)]
    resumable = [each for each in same if any((each / "checkpoints").glob("*"))]
    resumable.sort(key=_step, reverse=True)
    return dataclasses.replace(run, home=(*complete, *running, *resumable, own)[0])


def status(run: Run) -> Status:
    """Returns a run's status, in whichever directory it is."""
    if is_done(run):
        return Status.DONE
    return current_status(locate(run).directory, run.num_steps)


def is_done(run: Run) -> bool:
    """Says whether a run has made all its steps, possibly as part of a longer run."""
    return _has_all_steps(run, locate(run).directory)


def steps_done(run: Run) -> int:
    """Returns how many environment steps a run has made."""
    if is_done(run):
        return run.num_steps
    return min(_step(locate(run).directory), run.num_steps)


def _has_all_steps(run: Run, directory: pathlib.Path) -> bool:
    if recorded_status(directory, run.num_steps) is Status.DONE:
        return True
    # A longer run may be in progress: its earlier evaluations do not change.
    longer = _number(read_json(directory / "run.json"), "num_steps") > run.num_steps
    return longer and _last_evaluation(directory) >= run.num_steps


def _holds_same_run(run: Run, directory: pathlib.Path) -> bool:
    """Says whether a directory holds the run, possibly with another length."""
    record = read_json(directory / "run.json")
    same = [record.get(key) == getattr(run, key) for key in ("agent", "env", "seed")]
    return all(same) and run_directory.same_bindings(
        record.get("gin_bindings"), list(run.gin_bindings)
    )


def _last_evaluation(directory: pathlib.Path) -> int:
    """Returns the step of the last complete line of metrics.csv; 0 if there is none."""
    try:
        with open(directory / "metrics.csv", "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
            *_, line, _ = file.read().split(b"\n")
    except (OSError, ValueError):
        return 0
    step = line.split(b",")[0]
    return int(step) if step.isdigit() else 0


def _step(directory: pathlib.Path) -> int:
    return _number(read_json(directory / "progress.json"), "step")


def _number(record: dict, key: str) -> int:
    value = record.get(key)
    return value if isinstance(value, int) else 0
