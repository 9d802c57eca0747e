"""Defines the workers that train runs, and those that are processes on this machine."""

import os
import pathlib
import subprocess
from typing import Protocol

#: Environment variables that limit a run to one core, so that parallel runs do not
#: compete.
ONE_CORE = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
}


class Process(Protocol):
    """The process of a run; the methods are those of `subprocess.Popen`."""

    def poll(self) -> int | None:
        """Returns the exit status, or `None` while the process runs.

        Raises:
            WorkerLostError: If the run's machine or worker has died.
        """

    def send_signal(self, number: int) -> None:
        """Sends SIGINT, upon which the run writes a checkpoint and ends."""

    def kill(self) -> None:
        """Ends the run without a checkpoint."""


class WorkerLostError(RuntimeError):
    """The machine or worker of a run has died; the message says which."""


class Workers(Protocol):
    """Starts the processes of runs."""

    def count(self) -> int:
        """Returns the maximum number of parallel runs, which may change with time."""

    def start(self, command: list[str], log: pathlib.Path, descriptor: int) -> Process:
        """Starts a run.

        Args:
            command: The run's command.
            log: The file to which its output is appended.
            descriptor: Holds the run's lock; it must stay open while the run trains.
        """


class LocalWorkers:
    """Processes on this machine, one core each."""

    def count(self) -> int:
        """Returns the number of usable cores."""
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
    """Returns the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
