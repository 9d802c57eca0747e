"""What names a task: a registered id, or "module:id" for one that a module registers.

Importing this module imports no TensorFlow.
"""

import importlib

import gymnasium
from gymnasium.envs import registration

import smoothie_tf.environments  # noqa: F401  Registers the package's own tasks.
from smoothie_tf import validation


class UnknownTaskError(validation.InputError):
    """No task has that name; the message says why, without the name's own sentence."""


def find(name: str) -> registration.EnvSpec:
    """Returns what a name stands for, as every command of this package reads it.

    Args:
      name: A registered id, such as "Hopper-v5", with its version where it has one.
        A "module:id" imports the module first, which may register the id.

    Returns:
      What Gymnasium knows of the task.

    Raises:
      UnknownTaskError: If there is none, with the nearest id that there is.
    """
    module, colon, task = name.rpartition(":")
    if colon:
        try:
            importlib.import_module(module)
        # A module that others wrote may raise anything, and may end the program.
        except (Exception, SystemExit) as error:
            known = isinstance(error, ModuleNotFoundError)
            kind = "" if known else f"{type(error).__name__}: "
            why = f"{kind}{_line(error).rstrip('.')}"
            raise UnknownTaskError(
                f"module {module!r} cannot be imported: {why}"
            ) from error
    try:
        # Not `gymnasium.make`'s own search, which takes another version than the one
        # that was asked for where no version was: settings go by the whole name.
        return gymnasium.spec(task)
    except gymnasium.error.Error as error:
        near = validation.nearest(task, gymnasium.registry)
        raise UnknownTaskError(near.strip(" ()") or _line(error)) from error


def _line(error):
    return " ".join(str(error).split()) or repr(error)
