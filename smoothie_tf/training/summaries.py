"""TensorBoard events of a run that may be resumed."""

import os
import time

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
