"""Checkpoints of a whole run, from which it goes on bit for bit.

A checkpoint is TensorFlow's own: every variable of the agent and its optimizers,
each with a checksum, and the loop's state as JSON. Replay lies beside it in a file
that only grows; a checkpoint says how many of its rows belong to it, and their
checksum.
"""

import json
import os
import pathlib
import zlib
from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.agents import tf_agent

from smoothie_tf.training import replay_buffer


class CheckpointError(Exception):
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
    """Saves a run, keeps its last two checkpoints, and restores the newest whole."""

    def __init__(
        self,
        directory: str | os.PathLike[str],
        agent: tf_agent.TFAgent,
        replay: replay_buffer.ReplayBuffer,
    ):
        """Prepares to save to, or restore from, a directory.

        Args:
          directory: Where the run's checkpoints are.
          agent: The agent, with all its variables made.
          replay: The run's replay.
        """
        self._directory = pathlib.Path(directory)
        self._directory.mkdir(parents=True, exist_ok=True)
        self._replay = replay
        self._replay_path = self._directory / "replay.f32"
        self._saved_rows = 0
        self._checksum = 0
        self._state = _JsonState()
        self._checkpoint = tf.train.Checkpoint(agent=agent, state=self._state)
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, str(self._directory), max_to_keep=2
        )

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Saves the agent, replay and the loop's state.

        Args:
          step: Environment steps so far: the checkpoint's number.
          state: What else the loop needs to go on, as JSON takes it.
        """
        rows = self._replay.rows_since(self._saved_rows)
        with open(self._replay_path, "r+b" if self._saved_rows else "wb") as file:
            file.seek(self._saved_rows * self._row_bytes)
            file.write(rows)
            file.flush()
            os.fsync(file.fileno())
        self._checksum = zlib.crc32(rows, self._checksum)
        self._saved_rows = self._replay.total_rows
        replay = {"rows": self._saved_rows, "crc32": self._checksum}
        self._state.value = {"loop": state, "replay": replay}
        self._manager.save(checkpoint_number=step)

    def restore(self) -> tuple[dict[str, Any] | None, list[str]]:
        """Restores the newest checkpoint that is whole.

        Returns:
          The loop's state, or None if the run has no checkpoint yet; and a sentence
          for each newer checkpoint that could not be read.

        Raises:
          CheckpointError: If there are checkpoints, but none of them is whole.
        """
        problems = []
        for path in reversed(self._paths()):
            try:
                self._checkpoint.restore(path).assert_existing_objects_matched()
                self._restore_replay(self._state.value["replay"])
            # A file that was cut off gives an IndexError, for one.
            except (
                tf.errors.OpError,
                AssertionError,
                LookupError,
                OSError,
                TypeError,
                ValueError,
            ) as error:
                reason = str(error).splitlines()[0] if str(error) else repr(error)
                problems.append(f"Checkpoint {path} cannot be used: {reason}")
                continue
            return self._state.value["loop"], problems
        if problems:
            raise CheckpointError(" ".join(problems))
        return None, problems

    def _paths(self):
        """Returns the checkpoints, oldest first, even if TensorFlow's list is lost."""
        files = self._directory.glob("ckpt-*.index")
        found = sorted(files, key=lambda file: int(file.stem.removeprefix("ckpt-")))
        return self._manager.checkpoints or [str(f.with_suffix("")) for f in found]

    @property
    def _row_bytes(self):
        return 4 * self._replay.row_size

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
