"""Compares the speed of programs that take turns, each in its own process.

The speed of a shared machine drifts by a fifth within minutes, so absolute speeds are
not comparable. Here all contenders are started and warmed up first. Then, in each
round, each contender runs a slice of its work while the others wait. The result is the
ratio of two contenders within a round.

A contender calls `Turns.step` once per step. This module uses only the standard
library, because a contender may run in a different Python environment.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence


class Turns:
    """The contender's side of a contest: waits between its slices."""

    def __init__(self, warm_up: int):
        """Begins the warm-up.

        Args:
          warm_up: Steps before the first slice.
        """
        self._left = warm_up
        self._started = None

    def step(self) -> None:
        """Counts a step; at the end of a slice, reports and waits for the next one."""
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
        steps = sys.stdin.readline()
        if not steps.strip():
            # The contest is over; nothing needs to be closed.
            os._exit(0)
        self._left = int(steps)
        self._started = time.perf_counter(), time.process_time()


class Contender:
    """A contender's process, as the contest controls it."""

    def __init__(self, name: str, command: Sequence[str], core: int):
        """Starts a contender.

        Args:
          name: Its name in tables.
          command: The command that runs it; its process calls `Turns.step` once per
            step.
          core: The only core that it may use.
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
        """Starts a slice of `steps` steps."""
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()

    def wait(self) -> dict[str, float]:
        """Returns its report at the end of the slice, or of the warm-up."""
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended with status {self._process.wait()}.")
        return json.loads(line)

    def rate(self, steps: int) -> float:
        """Runs a slice and returns its steps per second."""
        self.begin(steps)
        return steps / self.wait()["seconds"]

    def stop(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()


def alternate(
    contenders: Sequence[Contender], rounds: int, steps: int
) -> dict[str, list[float]]:
    """Runs slices of contenders in turn, and ends them.

    Args:
      contenders: Started contenders; this waits for their warm-up first.
      rounds: The number of slices of each contender.
      steps: The number of steps per slice.

    Returns:
      The steps per second of each slice, by name.
    """
    for contender in contenders:
        contender.wait()
    rates = {contender.name: [] for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            rates[contender.name].append(contender.rate(steps))
    stop(contenders)
    return rates


def stop(contenders: Sequence[Contender]) -> None:
    """Ends the processes of contenders."""
    for contender in contenders:
        contender.stop()


def ratios(rates: Sequence[float], reference: Sequence[float]) -> list[float]:
    """Returns the ratio of two contenders' rates in each round."""
    return [a / b for a, b in zip(rates, reference, strict=True)]


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Returns the text "median (minimum–maximum)"."""
    shown = (statistics.median(values), min(values), max(values))
    middle, least, greatest = (f"{value:.{digits}f}" for value in shown)
    return f"{middle} ({least}–{greatest})"
