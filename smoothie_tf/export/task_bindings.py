"""The parameters of a task that Gin has bound, for policy.json.

They are texts of Python literals: policy.json is data, where Gin's own syntax would
name functions to call and modules to import.
"""

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import gin

from smoothie_tf.environments import task_names
from smoothie_tf.training import config, gin_text


class BindingError(Exception):
    """A task's parameters cannot be bound; the message has no full stop."""


def used() -> dict[str, str]:
    """Returns the parameters in Gin's operative configuration that are no defaults.

    Returns:
      From each parameter's full name to its value as Gin writes it; macros are
      replaced by their values.
    """
    bindings = {}
    # A copy, because a macro's value is a call, too.
    for (scope, selector), values in list(gin.config._OPERATIVE_CONFIG.items()):
        if selector.startswith("gin."):
            continue
        for name, value in values.items():
            # Gin evaluates references in copies.
            text = gin.config._format_value(copy.deepcopy(value)) or repr(value)
            if text != config.default(f"{selector}.{name}"):
                scoped = f"{scope}/{selector}" if scope else selector
                bindings[f"{scoped}.{name}"] = text
    return bindings


@contextlib.contextmanager
def applied(bindings: Any, environment_id: str) -> Iterator[None]:
    """Binds a task's parameters, in place of all other bindings, until the block ends.

    Args:
      bindings: What `used` returned, read from a file; may be of any type.
      environment_id: The task, whose code may define what is bound.

    Raises:
      BindingError: If they are not what `used` returns, or a parameter does not exist.
    """
    if not bindings:
        yield
        return
    if not isinstance(bindings, dict):
        raise BindingError(f"they are {bindings!r}")
    task_names.import_code(environment_id)
    gin.clear_config()
    try:
        for name, text in bindings.items():
            _bind(name, text)
        yield
    finally:
        gin.clear_config()


def _bind(name, text):
    # "@" and "%" begin references.
    if not isinstance(text, str) or "@" in text or "%" in text:
        raise BindingError(f"{name} is {text!r}, which is no literal")
    try:
        (value,) = gin_text.bound_values(f"task.parameter = {text}").values()
    except ValueError:
        raise BindingError(f"{name} is {text!r}, which is no literal") from None
    try:
        gin.bind_parameter(name, value)
    except (KeyError, SyntaxError, ValueError):
        raise BindingError(f"there is no {name}") from None
