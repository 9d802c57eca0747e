"""Reads the values in gin files and bindings without applying them to gin.

The configured functions are in modules that import TensorFlow; a launcher, which needs
only a few of the values, need not wait for this import.
"""

import dataclasses
import pathlib
from collections.abc import Iterable
from typing import Any

from gin import config_parser

from smoothie_tf.validation import InputError, first_line

#: Encoding of gin files: UTF-8, with or without a byte order mark.
ENCODING = "utf-8-sig"


def bound_values(*sources: pathlib.Path | str) -> dict[str, Any]:
    """Reads gin files and bindings without applying them to gin.

    Args:
        *sources: Paths of files, or texts of bindings, later over earlier.

    Returns:
        Values by `configurable.parameter`. A macro has its last value, as in gin.

    Raises:
        InputError: If one cannot be read as gin.
    """
    values: dict[str, Any] = {}
    for source in sources:
        _read(source, values)
    return {name: _without_macros(value, values) for name, value in values.items()}


def check_num_steps(num_steps: int, bindings: Iterable[str]) -> None:
    """Checks that bindings give a run the length that `--num_steps` gives, or none.

    Raises:
        InputError: If they do not.
    """
    bound = bound_values(*bindings).get("train.num_steps", num_steps)
    if bound != num_steps:
        raise InputError(
            f"--num_steps {num_steps} and --gin_bindings 'train.num_steps = {bound!r}'"
            " differ: give one of them."
        )


def _read(source, values):
    """Adds the values of a file or binding, with macros."""
    try:
        text = source
        if isinstance(source, pathlib.Path):
            text = source.read_text(encoding=ENCODING)
        for statement in config_parser.ConfigParser(text, _Unbound()):
            if isinstance(statement, config_parser.IncludeStatement):
                _read(included(source, statement.filename), values)
            elif isinstance(statement, config_parser.BindingStatement):
                # A selector may include its module, which is dropped.
                name = statement.selector.rsplit(".", 1)[-1]
                argument = statement.arg_name
                values[f"{name}.{argument}" if argument else name] = statement.value
    except InputError:
        raise
    except Exception as error:  # Gin passes on errors of Python's parser.
        given = f"--gin_bindings {source!r}" if isinstance(source, str) else source
        reason = " ".join(str(error.args[0] if error.args else error).split())
        raise InputError(
            f"{given} cannot be read as gin ({reason.rstrip('.')}): "
            "it takes the form configurable.parameter = value."
        ) from None


def _without_macros(value, values, seen=()):
    if isinstance(value, _Macro):
        if value.name in seen:  # A macro of itself, which gin rejects.
            return None
        return _without_macros(values.get(value.name), values, (*seen, value.name))
    if isinstance(value, list | tuple):
        return type(value)(_without_macros(each, values, seen) for each in value)
    if isinstance(value, dict):
        return {key: _without_macros(v, values, seen) for key, v in value.items()}
    return value


def meaning(bindings: Iterable[str]) -> dict[str, Any]:
    """Returns the values of bindings, independent of their formatting and order.

    Args:
        bindings: Such as "SmoothieAgent.kl_penalty=0.01"; later ones win.

    Returns:
        Values by "scope/configurable.parameter". The key of a binding that cannot be
        read, and of an include statement, is its own text.
    """
    values: dict[str, Any] = {}
    for binding in bindings:
        try:
            values |= _statements(binding)
        except Exception:  # Gin passes on errors of Python's parser.
            values[binding] = None
    return values


def meaning_of_text(text: str) -> dict[str, Any]:
    """Returns the values of a whole configuration as `meaning` does, without macros.

    Raises:
        InputError: If it cannot be read as gin.
    """
    try:
        values = {name.rstrip("."): each for name, each in _statements(text).items()}
    except Exception as error:
        raise InputError(f"cannot be read as gin: {first_line(error)}") from None
    return {name: _without_macros(value, values) for name, value in values.items()}


def _statements(text):
    """Returns the values of a text's bindings; includes and imports are True."""
    read: dict[str, Any] = {}
    for statement in config_parser.ConfigParser(text, _Unbound()):
        if isinstance(statement, config_parser.BindingStatement):
            name = f"{statement.scope}/{statement.selector}.{statement.arg_name}"
            read[name.removeprefix("/")] = statement.value
        elif not isinstance(statement, config_parser.BlockDeclaration):
            # Without their line numbers.
            read[str(statement._replace(location=None))] = True
    return read


def same(one: Any, other: Any) -> bool:
    """Says whether two values are equal; references may include their module."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    one, other = (
        f"@{each[1:].rsplit('.', 1)[-1]}"
        if isinstance(each, str) and each.startswith("@")
        else each
        for each in (one, other)
    )
    # 1.0 is 1, but neither is True.
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def includes(text: str) -> list[tuple[int, str]]:
    """Returns the files that a gin text includes.

    Args:
        text: The text; statements after a syntax error are ignored.

    Returns:
        The line number of each statement, from 1 on, and its file name, in order.
    """
    found = []
    try:
        for statement in config_parser.ConfigParser(text, _Unbound()):
            if isinstance(statement, config_parser.IncludeStatement):
                found.append((statement.location.line_num, statement.filename))
    except Exception:  # Parsing the text reports the error.
        pass
    return found


def included(source: pathlib.Path | str, filename: str) -> pathlib.Path:
    """Finds an included file beside the including file, or as gin does.

    Args:
        source: The including file, or the text of a binding.
        filename: The name in the include statement.

    Returns:
        The path beside `source` if that file exists, else one relative to the working
        directory.
    """
    beside = pathlib.Path(source).parent / filename
    if isinstance(source, pathlib.Path) and beside.is_file():
        return beside
    return pathlib.Path(filename)


@dataclasses.dataclass(frozen=True)
class _Macro:
    name: str


class _Unbound(config_parser.ParserDelegate):
    """Reads references as text; applies nothing to gin."""

    def configurable_reference(self, scoped_configurable_name, evaluate):
        return f"@{scoped_configurable_name}{'()' if evaluate else ''}"

    def macro(self, macro_name):
        return _Macro(macro_name)
