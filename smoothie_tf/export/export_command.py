"""The commands `smoothie export` and `smoothie evaluate`."""

import pathlib
import shlex
import sys
from collections.abc import Sequence

from smoothie_tf import command_line
from smoothie_tf.training import episode_limit, files, stopping


def export_main(arguments: Sequence[str] | None = None) -> int:
    """Exports the policy of a run.

    Args:
      arguments: The command's arguments; those of the process if None.

    Returns:
      An exit status of `command_line`; 1 for a NaN or infinity, or a file that cannot
      be written.
    """
    flags = _export_parser().parse_args(arguments)
    with stopping.signals() as stop:
        return _export(flags, stop)


def _export(flags, stop):
    stop.waits_for = "TensorFlow"
    stop.consequence = lambda: "nothing was exported"
    # These imports take seconds; errors in the flags are reported before them.
    from smoothie_tf import quiet

    quiet.silence_imports()
    from smoothie_tf.environments import checked_task
    from smoothie_tf.export import exporting

    try:
        notices = exporting.export_run(
            flags.run_dir,
            flags.out,
            checkpoint=flags.checkpoint,
            best=flags.best,
            tflite=flags.tflite,
            tf_agents=not flags.no_tf_agents,
            gif=not flags.no_gif,
            stop=stop,
        )
    except stopping.Interrupted:
        print("Stopped; nothing was exported.", file=sys.stderr)
        return command_line.INTERRUPTED
    except (ValueError, checked_task.NotFiniteError, files.StorageError) as error:
        return command_line.report("export", error)
    for notice in notices:
        print(notice, file=sys.stderr)
    print(f"The policy is in {flags.out}, its card in {flags.out / 'README.md'}.")
    return command_line.DONE


def evaluate_main(arguments: Sequence[str] | None = None) -> int:
    """Runs an exported policy and prints its return; see `export_main`."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    flags = _evaluate_parser().parse_args(arguments)
    with stopping.signals() as stop:
        return _evaluate(flags, arguments, stop)


def _evaluate(flags, arguments, stop):
    stop.waits_for = "TensorFlow"
    stop.consequence = lambda: "there is no result"
    from smoothie_tf import quiet

    quiet.silence_imports()
    from smoothie_tf.environments import checked_task
    from smoothie_tf.export import evaluating

    command = shlex.join([*command_line.called_as("evaluate"), *arguments])
    try:
        # Each sentence is printed before the next is computed: a video may take long,
        # or end the process.
        for sentence in evaluating.evaluate_command(
            flags.policy,
            flags.env,
            flags.episodes,
            flags.seed,
            flags.video,
            command if flags.record else None,
            flags.max_steps,
            stop,
        ):
            print(sentence, flush=True)
    except stopping.Interrupted:
        print("Stopped; there is no result.", file=sys.stderr)
        return command_line.INTERRUPTED
    except (ValueError, checked_task.NotFiniteError, files.StorageError) as error:
        return command_line.report("evaluate", error)
    return command_line.DONE


def _export_parser():
    parser = command_line.Parser(
        prog=command_line.program_name("export"),
        description="Exports the policy of a run as a SavedModel that needs only"
        " TensorFlow.",
    )
    parser.add_argument(
        "--run_dir", type=pathlib.Path, required=True, help="the run's directory"
    )
    parser.add_argument(
        "--out",
        type=pathlib.Path,
        required=True,
        help="the export's directory: a new or an empty one",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--checkpoint",
        type=int,
        metavar="STEP",
        help="export the policy of this environment step; default: the last",
    )
    which.add_argument(
        "--best", action="store_true", help="export the policy of the best evaluation"
    )
    parser.add_argument(
        "--tflite", action="store_true", help="also write a TFLite model"
    )
    parser.add_argument(
        "--no_tf_agents",
        action="store_true",
        help="do not write the policies in the format of TF-Agents",
    )
    parser.add_argument(
        "--no_gif", action="store_true", help="do not record the animation of the card"
    )
    return parser


def _evaluate_parser():
    parser = command_line.Parser(
        prog=command_line.program_name("evaluate"),
        description="Runs an exported policy and prints its mean return ± the standard"
        " deviation over episodes.",
    )
    parser.add_argument(
        "--policy", type=pathlib.Path, required=True, help="a SavedModel directory"
    )
    parser.add_argument(
        "--env", help="Gymnasium id; default: the one in the policy's policy.json"
    )
    parser.add_argument(
        "--episodes",
        action=command_line.AtLeast,
        default=20,
        help="how many; default 20",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the episodes; default 0"
    )
    parser.add_argument(
        "--max_steps",
        action=command_line.AtLeast,
        default=episode_limit.MAX_STEPS,
        help="maximum length of an episode in a task without a time limit; default"
        " 10,000",
    )
    parser.add_argument(
        "--video", type=pathlib.Path, metavar="MP4", help="record the first episode"
    )
    parser.add_argument(
        "--record", action="store_true", help="write the result into the policy's card"
    )
    return parser
