"""Requests to stop: Ctrl-C and SIGTERM, and what whoever sends them is told.

The first asks, and what runs stops where it can leave everything whole. Where that
takes longer than a moment, it is said what is being waited for. The next one after
that ends the process at once.

Python runs a signal's handler between two of its own instructions: while a task waits
in a library for its robot, never. What is said is therefore said by a thread, which
hears of signals through `signal.set_wakeup_fd` and needs no more than that the main
thread waits without holding Python's lock.
"""

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator

from smoothie_tf import command_line

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Most steps return before anybody has read a sentence about them.
_PATIENCE_SECONDS = 0.5
# No signal has this number.
_END = 0


class Interrupted(Exception):
    """Somebody asked to stop; a run in progress has left a checkpoint."""


class StopRequest(threading.Event):
    """Set once somebody has asked to stop.

    Attributes:
      waits_for: What is being done, for those who wait for it to end.
      goes_on_from: Returns what there is to go on from, as the second half of a
        sentence without its full stop.
    """

    def __init__(self):
        """Makes a request that nobody has made yet."""
        super().__init__()
        self.waits_for = "the beginning"
        self.goes_on_from: Callable[[], str] = lambda: "the same command begins again"

    def check(self) -> None:
        """Raises `Interrupted` where somebody has asked to stop."""
        if self.is_set():
            raise Interrupted


@contextlib.contextmanager
def signals() -> Iterator[StopRequest]:
    """Gives a request that Ctrl-C and SIGTERM make.

    An exception in their place would end the import or the compilation that it falls
    into, unless that has a bare `except`, which some libraries' imports do: then it
    would be lost.

    Only in the main thread, where Python lets signals be handled; elsewhere nobody
    makes the request.
    """
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    handlers = {n: signal.signal(n, lambda *_: stop.set()) for n in _SIGNALS}
    earlier = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    _writing_ends.add(writing)
    answer = threading.Thread(target=_answer, args=(reading, stop), daemon=True)
    answer.start()
    try:
        yield stop
    finally:
        signal.set_wakeup_fd(earlier)
        _writing_ends.discard(writing)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        # Not by closing it: a process that was forked meanwhile has it open, too.
        os.write(writing, bytes([_END]))
        answer.join()
        os.close(writing)
        os.close(reading)


def _answer(reading, stop):
    """Says what is waited for after a signal, and ends the process after the next."""
    # Standard error itself may be caught while a library writes to it.
    try:
        where = os.dup(2)
    except OSError:
        where = None
    try:
        if not _asked(reading):
            return
        stop.set()
        # A terminal and a launcher may both pass on one Ctrl-C.
        until = time.monotonic() + _PATIENCE_SECONDS
        while (left := until - time.monotonic()) > 0:
            if select.select([reading], [], [], left)[0] and _ends(reading):
                return
        _say(
            where,
            f"Stopping: waiting for {stop.waits_for}. Ctrl-C or SIGTERM again ends at"
            f" once, without a checkpoint; then {stop.goes_on_from()}.",
        )
        if _asked(reading):
            _say(
                where,
                f"Ended at once, without a checkpoint; {stop.goes_on_from()}.",
            )
            os._exit(command_line.INTERRUPTED)
    finally:
        if where is not None:
            os.close(where)


def _asked(reading):
    """Waits for a signal that asks to stop; False if nobody waits for one any more."""
    while True:
        numbers = os.read(reading, 1)
        if numbers[0] == _END:
            return False
        if numbers[0] in _SIGNALS:
            return True


def _ends(reading):
    return os.read(reading, 1)[0] == _END


def _say(where, sentence):
    if where is None:
        return
    # A progress bar may stand in the line.
    start = "\n" if os.isatty(where) else ""
    with contextlib.suppress(OSError):
        os.write(where, f"{start}{sentence}\n".encode())


# Where signals are told of; a process that is forked must not tell of its own there.
_writing_ends: set[int] = set()


_mask = threading.local()


def _before_fork():
    # So that none is handled in the new process before that has handlers of its own.
    _mask.earlier = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def _after_in_parent():
    signal.pthread_sigmask(signal.SIG_SETMASK, _mask.earlier)


def _after_in_child():
    """Lets a process that a task forks end as any other does upon a signal."""
    if _writing_ends:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, _mask.earlier)


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_in_parent,
    after_in_child=_after_in_child,
)
