"""The commands without long runs: Figures 1 and 2, Section 3 and the identities."""

import functools
import pathlib
import shlex
import sys
from collections.abc import Sequence

import pandas as pd

from smoothie_tf import quiet
from smoothie_tf.command_line import (
    DONE,
    FAILED,
    INTERRUPTED,
    AtLeast,
    Parser,
    called_as,
    reporting,
)
from smoothie_tf.experiments.evidence import metrics
from smoothie_tf.experiments.theory import (
    escape,
    escape_runs,
    figure1,
    figure2,
    identities,
    neighbours_escape,
    section3,
)
from smoothie_tf.training import provenance


@reporting
def figure1_command(argv: Sequence[str] | None = None) -> int:
    """Draws Figure 1 and writes its table.

    Status 1: closed form and quadrature disagree.
    """
    parser = Parser(
        description="Figure 1: a mixture of two Gaussians and its smoothed version."
    )
    out_dir = _parse_flags(parser, "figure1", argv).out_dir
    table = figure1.tabulate_rewards()
    difference, allowed = figure1.largest_difference(table), figure1.RELATIVE_TOLERANCE
    print(
        "Largest relative difference between closed form and quadrature:"
        f" {difference:.1e} (allowed: {allowed:.0e})."
    )
    if not difference <= allowed:
        print("Closed form and quadrature disagree: nothing drawn.", file=sys.stderr)
        return FAILED
    metrics.write_table(table, out_dir / "figure1.csv")
    figure1.draw_figure1(table, out_dir / "figure1.png")
    print(
        f"Figure 1 is in {out_dir / 'figure1.png'}, its data in figure1.csv beside it."
    )
    return DONE


@reporting
def identities_command(argv: Sequence[str] | None = None) -> int:
    """Checks the paper's identities numerically and writes a table."""
    parser = Parser(
        description="Checks Theorem 1, the fixed point of (18) and the Hessians of "
        "supplement D.1 numerically."
    )
    out_dir = _parse_flags(parser, "identities", argv).out_dir
    _start_tensorflow()
    table = identities.tabulate()
    metrics.write_table(table, out_dir / "identities.csv")
    print(table.to_string(index=False, na_rep=""))
    print(f"The identities are in {out_dir / 'identities.csv'}")
    return DONE


@reporting
def section3_command(argv: Sequence[str] | None = None) -> int:
    """Measures the claims of Section 3, and writes tables and a picture."""
    parser = Parser(
        description="Section 3: the variance of the naive update, local optima of "
        "smoothed rewards, critics of raw and of smoothed rewards, and the limit "
        "Σ → 0, in which Smoothie becomes DDPG."
    )
    parser.add_argument(
        "--seeds",
        action=AtLeast,
        least=2,
        default=section3.SEEDS,
        help="learned critics of each kind, at least 2; default %(default)s",
    )
    flags = _parse_flags(parser, "section3", argv)
    _start_tensorflow()
    tables = section3.tabulate(flags.seeds)
    for name, table in tables.items():
        metrics.write_table(table, flags.out_dir / f"{name}.csv")
    section3.draw(tables, flags.out_dir / "section3.png")
    print(f"Section 3 is in {flags.out_dir / 'section3.png'}, its tables beside it.")
    return DONE


def _parse_flags(parser: Parser, name: str, argv, takes_bindings: bool = False):
    """Adds `--out_dir`, parses all flags, and creates that directory."""
    default = f"results/{name}"
    # The report reads results/, and its claims are about the paper's hyperparameters.
    elsewhere = f"; with --gin_bindings, runs/{name}" if takes_bindings else ""
    parser.add_argument(
        "--out_dir",
        type=pathlib.Path,
        help=f"directory of the results; default {default}{elsewhere}",
    )
    flags = parser.parse_args(argv)
    if flags.out_dir is None:
        is_trial = takes_bindings and flags.gin_bindings
        flags.out_dir = pathlib.Path(f"runs/{name}" if is_trial else default)
    parser.make_directory("--out_dir", flags.out_dir)
    return flags


def _start_tensorflow() -> None:
    """Imports TensorFlow without its log messages, and limits it to one core."""
    quiet.silence_imports()
    from smoothie_tf import threads

    threads.limit(1)


@reporting
def _escape_command(
    comparison: escape.Escape, argv: Sequence[str] | None = None
) -> int:
    """Trains the runs of a comparison, draws them, and counts how they end."""
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = Parser(description=comparison.subject)
    _add_escape_flags(parser)
    flags = _parse_flags(parser, comparison.name, argv, takes_bindings=True)
    stem = flags.out_dir / comparison.name
    tables = [pathlib.Path(f"{stem}_{each}.csv") for each in ("training", "runs")]
    if flags.plot_only:
        for path in tables:
            if not path.exists():
                parser.error(f"--plot_only: there is no {path} to draw from.")
    else:
        try:
            runs = escape_runs.train_runs(
                range(flags.seeds),
                flags.num_workers,
                flags.gin_bindings,
                tuple(comparison.agents),
                tuple(comparison.environments),
                comparison.name.replace("figure", "figure "),
            )
        except ValueError as error:
            parser.error(str(error))
        except KeyboardInterrupt:
            print("Stopped; nothing has been written.", file=sys.stderr)
            return INTERRUPTED
        frames = (
            escape.in_order(pd.concat([run.records for run in runs])),
            escape.tabulate_runs(runs),
        )
        for frame, path in zip(frames, tables, strict=True):
            if len(comparison.environments) == 1:
                frame = frame.drop(columns="environment")
            metrics.write_table(frame, path, "%.6g")
        record = {
            "command": shlex.join([*called_as(comparison.name), *argv]),
            **provenance.current(),
        }
        metrics.write_record(record, tables[1].with_suffix(".json"))
    # Always draw from the files, so that picture and files agree.
    records, table = map(metrics.read_table, tables)
    comparison.draw(records, table, pathlib.Path(f"{stem}.png"))
    for environment, label in comparison.environments.items():
        chosen = table
        if "environment" in table:
            chosen = table[table["environment"] == environment]
            print(f"{label}:")
        print(escape.summarize(chosen, comparison.agents))
    print(
        f"{comparison.title} is in {stem}.png, the numbers behind it in"
        f" {stem}_{{training,runs}}.csv"
    )
    return DONE


figure2_command = functools.partial(_escape_command, figure2.FIGURE_2)
neighbours_escape_command = functools.partial(
    _escape_command, neighbours_escape.NEIGHBOURS_ESCAPE
)


def _add_escape_flags(parser: Parser) -> None:
    parser.add_argument(
        "--seeds",
        action=AtLeast,
        default=20,
        help="number of runs of each agent; their seeds start at 0; default "
        "%(default)s",
    )
    parser.add_argument(
        "--num_workers",
        action=AtLeast,
        help="number of processes; default one per core",
    )
    parser.add_argument(
        "--plot_only",
        action="store_true",
        help="draw from the tables in --out_dir without training",
    )
    parser.add_argument(
        "--gin_bindings",
        action="append",
        default=[],
        metavar="BINDING",
        help="gin binding for all runs, such as 'train.num_steps = 3000'; may be given "
        "several times",
    )
