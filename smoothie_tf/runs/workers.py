"""Where runs are put to work: processes on this machine, or what `ray_launch` has."""

import os
import pathlib
import subprocess
from typing import Protocol

#: A run fills one core by itself; more threads would only take the others' cores.
ONE_CORE = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
}


class Process(Protocol):
    """A run at work, as `subprocess.Popen` has it."""

    def poll(self) -> int | None:
        """Returns the exit status, or `None` while the run is at work.

        Raises:
            WorkerLostError: If what the run was on is gone.
        """

    def send_signal(self, number: int) -> None:
        """Asks the run to stop: `SIGINT`, upon which it leaves a checkpoint."""

    def kill(self) -> None:
        """Ends the run without a checkpoint."""


class WorkerLostError(RuntimeError):
    """The machine or process that a run was on is gone; the message says which."""


class Workers(Protocol):
    """Where runs are put to work."""

    def count(self) -> int:
        """Returns how many runs can be at work at once; may change with time."""

    def start(self, command: list[str], log: pathlib.Path, descriptor: int) -> Process:
        """Puts a run to work.

        Args:
            command: What to run.
            log: The file that its output is appended to.
            descriptor: Holds the run's lock; to be kept open while it is at work.
        """


class LocalWorkers:
    """Processes on this machine, one core each."""

    def count(self) -> int:
        """Returns how many cores there are."""
        return usable_cores()

    def start(
        self, command: list[str], log: pathlib.Path, descriptor: int
    ) -> subprocess.Popen:
        """Starts a process that inherits the lock."""
        with open(log, "ab") as file:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**ONE_CORE, **os.environ},
                pass_fds=(descriptor,),
                # A session of its own: the terminal's Ctrl-C reaches the launcher
                # alone, and each child is interrupted once.
                start_new_session=True,
            )


def usable_cores() -> int:
    """Returns how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
