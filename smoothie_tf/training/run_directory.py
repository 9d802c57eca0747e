"""The files of a run: metrics.csv, run.json, progress.json and TensorBoard's."""

import contextlib
import csv
import fcntl
import io
import json
import math
import operator
import os
import pathlib
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import smoothie_tf
from smoothie_tf import validation
from smoothie_tf.environments import space_descriptions
from smoothie_tf.training import files, gin_text, renamed_bindings

#: Columns of metrics.csv, one row per evaluation.
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
#: Version of the run directory's format; newer ones are refused.
FORMAT = 1
_PROGRESS_SECONDS = 2.0
# Other processes hold the lock for a moment to check whether the run is in progress.
_LOCK_SECONDS = 1.0
# A finished run may be extended.
_MAY_CHANGE = ("train.num_steps",)


class RunDirectoryError(ValueError):
    """A run directory cannot be used for the requested run."""


class RunDirectory:
    """The files of one run, locked by one process at a time."""

    def __init__(self, path: str | os.PathLike[str], identity: dict[str, Any]):
        """Opens or creates a run directory and locks it.

        Args:
          path: The directory.
          identity: Agent, task, seed and so on; an existing run.json must agree.

        Raises:
          RunDirectoryError: If it cannot be written, holds another run or one of a
            newer format, or is locked by another process. It is unchanged then.
          StorageError: If there is no room for the lock.
        """
        # Absolute, since a task may change the working directory.
        self.path = pathlib.Path(path).absolute()
        self._given = pathlib.Path(path)  # For messages.
        self._metrics = [_csv_line(COLUMNS)]
        self._last_progress = -math.inf
        self.info: dict[str, Any] = {}
        self._made: list[pathlib.Path] = []
        try:
            self._check_path()
            parents = (self.path, *self.path.parents)
            self._made = [each for each in parents if not os.path.lexists(each)]
            self.path.mkdir(parents=True, exist_ok=True)
            lock_made = not (self.path / ".lock").exists()
            self._lock = self._take_lock()
        except OSError as error:
            self._remove_what_was_made()
            raise RunDirectoryError(
                f"--run_dir {self._given} cannot be written: {error.strerror}."
            ) from error
        if lock_made:
            self._made.insert(0, self.path / ".lock")
        try:
            self._read_info(identity)
            self._sign_lock()
        except BaseException:
            self.abandon()
            raise

    def close(self) -> None:
        """Unlocks the directory."""
        self._lock.close()

    def abandon(self) -> None:
        """Unlocks a directory without a run, and removes what this object created."""
        # While it is locked, so that no other process can have begun a run there.
        self._remove_what_was_made()
        self.close()

    def write_info(self, **changes: Any) -> None:
        """Updates run.json."""
        self.info.update(changes)
        self.info["format"] = FORMAT
        self.write_text("run.json", json.dumps(self.info, indent=2) + "\n")

    def take_up(
        self, step: int, config: str, provenance: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Records the commit and versions in use from a step on, for `write_info`.

        Args:
          step: Step of the checkpoint from which the run resumes; 0 for a new run.
          config: The operative configuration as gin writes it.
          provenance: Commit and versions, as `provenance.current` returns them.

        Returns:
          If the part of the run before `step` has another commit or other versions,
          its to_step, commit and versions, as in run.json's "earlier"; else None.

        Raises:
          RunDirectoryError: If the run was started with another value of a binding.
        """
        if step:
            self.check_config(config)
        recorded = {key: self.info.get(key) for key in provenance}
        stretches = [*self.info.get("earlier", []), recorded]
        # The checkpoint may be older than the last time that the run was resumed.
        ended = [each for each in stretches[:-1] if each["to_step"] < step]
        maker = {key: stretches[len(ended)].get(key) for key in provenance}
        other = {"to_step": step, **maker} if step and maker != provenance else None
        self.info["earlier"] = [*ended, other] if other else ended
        if not self.info["earlier"]:
            del self.info["earlier"]
        self.info.update(provenance)
        return other

    @property
    def has_checkpoints(self) -> bool:
        """Whether the run has files of checkpoints, valid or not."""
        return bool(files.checkpoints(self.path / "checkpoints"))

    def check_spaces(self, now: dict[str, Any]) -> None:
        """Checks that the task still has the spaces that the run began with.

        Args:
          now: As `space_descriptions.of_task` returns it.

        Raises:
          RunDirectoryError: If it has others.
        """
        changed = space_descriptions.difference(self.info.get("spaces"), now)
        if changed:
            raise RunDirectoryError(
                f"--run_dir {self._given} holds a run of {self.info['env']} with other"
                f" spaces: {changed}."
            )

    def check_config(
        self, config: str, default: Callable[[str], str | None] = lambda name: None
    ) -> None:
        """Checks that a configuration agrees with the run's, but for its length.

        Args:
          config: Bindings as gin writes them; those that the run did not use may have
            any value.
          default: Maps the name of a parameter that is not bound to its value, or to
            None if that is unknown and not to be checked.

        Raises:
          RunDirectoryError: If one does not.
        """
        path = self.path / "operative_config.gin"
        if not path.exists():
            return
        text = path.read_text(encoding="utf-8", errors="replace")
        try:
            before = gin_text.meaning_of_text(renamed_bindings.renamed(text))
        except validation.InputError as error:
            raise RunDirectoryError(f"{path} {error}") from None
        now = gin_text.meaning_of_text(config)
        for name, was in before.items():
            if name not in now and (value := default(name)) is not None:
                now |= gin_text.meaning([f"{name} = {value}"])
            if name in _MAY_CHANGE or name not in now:
                continue
            if not gin_text.same(was, now[name]):
                raise RunDirectoryError(
                    f"--run_dir {self._given} holds a run with {name} = {was!r}"
                    f" ({path.name}), not {now[name]!r}; its run.json has its command."
                )

    def write_progress(self, is_last: bool = False, **progress: Any) -> None:
        """Writes progress.json, unless it was written within the last two seconds.

        Args:
          is_last: Whether the run has ended: it is written then in any case.
          **progress: Its entries.
        """
        now = time.monotonic()
        if is_last or now - self._last_progress >= _PROGRESS_SECONDS:
            self._last_progress = now
            text = json.dumps(progress) + "\n"
            # Nothing depends on this file: an error must not end the run.
            with contextlib.suppress(files.StorageError):
                files.replace(self.path / "progress.json", text, lasts_power_cut=False)

    def write_text(self, name: str, text: str) -> None:
        """Writes a temporary file and renames it, so that no reader sees half of it."""
        files.replace(self.path / name, text)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The lines for metrics.csv, without the header."""
        return tuple(self._metrics[1:])

    def set_metrics(self, lines: Sequence[str]) -> None:
        """Sets the lines from a checkpoint; `write_metrics` writes them."""
        self._metrics[1:] = lines

    def append_metrics(self, row: dict[str, float | None]) -> None:
        """Adds one row to metrics.csv; missing and NaN values are left empty."""
        self._metrics.append(_csv_line(row.get(column) for column in COLUMNS))
        self.write_metrics()

    def write_metrics(self) -> None:
        """Writes metrics.csv atomically.

        With one row per evaluation the file is small, and even a full disk or a killed
        process leaves no half row.
        """
        self.write_text("metrics.csv", "".join(self._metrics))

    def _take_lock(self):
        """Returns the lock file, open and locked by this process.

        The system releases the lock when the process ends for any reason.
        """
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            lock = open(self.path / ".lock", "a+", encoding="utf-8")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                holder = lock.read().strip() or "of another user"
                lock.close()
                if time.monotonic() > deadline:
                    raise RunDirectoryError(
                        f"--run_dir {self._given} is in use by process {holder}."
                    ) from None
                time.sleep(0.05)
                continue
            # Another process may have removed it since it was opened.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock.fileno()), os.stat(lock.name)):
                    return lock
            lock.close()

    def _sign_lock(self):
        try:
            holder = f"{os.getpid()} on {socket.gethostname()}"
            os.truncate(self._lock.fileno(), 0)
            os.write(self._lock.fileno(), holder.encode())
        except OSError as error:
            raise files.failed(self._lock.name, error) from error

    def _read_info(self, identity):
        path = self.path / "run.json"
        if not path.exists():
            if (self.path / "metrics.csv").exists():
                raise RunDirectoryError(
                    f"--run_dir {self._given} holds a metrics.csv but no run.json: it"
                    " is not the directory of a run."
                )
            self.info.update(identity)
            return
        try:
            info = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise RunDirectoryError(f"{path} cannot be read: {error}.") from error
        if not isinstance(info, dict):
            raise RunDirectoryError(f"{path} cannot be read: it holds no JSON object.")
        for key, kind in (("commit", str), ("versions", dict)):
            if not isinstance(info.get(key), kind | None):
                raise RunDirectoryError(
                    f"{path} cannot be read: {info[key]!r} cannot be its {key}."
                )
        version = info.get("format", 0)
        if not isinstance(version, int) or version > FORMAT:
            raise RunDirectoryError(
                f"--run_dir {self._given} is of format {version!r}, written by a newer"
                f" smoothie_tf: version {smoothie_tf.__version__} knows formats up to"
                f" {FORMAT}."
            )
        for key, value in identity.items():
            same = same_bindings if key == "gin_bindings" else operator.eq
            if not same(info.get(key), value):
                raise RunDirectoryError(
                    f"--run_dir {self._given} holds a run with {key}"
                    f" {info.get(key)!r}, not {value!r}; its run.json has its command."
                )
        for key, default in (("num_steps", 0), ("wall_seconds", 0.0)):
            value = info.get(key, default)
            if not isinstance(value, int | float) or not value >= 0:
                raise RunDirectoryError(
                    f"{path} has {key} {value!r}, which is not a number of at least 0."
                )
        earlier = info.get("earlier", [])
        if not isinstance(earlier, list) or not all(map(_is_earlier_record, earlier)):
            raise RunDirectoryError(
                f"{path} has earlier {earlier!r}, which is not a list of JSON objects,"
                " each with a to_step."
            )
        # The text of equal bindings may differ.
        self.info = info | identity

    def _check_path(self):
        for each in (self.path, *self.path.parents):
            if each.is_symlink() and not each.exists():
                raise RunDirectoryError(
                    f"--run_dir {self._given} cannot be written: {each} is a link to"
                    f" {os.readlink(each)}, which does not exist."
                )
        if self.path.exists() and not self.path.is_dir():
            raise RunDirectoryError(f"--run_dir {self._given} is a file.")

    def _remove_what_was_made(self):
        for path in self._made:
            with contextlib.suppress(OSError):
                path.unlink() if path.name == ".lock" else path.rmdir()


def is_evaluated(directory: pathlib.Path, step: int) -> bool:
    """Says whether a run's metrics.csv has a complete line of a step."""
    try:
        *lines, _ = (directory / "metrics.csv").read_bytes().split(b"\n")
    except (OSError, ValueError):
        return False
    return any(line.startswith(b"%d," % step) for line in lines)


def same_bindings(before: Any, now: list[str]) -> bool:
    """Returns whether two lists of bindings mean the same run, up to its length.

    Args:
      before: The value in a run.json, of any type.
      now: Bindings, such as "SmoothieAgent.kl_penalty=0.01".
    """
    if not isinstance(before, list) or not all(isinstance(b, str) for b in before):
        return False
    was, is_now = (
        gin_text.meaning(map(renamed_bindings.renamed, each)) for each in (before, now)
    )
    return all(
        name in was and name in is_now and gin_text.same(was[name], is_now[name])
        for name in (was.keys() | is_now.keys()) - {*_MAY_CHANGE}
    )


def _is_earlier_record(value):
    return isinstance(value, dict) and isinstance(value.get("to_step"), int)


def _csv_line(values):
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(
        ["" if v is None or v != v else v for v in values]
    )
    return line.getvalue()
