"""TensorBoard's events of a run that may have been stopped and taken up again."""

import os
import time

import tensorflow as tf

from smoothie_tf.training import files


def create_writer(
    directory: str | os.PathLike[str], first_step: int
) -> tf.summary.SummaryWriter:
    """Makes a writer whose events take the place of an earlier process's.

    A process that was killed has written events that its last checkpoint does not
    know of, and they come again. TensorBoard drops them where a session's start says
    from which step on; TensorFlow 2 has no argument for that.

    Args:
      directory: Where the run's events are.
      first_step: The first step that is to come, or to come again.

    Returns:
      The writer.

    Raises:
      StorageError: If there is no room, or no permission.
    """
    try:
        # Bytes: a path need not be text.
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
