"""Shares runs that differ in length alone: 1,000,000 steps contain a run of 300,000.

Runs that differ in their length alone are equal, bit for bit, up to the end of the
shorter one. A longer run that has made the wanted steps, or is being trained, replaces
a shorter one; for a longer run than exists, the longest existing one is resumed. The
files in each directory decide: see `Run.directories`.

There are two exceptions. A run whose length is no multiple of the evaluation interval
is evaluated at its last step, which a longer run is not. If it is made longer, it keeps
that row, and the averages in the next row cover only what came after it.
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
    """Finds the directory that holds a run, or will hold it.

    Args:
        run: The run.

    Returns:
        The run with the first existing directory of: its own or another one that has
        made all steps of the run; one that a process is training in; the one with a
        checkpoint and the most steps; its own.
    """
    own, *others = run.directories
    there = [own, *(each for each in others if _is_the_same(run, each))]
    came_far = [each for each in there if _has_come_far(run, each)]
    at_work = [each for each in there if is_locked(each)]
    begun = [each for each in there if any((each / "checkpoints").glob("*"))]
    begun.sort(key=_step, reverse=True)
    return dataclasses.replace(run, home=(*came_far, *at_work, *begun, own)[0])


def status(run: Run) -> Status:
    """Returns a run's status, in whichever directory it is."""
    if is_done(run):
        return Status.DONE
    return current_status(locate(run).directory, run.num_steps)


def is_done(run: Run) -> bool:
    """Says whether a run has made all its steps, possibly as part of a longer run."""
    return _has_come_far(run, locate(run).directory)


def steps_done(run: Run) -> int:
    """Returns how many environment steps a run has made."""
    if is_done(run):
        return run.num_steps
    return min(_step(locate(run).directory), run.num_steps)


def _has_come_far(run: Run, directory: pathlib.Path) -> bool:
    if recorded_status(directory, run.num_steps) is Status.DONE:
        return True
    # A longer run may be in progress: its past evaluations do not change.
    longer = _number(read_json(directory / "run.json"), "num_steps") > run.num_steps
    return longer and _last_evaluation(directory) >= run.num_steps


def _is_the_same(run: Run, directory: pathlib.Path) -> bool:
    """Says whether another preset's directory holds the run, but for its length."""
    record = read_json(directory / "run.json")
    same = [record.get(key) == getattr(run, key) for key in ("agent", "env", "seed")]
    return all(same) and run_directory.same_bindings(
        record.get("gin_bindings"), list(run.gin_bindings)
    )


def _last_evaluation(directory: pathlib.Path) -> int:
    """Returns the step of the last whole line of a metrics.csv; 0 without any."""
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
