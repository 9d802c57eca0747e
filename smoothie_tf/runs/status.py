"""How far a run is, and who is at work on it: by its `run.json` and its locks."""

import enum
import fcntl
import json
import os
import pathlib
from typing import Any

# The launcher's lock is there from before the process starts; training takes its own
# once it has found its feet, also where it was started by hand.
_LAUNCH_LOCK = ".launch.lock"
_TRAINING_LOCK = ".lock"
# What a file that nests too deep, or holds too large a number, makes parsers raise.
_TOO_MUCH = (RecursionError, OverflowError, MemoryError)


class Status(enum.Enum):
    """How far a run is."""

    MISSING = "missing"
    RESUMABLE = "resumable"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


def current_status(
    run_dir: str | os.PathLike[str], num_steps: int | None = None
) -> Status:
    """Says how far the run in a directory is.

    Args:
        run_dir: The run's directory; it need not exist.
        num_steps: Environment steps that are wanted; a run that was finished with
            fewer is resumable. `None` takes what the run was asked for.

    Returns:
        The status. A run whose process was killed left `running` behind in its
        `run.json`, but holds no lock any more: it is resumable.
    """
    if is_locked(run_dir):
        return Status.RUNNING
    return recorded_status(run_dir, num_steps)


def recorded_status(
    run_dir: str | os.PathLike[str], num_steps: int | None = None
) -> Status:
    """Says how far a run is by its own `run.json`, whoever is at work on it.

    Args:
        run_dir: As for `status`.
        num_steps: As for `status`.

    Returns:
        The status; never `RUNNING`, which a file alone cannot tell.
    """
    try:
        path = pathlib.Path(run_dir) / "run.json"
        record = json.loads(path.read_text(encoding="utf-8"))
        state = record["status"]
        enough = num_steps is None or int(record["num_steps"]) >= num_steps
    except FileNotFoundError:
        return Status.MISSING
    except (OSError, ValueError, KeyError, TypeError, *_TOO_MUCH):
        return Status.FAILED
    if state == "failed":
        return Status.FAILED
    return Status.DONE if state == "done" and enough else Status.RESUMABLE


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns what a JSON file holds, or nothing where there is none to read."""
    try:
        values = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, *_TOO_MUCH):
        return {}
    return values if isinstance(values, dict) else {}


def lock(run_dir: str | os.PathLike[str]) -> int | None:
    """Takes hold of a run, so that no two launchers train it at once.

    The lock belongs to the open file, not to the process: handed to a child, it holds
    for as long as the child lives, even where the launcher is killed.

    Args:
        run_dir: The run's directory; it has to exist.

    Returns:
        The file descriptor that holds the lock, or `None` if somebody is at work there.
    """
    run_dir = pathlib.Path(run_dir)
    descriptor = _try_lock(run_dir / _LAUNCH_LOCK)
    if descriptor is None:
        return None
    training = run_dir / _TRAINING_LOCK
    if training.exists():
        training_descriptor = _try_lock(training)
        if training_descriptor is None:
            os.close(descriptor)
            return None
        os.close(training_descriptor)
    return descriptor


def is_locked(run_dir: str | os.PathLike[str]) -> bool:
    """Says whether a process is at work on the run."""
    run_dir = pathlib.Path(run_dir)
    if not any((run_dir / name).exists() for name in (_LAUNCH_LOCK, _TRAINING_LOCK)):
        return False
    descriptor = lock(run_dir)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def _try_lock(path: pathlib.Path) -> int | None:
    """Locks a file without waiting; `None` if somebody else has it."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
