"""A run of 1,000,000 steps is also a run of 300,000: nothing is trained twice.

Runs that differ in their length alone are the same, bit for bit, as far as the shorter
one goes. Where a longer one has come as far as is wanted, or somebody is at work on it,
it takes the shorter one's place, and where one is wanted longer, the longest there is
goes on. All of this is by what each directory holds: see `Run.directories`.

Two things are a run's own. One whose length is no multiple of the evaluation interval
has an evaluation of its last step, which a longer one lacks; and once made longer, it
keeps that row, and the averages in the next are of what came after it.
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
    """Finds the directory in which a run is, or is to be made.

    Args:
        run: The run that is wanted.

    Returns:
        The run, in the first that there is of: its own directory or else another's
        that has come as far as the run; one that somebody is at work on; the one that
        has come farthest, with a checkpoint to go on from; its own.
    """
    own, *others = run.directories
    there = [own, *(each for each in others if _is_the_same(run, each))]
    came_far = [each for each in there if _has_come_far(run, each)]
    at_work = [each for each in there if is_locked(each)]
    begun = [each for each in there if any((each / "checkpoints").glob("*"))]
    begun.sort(key=_step, reverse=True)
    return dataclasses.replace(run, home=(*came_far, *at_work, *begun, own)[0])


def status(run: Run) -> Status:
    """Says how far a run is, wherever it is, and whether somebody is at work on it."""
    if is_done(run):
        return Status.DONE
    return current_status(locate(run).directory, run.num_steps)


def is_done(run: Run) -> bool:
    """Says whether a run has made all its steps, be it as part of a longer one."""
    return _has_come_far(run, locate(run).directory)


def steps_done(run: Run) -> int:
    """Returns how many environment steps of a run are behind it."""
    if is_done(run):
        return run.num_steps
    return min(_step(locate(run).directory), run.num_steps)


def _has_come_far(run: Run, directory: pathlib.Path) -> bool:
    if recorded_status(directory, run.num_steps) is Status.DONE:
        return True
    # A longer one, which may be in progress: of what it has evaluated, nothing changes.
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
