"""Summarizes how far a grid of runs is, and how long the rest takes."""

import collections
import pathlib
from collections.abc import Sequence

import tqdm

from smoothie_tf.runs import prefix
from smoothie_tf.runs.run import Run
from smoothie_tf.runs.status import Status, read_json
from smoothie_tf.runs.workers import usable_cores


def overview(runs: Sequence[Run], num_workers: int | None = None) -> str:
    """Summarizes a grid's progress in one line, with the remaining time if known.

    The time is computed from the mean speed of the grid's runs so far, or else from
    that of all other runs in the same directory.
    """
    runs = [prefix.locate(run) for run in runs]
    statuses = [prefix.status(run) for run in runs]
    count = collections.Counter(statuses)
    parts = [f"{count[Status.DONE]} of {len(runs)} runs done"]
    for status, word in (
        (Status.RUNNING, "running elsewhere"),
        (Status.RESUMABLE, "to resume"),
        (Status.FAILED, "failed, to try again"),
        (Status.MISSING, "to start"),
    ):
        if count[status]:
            parts.append(f"{count[status]} {word}")
    speeds = [speed for run in runs if (speed := steps_per_second(run.directory))]
    if not speeds:
        others = [path.parent for path in runs[0].root.glob("*/*/*/seed*/run.json")]
        speeds = [speed for each in others if (speed := steps_per_second(each))]
    steps_left = sum(run.num_steps - prefix.steps_done(run) for run in runs)
    if speeds and steps_left:
        parts.append(f"about {time_left(steps_left, speeds, num_workers)} left")
    return ", ".join(parts)


def time_left(
    steps: int, speeds: Sequence[float], num_workers: int | None = None
) -> str:
    """Estimates the time that a number of environment steps takes.

    Args:
        steps: Environment steps, of all runs together.
        speeds: Steps per second of earlier runs, at least one.
        num_workers: Parallel runs; `None` for one on each usable core.
    """
    speed = sum(speeds) / len(speeds) * (num_workers or usable_cores())
    return tqdm.tqdm.format_interval(steps / speed)


def steps_per_second(run_dir: pathlib.Path) -> float | None:
    """Returns a run's steps per second, or `None` in its first tenth.

    A run that has ended has recorded its total time. A killed or running one has
    recorded only its speed between evaluations. The first tenth is not representative:
    the run imports, compiles, and then steps the environment without training.

    Args:
        run_dir: The run's directory.
    """
    progress = read_json(run_dir / "progress.json")
    record = read_json(run_dir / "run.json")
    step = int(progress.get("step") or 0)
    if step == 0 or step < int(record.get("num_steps") or 0) / 10:
        return None
    # A resumed run keeps the seconds until the interruption, but makes more steps.
    seconds = record.get("wall_seconds")
    if seconds and record.get("status") != "running":
        return step / seconds
    return progress.get("steps_per_second")
