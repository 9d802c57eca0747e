"""A function traced and compiled once, and called at little cost from then on."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from smoothie_tf import quiet


class Compiled:
    """A function of arrays of fixed shapes and dtypes.

    `tf.function` looks at every call's arguments to find the trace that fits, which
    takes as long as a fifth of a training step. Here there is one trace.
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

    def __call__(self, *arguments: Any) -> Any:
        """Calls the function with arrays or tensors, or nests of them."""
        tensors = [
            a if isinstance(a, tuple) else tf.convert_to_tensor(a) for a in arguments
        ]
        if self._concrete is None:
            with quiet.without_known_notices():
                self._concrete = self._function.get_concrete_function(*tensors)
                return self._concrete(*tensors)
        return self._concrete(*tensors)
