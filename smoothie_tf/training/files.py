"""Atomic writes of files, and paths that TensorFlow accepts."""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from smoothie_tf import validation

# Characters with a meaning in file patterns of TensorFlow and Python.
_PATTERN_SIGNS = frozenset("*?[\\")
_OF_CHECKPOINT = (".index", ".json")


class StorageError(validation.FailedError):
    """A file could not be written; the message is a sentence without a full stop."""


def failed(path: str | os.PathLike[str], error: Exception) -> StorageError:
    """Returns an error that says which file could not be written, and why.

    Args:
      path: The file.
      error: The error of the system or of TensorFlow.
    """
    # TensorFlow's messages end with the system's reason and the operation's name.
    told = validation.first_line(error).partition(" [Op:")[0].rpartition("; ")[2]
    reason = getattr(error, "strerror", None) or told
    return StorageError(f"{path} cannot be written ({reason})")


def replace(
    path: str | os.PathLike[str], content: str | bytes, lasts_power_cut: bool = True
) -> None:
    """Writes a temporary file and renames it, so that other processes see no half file.

    Args:
      path: The file; it keeps its old content until the new one is written completely.
      content: The new content.
      lasts_power_cut: Whether to wait until it is on disk.

    Raises:
      StorageError: If there is no room, or no permission; the file is unchanged then.
    """
    # A link keeps its place, and a file its permissions.
    path = pathlib.Path(os.path.realpath(path))
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(aside, "wb") as file:
            if isinstance(content, str):
                content = content.encode("utf-8", "surrogateescape")
            file.write(content)
            if lasts_power_cut:
                file.flush()
                os.fsync(file.fileno())
        with contextlib.suppress(OSError):
            shutil.copymode(path, aside)
        aside.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        if isinstance(error, OSError):
            raise failed(path, error) from error
        raise
    if lasts_power_cut:
        sync(path.parent)


@contextlib.contextmanager
def replacing(directory: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a new directory, whose files then replace those of the same names.

    Other processes see no half file. If the block raises an error, nothing is replaced.

    Args:
      directory: The directory of the files to replace; it must exist.
    """
    with tempfile.TemporaryDirectory(prefix=".", dir=directory) as folder:
        yield pathlib.Path(folder)
        for path in sorted(pathlib.Path(folder).iterdir()):
            path.replace(directory / path.name)


def sync(path: str | os.PathLike[str]) -> None:
    """Waits until a file's content, or a directory's names, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def checkpoints(directory: pathlib.Path) -> list[int]:
    """Returns the numbers of all checkpoints in a directory, in order, valid or not."""
    paths = [path for path in directory.glob("ckpt-*") if path.suffix in _OF_CHECKPOINT]
    numbers = {path.stem.removeprefix("ckpt-") for path in paths}
    return sorted(int(number) for number in numbers if number.isdecimal())


def finished_checkpoints(directory: pathlib.Path) -> list[int]:
    """Returns the numbers of the checkpoints that were finished, in order.

    These have a ckpt-N.json, which is written last. If none has one, the process was
    killed during its first save, or an older version wrote them: then all count.
    """
    found = checkpoints(directory)
    return [n for n in found if (directory / f"ckpt-{n}.json").exists()] or found


@contextlib.contextmanager
def literal(directory: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    r"""Yields a path to a directory that TensorFlow accepts, only for TensorFlow.

    Before TensorFlow opens a checkpoint or a SavedModel's variables, it searches for
    the files with the whole path as a pattern: below a directory named `[seed=0]` or
    `a\b` it does not find its own files. It would find an escaped path, but not open
    it. It also rejects paths that are not UTF-8, such as non-ASCII paths in Python
    with the locale C.

    Args:
      directory: A directory to read from or write to.

    Yields:
      The directory; or, if TensorFlow would reject it, a symbolic link to it that
      exists until the block ends.
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
