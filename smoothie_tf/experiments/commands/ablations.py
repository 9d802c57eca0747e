"""The command `ablations`: runs and draws the ablations and writes `ablations.md`."""

import json
import shlex
import sys
from collections.abc import Sequence

import pandas as pd

from smoothie_tf import quiet
from smoothie_tf.command_line import (
    BAD_INPUT,
    DONE,
    FAILED,
    INTERRUPTED,
    AtLeast,
    Parser,
    called_as,
    reporting,
)
from smoothie_tf.experiments.commands.figure import figure_command
from smoothie_tf.experiments.evidence import metrics
from smoothie_tf.experiments.figures.ablations import ABLATIONS
from smoothie_tf.experiments.figures.continuous_control import SMOOTHIE
from smoothie_tf.experiments.report import ablations as report_ablations
from smoothie_tf.experiments.theory import ablations, escape_runs
from smoothie_tf.training import provenance

_HOPPER_STEPS = 100_000


@reporting
def ablations_command(argv: Sequence[str] | None = None) -> int:
    """Runs and draws the ablations, and writes `ablations.md`."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    flags, figure_flags = parser.parse_known_args(argv)
    if figure_flags and not flags.hopper:
        parser.error(f"there is no flag {figure_flags[0]}.")
    parser.make_directory("--results_dir", flags.results_dir)
    quiet.silence_imports()
    status = _run_hopper(flags, figure_flags) if flags.hopper else _run_all(flags)
    if status in (BAD_INPUT, INTERRUPTED):
        return status
    path = report_ablations.write(flags.results_dir)
    print(f"Tables and pictures of the ablations are in {path}")
    return status


def _run_hopper(flags, figure_flags):
    parser = Parser(add_help=False)
    parser.add_argument("--preset")
    parser.add_argument("--gin_bindings", action="append")
    given, _ = parser.parse_known_args(figure_flags)
    argv = ["--seeds", str(flags.seeds)]
    if given.preset is None:
        length = f"train.num_steps = {_HOPPER_STEPS}"
        argv += ["--preset", "short", "--gin_bindings", length]
    # Runs for a try, as of every figure, must not replace results: these then go to
    # the directory of runs.
    if given.preset != "quick" and not given.gin_bindings:
        out_dir = flags.results_dir / ablations.HOPPER_FOLDER
        argv += ["--out_dir", str(out_dir)]
    argv += figure_flags  # Later bindings win.
    if flags.plot_only:
        argv.append("--plot_only")
    return figure_command(ABLATIONS, argv, baseline=SMOOTHIE.variant)


def _learn(ablation, path, flags):
    """Makes or completes an ablation's table, and writes its provenance beside it."""
    earlier, known = None, set()
    if flags.add and path.exists():
        try:
            earlier = metrics.read_table(path)
            origin = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            known = ablation.known_kinds(earlier, flags.seeds)
        except (OSError, ValueError, KeyError) as error:
            print(f"--add: no runs can be added to {path}: {error}", file=sys.stderr)
            return BAD_INPUT
        if known >= set(ablation.kinds):
            return DONE
    try:
        records = ablation.learn(flags.seeds, known)
    except escape_runs.RunFailedError as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(
            f"Stopped; no new results of {ablation.name} are written.", file=sys.stderr
        )
        return INTERRUPTED
    # --results_dir is left out, because it does not affect the results.
    words = called_as("ablations")
    arguments = ["--only", ablation.name, "--seeds", f"{flags.seeds}"]
    record = {"command": shlex.join([*words, *arguments])}
    record |= provenance.current()
    if known:
        kept = earlier[earlier[ablation.kind_column].astype(str).isin(known)]
        # All kinds must have the same seeds.
        kept = kept[kept["seed"] < flags.seeds]
        records = pd.concat([kept, records], ignore_index=True)
        record = {
            **record,
            "command": f"{record['command']} --add",
            "earlier": origin,
        }
    metrics.write_table(records, path, "%.6g")
    metrics.write_record(record, path.with_suffix(".json"))
    return DONE


def _run_all(flags):
    folder = flags.results_dir / ablations.FOLDER
    folder.mkdir(exist_ok=True)
    for name in flags.only:
        ablation = ablations.ABLATIONS[name]
        path = folder / f"{name}.csv"
        if not flags.plot_only:
            status = _learn(ablation, path, flags)
            if status != DONE:
                return status
        elif not path.exists():
            print(f"--plot_only: there is no {path} to draw from.", file=sys.stderr)
            return BAD_INPUT
        # Always draw from the file, so that picture and file agree.
        ablation.draw(metrics.read_table(path), path.with_suffix(".png"))
    return DONE


def _parser():
    parser = Parser(
        description="Compares the paper's variants of Algorithm 1 with exact values.",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=ablations.ABLATIONS,
        default=list(ablations.ABLATIONS),
        help="the ablations to run; default: all",
    )
    parser.add_argument(
        "--seeds", action=AtLeast, default=3, help="runs of each variant (default: 3)"
    )
    parser.add_directory(
        "--results_dir", "results", "where ablations.md, tables and pictures go"
    )
    parser.add_argument(
        "--add",
        action="store_true",
        help="keep the variants that a table already has, and run the missing ones",
    )
    parser.add_argument(
        "--plot_only",
        action="store_true",
        help="draw from the existing tables and run nothing",
    )
    parser.add_argument(
        "--hopper",
        action="store_true",
        help="run the variants on Hopper-v5 instead of the parts, with "
        f"{_HOPPER_STEPS:,} steps unless --preset is given; the flags of figures apply "
        "as well; for quick, or with --gin_bindings, results go to --runs_dir",
    )
    return parser
