"""Flag parsing and exit statuses that all commands share.

Importing this module imports no TensorFlow.
"""

import argparse
import functools
import os
import pathlib
import shutil
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from smoothie_tf import validation

#: Exit statuses of every command.
DONE = 0
#: The command failed, or an input file is damaged.
FAILED = 1
BAD_INPUT = 2
#: Stopped by Ctrl-C, SIGTERM or SIGHUP; shells use this status for SIGINT.
INTERRUPTED = 130
# Pictures and tables of a figure need less than this.
_LEAST_FREE_BYTES = 10 * 2**20


def reporting(command: Callable[..., int]) -> Callable[..., int]:
    """Lets a command print errors meant for its user, and return their exit status."""

    @functools.wraps(command)
    def run(*args, **kwargs):
        try:
            return command(*args, **kwargs)
        except (validation.InputError, validation.FailedError) as error:
            print(f"{str(error).rstrip('.')}.", file=sys.stderr)
            is_failure = isinstance(error, validation.FailedError)
            return FAILED if is_failure else BAD_INPUT

    return run


class Parser(argparse.ArgumentParser):
    """Accepts only full flag names, and reports errors in one line."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})
        self.register("type", pathlib.Path, _path)

    def error(self, message: str) -> NoReturn:
        """Prints the message and ends with `BAD_INPUT`; `--help` has the usage."""
        self.exit(BAD_INPUT, f"{self.prog}: {message}\n")

    def add_directory(self, flag: str, default: str, what: str) -> None:
        """Adds a flag that names a directory.

        Args:
            flag: Such as `--out_dir`.
            default: Its default.
            what: Its description for `--help`.
        """
        self.add_argument(
            flag,
            type=pathlib.Path,
            default=pathlib.Path(default),
            help=f"{what}; default {default}",
        )

    def make_directory(self, flag: str, path: pathlib.Path) -> None:
        """Creates a directory if it does not exist, or ends with `BAD_INPUT`."""
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self.error(f"{flag} {path} cannot be made: {error.strerror}.")


class AtLeast(argparse.Action):
    """Stores a whole number, which must be at least `least`; `reason` says why."""

    def __init__(self, *args: Any, least: int = 1, reason: str = "", **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._least = least
        self._rule = f"at least {least}" + f" ({reason})" * bool(reason)

    def __call__(self, parser, namespace, values, option_string=None):  # noqa: D102
        flag = self.option_strings[0]
        try:
            number = int(values)
        except ValueError:
            parser.error(f"{flag} must be a whole number, but is {values!r}.")
        if number < self._least:
            parser.error(f"{flag} must be {self._rule}, but is {number}.")
        setattr(namespace, self.dest, number)


def check_room(flag: str, path: pathlib.Path) -> None:
    """Checks before training that a directory can be created and has free space.

    Args:
        flag: The flag that names it.
        path: The directory.

    Raises:
        InputError: If it cannot be used.
    """
    try:
        whole = path.absolute()
        existing = next(each for each in (whole, *whole.parents) if each.exists())
        if not existing.is_dir():
            raise validation.InputError(f"{flag} {path}: {existing} is a file.")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise validation.InputError(
                f"{flag} {path} cannot be written: no permission."
            )
        free = shutil.disk_usage(existing).free
    except OSError as error:
        raise validation.InputError(
            f"{flag} {path} cannot be used: {error.strerror}."
        ) from None
    if free < _LEAST_FREE_BYTES:
        raise validation.InputError(
            f"{flag} {path} has room for {free / 2**20:.1f} MiB, but needs at least"
            f" {_LEAST_FREE_BYTES / 2**20:.0f} MiB."
        )


def _path(text: str) -> pathlib.Path:
    """Reads a path; an empty one, as of an unset variable, is an error."""
    if not text:
        raise argparse.ArgumentTypeError("it must be a path, but is empty.")
    return pathlib.Path(text)


def shortest(path: pathlib.Path) -> pathlib.Path:
    """Returns a path as given or relative to the working directory: the shorter one."""
    return min(path, pathlib.Path(os.path.relpath(path)), key=lambda p: len(str(p)))


def called_by_smoothie(name: str) -> str:
    """Returns the program's name, `sys.argv[0]`, if `smoothie` runs a command."""
    return f"smoothie {name}"


def called_as(name: str) -> list[str]:
    """Returns the words that call the running command again, without its flags.

    They are recorded with its results.

    Args:
        name: The command, such as `train`.

    Returns:
        `smoothie train` if it was called so, else the script in `reproduce/`.
    """
    if sys.argv[0] == called_by_smoothie(name):
        return ["smoothie", name]
    return ["python", f"reproduce/{name}.py"]


def report(name: str, error: Exception) -> int:
    """Prints an error of a command in one sentence, and returns its exit status.

    Args:
        name: The command, such as `train`.
        error: A `ValueError` if the command's input cannot be used.
    """
    sentence = validation.first_line(error)
    end = "" if sentence.endswith((".", "?")) else "."
    print(f"{program_name(name)}: {sentence}{end}", file=sys.stderr)
    return BAD_INPUT if isinstance(error, ValueError) else FAILED


def program_name(name: str) -> str:
    """Returns a command's name for its error messages."""
    if sys.argv[0] == called_by_smoothie(name):
        return sys.argv[0]
    return f"{name}.py"
