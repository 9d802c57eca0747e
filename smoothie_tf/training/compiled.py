"""A function that is traced and compiled once, and then called with low overhead."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import ops

from smoothie_tf import quiet

# Stays empty: nothing here sets an attribute of a tensor.
_NO_ATTRIBUTES: dict[str, object] = {}


class Compiled:
    """A function of arrays of fixed shapes and dtypes.

    In every call, `tf.function` selects the trace that matches the arguments, a
    concrete function checks them again, and both rebuild the structure of the result:
    together a fifth of a training step. Here there is one trace of a flat list of
    tensors, and its function is called by name. This uses private TensorFlow functions;
    the package pins TensorFlow's version.
    """

    def __init__(
        self, function: Callable[..., Sequence[tf.Tensor]], use_xla: bool = True
    ):
        """Prepares a function; it is traced and compiled at its first call.

        Args:
          function: Takes tensors by position and returns a list of tensors.
          use_xla: Whether to compile with XLA; otherwise the graph runs op by op, with
            the same result within float error.
        """
        self._function = tf.function(function, jit_compile=use_xla, autograph=False)
        self._concrete = None

    def __call__(self, *arguments: np.ndarray | tf.Tensor) -> list[tf.Tensor]:
        """Calls the function with arrays or tensors."""
        if self._concrete is None:
            with quiet.without_known_notices():
                return self._first_call(arguments)
        tensors = [
            a if isinstance(a, ops.EagerTensor) else ops.EagerTensor(a, self._device)
            for a in arguments
        ]
        results = self._context.call_function(
            self._name, tensors + self._captured, self._number_of_outputs
        )
        # On Python 3.11, TensorFlow 2.15 leaks each tensor's attribute dictionary,
        # about 50 bytes (its issue 62551), unless it is replaced.
        for tensor in (*tensors, *results):
            tensor.__dict__ = _NO_ATTRIBUTES
        return results

    def _first_call(self, arguments):
        tensors = [tf.convert_to_tensor(a) for a in arguments]
        concrete = self._function.get_concrete_function(*tensors)
        self._context = context.context()
        self._device = self._context.device_name
        self._name = concrete.name
        self._captured = list(concrete.captured_inputs)
        self._number_of_outputs = len(concrete.outputs)
        # This reference keeps the function alive.
        self._concrete = concrete
        return list(concrete(*tensors))
