"""Finds gin files, parses them with a command's bindings, and explains mistakes.

Gin files are code: they can name any function of the package and bind any of its
parameters. Use only files that you trust.
"""

import difflib
import importlib
import inspect
import pathlib
import re
from collections.abc import Sequence

import gin

from smoothie_tf import validation
from smoothie_tf.environments import task_names
from smoothie_tf.training import (
    gin_directory,
    gin_text,
    renamed_bindings,
    train,  # noqa: F401  Registers the configurables.
)


class ConfigError(ValueError):
    """A gin file or binding that cannot be used."""


def parse(
    agent: str,
    environment_id: str,
    preset: str | None = None,
    gin_files: Sequence[str] = (),
    bindings: Sequence[str] = (),
    tuned: bool = True,
    values: str = "paper",
) -> list[pathlib.Path]:
    """Parses the configuration of a run, later sources over earlier ones.

    The order is: the files that `gin_directory.value_files` returns; the preset;
    `gin_files`; `bindings`.

    Args:
      agent: Name of the agent.
      environment_id: A Gymnasium id.
      preset: Name of a preset.
      gin_files: Paths of further files.
      bindings: Such as "SmoothieAgent.kl_penalty=0.01".
      tuned: Whether to use tuned values; ignored for recommended values.
      values: One of `gin_directory.VALUES`.

    Returns:
      The files of the agent's and environment's values, and `gin_files`; not the
      preset.

    Raises:
      ConfigError: If a file is missing, or a binding cannot be used; the message
        suggests the nearest parameter name.
    """
    gin.clear_config()
    _check_known("--values", values, gin_directory.VALUES)
    _check_known("--agent", agent, gin_directory.agents())
    if values == "recommended" and agent not in gin_directory.recommended():
        raise ConfigError(
            f"--values recommended: there are none for the agent {agent!r}, but for"
            f" {', '.join(gin_directory.recommended())}."
        )
    # A task's code may have parameters of its own, which bindings can name.
    task_names.import_code(environment_id)
    files = gin_directory.value_files(agent, environment_id, tuned, values)
    of_agent = list(files)
    if preset is not None:
        _check_known("--preset", preset, gin_directory.presets())
        files.append(gin_directory.ROOT / "presets" / f"{preset}.gin")
    own_files = []
    for name in gin_files:
        if not name or not pathlib.Path(name).exists():
            raise ConfigError(f"--gin_file {name} does not exist.")
        own_files.append(pathlib.Path(name))
    for path in files:
        _parse_file(path)
    in_own_files = set()
    for path in own_files:
        before = _macros()
        _parse_file(path)
        # Macros of the package's files are for several agents.
        if not path.resolve().is_relative_to(gin_directory.ROOT):
            in_own_files |= _macros() - before
    in_files = _macros()
    for binding in bindings:
        _parse(binding, f"--gin_bindings {binding!r}")
    _check_macros(in_own_files, "--gin_file:")
    _check_macros(_macros() - in_files, "--gin_bindings")
    try:
        gin.config.validate_macros_hook(gin.config._CONFIG)
    except ValueError as error:
        reason = validation.first_line(error).rstrip(".")
        raise ConfigError(f"The configuration cannot be used: {reason}.") from error
    return of_agent + own_files


def default(name: str) -> str | None:
    """Returns the default of a parameter as gin writes it.

    Args:
      name: Such as "SmoothieAgent.kl_penalty".

    Returns:
      The text, or None if the parameter has no default, or does not exist.
    """
    selector, _, parameter = name.rpartition(".")
    try:
        configurable = gin.config._REGISTRY.get_match(selector)
    except KeyError:  # Ambiguous.
        return None
    if configurable is None:
        return None
    parameters = inspect.signature(configurable.wrapped).parameters
    if parameter not in parameters:
        return None
    value = parameters[parameter].default
    return None if value is inspect.Parameter.empty else gin.config._format_value(value)


def bound_parameters() -> list[str]:
    """Returns the names of all parameters that are bound, such as "train.num_steps"."""
    return sorted(
        f"{selector.rsplit('.', 1)[-1]}.{parameter}"
        for (_, selector), bound in gin.config._CONFIG.items()
        for parameter in bound
        if selector != "gin.macro"
    )


def without_effect(bindings: Sequence[str]) -> list[str]:
    """Returns the parameters of bindings that nothing has read so far.

    Those of another agent are not read, for example, nor one that the code passes
    itself, as Gymnasium does with the arguments that a task is registered with.

    Args:
      bindings: Such as "SmoothieAgent.kl_penalty=0.01", already parsed.

    Returns:
      Names such as "SmoothieAgent.kl_penalty".
    """
    read = {
        f"{selector.rsplit('.', 1)[-1]}.{parameter}"
        for (_, selector), values in gin.config._OPERATIVE_CONFIG.items()
        for parameter in values
    }
    bound = gin_text.bound_values(*map(renamed_bindings.renamed, bindings))
    # A macro has no configurable; the experiments read their own parameters.
    return [
        name
        for name in bound
        if "." in name
        and not name.startswith(("grid.", "search."))
        and name not in read
    ]


def _check_known(flag, name, known):
    if name not in known:
        raise ConfigError(
            f"{flag} {name!r} is unknown: it must be one of {', '.join(known)}."
        )


def _parse_file(path, including=()):
    """Parses a file, and included files at their include statements."""
    lines, start = _read(path).split("\n"), 0
    for number, name in gin_text.includes("\n".join(lines)):
        # Empty lines replace the parsed ones, so that messages give line numbers.
        _parse("\n" * start + "\n".join(lines[start : number - 1]), f"{path}")
        start = number
        file = gin_text.included(path, name)
        if not file.is_file():
            raise ConfigError(
                f"{path}: line {number} includes {name}, but there is no such file"
                " beside this one or in the working directory."
            )
        if any(file.samefile(each) for each in (path, *including)):
            raise ConfigError(
                f"{path}: line {number} includes {name}, which would include a file"
                " in itself."
            )
        _parse_file(file, (path, *including))
    _parse("\n" * start + "\n".join(lines[start:]), f"{path}")


def _read(path):
    try:
        return path.read_text(encoding=gin_text.ENCODING)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} cannot be read: it is not text.") from error


def parse_operative(path: pathlib.Path) -> None:
    """Parses the operative configuration of a run, and nothing else.

    Args:
      path: The run's operative_config.gin.

    Raises:
      ConfigError: If it cannot be used.
    """
    gin.clear_config()
    _parse(_read(path), f"{path}")


def _parse(text, source):
    text = renamed_bindings.renamed(text)
    try:
        # With skip_unknown, gin would ignore failing imports: import them here.
        for name in re.findall(r"(?m)^[ \t]*(?:import|from)[ \t]+([\w.]+)", text):
            importlib.import_module(name)
        # The experiments define these, and a single run need not import them.
        gin.parse_config(text, skip_unknown=["grid", "search"])
    except Exception as error:  # Gin raises many kinds, SyntaxError among them.
        # A KeyError quotes its message.
        reason = validation.first_line(error).rstrip(".").strip('"').rstrip(".")
        if reason.startswith("malformed node"):  # Of Python's own parser.
            reason = "the value is not a number, a quoted text or another literal"
        raise ConfigError(f"{source}: {reason}.{_suggestion(reason)}") from error


def _macros():
    """Returns the names of all macros that are bound."""
    return {scope for scope, selector in gin.config._CONFIG if selector == "gin.macro"}


def _check_macros(names, source):
    """Refuses macros of a user, from `source`, that no value refers to.

    A parameter without its configurable's name would be one.
    """
    macro = gin.config._REGISTRY["gin.macro"]
    used = {
        each.scoped_selector.removesuffix("/gin.macro")
        for each in gin.config.iterate_references(gin.config._CONFIG, to=macro.wrapper)
    }
    for name in sorted(names - used):
        meant = [each for each in _parameters() if each.endswith(f".{name}")]
        bound = {selector.rsplit(".", 1)[-1] for _, selector in gin.config._CONFIG}
        meant.sort(key=lambda each: each.split(".")[0] not in bound)
        hint = f" Did you mean {meant[0]}?" if meant else ""
        raise ConfigError(
            f"{source} {name!r} names no configurable.parameter, and no other"
            f" value refers to %{name}.{hint}"
        )


def _parameters():
    """Returns all parameters that can be bound, such as "train.num_steps"."""
    return [
        f"{selector.rsplit('.', 1)[-1]}.{parameter}"
        for selector, configurable in gin.config._REGISTRY.items()
        for parameter in inspect.signature(configurable.wrapped).parameters
    ]


def _suggestion(reason):
    known = _parameters()
    names = {name.split(".")[0] for name in known}
    quoted = re.findall(r"(?<!\w)'([^']+)'", reason)  # Not the n't of "doesn't".
    if reason.startswith("Ambiguous") and len(quoted) > 2:
        return f" Write {' or '.join(quoted[1:])}."
    if "parameter" in reason and len(quoted) >= 2:
        owner, wanted = quoted[0].rsplit(".", 1)[-1], quoted[1]
        near = difflib.get_close_matches(
            f"{owner}.{wanted}", [k for k in known if k.startswith(f"{owner}.")], 1, 0.3
        )
    else:
        wanted = quoted[0].rsplit(".", 1)[-1] if quoted else reason
        near = difflib.get_close_matches(wanted, names, 1)
    return f" Did you mean {near[0]}?" if near else ""
