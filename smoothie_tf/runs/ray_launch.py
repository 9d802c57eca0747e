"""Trains the runs of a grid on a Ray cluster, as `launch` does on one machine.

Every node must see this repository, its environment and the run directory under the
same paths. If the worker or node of a run dies, the run resumes elsewhere from its last
checkpoint.
"""

import argparse
import contextlib
import importlib.util
import logging
import os
import pathlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

from smoothie_tf.command_line import AtLeast, Parser, check_room
from smoothie_tf.runs.workers import ONE_CORE, LocalWorkers, WorkerLostError, Workers
from smoothie_tf.validation import InputError, first_line

_CONNECT_SECONDS = 5.0
_POLL_SECONDS = 0.2
# Time that an interrupted run has to write its checkpoint.
_STOP_SECONDS = 60.0
# Environment variables that runs on all nodes take from the launcher: where modules
# are, and what changes numbers.
_SETTINGS = ("PYTHONPATH", "XLA_FLAGS", "MUJOCO_GL")
_SETTINGS_OF = "TF_"
# A process outlives its parent: after its worker has died, it would keep the run's lock
# while another worker resumes the run. So the kernel interrupts it when its parent ends
# (Linux only). A small program requests this, and then becomes the run: Python code
# between fork and exec is unsafe in a process with threads.
_TETHERED = """
import ctypes, os, signal, sys
# A process inherits from Ray's workers that SIGINT is blocked or ignored.
signal.pthread_sigmask(signal.SIG_SETMASK, ())
signal.signal(signal.SIGINT, signal.SIG_DFL)
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""


def add_flags(parser: Parser) -> None:
    """Adds the flags for the directory of runs and for their launcher."""
    parser.add_directory("--runs_dir", "runs", "the directory of the runs")
    parser.add_argument(
        "--num_workers",
        action=AtLeast,
        help="maximum of parallel runs; default one per core",
    )
    parser.add_argument(
        "--launcher",
        default="processes",
        choices=("processes", "ray"),
        help="processes (default) for processes on this machine, or ray for tasks on a "
        "Ray cluster",
    )
    parser.add_argument(
        "--ray_address",
        metavar="ADDRESS",
        help="host:port of the cluster's head node; default auto: the cluster that "
        "this machine is a node of",
    )


def check_flags(flags: argparse.Namespace) -> None:
    """Checks the values of these flags, as far as that needs no cluster.

    With `--plot_only` nothing is trained, and nothing is checked.

    Raises:
        InputError: If the directory cannot be used, or this machine has too few cores.
    """
    if flags.plot_only:
        return
    # Two runs may share a single core.
    most = max(2, os.cpu_count() or 1)
    if flags.launcher == "processes" and (flags.num_workers or 1) > most:
        raise InputError(
            f"--num_workers must be at most {most} on this machine, as a run uses a "
            f"whole core, but is {flags.num_workers}."
        )
    check_room("--runs_dir", flags.runs_dir)


@contextlib.contextmanager
def connect(launcher: str, address: str | None) -> Iterator[Workers]:
    """Connects to the launcher's workers; a context manager.

    Args:
        launcher: `processes` or `ray`.
        address: `host:port` of Ray's head node; `auto` for the cluster that this
            machine is a node of; `None` for the value of RAY_ADDRESS, or else `auto`.

    Yields:
        Workers for `launch.launch`.

    Raises:
        InputError: If Ray is not installed, there is no cluster at the address, or an
            address is given without `--launcher ray`.
    """
    if launcher != "ray" and address is not None:
        raise InputError(
            f"--ray_address {address} is for --launcher ray: add it, or leave the "
            "address out."
        )
    if launcher == "processes":
        yield LocalWorkers()
        return
    if importlib.util.find_spec("ray") is None:
        raise InputError(
            "--launcher ray needs Ray, which is not installed: pip install -e '.[ray]'."
        )
    if address is None:
        address = os.environ.get("RAY_ADDRESS") or "auto"
    if address != "auto":
        _reach(address)
    # Ray's messages about its nodes would break up the progress bar. The launcher
    # reports lost nodes itself.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except (ConnectionError, RuntimeError, ValueError) as error:
        hint = "start one with `ray start --head`, see docs/cluster.md"
        if address != "auto":
            hint = " ".join(str(error).split())[:200].rstrip(".")
        raise InputError(
            f"--ray_address {address}: no Ray cluster was found there ({hint})."
        ) from None
    try:
        workers = RayWorkers()
        if not workers.count():
            raise InputError(
                f"--ray_address {address}: this cluster has no core to train on; start "
                "a worker node, see docs/cluster.md."
            )
        yield workers
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Checks that a server listens at an address; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit() and 0 < int(port) < 65536) or "/" in host:
        raise InputError(
            f"--ray_address {address!r} is not an address: give auto, or the "
            "host:port that `ray start --head` printed."
        )
    try:
        socket.create_connection(
            (host.strip("[]"), int(port)), _CONNECT_SECONDS
        ).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"--ray_address {address}: nothing answers there ({reason}). Give the "
            "address that `ray start --head` printed."
        ) from None


class RayWorkers:
    """The cores of a Ray cluster; one task per run."""

    def __init__(self):
        """Prepares the task; Ray must be connected."""
        import ray

        # The launcher restarts lost runs itself, so that it can report them.
        task = ray.remote(num_cpus=1, max_retries=0, scheduling_strategy="SPREAD")
        self._task = task(_train)

    def count(self) -> int:
        """Returns the current number of cores in the cluster, which may change."""
        import ray

        return int(ray.cluster_resources().get("CPU", 0))

    def start(
        self, command: list[str], log: pathlib.Path, descriptor: int
    ) -> "RayProcess":
        """Submits a task that runs a command on one of the nodes.

        Args:
            command: The command, as on this machine.
            log: The file to which the output is appended, under the same path on every
                node.
            descriptor: Holds the run's lock; it stays open in this process, since a
                node cannot inherit it.
        """
        # Not resolved: a link may lead elsewhere on a node.
        settings = {
            name: value
            for name, value in os.environ.items()
            if name in _SETTINGS or name.startswith(_SETTINGS_OF)
        }
        reference = self._task.remote(
            command, os.getcwd(), os.path.abspath(log), settings
        )
        return RayProcess(reference, os.dup(descriptor))


class RayProcess:
    """A run as a Ray task, with the methods of a process."""

    def __init__(self, reference, descriptor: int):
        """Takes over a submitted task.

        Args:
            reference: Ray's reference to the task's result, the exit status.
            descriptor: Holds the run's lock until the task has ended.
        """
        self._reference = reference
        self._descriptor = descriptor
        self._result: int | WorkerLostError | None = None

    def poll(self) -> int | None:
        """Returns the exit status, or `None` while the task is queued or running.

        Raises:
            WorkerLostError: If the task's worker or node has died.
        """
        if self._result is None:
            self._result = self._ask()
            if self._result is not None:
                os.close(self._descriptor)
        if isinstance(self._result, WorkerLostError):
            raise self._result
        return self._result

    def send_signal(self, number: int) -> None:
        """Interrupts the run, which writes a checkpoint; `number` is ignored."""
        import ray

        ray.cancel(self._reference)

    def kill(self) -> None:
        """Ends the task's worker."""
        import ray

        ray.cancel(self._reference, force=True)

    def _ask(self):
        import ray

        ready, _ = ray.wait([self._reference], timeout=0)
        if not ready:
            return None
        try:
            return ray.get(self._reference)
        except (ray.exceptions.TaskCancelledError, KeyboardInterrupt):
            return -signal.SIGINT
        except ray.exceptions.RayTaskError as error:
            # The task could not start the run, so the run has no log.
            why = first_line(error.cause)
            return WorkerLostError(f"its node could not start it: {why}")
        except ray.exceptions.RayError as error:
            return WorkerLostError(_loss(error))


def _loss(error: Exception) -> str:
    """Returns a clause that says how a worker was lost."""
    import ray

    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return "Ray ended its worker because its node ran out of memory"
    if isinstance(error, ray.exceptions.NodeDiedError):
        return "its node died"
    text = str(error).lower()
    if "node" in text and ("dead" in text or "died" in text):
        return "its node died"
    return "its worker died"


def _train(
    command: list[str], directory: str, log: str, settings: dict[str, str]
) -> int:
    """Runs a command on the node of this task.

    Args:
        command: The command.
        directory: Its working directory.
        log: The file to which its output is appended.
        settings: Environment variables of the launcher, for all nodes.

    Returns:
        Its exit status; if a signal ended it, the negative number of the signal.
    """
    # Ray cancels a task by SIGINT. A node that was started in the background of a shell
    # script would ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tethered = [sys.executable, "-c", _TETHERED, str(os.getpid()), *command]
    with open(log, "ab") as file:
        process = subprocess.Popen(
            tethered,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env={**os.environ, **ONE_CORE, **settings},
            start_new_session=True,
        )
    try:
        while True:
            # Ray raises KeyboardInterrupt in a task only between calls: an unlimited
            # wait would never be interrupted.
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(_POLL_SECONDS)
    except BaseException:
        process.send_signal(signal.SIGINT)
        try:
            return process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
