"""Reads gin files and bindings as text: what they bind, without binding anything.

What bindings configure lives in modules that import TensorFlow; a launcher, which only
needs a few of the values, does not wait for that.
"""

import pathlib
import tokenize
from typing import Any

from gin import config_parser

from smoothie_tf.validation import InputError


def bound_values(source: pathlib.Path | str) -> dict[str, Any]:
    """Reads a gin file, or one binding, without binding anything.

    Args:
        source: The file's path, or the binding's text.

    Returns:
        Values by `configurable.parameter`.

    Raises:
        InputError: If it cannot be read as gin.
    """
    values: dict[str, Any] = {}
    try:
        text = source
        if isinstance(source, pathlib.Path):
            text = source.read_text(encoding="utf-8")
        for statement in config_parser.ConfigParser(text, _Unbound(values)):
            if isinstance(statement, config_parser.IncludeStatement):
                values.update(bound_values(_included(source, statement.filename)))
            elif isinstance(statement, config_parser.BindingStatement):
                # A selector may carry its module, which says nothing new here.
                name = statement.selector.rsplit(".", 1)[-1]
                argument = statement.arg_name
                values[f"{name}.{argument}" if argument else name] = statement.value
    except InputError:
        raise
    # Text that is not UTF-8, or holds a NUL, is a ValueError; gin's parser also passes
    # on what Python's makes of nonsense.
    except (
        SyntaxError,
        tokenize.TokenError,
        AttributeError,
        OSError,
        TypeError,
        ValueError,
        RecursionError,
        OverflowError,
        MemoryError,
    ) as error:
        given = f"--gin_bindings {source!r}" if isinstance(source, str) else source
        reason = " ".join(str(error.args[0] if error.args else error).split())
        raise InputError(
            f"{given} cannot be read as gin ({reason.rstrip('.')}): "
            "it takes the form configurable.parameter = value."
        ) from None
    return values


class _Unbound(config_parser.ParserDelegate):
    """Reads references as text and macros as their values; binds nothing."""

    def __init__(self, values: dict[str, Any]):
        self._values = values

    def configurable_reference(self, scoped_configurable_name, evaluate):
        return f"@{scoped_configurable_name}{'()' if evaluate else ''}"

    def macro(self, macro_name):
        return self._values.get(macro_name)


def _included(source: pathlib.Path | str, filename: str) -> pathlib.Path:
    """Finds an included file as gin does, or beside the file that includes it."""
    beside = pathlib.Path(source).parent / filename
    return beside if beside.is_file() else pathlib.Path(filename)
