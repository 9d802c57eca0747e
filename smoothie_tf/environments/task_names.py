"""Names of tasks: a registered id, or "module:id" for one that a module registers."""

import contextlib
import functools
import hashlib
import importlib
import inspect
import re
import sys
from typing import Any

import gymnasium
from gymnasium.envs import registration

import smoothie_tf.environments  # noqa: F401  Registers the package's own tasks.
from smoothie_tf import validation

# Packages whose versions or commits run.json has.
_RECORDED = ("gymnasium", "smoothie_tf")


class UnknownTaskError(validation.InputError):
    """No task has that name; the message gives only the reason."""


def find(name: str) -> registration.EnvSpec:
    """Returns the task of a name, for all commands of this package.

    Args:
      name: A registered id, such as "Hopper-v5", with its version if it has one. A
        "module:id" imports the module first, which may register the id.

    Returns:
      Gymnasium's spec of the task.

    Raises:
      UnknownTaskError: If there is no such task; the message suggests the nearest id.
    """
    module, colon, task = name.rpartition(":")
    if colon:
        try:
            importlib.import_module(module)
        # A user's module may raise any exception, and may call sys.exit.
        except (Exception, SystemExit) as error:
            known = isinstance(error, ModuleNotFoundError)
            kind = "" if known else f"{type(error).__name__}: "
            why = f"{kind}{_line(error).rstrip('.')}"
            raise UnknownTaskError(
                f"module {module!r} cannot be imported: {why}"
            ) from error
    try:
        # Not the search of `gymnasium.make`, which selects a version if the name has
        # none: settings belong to the full name.
        return gymnasium.spec(task)
    except gymnasium.error.Error as error:
        near = validation.nearest(task, gymnasium.registry)
        why = f"there is no such task{near}" if near else _line(error).rstrip(".")
        if not near and not colon:
            why += f"; if a module registers it, the name is MODULE:{task}"
        raise UnknownTaskError(why) from error


def import_code(name: str) -> None:
    """Imports the code of a task, so that Gin knows its parameters.

    Args:
      name: As for `find`. If the task cannot be found or its code not be imported,
        nothing happens: making the task says why.
    """
    # A user's module may raise any exception, and may call sys.exit.
    with contextlib.suppress(Exception, SystemExit):
        entry_point: Any = find(name).entry_point
        if isinstance(entry_point, str):
            registration.load_env_creator(entry_point)


def code(name: str) -> dict[str, str]:
    """Returns digests of a task's code, by which an edited task can be told.

    Args:
      name: As for `find`.

    Returns:
      From "code of MODULE.CLASS" to the first ten digits of a digest of the class's
      source, and likewise for its base classes; for a task that a function makes, from
      "code of MODULE". Empty for the tasks of Gymnasium and of this package, whose
      versions run.json has, and for code that has no file.
    """
    parts: list[Any] = []
    # A user's module may raise any exception, and may call sys.exit.
    with contextlib.suppress(Exception, SystemExit):
        entry_point: Any = find(name).entry_point
        if isinstance(entry_point, str):
            if _has_known_version(entry_point):
                return {}
            entry_point = registration.load_env_creator(entry_point)
        while isinstance(entry_point, functools.partial):
            entry_point = entry_point.func
        parts = [inspect.getmodule(entry_point)]
        if inspect.isclass(entry_point):
            parts = [*inspect.getmro(entry_point)]
    digests = {}
    for part in parts:
        with contextlib.suppress(AttributeError, OSError, TypeError):
            own = getattr(part, "__qualname__", "")
            own = f"{part.__module__}.{own}" if own else part.__name__
            if not _has_known_version(own):
                source = inspect.getsource(part).encode()
                digests[f"code of {own}"] = hashlib.sha1(source).hexdigest()[:10]
    return digests


def _has_known_version(name):
    """Says whether a module or class is Python's, Gymnasium's or this package's."""
    package = re.split("[.:]", name)[0]
    return package in {*sys.stdlib_module_names, *_RECORDED}


def _line(error):
    return " ".join(str(error).split()) or repr(error)
