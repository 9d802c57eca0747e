"""How many threads TensorFlow has in this process."""

import sys

import tensorflow as tf


def limit(number: int) -> bool:
    """Gives TensorFlow so many threads for one operation, and for operations at once.

    That can be done only before TensorFlow has run anything. Where it has, in a
    notebook for one, it keeps what it has, and standard error is told so: sums over
    several threads may be rounded otherwise.

    Args:
        number: At least 1.

    Returns:
        Whether it has that many now.
    """
    threading = tf.config.threading
    try:
        threading.set_intra_op_parallelism_threads(number)
        threading.set_inter_op_parallelism_threads(number)
    except RuntimeError:
        has = threading.get_intra_op_parallelism_threads() or "as many as there are"
        print(
            f"TensorFlow has been used in this process before, with {has} threads in"
            f" place of {number}: the numbers may differ in their last digits from"
            " those of a process of its own.",
            file=sys.stderr,
        )
        return False
    return True
