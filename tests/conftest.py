"""Quiet imports, one thread, and no gin binding that outlives its test."""

from smoothie_tf import quiet

quiet.silence_imports()

import gin  # noqa: E402  What these import is to be quiet.
import pytest  # noqa: E402
import tensorflow as tf  # noqa: E402

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)


@pytest.fixture(autouse=True)
def _no_bindings_left():
    yield
    gin.clear_config()
