"""The command line of `smoothie train`."""

import argparse
import pathlib
import shlex
import sys
from collections.abc import Sequence

from smoothie_tf import command_line, validation
from smoothie_tf.training import gin_directory, gin_text, huge_pages, stopping


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains an agent on a task, and returns an exit status of `command_line`.

    Args:
      arguments: The command's arguments; those of the process if None.
    """
    as_program = arguments is None
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    flags = _parser().parse_args(arguments)
    if as_program:
        huge_pages.restart()
    with stopping.signals() as stop:
        return _run(flags, arguments, stop)


def _run(flags, arguments, stop):
    stop.waits_for = "TensorFlow to be imported"
    # Imported late, since it takes seconds: errors in flags are reported at once.
    from smoothie_tf import quiet

    quiet.silence_imports()
    from smoothie_tf import threads
    from smoothie_tf.training import (
        config,
        files,
        process,
        searched_values,
        train,
    )

    if stop.is_set():
        print(
            "Stopped before training began; the same command starts over.",
            file=sys.stderr,
        )
        return command_line.INTERRUPTED
    # One core per run: two runs in parallel are faster than one run on two cores.
    threads.limit(flags.num_threads)
    bindings = list(flags.gin_bindings)
    try:
        if flags.num_steps is not None:
            bindings.append(f"train.num_steps={flags.num_steps}")
        if flags.untuned and flags.values != "paper":
            raise validation.InputError(
                "--untuned has no effect with --values recommended, which reads no"
                " tuned values."
            )
        read = config.parse(
            flags.agent,
            flags.env,
            flags.preset,
            flags.gin_file,
            bindings,
            tuned=not flags.untuned,
            values=flags.values,
        )
        if flags.num_steps is not None:
            gin_text.check_num_steps(flags.num_steps, flags.gin_bindings)
        values_digest = searched_values.digest_of_run(
            flags.agent, flags.env, flags.values, not flags.untuned
        )
        if flags.values_digest not in (None, values_digest):
            raise validation.InputError(
                f"the values for {flags.env} in gin/tuned or gin/recommended have"
                " changed since this run was planned: give the command of the figure"
                " or comparison again."
            )
        if not flags.quiet:
            print(f"Values: {_described(flags, read)}.", file=sys.stderr)
        process.run(
            flags.agent,
            flags.env,
            flags.seed,
            flags.run_dir,
            command=_command(arguments),
            gin_bindings=flags.gin_bindings,
            quiet=flags.quiet,
            record_video=flags.video,
            stop=stop,
        )
    except stopping.Interrupted as stopped:
        what_next = f"the same command resumes from the checkpoint in {flags.run_dir}"
        print(f"Stopped; {stopped if stopped.args else what_next}.", file=sys.stderr)
        return command_line.INTERRUPTED
    except (ValueError, train.NumericalError, files.StorageError) as error:
        if flags.debug:
            raise
        return command_line.report("train", error)
    print(f"Results are in {flags.run_dir}.")
    return command_line.DONE


def _command(arguments):
    """Returns the command that repeats the run, without a launcher's digest."""
    kept = list(arguments)
    if "--values_digest" in kept:
        place = kept.index("--values_digest")
        del kept[place : place + 2]
    return shlex.join([*command_line.called_as("train"), *kept])


def _described(flags, files):
    names = [
        f"gin/{path.relative_to(gin_directory.ROOT).as_posix()}"
        if path.is_relative_to(gin_directory.ROOT)
        else str(path)
        for path in files
    ]
    whose = "recommended" if flags.values == "recommended" else "the agent's defaults"
    found = [path.stem for path in files if path.parent.parent.name == "tuned"]
    if found:
        whose = f"the agent's defaults, and those of gin/tuned for {found[0]}"
    return f"{whose} ({', '.join(names)})"


def _parser():
    parser = command_line.Parser(
        prog=command_line.program_name("train"),
        description="Trains an agent on a Gymnasium task. Run the same command again to"
        " resume a stopped run.",
    )
    parser.add_argument(
        "--agent", required=True, help=f"one of {', '.join(gin_directory.agents())}"
    )
    parser.add_argument("--env", required=True, help="Gymnasium id, such as Hopper-v5")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers")
    parser.add_argument(
        "--num_steps", action=command_line.AtLeast, help="environment steps"
    )
    parser.add_argument(
        "--run_dir", type=pathlib.Path, required=True, help="the run's directory"
    )
    parser.add_argument(
        "--preset",
        default="short",
        help=f"one of {', '.join(gin_directory.presets())}; default short",
    )
    parser.add_argument(
        "--values",
        default="paper",
        choices=gin_directory.VALUES,
        help="hyperparameters: paper (default) for the agent's gin file, which follows"
        " its paper, and the task's tuned values; recommended for the same on any task,"
        " gin/recommended",
    )
    parser.add_argument(
        "--untuned",
        action="store_true",
        help="ignore the task's tuned hyperparameters (gin/tuned)",
    )
    # A launcher's: the digest of the values that it expects the run to read.
    parser.add_argument("--values_digest", help=argparse.SUPPRESS)
    parser.add_argument(
        "--gin_file",
        action="append",
        default=[],
        help="gin file of your own, read after the package's; may be given several"
        " times",
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
    parser.add_argument(
        "--num_threads", action=command_line.AtLeast, default=1, help=argparse.SUPPRESS
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser
