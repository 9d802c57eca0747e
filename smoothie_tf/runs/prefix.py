"""Reuses longer runs: a run of 1,000,000 steps contains one of 300,000.

Runs that differ only in length are equal, bit for bit, up to the end of the shorter
one. A longer run that has made the wanted steps, or is being trained, replaces a
shorter one. If a run is longer than all existing ones, the longest of these is resumed.
The files in each directory decide: see `Run.directories`.

A run whose length is not a multiple of the evaluation interval is evaluated at its last
step. A longer run is not evaluated at that step, and so does not replace it. If the run
is extended, it keeps this row of metrics.csv, and the averages in the next row cover
only the steps after it.
"""

import dataclasses
import pathlib
import re

from smoothie_tf.runs.run import Run, is_length
from smoothie_tf.runs.status import (
    Status,
    current_status,
    is_locked,
    read_json,
    recorded_status,
)
from smoothie_tf.training import files, run_directory


def locate(run: Run) -> Run:
    """Finds the existing or future directory of a run.

    Args:
        run: The run.

    Returns:
        The run with its directory, which is the first that exists of: a directory with
        all steps of the run, preferably its own; one that a process is training in; the
        one with a checkpoint and the most steps. If none exists, its own.
    """
    own, *others = (*run.directories, *_of_other_lengths(run))
    same = [own, *(each for each in others if not difference(run, each))]
    complete = [each for each in same if _has_all_steps(run, each)]
    running = [each for each in same if is_locked(each)]
    resumable = [
        each
        for each in same
        if has_checkpoints(each) and (each == own or _step(each) <= run.num_steps)
    ]
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


def has_checkpoints(directory: pathlib.Path) -> bool:
    """Says whether a directory holds checkpoints of a run, valid or not."""
    return bool(files.checkpoints(directory / "checkpoints"))


def difference(run: Run, directory: pathlib.Path) -> str:
    """Compares a run with the one that a directory holds, but for the length.

    Args:
        run: The run.
        directory: A directory; it need not exist.

    Returns:
        What differs, such as "env 'Ant-v5', not 'Hopper-v5'"; empty if nothing does.
    """
    record = read_json(directory / "run.json")
    for key in ("agent", "env", "seed"):
        if record.get(key) != getattr(run, key):
            return f"{key} {record.get(key)!r}, not {getattr(run, key)!r}"
    # If it binds tuned values itself, a run that reads them from gin/tuned is the same:
    # the name of the directory has their digest.
    if run.tuned and run.untuned:
        return ""
    before, now = record.get("gin_bindings"), list(run.gin_bindings)
    if not run_directory.same_bindings(before, now):
        return f"gin_bindings {before!r}, not {now!r}"
    return ""


def _of_other_lengths(run: Run) -> list[pathlib.Path]:
    """Returns directories of runs whose length another command has bound.

    Of `short+train.num_steps=300`, for example, `short+train.num_steps=200`.
    """
    preset, found = run.preset, []
    if not any(map(is_length, preset.gin_bindings)):
        return []
    below = run.directories[0].relative_to(run.root / preset.label)
    for each in sorted(run.root.glob(f"{preset.name}+train.num_steps=*")):
        length = re.match(r"\d+", each.name.partition("=")[2])
        bindings = tuple(
            f"train.num_steps={length[0]}" if length and is_length(binding) else binding
            for binding in preset.gin_bindings
        )
        if dataclasses.replace(preset, gin_bindings=bindings).label == each.name:
            found.append(each / below)
    return found


def _has_all_steps(run: Run, directory: pathlib.Path) -> bool:
    if _number(read_json(directory / "run.json"), "num_steps") <= run.num_steps:
        return recorded_status(directory, run.num_steps) is Status.DONE
    # A longer run may be in progress: its earlier evaluations do not change.
    return run_directory.is_evaluated(directory, run.num_steps)


def _step(directory: pathlib.Path) -> int:
    return _number(read_json(directory / "progress.json"), "step")


def _number(record: dict, key: str) -> int:
    value = record.get(key)
    return value if isinstance(value, int) else 0
