"""Reads gin files and bindings as text: what they bind, without binding anything.

What bindings configure lives in modules that import TensorFlow; a launcher, which only
needs a few of the values, does not wait for that.
"""

import pathlib
import tokenize
from collections.abc import Iterable
from typing import Any

from gin import config_parser

from smoothie_tf.validation import InputError

#: Of gin files: UTF-8, with or without the mark that some editors begin it with.
ENCODING = "utf-8-sig"


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
            text = source.read_text(encoding=ENCODING)
        for statement in config_parser.ConfigParser(text, _Unbound(values)):
            if isinstance(statement, config_parser.IncludeStatement):
                values.update(bound_values(included(source, statement.filename)))
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


def meaning(bindings: Iterable[str]) -> dict[str, Any]:
    """Returns what bindings say, however they are written and in whatever order.

    Args:
        bindings: Such as "SmoothieAgent.kl_penalty=0.01"; later ones win.

    Returns:
        Values by "scope/configurable.parameter". A binding that cannot be read stands
        for itself, and so does a file that one includes.
    """
    values: dict[str, Any] = {}
    for binding in bindings:
        read: dict[str, Any] = {}
        try:
            for statement in config_parser.ConfigParser(binding, _Unbound(read)):
                if isinstance(statement, config_parser.BindingStatement):
                    name = f"{statement.scope}/{statement.selector}"
                    name += f".{statement.arg_name}"
                    read[name.removeprefix("/")] = statement.value
                elif not isinstance(statement, config_parser.BlockDeclaration):
                    # Of imports and includes: what, and not in which line.
                    read[str(statement._replace(location=None))] = True
        except Exception:  # Gin passes on what Python's parser makes of nonsense.
            read = {binding: None}
        values |= read
    return values


def includes(text: str) -> list[tuple[int, str]]:
    """Returns the files that a gin text includes.

    Args:
        text: The text, as far as it can be read.

    Returns:
        The line of each statement, from 1 on, and the file that it names, in order.
    """
    found = []
    try:
        for statement in config_parser.ConfigParser(text, _Unbound({})):
            if isinstance(statement, config_parser.IncludeStatement):
                found.append((statement.location.line_num, statement.filename))
    except Exception:  # Whoever binds it says what is wrong.
        pass
    return found


def included(source: pathlib.Path | str, filename: str) -> pathlib.Path:
    """Finds an included file beside the file that includes it, or as gin does.

    Args:
        source: The file that includes it, or the text of a binding.
        filename: What the statement names.

    Returns:
        The path beside `source` where there is such a file, else one that starts from
        the working folder.
    """
    beside = pathlib.Path(source).parent / filename
    if isinstance(source, pathlib.Path) and beside.is_file():
        return beside
    return pathlib.Path(filename)


class _Unbound(config_parser.ParserDelegate):
    """Reads references as text and macros as their values; binds nothing."""

    def __init__(self, values: dict[str, Any]):
        self._values = values

    def configurable_reference(self, scoped_configurable_name, evaluate):
        return f"@{scoped_configurable_name}{'()' if evaluate else ''}"

    def macro(self, macro_name):
        return self._values.get(macro_name)
