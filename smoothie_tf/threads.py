"""Number of TensorFlow's threads in this process."""

import sys

import tensorflow as tf


def limit(number: int) -> None:
    """Sets TensorFlow's numbers of threads within and across operations.

    This is possible only before TensorFlow's first operation. After it, for example in
    a notebook, the numbers do not change, and a message on standard error says so:
    sums over several threads may be rounded differently.

    Args:
        number: Number of threads, at least 1.
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
