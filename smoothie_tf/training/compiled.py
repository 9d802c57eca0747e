"""A function traced and compiled once, and called at little cost from then on."""

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

    `tf.function` looks at every call's arguments to find the trace that fits, a
    concrete function looks at them again, and both rebuild the structure of what is
    returned: together a fifth of a training step. Here there is one trace, of tensors
    in a row, and its function is called by name. That is not public in TensorFlow,
    whose version this package pins.
    """

    def __init__(
        self, function: Callable[..., Sequence[tf.Tensor]], use_xla: bool = True
    ):
        """Prepares a function; it is traced and compiled at its first call.

        Args:
          function: Takes tensors by position and returns some.
          use_xla: Whether to compile with XLA; otherwise its graph is run op by op,
            with the same result within float error.
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
        # On Python 3.11, TensorFlow 2.15 loses what a tensor keeps its attributes in,
        # about 50 bytes each (its issue 62551), unless that is replaced.
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
        # The function lives as long as this refers to it.
        self._concrete = concrete
        return list(concrete(*tensors))
