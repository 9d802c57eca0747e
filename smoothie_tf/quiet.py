"""Suppresses notices of libraries that are irrelevant to users."""

import contextlib
import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator

# Notices that are known and irrelevant.
_KNOWN = re.compile(
    rb"All log messages before absl::InitializeLog|Compiled cluster using XLA"
)


def silence_imports() -> None:
    """Suppresses warnings of TF-Agents and its dependencies at import."""
    # TF-Agents has "is not" with a literal; its dependencies use deprecated aliases.
    warnings.filterwarnings("ignore", '"is', category=SyntaxWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    with contextlib.suppress(ImportError):
        import gym_notices.notices

        # TF-Agents imports gym, which prints that Gymnasium replaces it.
        gym_notices.notices.notices.clear()
    import_mujoco()


def import_mujoco() -> None:
    """Imports MuJoCo, if it is installed, for any value of MUJOCO_GL.

    Otherwise the import fails on an unknown value or a missing graphics library, which
    only rendering needs.
    """
    chosen = os.environ.pop("MUJOCO_GL", None)
    try:
        import mujoco
    except ImportError:
        return
    finally:
        if chosen is not None:
            os.environ["MUJOCO_GL"] = chosen
    # By default MuJoCo prints warnings and appends them to a file in the working
    # directory.
    mujoco.set_mju_user_warning(_mujoco_warning)


def _mujoco_warning(message):
    # Some of Gymnasium's own models use this deprecated option.
    if "settotalmass" not in message:
        logging.getLogger("mujoco").warning(message)


@contextlib.contextmanager
def without_known_notices() -> Iterator[None]:
    """Drops known notices that compiled libraries write to standard error.

    They bypass Python, so the stream itself is captured; other output is written
    afterwards.
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
    """Drops standard error, unless the context ends with an exception."""
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
    """Drops standard error; for code that reports what matters by exceptions."""
    with _caught_standard_error():
        yield


@contextlib.contextmanager
def _caught_standard_error():
    """Yields a list that holds the captured lines after the context has ended."""
    lines = []
    try:
        kept = os.dup(2)
    except OSError:  # Standard error is closed.
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
