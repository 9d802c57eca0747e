"""Progress bars: refreshed often in a terminal, and rarely in a log file."""

import sys
from typing import Any, TextIO

import tqdm

# In a log file, each refresh adds a line.
_SECONDS_IN_A_FILE = 30.0


def create(
    title: str,
    unit: str,
    total: int | None = None,
    file: TextIO | None = None,
    **options: Any,
) -> tqdm.tqdm:
    """Returns a progress bar.

    Args:
      title: Title of the bar.
      unit: Unit of the count.
      total: Count at the end; None if it is not known yet.
      file: Where the bar is written; standard error if None.
      **options: Further arguments of `tqdm.tqdm`.
    """
    file = file or sys.stderr
    if not file.isatty():
        # Beyond `maxinterval`, tqdm refreshes the bar whatever `mininterval` is.
        options |= {"mininterval": _SECONDS_IN_A_FILE, "maxinterval": 60.0}
    return tqdm.tqdm(desc=title, unit=unit, total=total, file=file, **options)


def say(sentence: str) -> None:
    """Prints a sentence on standard error, above the progress bar if there is one."""
    tqdm.tqdm.write(sentence, file=sys.stderr)
