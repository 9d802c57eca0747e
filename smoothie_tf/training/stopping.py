"""Requests to stop by Ctrl-C or SIGTERM, and the messages to the user.

After the first signal, the program stops where it leaves all files complete. If this
takes longer than a moment, a message says what it waits for. A signal after this
message ends the process at once.

Python runs signal handlers only between its own instructions: not while a task waits
inside a library, for example for a robot. So a thread prints the messages. It receives
signals through `signal.set_wakeup_fd`, and needs only that the main thread releases
Python's lock while it waits.
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
# Most steps take less time: no message is needed.
_PATIENCE_SECONDS = 0.5
# No signal has this number.
_END = 0


class Interrupted(Exception):
    """A stop was requested; a run in progress has saved a checkpoint.

    If the run cannot be resumed, the message says why.
    """


class StopRequest(threading.Event):
    """An event that is set when a stop is requested.

    Attributes:
      waits_for: The current activity, for the message to a waiting user.
      consequence: Returns what the user loses or can resume after an immediate end,
        as the second half of a sentence without its full stop.
    """

    def __init__(self):
        """Creates a request that is not set."""
        super().__init__()
        self.waits_for = "the beginning"
        self.consequence: Callable[[], str] = lambda: "the same command starts over"

    def check(self) -> None:
        """Raises `Interrupted` if a stop was requested."""
        if self.is_set():
            raise Interrupted


@contextlib.contextmanager
def signals() -> Iterator[StopRequest]:
    """Yields a request that Ctrl-C and SIGTERM set.

    An exception instead would abort a running import or compilation; a bare `except`,
    which some libraries have in their imports, would swallow it.

    Python handles signals only in the main thread; in other threads the request is
    never set.
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
        # Not by closing it, since a forked process may still have it open.
        os.write(writing, bytes([_END]))
        answer.join()
        os.close(writing)
        os.close(reading)


def _answer(reading, stop):
    """Prints what the program waits for, and ends the process at the next signal."""
    # A duplicate, since `quiet` may redirect standard error for a while.
    try:
        where = os.dup(2)
    except OSError:
        where = None
    try:
        if not _asked(reading):
            return
        stop.set()
        # A terminal and a launcher may both forward the same Ctrl-C.
        until = time.monotonic() + _PATIENCE_SECONDS
        while (left := until - time.monotonic()) > 0:
            if select.select([reading], [], [], left)[0] and _ends(reading):
                return
        _say(
            where,
            f"Stopping: waiting for {stop.waits_for}. Ctrl-C or SIGTERM again ends at"
            f" once, without a checkpoint; then {stop.consequence()}.",
        )
        if _asked(reading):
            _say(
                where,
                f"Ended at once, without a checkpoint; {stop.consequence()}.",
            )
            os._exit(command_line.INTERRUPTED)
    finally:
        if where is not None:
            os.close(where)


def _asked(reading):
    """Waits for a signal to stop; returns False when the context has ended."""
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
    # The line may hold a progress bar.
    start = "\n" if os.isatty(where) else ""
    with contextlib.suppress(OSError):
        os.write(where, f"{start}{sentence}\n".encode())


# Pipes that report signals; a forked process must not report its own signals there.
_writing_ends: set[int] = set()


_mask = threading.local()


def _before_fork():
    # So that the new process handles no signal before it has its own handlers.
    _mask.earlier = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def _after_in_parent():
    signal.pthread_sigmask(signal.SIG_SETMASK, _mask.earlier)


def _after_in_child():
    """Restores the default signal handling in a process that a task forks."""
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
