"""The command line of a single run, behind reproduce/train.py."""

import argparse
import contextlib
import pathlib
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence

from smoothie_tf import command_line
from smoothie_tf.training import gin_directory, huge_pages

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains an agent on a task.

    Args:
      arguments: The command's arguments; those of the process if None.

    Returns:
      Exit status: 0 done, 1 failed, 2 bad input, 130 interrupted.
    """
    as_program = arguments is None
    arguments = sys.argv[1:] if as_program else list(arguments)
    flags = _parser().parse_args(arguments)
    if as_program:
        huge_pages.restart()
    with _stop_signals() as stop:
        return _run(flags, arguments, stop)


def _run(flags, arguments, stop):
    # Only now what takes seconds to import: bad flags are answered at once.
    from smoothie_tf import quiet

    quiet.silence_imports()
    from smoothie_tf import threads
    from smoothie_tf.training import checkpoint, config, files, train, video

    if stop.is_set():
        print(
            "Stopped before training began; the same command begins again.",
            file=sys.stderr,
        )
        return _INTERRUPTED
    if flags.num_threads < 1:
        return _refuse(f"--num_threads must be at least 1, but is {flags.num_threads}.")
    # One run, one core: two runs side by side are faster than one on two.
    threads.limit(flags.num_threads)
    bindings = list(flags.gin_bindings)
    if flags.num_steps is not None:
        bindings.append(f"train.num_steps={flags.num_steps}")
    try:
        config.parse(
            flags.agent,
            flags.env,
            flags.preset,
            flags.gin_file,
            bindings,
            tuned=not flags.untuned,
        )
        train.run(
            flags.agent,
            flags.env,
            flags.seed,
            flags.run_dir,
            command=shlex.join(["python", "reproduce/train.py", *arguments]),
            gin_bindings=flags.gin_bindings,
            quiet=flags.quiet,
            record_video=flags.video,
            stop=stop,
        )
    except train.Interrupted:
        print(
            f"Stopped; the same command goes on from the checkpoint in"
            f" {flags.run_dir}.",
            file=sys.stderr,
        )
        return _INTERRUPTED
    except (ValueError, checkpoint.CheckpointError) as error:
        if flags.debug:
            raise
        return _refuse((str(error).splitlines() or [repr(error)])[0])
    except (train.NumericalError, video.RenderingError) as error:
        if flags.debug:
            raise
        print(f"train.py: {error}", file=sys.stderr)
        return 1
    except files.StorageError as error:
        if flags.debug:
            raise
        print(f"train.py: {error}.", file=sys.stderr)
        return 1
    print(f"Results are in {flags.run_dir}.")
    return 0


def _refuse(sentence):
    print(f"train.py: {sentence}", file=sys.stderr)
    return 2


@contextlib.contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Gives an event that Ctrl-C and SIGTERM set, from the first import on.

    An exception would end the import or the compilation that it falls into, unless
    that has a bare `except`, which some libraries' imports do: then it would be lost.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    previous = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _parser():
    parser = command_line.Parser(
        prog="train.py",
        description="Trains an agent on a Gymnasium task. The same command again goes"
        " on where the run stopped.",
    )
    parser.add_argument(
        "--agent", required=True, help=f"one of {', '.join(gin_directory.agents())}"
    )
    parser.add_argument("--env", required=True, help="Gymnasium id, such as Hopper-v5")
    parser.add_argument("--seed", type=int, default=0, help="root of all randomness")
    parser.add_argument("--num_steps", type=int, help="environment steps")
    parser.add_argument(
        "--run_dir", type=pathlib.Path, required=True, help="where the run lives"
    )
    parser.add_argument(
        "--preset",
        default="short",
        help=f"one of {', '.join(gin_directory.presets())}; default short",
    )
    parser.add_argument(
        "--untuned",
        action="store_true",
        help="leave out what a search has found for the task (gin/tuned)",
    )
    parser.add_argument(
        "--gin_file", action="append", default=[], help="may be given several times"
    )
    parser.add_argument(
        "--gin_bindings",
        action="append",
        default=[],
        help="such as 'SmoothieAgent.kl_penalty=0.01'; may be given several times",
    )
    parser.add_argument(
        "--video", action="store_true", help="record an episode of the final policy"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--num_threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser
