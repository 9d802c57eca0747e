"""Files that are there as a whole or not at all, and that TensorFlow finds."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator

# What TensorFlow's patterns, and Python's, give a meaning to.
_PATTERN_SIGNS = frozenset("*?[\\")


class StorageError(Exception):
    """A file could not be written; the message is a sentence without its full stop."""


def failed(path: str | os.PathLike[str], error: Exception) -> StorageError:
    """Returns the error that says what could not be written, and why.

    Args:
      path: The file.
      error: What the system, or TensorFlow, said.
    """
    reason = getattr(error, "strerror", None) or (str(error) or repr(error))
    return StorageError(f"{path} cannot be written ({reason.splitlines()[0]})")


def replace(
    path: str | os.PathLike[str], content: str | bytes, lasts_power_cut: bool = True
) -> None:
    """Writes a file aside and renames it, so that nobody ever sees half of it.

    Args:
      path: The file; where it exists, what it held stays until all is written.
      content: What it is to hold.
      lasts_power_cut: Whether to wait until the disk has it.

    Raises:
      StorageError: If there is no room, or no permission; nothing has changed then.
    """
    path = pathlib.Path(path)
    aside = path.with_name(f".{path.name}.tmp")
    try:
        with open(aside, "wb") as file:
            if isinstance(content, str):
                content = content.encode("utf-8", "surrogateescape")
            file.write(content)
            if lasts_power_cut:
                file.flush()
                os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise failed(path, error) from error
    if lasts_power_cut:
        sync(path.parent)


def sync(path: str | os.PathLike[str]) -> None:
    """Waits until the disk has a file's content, or a directory's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def literal(directory: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    r"""Gives a path to a directory that TensorFlow takes, and for nothing else.

    Before TensorFlow opens a checkpoint or a SavedModel's variables, it looks for the
    files with their whole path as a pattern: below a folder named `[seed=0]` or `a\b`
    it finds nothing that it has written there itself. An escaped path would be found,
    but not opened. Nor does it take a path that is not UTF-8, as Python has every path
    with other letters than English ones where the locale is C.

    Args:
      directory: A directory to read from or write to.

    Yields:
      The directory; where TensorFlow would not take it, a symbolic link to it, for as
      long as the block lasts.
    """
    path = pathlib.Path(directory)
    if not _PATTERN_SIGNS & set(str(path)) and _is_text(path):
        yield path
        return
    candidates = (tempfile.gettempdir(), "/tmp", "/var/tmp")
    plain = [c for c in candidates if not _PATTERN_SIGNS & set(c) and _is_text(c)]
    with tempfile.TemporaryDirectory(dir=plain[0]) as folder:
        link = pathlib.Path(folder) / "link"
        link.symlink_to(path.absolute(), target_is_directory=True)
        yield link


def _is_text(path):
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
