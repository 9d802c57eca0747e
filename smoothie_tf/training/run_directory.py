"""What a run leaves behind: metrics.csv, run.json, progress.json and TensorBoard."""

import csv
import fcntl
import importlib.metadata
import io
import json
import math
import os
import pathlib
import platform
import subprocess
import time
from typing import Any

#: Columns of metrics.csv, one row an evaluation.
COLUMNS = (
    "step",
    "evaluation_return_mean",
    "evaluation_return_std",
    "training_return",
    "policy_stddev",
    "q",
    "actor_loss",
    "critic_loss",
    "kl",
    "steps_per_second",
)
_PROGRESS_SECONDS = 2.0
_PACKAGES = ("tensorflow", "tf-agents", "gymnasium", "mujoco", "numpy")


class RunDirectoryError(ValueError):
    """A run directory cannot be used for the run that was asked for."""


class RunDirectory:
    """The files of one run, held by one process at a time."""

    def __init__(self, path: str | os.PathLike[str], identity: dict[str, Any]):
        """Opens or creates a run directory and takes hold of it.

        Args:
          path: The directory.
          identity: What the run is; what run.json holds from before must agree.

        Raises:
          RunDirectoryError: If it holds another run, or another process holds it.
        """
        self.path = pathlib.Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise RunDirectoryError(f"--run_dir {self.path} is a file.")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.path / ".lock", "a+")
        except OSError as error:
            raise RunDirectoryError(
                f"--run_dir {self.path} cannot be written: {error.strerror}."
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            raise RunDirectoryError(
                f"--run_dir {self.path} is in use by process"
                f" {self._lock.read().strip() or 'of another user'}."
            ) from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()
        self.info: dict[str, Any] = {}
        if (self.path / "run.json").exists():
            try:
                self.info = json.loads((self.path / "run.json").read_text())
            except ValueError as error:
                raise RunDirectoryError(
                    f"{self.path / 'run.json'} cannot be read: {error}."
                ) from error
            for key, value in identity.items():
                if self.info.get(key) != value:
                    raise RunDirectoryError(
                        f"--run_dir {self.path} holds a run with {key}"
                        f" {self.info.get(key)!r}, not {value!r}."
                    )
        self.info.update(identity)
        self._last_progress = -math.inf

    def close(self) -> None:
        """Lets go of the directory."""
        self._lock.close()

    def write_info(self, **changes: Any) -> None:
        """Updates run.json."""
        self.info.update(changes)
        self.write_text("run.json", json.dumps(self.info, indent=2) + "\n")

    def write_progress(self, **progress: Any) -> None:
        """Rewrites progress.json, unless it was written within the last seconds."""
        now = time.monotonic()
        if now - self._last_progress >= _PROGRESS_SECONDS:
            self._last_progress = now
            self.write_text("progress.json", json.dumps(progress) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Writes a file aside and renames it, so that no reader sees half of it."""
        aside = self.path / f".{name}.tmp"
        aside.write_text(text)
        aside.replace(self.path / name)

    def append_metrics(self, row: dict[str, float | None]) -> None:
        """Appends one row to metrics.csv; missing and NaN values are left empty."""
        with open(self.path / "metrics.csv", "a", newline="") as file:
            file.write(_csv_line(row.get(column) for column in COLUMNS))

    def keep_metrics_until(self, step: int) -> None:
        """Starts metrics.csv, or cuts the rows after `step`, which will come again."""
        lines = [_csv_line(COLUMNS)]
        path = self.path / "metrics.csv"
        if path.exists():
            for line in path.read_text().splitlines(keepends=True)[1:]:
                # A line without an end was cut off while it was written.
                if line.endswith("\n") and int(line.split(",")[0]) <= step:
                    lines.append(line)
        self.write_text("metrics.csv", "".join(lines))


def _csv_line(values):
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(
        ["" if v is None or v != v else v for v in values]
    )
    return line.getvalue()


def provenance() -> dict[str, Any]:
    """Returns the commit and the versions that a run came from, for run.json."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    versions["python"] = platform.python_version()
    return {"commit": _commit(), "versions": versions}


def _commit():
    def git(*arguments):
        return subprocess.run(
            ["git", "-C", os.path.dirname(__file__), *arguments],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", ".")
        return git("rev-parse", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
