"""Reads the status of a run from its `run.json` and its locks."""

import enum
import fcntl
import json
import os
import pathlib
from typing import Any

# The launcher takes the first lock before it starts the process. Training, with or
# without a launcher, takes the second one when it opens the run directory.
_LAUNCH_LOCK = ".launch.lock"
_TRAINING_LOCK = ".lock"
# Parsers raise these for files with too deep nesting or too large numbers.
_PARSER_LIMITS = (RecursionError, OverflowError, MemoryError)


class Status(enum.Enum):
    """Status of a run."""

    MISSING = "missing"
    RESUMABLE = "resumable"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


def current_status(
    run_dir: str | os.PathLike[str], num_steps: int | None = None
) -> Status:
    """Returns the status of the run in a directory.

    Args:
        run_dir: The run's directory; it need not exist.
        num_steps: The wanted number of environment steps; a run that finished with
            fewer is resumable. `None` for the number that the run was started with.

    Returns:
        The status. If a run's process was killed, its `run.json` still says `running`,
        but the run is not locked: it is resumable.
    """
    if is_locked(run_dir):
        return Status.RUNNING
    return recorded_status(run_dir, num_steps)


def recorded_status(
    run_dir: str | os.PathLike[str], num_steps: int | None = None
) -> Status:
    """Returns the status that a run's `run.json` records; locks are ignored.

    Args:
        run_dir: As for `current_status`.
        num_steps: As for `current_status`.

    Returns:
        The status, except `RUNNING`, which only a lock shows.
    """
    try:
        path = pathlib.Path(run_dir) / "run.json"
        record = json.loads(path.read_text(encoding="utf-8"))
        state = record["status"]
        enough = num_steps is None or int(record["num_steps"]) >= num_steps
    except FileNotFoundError:
        return Status.MISSING
    except (OSError, ValueError, KeyError, TypeError, *_PARSER_LIMITS):
        return Status.FAILED
    if state == "failed":
        return Status.FAILED
    return Status.DONE if state == "done" and enough else Status.RESUMABLE


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns the dict in a JSON file, or an empty one if it cannot be read."""
    try:
        values = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, *_PARSER_LIMITS):
        return {}
    return values if isinstance(values, dict) else {}


def lock(run_dir: str | os.PathLike[str]) -> int | None:
    """Locks a run, so that two launchers cannot train it at the same time.

    The lock belongs to the open file, not to the process: a child that inherits it
    holds it until it ends, even if the launcher is killed.

    Args:
        run_dir: The run's directory; it has to exist.

    Returns:
        The file descriptor that holds the lock, or `None` if another process has it.
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
    """Says whether a process is training the run."""
    run_dir = pathlib.Path(run_dir)
    for name in (_LAUNCH_LOCK, _TRAINING_LOCK):
        try:
            # Not for writing: the directory may be another user's, or read-only.
            descriptor = os.open(run_dir / name, os.O_RDONLY)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False


def _try_lock(path: pathlib.Path) -> int | None:
    """Locks a file without waiting; `None` if another process holds the lock."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
