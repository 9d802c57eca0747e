"""Launches the unfinished runs of a grid.

The entry point is `launch(runs, num_workers)`. Each run is a process, on this machine
or on a Ray cluster (see `ray_launch`).
"""

import collections
import dataclasses
import os
import re
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Sequence
from typing import TextIO

import tqdm

from smoothie_tf import progress_bar
from smoothie_tf.runs import prefix
from smoothie_tf.runs.run import Run
from smoothie_tf.runs.status import Status, lock
from smoothie_tf.runs.workers import (
    LocalWorkers,
    Process,
    WorkerLostError,
    Workers,
)
from smoothie_tf.training import searched_values

LOG_FILE = "log.txt"
#: The command that trains a run, without its flags.
TRAIN = (sys.executable, "-m", "smoothie_tf", "train")
_ATTEMPTS = 2
# A lost worker does not count as a failed attempt. The limit ends a run that crashes
# every worker.
_MAX_LOSSES = 10
_BAD_INPUT = 2
_MAX_REASON_LENGTH = 300
_LAST_LINE = "Results are in "
# Notices that differ in numbers only are the same.
_NUMBER = re.compile(r"\d[\d.,e+-]*")
_INTERRUPTED = (130, -signal.SIGINT)
_POLL_SECONDS = 0.2
_PROGRESS_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        run: The run.
        status: `DONE`, `FAILED`, or `RESUMABLE` if the run was interrupted.
        reason: Why the run is not done, in one line; empty if it is done.
        refused: Whether the run rejected its input.
    """

    run: Run
    status: Status
    reason: str = ""
    refused: bool = False


def train_command(run: Run) -> list[str]:
    """Returns the command that starts or resumes a run."""
    command = [*TRAIN, "--agent", run.agent, "--env", run.env, "--seed", str(run.seed)]
    command += ["--preset", run.preset.name, "--num_steps", str(run.num_steps)]
    command += ["--run_dir", str(run.directory), "--quiet"]
    if run.recommended:
        command += ["--values", "recommended"]
    if run.untuned:
        command.append("--untuned")
    else:
        # A search may write others until the run starts.
        read = run.recommended or run.tuned or searched_values.NONE
        command += ["--values_digest", read]
    for binding in run.gin_bindings:
        command += ["--gin_bindings", binding]
    return command


def launch(
    runs: Sequence[Run],
    num_workers: int | None = None,
    *,
    title: str = "",
    stream: TextIO | None = None,
    workers: Workers | None = None,
) -> list[Outcome]:
    """Trains all unfinished runs, one process per run, and waits for them.

    A failed run is tried once more after all others, unless it rejected its input. If
    the worker of a run is lost, the run resumes from its last checkpoint on another
    worker. The launcher also waits for runs that another launcher is training.

    Args:
        runs: The runs; the output of each goes to `log.txt` in its directory.
        num_workers: Maximum of parallel runs, ≥ 1; `None` for one on each usable core.
        title: Title of the progress bar.
        stream: Stream for progress and failures; `None` for standard error.
        workers: Starts the runs; `None` for processes on this machine.

    Returns:
        How each run ended, in the order of `runs`.

    Raises:
        KeyboardInterrupt: On SIGINT, SIGTERM or SIGHUP, after every child has been
            interrupted and has written its checkpoint.
    """
    stream = sys.stderr if stream is None else stream
    workers = LocalWorkers() if workers is None else workers
    with _StopSignals() as stop:
        launching = _Launch(runs, num_workers, title, stream, workers, stop)
        return launching.work()


class _StopSignals:
    """A context in which signals to stop are counted."""

    _NAMES = ("SIGINT", "SIGTERM", "SIGHUP")

    def __init__(self):
        self.count = 0
        self._previous = {}

    def __enter__(self):
        if threading.current_thread() is not threading.main_thread():
            return self
        for name in self._NAMES:
            number = getattr(signal, name)
            previous = signal.getsignal(number)
            if previous is signal.SIG_IGN and name != "SIGINT":
                continue  # `nohup` has set this.
            # In a background job of a shell script, SIGINT is ignored. A child would
            # inherit that, and could not be interrupted. Handlers are not inherited,
            # so a handler without effect replaces the ignored signal.
            ignored = previous is signal.SIG_IGN
            self._previous[number] = previous
            signal.signal(number, self._do_nothing if ignored else self._count)
        return self

    def __exit__(self, *_):
        for number, previous in self._previous.items():
            signal.signal(number, previous)

    def _count(self, *_):
        self.count += 1

    def _do_nothing(self, *_):
        pass


@dataclasses.dataclass
class _Child:
    """A process that trains a run."""

    run: Run
    process: Process
    log_start: int


class _Launch:
    """One call of `launch`."""

    def __init__(self, runs, num_workers, title, stream, workers, stop):
        self._runs = runs
        self._num_workers = num_workers
        self._workers = workers
        self._title = title
        self._stream = stream
        self._stop = stop
        self._children: list[_Child] = []
        self._attempts: collections.Counter[Run] = collections.Counter()
        self._losses: collections.Counter[Run] = collections.Counter()
        self._outcomes: dict[Run, Outcome] = {}
        self._waiting: collections.deque[Run] = collections.deque()
        self._told: set[tuple[str, str, str]] = set()
        for run in dict.fromkeys(runs):
            if prefix.is_done(run):
                self._outcomes[run] = Outcome(prefix.locate(run), Status.DONE)
            else:
                self._waiting.append(run)

    def work(self) -> list[Outcome]:
        if self._waiting:
            try:
                with self._make_bar() as self._bar:
                    self._work()
            finally:
                # Children are left only if the launcher itself raised an error.
                for child in self._children:
                    child.process.send_signal(signal.SIGINT)
        return [self._outcomes[run] for run in self._runs]

    def _work(self):
        next_progress = 0.0
        while self._waiting or self._children:
            if self._stop.count:
                self._interrupt()
                raise KeyboardInterrupt
            self._start()
            self._collect()
            if time.monotonic() >= next_progress:
                self._show()
                next_progress = time.monotonic() + _PROGRESS_SECONDS
            time.sleep(_POLL_SECONDS)
        self._show()

    def _start(self):
        maximum = self._num_workers
        if self._waiting and maximum is None:
            maximum = self._workers.count()
        for _ in range(len(self._waiting)):
            if len(self._children) >= maximum:
                return
            # Another process may have started a longer run.
            run = prefix.locate(self._waiting.popleft())
            try:
                run.directory.mkdir(parents=True, exist_ok=True)
                descriptor = lock(run.directory)
            except OSError as error:
                reason = f"{run.directory} cannot be written: {error.strerror}"
                self._outcomes[run] = Outcome(run, Status.FAILED, reason)
                continue
            if descriptor is None:
                self._waiting.append(run)
                continue
            try:
                # The previous holder of the lock may have finished the run.
                if prefix.is_done(run):
                    self._outcomes[run] = Outcome(run, Status.DONE)
                else:
                    self._children.append(self._spawn(run, descriptor))
            finally:
                os.close(descriptor)

    def _spawn(self, run: Run, descriptor: int) -> _Child:
        self._attempts[run] += 1
        log = run.directory / LOG_FILE
        log_start = log.stat().st_size if log.exists() else 0
        process = self._workers.start(train_command(run), log, descriptor)
        return _Child(run, process, log_start)

    def _collect(self):
        for child in list(self._children):
            try:
                code = child.process.poll()
            except WorkerLostError as error:
                self._children.remove(child)
                self._finish_lost(child.run, error)
                continue
            if code is not None:
                self._children.remove(child)
                self._finish(child, code)

    def _finish_lost(self, run: Run, error: WorkerLostError):
        if prefix.is_done(run):
            self._outcomes[run] = Outcome(run, Status.DONE)
            return
        self._losses[run] += 1
        if self._losses[run] > _MAX_LOSSES:
            self._outcomes[run] = Outcome(run, Status.FAILED, str(error))
            self._tell(f"{run} failed: {error}, {self._losses[run]} times.")
            return
        # Does not count as an attempt; the run goes to the head of the queue.
        self._attempts[run] -= 1
        self._waiting.appendleft(run)
        self._tell(
            f"{run} resumes from its last checkpoint on another worker: {error}."
        )

    def _finish(self, child: _Child, code: int):
        run = child.run
        if code == 0 and prefix.is_done(run):
            self._outcomes[run] = Outcome(run, Status.DONE)
            self._tell_notices(child)
            return
        if code in _INTERRUPTED:
            reason = "interrupted by another process"
            self._outcomes[run] = Outcome(run, Status.RESUMABLE, reason)
            self._tell(f"{run}: {reason}; the same command resumes it.")
            return
        reason = _reason(child, code)
        if code != _BAD_INPUT and self._attempts[run] < _ATTEMPTS:
            self._waiting.append(run)
            self._tell(f"{run} failed and will be tried once more: {reason}.")
        else:
            # A reason that all runs share, such as a misspelt binding, is printed once.
            printed = {outcome.reason for outcome in self._outcomes.values()}
            self._outcomes[run] = Outcome(
                run, Status.FAILED, reason, refused=code == _BAD_INPUT
            )
            if reason not in printed:
                self._tell(f"{run} failed: {reason}; see {run.directory / LOG_FILE}.")

    def _tell_notices(self, child: _Child):
        """Prints what a run reported, once for all runs of its arm and task."""
        run = child.run
        for line in _output(child):
            kind = (run.env, run.variant, _NUMBER.sub("", line))
            if not line.startswith(_LAST_LINE) and kind not in self._told:
                self._told.add(kind)
                self._tell(f"{run}: {line}")

    def _interrupt(self):
        """Interrupts the children and waits for their checkpoints."""
        if not self._children:
            return
        for child in self._children:
            child.process.send_signal(signal.SIGINT)
        count = len(self._children)
        self._tell(
            f"Stopping: waiting for the checkpoints of {count} "
            f"run{'s' if count > 1 else ''}; Ctrl-C again ends them without."
        )
        first_count = self._stop.count
        while self._children:
            if self._stop.count > first_count:
                for child in self._children:
                    child.process.kill()
            self._children = [
                child for child in self._children if _is_running(child.process)
            ]
            time.sleep(_POLL_SECONDS)

    def _make_bar(self) -> tqdm.tqdm:
        return progress_bar.create(
            self._title,
            " steps",
            sum(run.num_steps for run in self._runs),
            self._stream,
            initial=self._steps(),
            unit_scale=True,
            smoothing=0.1,
            mininterval=_PROGRESS_SECONDS / 2,
            dynamic_ncols=self._stream.isatty(),
        )

    def _steps(self) -> int:
        return sum(
            prefix.steps_done(run)
            for run in self._runs
            if not self._has_outcome(run, Status.FAILED)
        )

    def _has_outcome(self, run: Run, status: Status) -> bool:
        outcome = self._outcomes.get(run)
        return outcome is not None and outcome.status is status

    def _show(self):
        bar = self._bar
        # Failed runs count neither in the total nor in the steps made.
        bar.total = sum(
            run.num_steps
            for run in self._runs
            if not self._has_outcome(run, Status.FAILED)
        )
        done = sum(self._has_outcome(run, Status.DONE) for run in self._runs)
        bar.set_postfix_str(f"runs {done}/{len(self._runs)}", refresh=False)
        bar.update(self._steps() - bar.n)
        if self._stream.isatty():
            bar.refresh()

    def _tell(self, sentence: str):
        self._bar.write(sentence, file=self._stream)


def _is_running(process: Process) -> bool:
    """Says whether a process runs; a lost one does not."""
    try:
        return process.poll() is None
    except WorkerLostError:
        return False


def _reason(child: _Child, code: int) -> str:
    """Returns the last line of a process's output, and how the process ended."""
    if code < 0:
        ending = f"ended by {signal.Signals(-code).name}"
    elif code == 0:
        ending = "ended without finishing the run"
    else:
        ending = f"exit status {code}"
    lines = _output(child)
    last = lines[-1].strip() if lines else "no output"
    return f"{textwrap.shorten(last, _MAX_REASON_LENGTH)} ({ending})"


def _output(child: _Child) -> list[str]:
    """Returns the lines that a process has printed."""
    try:
        with open(child.run.directory / LOG_FILE, "rb") as log:
            log.seek(child.log_start)
            return log.read().decode(errors="replace").strip().splitlines()
    except OSError:  # Somebody has removed it.
        return []
