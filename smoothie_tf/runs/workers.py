"""Workers that train runs: processes on this machine, or those of `ray_launch`."""

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
    """The process of a run, with the methods of `subprocess.Popen`."""

    def poll(self) -> int | None:
        """Returns the exit status, or `None` while the process runs.

        Raises:
            WorkerLostError: If the run's machine or worker is gone.
        """

    def send_signal(self, number: int) -> None:
        """Asks the run to stop by `SIGINT`; it then writes a checkpoint."""

    def kill(self) -> None:
        """Ends the run without a checkpoint."""


class WorkerLostError(RuntimeError):
    """The machine or process that a run was on is gone; the message says which."""


class Workers(Protocol):
    """Starts the processes of runs."""

    def count(self) -> int:
        """Returns how many runs fit at once; may change with time."""

    def start(self, command: list[str], log: pathlib.Path, descriptor: int) -> Process:
        """Starts a run.

        Args:
            command: The run's command.
            log: The file that its output is appended to.
            descriptor: Holds the run's lock; must stay open while the run trains.
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
