"""The command `smoothie`, which is also `python -m smoothie_tf`.

Each subcommand is a function that takes its flags and returns an exit status. The
scripts in `reproduce/` call the same functions. Only the requested subcommand's module
is imported, because most imports take seconds.
"""

import difflib
import importlib
import sys
import textwrap
from collections.abc import Sequence

import smoothie_tf
from smoothie_tf import command_line, program

_FIGURES = "smoothie_tf.experiments.commands.figure_commands"
_THEORY = "smoothie_tf.experiments.commands.theory"

#: Subcommands by group: name, `module:function`, and description.
COMMANDS = {
    "One run": (
        ("train", "smoothie_tf.training.main:main", "trains one agent on one task"),
        (
            "export",
            "smoothie_tf.export.export_command:export_main",
            "writes a run's policy as a SavedModel",
        ),
        (
            "evaluate",
            "smoothie_tf.export.export_command:evaluate_main",
            "prints an exported policy's mean return",
        ),
    ),
    "Figures and tables of the paper": (
        (
            "figure1",
            f"{_THEORY}:figure1_command",
            "a reward, and the same reward smoothed",
        ),
        (
            "figure2",
            f"{_THEORY}:figure2_command",
            "Smoothie and DDPG on a reward with two modes",
        ),
        (
            "figure3",
            f"{_FIGURES}:figure3",
            "Smoothie and DDPG on six tasks of continuous control",
        ),
        ("figure4", f"{_FIGURES}:figure4", "Smoothie with and without the KL penalty"),
        (
            "table1",
            "smoothie_tf.experiments.commands.search_command:search_command",
            "searches an agent's hyperparameters on a task",
        ),
        (
            "section3",
            f"{_THEORY}:section3_command",
            "the claims of section 3 in numbers",
        ),
        (
            "identities",
            f"{_THEORY}:identities_command",
            "the paper's theorem and equations, checked numerically",
        ),
        (
            "ablations",
            "smoothie_tf.experiments.commands.ablations:ablations_command",
            "variants of Algorithm 1 compared with truth and default",
        ),
    ),
    "Further comparisons": (
        (
            "compare",
            "smoothie_tf.experiments.commands.compare:compare_command",
            "any arms on any tasks, from the command line",
        ),
        (
            "baselines",
            f"{_FIGURES}:baselines",
            "Smoothie, searched and recommended, beside DDPG, TD3, SAC",
        ),
        (
            "behind_ddpg",
            f"{_FIGURES}:behind_ddpg",
            "what changes Smoothie's return on HalfCheetah and Swimmer",
        ),
        (
            "choices",
            f"{_FIGURES}:choices",
            "choices that the paper leaves open, one after the other",
        ),
        (
            "soft_ddpg",
            f"{_FIGURES}:soft_ddpg",
            "DDPG, Soft DDPG, SVG(0), Smoothie: dense and rounded rewards",
        ),
        (
            "neighbours_escape",
            f"{_THEORY}:neighbours_escape_command",
            "the same four on a reward with two modes",
        ),
        ("svg_figure2", f"{_FIGURES}:svg_figure2", "Figure 2 of the SVG paper"),
        ("svg_figure3", f"{_FIGURES}:svg_figure3", "Figure 3 of the SVG paper"),
        ("svg_figure4", f"{_FIGURES}:svg_figure4", "Figure 4 of the SVG paper"),
        ("svg_tasks", f"{_FIGURES}:svg_tasks", "SVG(1)-ER on the SVG paper's tasks"),
    ),
    "Results": (
        (
            "collect",
            "smoothie_tf.experiments.commands.collect:collect_command",
            "copies the records of runs to results/",
        ),
        (
            "report",
            "smoothie_tf.experiments.commands.report:report_command",
            "writes results/README.md from the records",
        ),
    ),
}


def functions() -> dict[str, str]:
    """Returns the subcommands: `module:function` by name."""
    return {name: where for group in COMMANDS.values() for name, where, _ in group}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a subcommand.

    Args:
        argv: Its name and its flags; `None` for those of the process.

    Returns:
        Its exit status; 2 if there is no such subcommand.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    known = functions()
    if not words or words[0] in ("-h", "--help", "help"):
        print(_help())
        return command_line.DONE if words else command_line.BAD_INPUT
    if words[0] == "--version":
        print(f"smoothie_tf {smoothie_tf.__version__}")
        return command_line.DONE
    name = words[0].replace("-", "_")
    if name not in known:
        near = difflib.get_close_matches(name.lower(), known, 1)
        print(
            f"smoothie: there is no command {words[0]!r}"
            f"{f'; did you mean {near[0]}?' if near else '.'} All are listed by "
            "smoothie --help.",
            file=sys.stderr,
        )
        return command_line.BAD_INPUT
    module, function = known[name].split(":")
    function = getattr(importlib.import_module(module), function)
    if argv is not None:
        return function(words[1:])
    sys.argv = [command_line.called_by_smoothie(name), *words[1:]]
    return function()


def _help() -> str:
    lines = [
        "usage: smoothie COMMAND [flags]",
        "",
        *textwrap.wrap(smoothie_tf.__doc__.splitlines()[0], 79),
        "Runs go to runs/ and results to results/ below the working directory.",
    ]
    for title, group in COMMANDS.items():
        lines += ["", f"{title}:"]
        lines += [f"  {name:<18}{what}" for name, _, what in group]
    lines += ["", "smoothie COMMAND --help lists the flags of a command."]
    return "\n".join(lines)


def run() -> int:
    """Runs a subcommand as this process's program."""
    return program.run(main)


if __name__ == "__main__":
    sys.exit(run())
