"""The command `report`, which writes results/README.md."""

import sys
from collections.abc import Sequence

from smoothie_tf.command_line import BAD_INPUT, DONE, FAILED, Parser
from smoothie_tf.experiments.commands import readme
from smoothie_tf.experiments.evidence.metrics import DamagedRunError
from smoothie_tf.experiments.report.report import MARK, report
from smoothie_tf.training import files
from smoothie_tf.validation import InputError


def report_command(argv: Sequence[str] | None = None) -> int:
    """Writes the report."""
    parser = Parser(
        description="Writes results/README.md and its pictures. Reads only the files "
        "in results/.",
    )
    parser.add_directory("--results_dir", "results", "directory to read and write")
    flags = parser.parse_args(argv)
    if not flags.results_dir.is_dir():
        print(f"--results_dir {flags.results_dir} is not a folder.", file=sys.stderr)
        return BAD_INPUT
    try:
        readme.check("--results_dir", flags.results_dir, MARK, "a report's")
    except InputError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    try:
        path = report(flags.results_dir)
    except (DamagedRunError, InputError) as error:
        print(error, file=sys.stderr)
        return FAILED
    except files.StorageError as error:
        print(f"{error}.", file=sys.stderr)
        return FAILED
    print(f"The report is in {path}")
    return DONE
