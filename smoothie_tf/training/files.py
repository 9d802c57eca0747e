"""Files that are there as a whole or not at all."""

import contextlib
import os
import pathlib


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
            file.write(content.encode() if isinstance(content, str) else content)
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
