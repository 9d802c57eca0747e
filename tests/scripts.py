"""Scripts of reproduce/ in processes of their own, as a user runs them."""

import pathlib
import subprocess
import sys
from collections.abc import Sequence

ROOT = pathlib.Path(__file__).parents[1]


def run(
    script: str, *flags: object, bindings: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Runs a script to its end, with flags and gin bindings."""
    words = [sys.executable, f"reproduce/{script}.py", *map(str, flags)]
    words += [f"--gin_bindings={each}" for each in bindings]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=900)
