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

_EXPERIMENTS = "smoothie_tf.experiments.commands"

#: Subcommands by group, with their descriptions.
COMMANDS = {
    "One run": {
        "train": "trains one agent on one task",
        "export": "writes a run's policy as a SavedModel",
        "evaluate": "prints an exported policy's mean return",
    },
    "Figures and tables of the paper": {
        "figure1": "a reward, and the same reward smoothed",
        "figure2": "Smoothie and DDPG on a reward with two modes",
        "figure3": "Smoothie and DDPG on six tasks of continuous control",
        "figure4": "Smoothie with and without the KL penalty",
        "table1": "searches an agent's hyperparameters on a task",
        "section3": "the claims of section 3 in numbers",
        "identities": "the paper's theorem and equations, checked numerically",
        "ablations": "variants of Algorithm 1 compared with truth and default",
    },
    "Further comparisons": {
        "compare": "any arms on any tasks, from the command line",
        "baselines": "Smoothie, searched and recommended, beside DDPG, TD3, SAC",
        "behind_ddpg": "what changes Smoothie's return on HalfCheetah and Swimmer",
        "choices": "choices that the paper leaves open, one after the other",
        "soft_ddpg": "DDPG, Soft DDPG, SVG(0), Smoothie: dense and rounded rewards",
        "neighbours_escape": "the same four on a reward with two modes",
        "svg_figure2": "Figure 2 of the SVG paper",
        "svg_figure3": "Figure 3 of the SVG paper",
        "svg_figure4": "Figure 4 of the SVG paper",
        "svg_tasks": "SVG(1)-ER on the SVG paper's tasks",
    },
    "Results": {
        "collect": "copies the records of runs to results/",
        "report": "writes results/README.md from the records",
    },
}
_THEORY = ("figure1", "figure2", "section3", "identities", "neighbours_escape")
_OWN_MODULE = ("ablations", "compare", "collect", "report")
# All others draw learning curves, and are in `figure_commands`.
_FUNCTIONS = {
    "train": "smoothie_tf.training.main:main",
    "export": "smoothie_tf.export.export_command:export_main",
    "evaluate": "smoothie_tf.export.export_command:evaluate_main",
    "table1": f"{_EXPERIMENTS}.search_command:search_command",
    **{name: f"{_EXPERIMENTS}.theory:{name}_command" for name in _THEORY},
    **{name: f"{_EXPERIMENTS}.{name}:{name}_command" for name in _OWN_MODULE},
}


def functions() -> dict[str, str]:
    """Returns the subcommands: `module:function` by name."""
    return {
        name: _FUNCTIONS.get(name, f"{_EXPERIMENTS}.figure_commands:{name}")
        for group in COMMANDS.values()
        for name in group
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the subcommand that `argv`, or the process's own arguments, begin with.

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
    module, attribute = known[name].split(":")
    function = getattr(importlib.import_module(module), attribute)
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
        lines += [f"  {name:<18}{what}" for name, what in group.items()]
    lines += ["", "smoothie COMMAND --help lists the flags of a command."]
    return "\n".join(lines)


def run() -> int:
    """Runs a subcommand as this process's program."""
    return program.run(main)


if __name__ == "__main__":
    sys.exit(run())
