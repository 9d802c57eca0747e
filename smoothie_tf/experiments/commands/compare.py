"""The command `compare`: compares any settings on any tasks as a grid of runs."""

import itertools
import pathlib
import re
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from smoothie_tf import quiet
from smoothie_tf.command_line import AtLeast, Parser, reporting
from smoothie_tf.experiments.commands import readme
from smoothie_tf.experiments.commands.figure import figure_command, split_items
from smoothie_tf.experiments.figures.grids import Arm, Figure
from smoothie_tf.runs import tasks
from smoothie_tf.runs.run import OF_ALL_RUNS, is_length
from smoothie_tf.training import gin_directory
from smoothie_tf.training.gin_text import bound_values, check_num_steps
from smoothie_tf.training.searched_values import digest
from smoothie_tf.validation import InputError, nearest

_TITLE = "Comparison"
# The colour-blind safe set of Okabe and Ito.
_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#999999",
)
# An item of an arm that chooses its hyperparameters and is not a gin binding.
_VALUES = re.compile(rf"values ?= ?(['\"]?)({'|'.join(gin_directory.VALUES)})\1")


@reporting
def compare_command(argv: Sequence[str] | None = None) -> int:
    """Trains and compares arms on tasks."""
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = Parser(
        description="Compares settings on tasks of your own or of Gymnasium: trains "
        "the runs that are missing, resumes those that were stopped, and writes "
        "curves, tables with intervals and a README.md to --out_dir.",
        epilog="The flags of figures apply as well (smoothie figure3 --help): --seeds, "
        "--num_workers, --launcher, --runs_dir, --plot_only, --preset (default short). "
        "Differences are against the first arm.",
    )
    parser.add_argument(
        "--env",
        "--envs",
        nargs="+",
        action="extend",
        required=True,
        metavar="ENV",
        help="Gymnasium id, such as Hopper-v5; if a module has to be imported to "
        "register the task, MODULE:ID, such as my_package:MyTask-v0",
    )
    parser.add_argument(
        "--arm",
        action="append",
        required=True,
        metavar="ARM",
        help="an agent, such as smoothie, or 'LABEL: AGENT, BINDING, …', such as "
        "'wide: smoothie, SmoothieAgent.initial_log_variance = 0'; 'values = "
        "recommended' among the bindings selects the recommended hyperparameters, for "
        "agents that have some; may be given several times",
    )
    parser.add_argument(
        "--num_steps", action=AtLeast, help="environment steps of each run"
    )
    parser.add_argument(
        "--out_dir",
        type=pathlib.Path,
        required=True,
        help="where the pictures, tables and README.md go",
    )
    parser.add_argument(
        "--gin_bindings", action="append", default=[], help="gin binding for all arms"
    )
    flags, others = parser.parse_known_args(argv)
    arms = read_arms(flags.arm)
    envs = split_items(flags.env, "--env")
    tasks.check_envs(envs, "--env")
    if any(arm.values for arm in arms) and any(
        word.partition("=")[0] == "--values" for word in others
    ):
        raise InputError(
            "--values is for all arms: give it, or 'values = …' in an --arm."
        )
    readme.check("--out_dir", flags.out_dir, f"# {_TITLE}: ", "a comparison's")
    _check_bindings(arms, envs, flags.gin_bindings)
    searched = _all_searched(arms, envs)
    figure = Figure(_TITLE, "", arms, tuple(envs), tuned=searched)
    words = ["--preset", "short", "--envs", *envs, "--out_dir", str(flags.out_dir)]
    bindings = list(flags.gin_bindings)
    if flags.num_steps is not None:
        check_num_steps(flags.num_steps, bindings)
        if not any(map(is_length, bindings)):
            # First: the directories of runs name bindings in this order.
            bindings.insert(0, f"train.num_steps = {flags.num_steps}")
    for binding in bindings:
        words += ["--gin_bindings", binding]

    def finish(runs, out_dir):
        from smoothie_tf.experiments.report import comparison

        # The command that makes the runs: drawing alone would make none.
        kept = [word for word in argv if word != "--plot_only"]
        command = shlex.join(["smoothie", "compare", *kept])
        comparison.write(figure, runs, out_dir, command)

    return figure_command(
        figure,
        [*words, *others],
        baseline=arms[0].variant,
        finish=finish,
    )


def _check_bindings(arms, envs, of_all):
    """Checks that the parameters that are bound exist, before any run is trained."""
    if not of_all and not any(arm.gin_bindings for arm in arms):
        return
    # This import takes seconds, and most comparisons do not need it.
    quiet.silence_imports()
    from smoothie_tf.training import config

    for env in envs:
        try:
            config.parse(arms[0].agent, env, bindings=of_all)
        except config.ConfigError as error:
            raise InputError(str(error)) from None
        for arm in arms:
            try:
                config.parse(arm.agent, env, bindings=[*of_all, *arm.gin_bindings])
            except config.ConfigError as error:
                message = str(error).replace("--gin_bindings", "--arm", 1)
                raise InputError(f"{arm.label}: {message}") from None


def read_arms(texts: Sequence[str]) -> tuple[Arm, ...]:
    """Parses the values of `--arm`.

    Args:
        texts: Values `AGENT` or `LABEL: AGENT, BINDING, …`.

    Returns:
        The arms. Their variants, which name the directories of their runs, depend only
        on agent and bindings. Arms that differ only in their labels thus share runs.

    Raises:
        InputError: If an agent is unknown, a binding is not valid, or two arms have the
            same settings or the same label.
    """
    arms: dict[str, Arm] = {}
    for text, colour in zip(texts, itertools.cycle(_COLOURS), strict=False):
        arm = _read_arm(text, colour)
        for other in arms.values():
            if arm.variant == other.variant or arm.label == other.label:
                raise InputError(
                    f"--arm {text!r} has the settings or the label of another --arm."
                )
        arms[arm.variant] = arm
    return tuple(arms.values())


def _read_arm(text: str, colour: str) -> Arm:
    # Bindings may contain colons; only one before the first comma can end a label.
    first, *rest = _split(text)
    label, colon, agent = first.rpartition(":")
    agent, label = agent.strip(), label.strip()
    if (colon and not label) or not agent:
        raise InputError(
            f"--arm {text!r} must be an agent, or 'LABEL: AGENT, BINDING, …'."
        )
    known = gin_directory.agents()
    if agent not in known:
        advice = ""
        if not colon and ":" in "".join(rest):
            advice = " A label has no comma."
        elif agent.split()[0] in known:
            advice = " Commas separate the agent and its bindings."
        raise InputError(
            f"--arm {text!r}: {agent!r} is not an agent{nearest(agent, known)}: choose "
            f"one of {', '.join(known)}.{advice}"
        )
    chosen = [match for each in rest if (match := _VALUES.fullmatch(each))]
    values = chosen[-1].group(2) if chosen else ""
    if values == "recommended" and agent not in gin_directory.recommended():
        raise InputError(
            f"--arm {text!r}: {agent!r} has no recommended values; agents that have "
            f"some: {', '.join(gin_directory.recommended())}."
        )
    bindings = tuple(each for each in rest if not _VALUES.fullmatch(each))
    for binding in bindings:
        if is_length(binding):
            raise InputError(
                f"--arm {text!r}: all runs have the same length; --num_steps sets it."
            )
        bound = bound_values(binding)
        if not bound:
            raise InputError(
                f"--arm {text!r}: {binding!r} is not a binding, such as"
                " 'SmoothieAgent.kl_penalty = 0.01'."
            )
        if of_all := [name for name in bound if name.startswith(OF_ALL_RUNS)]:
            raise InputError(
                f"--arm {text!r}: {of_all[0]} is for all arms; --seeds sets the seeds."
            )
        if others := gin_directory.of_other_agents(agent, bound):
            raise InputError(
                f"--arm {text!r}: {binding!r} has no effect, since {agent} has no"
                f" {others[0]}."
            )
    variant = f"{agent}-{values}" if values == "recommended" else agent
    if bindings:
        together: dict[str, Any] = {}
        for binding in bindings:
            together |= bound_values(binding)
        variant += f"-{digest(together)}"
    label = label or ", ".join((agent, *rest))
    return Arm(variant, agent, label, bindings, colour, values=values)


def _split(text: str) -> list[str]:
    """Splits a text at commas outside brackets and quotes."""
    parts, depth, quote, start = [], 0, "", 0
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"" and not text[place - 1 : place].isalnum():
            quote = letter  # After a letter or digit it is an apostrophe.
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == "," and depth <= 0:
            parts.append(text[start:place])
            start = place + 1
    parts.append(text[start:])
    return [re.sub(r"\s+", " ", part).strip() for part in parts]


def _all_searched(arms: Sequence[Arm], envs: Sequence[str]) -> bool:
    """Returns whether every arm has recommended values, or tuned ones on every task."""
    return all(
        arm.values == "recommended" or gin_directory.find_tuned(arm.agent, env)
        for arm in arms
        for env in envs
    )
