"""Checkpoints of a whole run, from which it resumes bit for bit.

A checkpoint of step N is TensorFlow's own, ckpt-N.index and ckpt-N.data-…: every
variable of the agent and its optimizers, and the loop's state as JSON. Replay is in a
separate file that only grows; a checkpoint holds the number of its rows and their
checksum. ckpt-N.json, with the length and checksum of each of the checkpoint's files,
is written last: if a process is killed before, there is no checkpoint N.

Nothing here is unpickled or evaluated: only tensors and JSON are read.
"""

import contextlib
import json
import os
import pathlib
import re
import zlib
from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.agents import tf_agent

from smoothie_tf import validation
from smoothie_tf.training import files, replay_buffer

_NUMBER_KEPT = 2
_NUMBERED = re.compile(r"ckpt-(\d+)[._].*")
#: Errors that truncated or wrong files cause in the libraries.
UNREADABLE = (
    tf.errors.OpError,
    AssertionError,
    LookupError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)


class CheckpointError(ValueError):
    """A run's checkpoints exist, but none of them can be read."""


class _JsonState(tf.train.experimental.PythonState):
    """A JSON value that is saved and restored with a checkpoint."""

    def __init__(self):
        self.value: Any = None

    def serialize(self):
        return json.dumps(self.value)

    def deserialize(self, string_value):
        self.value = json.loads(string_value)


class Checkpointer:
    """Saves a run, keeps its last two checkpoints, and restores the newest valid."""

    def __init__(
        self,
        directory: str | os.PathLike[str],
        agent: tf_agent.TFAgent,
        replay: replay_buffer.ReplayBuffer,
    ):
        """Prepares to save to, or restore from, a directory.

        Args:
          directory: Directory of the run's checkpoints; the first save creates it.
          agent: The agent, with all its variables created.
          replay: The run's replay buffer.
        """
        self._directory = pathlib.Path(directory)
        self._replay = replay
        self._replay_path = self._directory / "replay.f32"
        self._saved_rows = 0
        self._checksum = 0
        self._state = _JsonState()
        self._checkpoint = tf.train.Checkpoint(agent=agent, state=self._state)
        self._steps: list[int] = []
        self._variables = [
            node
            for node in tf.train.TrackableView(self._checkpoint).descendants()
            if isinstance(node, tf.Variable) and node.dtype.is_floating
        ]
        self._sums = tf.function(self._traced_sums, autograph=False)

    @property
    def latest(self) -> str | None:
        """Path of the newest checkpoint saved or restored here, without its suffix."""
        return str(self._path(self._steps[-1])) if self._steps else None

    def not_finite(self) -> str | None:
        """Returns the name of a variable that holds a NaN or infinity, or None.

        It checks all variables in a checkpoint: weights, targets and optimizer slots.
        """
        # A sum is not finite if an element is not; it may also overflow.
        for place in np.flatnonzero(~np.isfinite(self._sums().numpy())):
            variable = self._variables[place]
            if not np.isfinite(variable.numpy()).all():
                return variable.name.split(":")[0]
        return None

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Saves the agent, replay and the loop's state.

        Args:
          step: Environment steps so far: the checkpoint's number.
          state: The loop's state, as a JSON value.

        Raises:
          StorageError: If there is no room; earlier checkpoints remain valid.
        """
        path = self._path(step)
        self._steps = [kept for kept in self._steps if kept != step]
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            # Files with this number, or of an interrupted save, were not usable by
            # `restore`. The list of checksums is removed first.
            self._remove_others()
            self._append_replay()
            replay = {"rows": self._saved_rows, "crc32": self._checksum}
            self._state.value = {"loop": state, "replay": replay}
            with files.literal(path.parent) as writable:
                self._checkpoint.write(str(writable / path.name))
            for file in _files(self._directory, step):
                files.sync(file)
            manifest = {"files": _fingerprints(self._directory, step)}
            # Without a line end, so that every truncation makes it invalid JSON.
            files.replace(f"{path}.json", json.dumps(manifest))
            self._steps = [*self._steps, step][-_NUMBER_KEPT:]
            # For TensorFlow's own tools.
            lines = [f'model_checkpoint_path: "{path.name}"\n']
            for kept in self._steps:
                name = self._path(kept).name
                lines.append(f'all_model_checkpoint_paths: "{name}"\n')
            files.replace(self._directory / "checkpoint", "".join(lines))
            self._remove_others()
        except (OSError, tf.errors.OpError, files.StorageError) as error:
            with contextlib.suppress(OSError):
                self._remove_others()
            if isinstance(error, files.StorageError):
                raise
            raise files.failed(path, error) from error

    def restore(self) -> tuple[dict[str, Any] | None, list[str]]:
        """Restores the newest valid checkpoint.

        Returns:
          The loop's state, or None if the run has no checkpoint yet; and a sentence for
          each newer checkpoint that could not be read. The last sentence names the
          checkpoint that is used instead.

        Raises:
          CheckpointError: If there are checkpoints, but none is valid.
        """
        problems: list[str] = []
        finished, misfits = files.finished_checkpoints(self._directory), False
        for step in reversed(files.checkpoints(self._directory)):
            path, intact = self._path(step), False
            try:
                if step not in finished:
                    raise ValueError("it was never finished")
                if path.with_suffix(".json").exists():
                    check_files(self._directory, step)
                    intact = True
                with files.literal(path.parent) as readable:
                    status = self._checkpoint.read(str(readable / path.name))
                    status.assert_existing_objects_matched()
                intact = False  # Replay may be damaged.
                self._restore_replay(self._state.value["replay"])
                state = self._state.value["loop"]
            except UNREADABLE as error:
                reason = validation.first_line(error)
                problems.append(f"Checkpoint {path} cannot be used: {reason}.")
                misfits = misfits or intact
                continue
            if problems:
                problems[-1] += f" Resuming from the previous one, of step {step}."
            older = [each for each in finished if each < step]
            self._steps = [*older, step][-_NUMBER_KEPT:]
            return state, problems
        if problems:
            problems.append(
                "Its files are as they were written: the agent or the task has changed"
                " since."
                if misfits
                else f"Remove {self._directory} to start over: the same seed gives the"
                " same run again."
            )
            raise CheckpointError(" ".join(problems))
        return None, problems

    def _traced_sums(self):
        sums = [tf.reduce_sum(variable) for variable in self._variables]
        return tf.stack([tf.cast(each, tf.float64) for each in sums])

    def _path(self, step):
        return self._directory / f"ckpt-{step}"

    def _remove_others(self):
        """Removes files that belong to no kept checkpoint."""
        others = []
        for file in self._directory.glob("ckpt-*"):
            match = _NUMBERED.fullmatch(file.name)
            if match and int(match[1]) not in self._steps:
                others.append(file)
        # Checksums first: without them, the remaining files are no valid checkpoint.
        for file in sorted(others, key=lambda file: file.suffix != ".json"):
            if file.is_dir():
                for part in file.iterdir():
                    part.unlink()
                file.rmdir()
            else:
                file.unlink()

    def _append_replay(self):
        rows = self._replay.rows_since(self._saved_rows)
        with open(self._replay_path, "r+b" if self._saved_rows else "wb") as file:
            file.seek(self._saved_rows * 4 * self._replay.row_size)
            file.write(rows)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        self._checksum = zlib.crc32(rows, self._checksum)
        self._saved_rows = self._replay.total_rows

    def _restore_replay(self, saved):
        rows, checksum = saved["rows"], 0
        if rows:
            size = rows * self._replay.row_size
            if self._replay_path.stat().st_size < 4 * size:
                raise ValueError(f"{self._replay_path} is shorter than its {rows} rows")
            content = np.memmap(self._replay_path, np.float32, "r", shape=(size,))
            content = content.reshape(rows, -1)
            for block in np.array_split(content, 1 + size // 2**24):
                checksum = zlib.crc32(block, checksum)
            if checksum != saved["crc32"]:
                raise ValueError(f"{self._replay_path} does not match its checksum")
            self._replay.load(content, rows)
        self._saved_rows, self._checksum = rows, checksum


def check_files(directory: pathlib.Path, step: int) -> None:
    """Compares the files of a checkpoint with its ckpt-N.json.

    Args:
      directory: Directory of the files.
      step: N.

    Raises:
      ValueError: If a file is missing or has changed.
      FileNotFoundError: If there is no ckpt-N.json.
    """
    manifest = directory / f"ckpt-{step}.json"
    try:
        expected = dict(json.loads(manifest.read_text("utf-8"))["files"])
    except (LookupError, TypeError, ValueError, RecursionError):
        raise ValueError(f"{manifest.name} is not what was written") from None
    for file in _files(directory, step):
        if not file.exists():
            raise ValueError(f"{file.name} is missing")
    actual = _fingerprints(directory, step)
    for name in sorted({*expected, *actual}):
        if name not in actual:
            raise ValueError(f"{name} is missing")
        if actual[name] != expected.get(name):
            raise ValueError(f"{name} does not match its checksum")


def _files(directory, step):
    """Returns TensorFlow's files of a checkpoint."""
    parts = directory.glob(f"ckpt-{step}.data-*")
    return [*sorted(parts), directory / f"ckpt-{step}.index"]


def _fingerprints(directory, step):
    return {
        file.name: {"bytes": len(content), "crc32": zlib.crc32(content)}
        for file in _files(directory, step)
        for content in (file.read_bytes(),)
    }
