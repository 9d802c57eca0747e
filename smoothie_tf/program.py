"""Setup of a program's process, which a library must not do.

Every command of the package starts with `run`: in `reproduce/`, in `benchmarks/` and as
`smoothie`. The functions that it calls, which notebooks may call as well, do not change
the caller's streams and environment.

Importing this module imports no TensorFlow.
"""

import errno
import io
import os
import select
import sys
import warnings
from collections.abc import Callable

# Errors of a file system that is full or may not be written, or of a path.
_EXPLAINED = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EFBIG,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
)
# Errors of writing to a pipe or a terminal whose other end is closed.
_CLOSED_READER = (errno.EPIPE, errno.EIO)


def run(command: Callable[[], int]) -> int:
    """Runs a command as this process's program.

    Printing never ends the command: characters that the terminal's encoding lacks are
    escaped, and when the reader closes the pipe (`| head`), the rest is discarded.
    Matplotlib uses no backend for windows or notebooks. Modules in the working
    directory can be imported, such as one that registers the user's task; installed
    ones come first.

    Args:
        command: Parses the process's own arguments, and returns an exit status.

    Returns:
        The command's exit status; 1 if that is 0, but its output or a file could not be
        written, for example on a full disk; 2 if the working directory was removed; 130
        after Ctrl-C, if the command does not handle it.
    """
    os.environ["MPLBACKEND"] = "agg"
    warnings.showwarning = _show_warning
    try:
        here = os.getcwd()
    except FileNotFoundError:
        print("The working directory does not exist any more.", file=sys.stderr)
        return 2
    if not {"", os.curdir, here} & set(sys.path):
        sys.path.append(here)
    sys.stdout, output = _never_raising(sys.stdout, 1)
    sys.stderr, _ = _never_raising(sys.stderr, 2)
    try:
        return command() or _lost(output)
    except OSError as error:
        if error.errno not in _EXPLAINED:
            raise
        file = error.filename or "A file"
        print(f"{file} cannot be opened or written: {error.strerror}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except SystemExit as stop:  # Argparse raises it after `--help`.
        stop.code = stop.code or _lost(output)
        raise


def _show_warning(message, *_, **__):
    """Prints a warning without the code that issued it."""
    print(f"Warning: {message}", file=sys.stderr)


def _lost(output):
    """Returns 1, and prints why, if output could not be written; else 0."""
    sys.stdout.flush()
    if output is None or output.failure is None:
        return 0
    reason = output.failure.strerror
    print(f"The output could not be written: {reason}.", file=sys.stderr)
    return 1


def _never_raising(stream, descriptor):
    """Returns a replacement for a stream, and the file below it."""
    if stream is None:  # It was closed before the program began.
        return open(os.devnull, "w", encoding="utf-8"), None
    try:
        is_own = stream.fileno() == descriptor
    except (OSError, ValueError, AttributeError):
        is_own = False
    if not is_own:  # The output is captured.
        return stream, None
    stream.flush()
    output = _Output(descriptor)
    return (
        io.TextIOWrapper(
            io.BufferedWriter(output),
            encoding=stream.encoding,
            errors="backslashreplace",
            line_buffering=stream.line_buffering,
            write_through=getattr(stream, "write_through", False),
        ),
        output,
    )


class _Output(io.FileIO):
    """A file that discards output once it cannot be written."""

    def __init__(self, descriptor):
        super().__init__(descriptor, "w", closefd=False)
        #: Why output could not be written, unless the reader closed the pipe.
        self.failure: OSError | None = None

    def write(self, data):
        try:
            # None if a non-blocking pipe is full.
            while (written := super().write(data)) is None:
                select.select((), (self,), ())
            return written
        except OSError as error:
            if error.errno not in _CLOSED_READER:
                self.failure = error
            # Discard the rest, also of child processes.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return len(data)
