"""What all commands share: how flags are read, and what exit statuses mean.

Importing this module imports no TensorFlow.
"""

import argparse
import os
import pathlib
import sys
from typing import Any, NoReturn

#: Exit statuses of every command.
DONE = 0
#: Something failed on the way, or a file to read is damaged.
FAILED = 1
BAD_INPUT = 2
#: By Ctrl-C, a termination or a hang-up; as shells have it for SIGINT.
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """Takes flags by their whole names, and says what is wrong in one line."""

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
            default: Its value where it is not given.
            what: What the directory is for, as `--help` says it.
        """
        self.add_argument(
            flag,
            type=pathlib.Path,
            default=pathlib.Path(default),
            help=f"{what}; default {default}",
        )

    def make_directory(self, flag: str, path: pathlib.Path) -> None:
        """Makes a directory where there is none, or ends with `BAD_INPUT`."""
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self.error(f"{flag} {path} cannot be made: {error.strerror}.")


def _path(text: str) -> pathlib.Path:
    """Reads a path: an empty one, of an unset variable say, would be this folder."""
    if not text:
        raise argparse.ArgumentTypeError("it must be a path, but is empty.")
    return pathlib.Path(text)


def shortest(path: pathlib.Path) -> pathlib.Path:
    """Returns a path as it is shortest from here."""
    return min(path, pathlib.Path(os.path.relpath(path)), key=lambda p: len(str(p)))


def called_by_smoothie(name: str) -> str:
    """Returns the program's name, `sys.argv[0]`, where `smoothie` runs a command."""
    return f"smoothie {name}"


def called_as(name: str) -> list[str]:
    """Returns the words by which the command that runs here is called again.

    They are recorded with its results, and its flags follow them.

    Args:
        name: The command, such as `train`.

    Returns:
        `smoothie train` where that was called, or else the script in `reproduce/`.
    """
    if sys.argv[0] == called_by_smoothie(name):
        return ["smoothie", name]
    return ["python", f"reproduce/{name}.py"]


def program_name(name: str) -> str:
    """Returns what a command calls itself where it says what is wrong."""
    if sys.argv[0] == called_by_smoothie(name):
        return sys.argv[0]
    return f"{name}.py"
