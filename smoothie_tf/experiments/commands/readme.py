"""Keeps commands from replacing a README.md that they have not written."""

import pathlib

from smoothie_tf.validation import InputError


def check(flag: str, directory: pathlib.Path, head: str, owner: str) -> None:
    """Refuses a directory whose README.md is not the command's own.

    Args:
        flag: The flag that names the directory.
        directory: Where README.md is to be written.
        head: How the command's own README.md begins.
        owner: Whose it should be, such as "a comparison's".

    Raises:
        InputError: If README.md exists and does not begin so, or cannot be read.
    """
    path = directory / "README.md"
    if not path.exists():
        return
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    if not text.startswith(head):
        raise InputError(
            f"{flag} {directory} has a README.md that is not {owner}, and would be"
            " replaced: choose another directory."
        )
