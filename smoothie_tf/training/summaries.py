"""TensorBoard events of a run that may be resumed."""

import contextlib
import os
import time
from collections.abc import Mapping

import tensorflow as tf

from smoothie_tf.training import files


def create_writer(
    directory: str | os.PathLike[str], first_step: int
) -> tf.summary.SummaryWriter:
    """Creates a writer whose events replace those of an earlier process.

    A killed process may have written events after its last checkpoint, which the
    resumed run writes again. TensorBoard drops the old ones if a session-start event
    names the step to drop from; TensorFlow 2 has no argument for this.

    Args:
      directory: Directory of the run's events.
      first_step: The first step that will be written, possibly again.

    Returns:
      The writer.

    Raises:
      StorageError: If there is no room, or no permission.
    """
    try:
        # As bytes, since a path need not be valid text.
        writer = tf.summary.create_file_writer(os.fsencode(directory))
        start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
        event = tf.compat.v1.Event(
            wall_time=time.time(), step=first_step, session_log=start
        )
        tf.raw_ops.ImportEvent(writer=writer._resource, event=event.SerializeToString())
        writer.flush()
    except tf.errors.OpError as error:
        raise files.failed(directory, error) from error
    return writer


def write_row(
    writer: tf.summary.SummaryWriter,
    directory: str | os.PathLike[str],
    row: Mapping[str, float],
) -> None:
    """Writes the numbers of an evaluation, each as a scalar of its name.

    Args:
      writer: As `create_writer` returns it.
      directory: Its directory, for the message.
      row: The numbers by name, and the `step` at which they are drawn.

    Raises:
      StorageError: If there is no room; the writer is closed then.
    """
    # A default writer only here: an agent's own summaries cannot be compiled.
    with writer.as_default(row["step"]):
        try:
            for name, value in row.items():
                if name != "step":
                    tf.summary.scalar(name, value)
            writer.flush()
        except tf.errors.OpError as error:
            # Otherwise the end of the block would flush again, and fail.
            with contextlib.suppress(tf.errors.OpError):
                writer.close()
            raise files.failed(directory, error) from error
