"""Keeps notices of libraries that concern no user out of what programs print."""

import contextlib
import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator

# What is known and concerns nobody who runs our programs.
_KNOWN = re.compile(
    rb"All log messages before absl::InitializeLog|Compiled cluster using XLA"
)


def silence_imports() -> None:
    """Silences what TF-Agents and its dependencies say when they are imported."""
    # "is not" with a literal, in TF-Agents; deprecated aliases below it.
    warnings.filterwarnings("ignore", '"is', category=SyntaxWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    with contextlib.suppress(ImportError):
        import gym_notices.notices

        # TF-Agents imports the old gym, which asks to be replaced by Gymnasium.
        gym_notices.notices.notices.clear()
    import_mujoco()


def import_mujoco() -> None:
    """Imports MuJoCo, if it is installed, whatever MUJOCO_GL says.

    It would end on a value that it does not know, and on a library that is not here,
    though only pictures need one.
    """
    chosen = os.environ.pop("MUJOCO_GL", None)
    try:
        import mujoco
    except ImportError:
        return
    finally:
        if chosen is not None:
            os.environ["MUJOCO_GL"] = chosen
    # By default MuJoCo prints warnings and appends them to a file in whatever folder
    # the user is in.
    mujoco.set_mju_user_warning(_mujoco_warning)


def _mujoco_warning(message):
    # Some of Gymnasium's own models use it.
    if "settotalmass" not in message:
        logging.getLogger("mujoco").warning(message)


@contextlib.contextmanager
def without_known_notices() -> Iterator[None]:
    """Drops known notices that compiled libraries write to standard error.

    They bypass Python, so the stream itself is caught for the time; whatever is not
    known is passed on afterwards.
    """
    lines: list[bytes] = []
    try:
        with _caught_standard_error() as lines:
            yield
    finally:
        for line in lines:
            if not _KNOWN.search(line):
                os.write(2, line)


@contextlib.contextmanager
def silent_unless_failing() -> Iterator[None]:
    """Drops what is written to standard error, unless an exception ends it."""
    lines: list[bytes] = []
    try:
        with _caught_standard_error() as lines:
            yield
    except BaseException:
        for line in lines:
            os.write(2, line)
        raise


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Drops what is written to standard error: what matters raises."""
    with _caught_standard_error():
        yield


@contextlib.contextmanager
def _caught_standard_error():
    """Gives a list that holds what was written once the context has ended."""
    lines = []
    try:
        kept = os.dup(2)
    except OSError:  # Nobody would see it.
        yield lines
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield lines
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            lines.extend(caught)
