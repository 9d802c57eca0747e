"""The command `report`, which writes results/README.md."""

from collections.abc import Sequence

from smoothie_tf.command_line import DONE, Parser, reporting
from smoothie_tf.experiments.commands import readme
from smoothie_tf.experiments.report.report import MARK, report
from smoothie_tf.validation import InputError


@reporting
def report_command(argv: Sequence[str] | None = None) -> int:
    """Writes the report."""
    parser = Parser(
        description="Writes results/README.md and its pictures. Reads only the files "
        "in results/.",
    )
    parser.add_directory("--results_dir", "results", "directory to read and write")
    flags = parser.parse_args(argv)
    if not flags.results_dir.is_dir():
        raise InputError(f"--results_dir {flags.results_dir} is not a folder.")
    readme.check("--results_dir", flags.results_dir, MARK, "a report's")
    print(f"The report is in {report(flags.results_dir)}")
    return DONE
