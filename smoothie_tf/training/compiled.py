"""A function traced and compiled once, and called at little cost from then on."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import context

from smoothie_tf import quiet


class Compiled:
    """A function of arrays of fixed shapes and dtypes.

    `tf.function` looks at every call's arguments to find the trace that fits, and a
    concrete function looks at them again: together a quarter of a training step.
    Here there is one trace, and its function is called by name.
    """

    def __init__(self, function: Callable[..., Any], use_xla: bool):
        """Prepares a function; it is traced and compiled at its first call.

        Args:
          function: Takes tensors, or nests of them, by position.
          use_xla: Whether to compile with XLA; otherwise its graph is run op by op,
            with the same result within float error.
        """
        self._function = tf.function(function, jit_compile=use_xla, autograph=False)
        self._concrete = None
        self._captured = ()

    def __call__(self, *arguments: Any) -> Any:
        """Calls the function with arrays or tensors, or nests of them."""
        tensors = [tf.convert_to_tensor(a) for a in tf.nest.flatten(arguments)]
        if self._concrete is None:
            with quiet.without_known_notices():
                return self._first_call(*tf.nest.pack_sequence_as(arguments, tensors))
        outputs = context.context().call_function(
            self._concrete.name, tensors + self._captured, self._number_of_outputs
        )
        return tf.nest.pack_sequence_as(self._structure, outputs)

    def _first_call(self, *arguments):
        concrete = self._function.get_concrete_function(*arguments)
        self._captured = list(concrete.captured_inputs)
        self._structure = concrete.structured_outputs
        self._number_of_outputs = len(concrete.outputs)
        self._concrete = concrete
        return concrete(*arguments)
