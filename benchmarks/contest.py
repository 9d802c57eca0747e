"""Times programs side by side: each in a process of its own, taking turns.

A machine that others use drifts by a fifth within minutes, so a speed alone says
little. Here all contenders are started and warmed up first; then each runs a slice
of its work in turn, the others waiting, round after round, and what is reported is
the ratio of two contenders within a round.

A contender calls `Turns` once a step. Only the standard library is used here, for a
contender may live in an environment of its own.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence


class Turns:
    """A contender's side: waits at the end of each slice to be called again."""

    def __init__(self, warm_up: int):
        """Begins the warm-up.

        Args:
          warm_up: Steps before the first slice.
        """
        self._left = warm_up
        self._started = None

    def step(self) -> None:
        """Counts a step; between slices, waits for the word to go on."""
        self._left -= 1
        if self._left > 0:
            return
        report = {}
        if self._started is not None:
            wall, process = self._started
            report = {
                "seconds": time.perf_counter() - wall,
                "process_seconds": time.process_time() - process,
            }
        print(json.dumps(report), flush=True)
        word = sys.stdin.readline()
        if not word.strip():
            # The contest is over, and nothing here is worth closing.
            os._exit(0)
        self._left = int(word)
        self._started = time.perf_counter(), time.process_time()


class Contender:
    """The contest's side of a contender."""

    def __init__(self, name: str, command: Sequence[str], core: int):
        """Starts a contender.

        Args:
          name: What tables call it.
          command: Runs it; its process calls `Turns.step` for every step.
          core: The one core it may use.
        """
        self.name = name
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )

    def begin(self, steps: int) -> None:
        """Lets it run a slice of `steps` steps."""
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()

    def wait(self) -> dict[str, float]:
        """Returns what it says at the end of the slice, or of its warm-up."""
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended with status {self._process.wait()}.")
        return json.loads(line)

    def rate(self, steps: int) -> float:
        """Runs a slice and returns its steps a second."""
        self.begin(steps)
        return steps / self.wait()["seconds"]

    def stop(self) -> None:
        """Ends it."""
        self._process.stdin.close()
        self._process.wait()


def alternate(
    contenders: Sequence[Contender], rounds: int, steps: int
) -> dict[str, list[float]]:
    """Lets contenders take turns.

    Args:
      contenders: They are ready once this has waited for their warm-up.
      rounds: Slices each.
      steps: Steps a slice.

    Returns:
      Steps a second of each slice, by name.
    """
    for contender in contenders:
        contender.wait()
    rates = {contender.name: [] for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            rates[contender.name].append(contender.rate(steps))
    return rates


def ratios(rates: Sequence[float], reference: Sequence[float]) -> list[float]:
    """Returns the ratio within each round."""
    return [a / b for a, b in zip(rates, reference, strict=True)]


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Returns "median (least–greatest)"."""
    shown = (statistics.median(values), min(values), max(values))
    middle, least, greatest = (f"{value:.{digits}f}" for value in shown)
    return f"{middle} ({least}–{greatest})"


def flags(description: str) -> argparse.ArgumentParser:
    """Returns a parser with the flags that every contest has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=7, help="alternations")
    parser.add_argument("--steps", type=int, default=400, help="steps a slice")
    parser.add_argument("--core", type=int, default=0, help="core to run on")
    return parser
