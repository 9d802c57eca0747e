"""Which runs a figure is made of, where each one lives, and how far it is.

A run's directory says what it is:

    <root>/<preset>/<environment>/<variant>/seed<seed>

so figures that share runs share directories, and nothing is trained twice. Bindings
given by hand are part of the preset's name, and a digest of the values in `gin/tuned`
is part of the variant's: runs with other values never mix.
"""

import dataclasses
import difflib
import enum
import fcntl
import hashlib
import json
import os
import pathlib
import re
import tokenize
from collections.abc import Iterable, Sequence
from typing import Any

import gin
from gin import config_parser

from smoothie_tf.environments import discretized_reward
from smoothie_tf.training import gin_directory

PRESETS = gin_directory.ROOT / "presets"
# The launcher's lock is there from before the process starts; training takes its own
# once it has found its feet, also where it was started by hand.
_LAUNCH_LOCK = ".launch.lock"
_TRAINING_LOCK = ".lock"
_LONGEST_LABEL = 100
# The preset that leaves the length of runs to a figure's panels.
_OF_PANELS = "svg"
# What a file that nests too deep, or holds too large a number, makes parsers raise.
_TOO_MUCH = (RecursionError, OverflowError, MemoryError)


class InputError(ValueError):
    """A value given by the user cannot be used; the message is one sentence."""


class Status(enum.Enum):
    """How far a run is."""

    MISSING = "missing"
    RESUMABLE = "resumable"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True)
class Arm:
    """One curve of a figure: an agent and what is bound for it.

    Attributes:
        variant: Directory name and key of the curve, e.g. `smoothie-no-kl`.
        agent: Name of the agent, as `reproduce/train.py --agent` takes it.
        label: What the legend says.
        gin_bindings: Bindings of this arm; they win over those given by hand.
        colour: Of the curve, where it is not the agent's own.
    """

    variant: str
    agent: str
    label: str
    gin_bindings: tuple[str, ...] = ()
    colour: str = ""


@dataclasses.dataclass(frozen=True)
class Panel:
    """One panel of a figure whose panels differ in more than the environment.

    Attributes:
        title: What is written above it.
        env: Its environment.
        arms: Its curves.
        num_steps: Environment steps of its runs: all of them where the preset leaves
            them to it, else the most that it takes of the preset's; 0 for no limit.
    """

    title: str
    env: str
    arms: tuple[Arm, ...]
    num_steps: int


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure as a grid: every arm on every environment, or as its panels say.

    Attributes:
        number: Its number in the paper; None for a comparison of our own.
        subject: What it shows.
        arms: Its curves.
        envs: Its panels.
        comparison: Where it has no number, what it is called.
        panels: Its panels, where they differ in more than the environment.
        tuned: Whether its runs take what searches have found for their tasks. Arms of
            which but some have been searched do not: it would be no fair comparison.
    """

    number: int | None
    subject: str
    arms: tuple[Arm, ...]
    envs: tuple[str, ...]
    comparison: str = ""
    panels: tuple[Panel, ...] = ()
    tuned: bool = True

    @classmethod
    def of_panels(
        cls, comparison: str, subject: str, panels: tuple[Panel, ...]
    ) -> "Figure":
        """Makes a figure of panels that say for themselves what they show."""
        arms = {arm.variant: arm for panel in panels for arm in panel.arms}
        envs = dict.fromkeys(panel.env for panel in panels)
        return cls(None, subject, tuple(arms.values()), tuple(envs), comparison, panels)

    def panels_on(self, env: str) -> tuple[Panel, ...]:
        """Returns its panels on an environment: one of all arms, or its own."""
        own = tuple(panel for panel in self.panels if panel.env == env)
        return own or (Panel(env, env, self.arms, 0),)

    @property
    def title(self) -> str:
        """What it is called, e.g. `Figure 3`."""
        return self.comparison if self.number is None else f"Figure {self.number}"

    @property
    def name(self) -> str:
        """Stem of the figure's files, e.g. `figure3`."""
        return re.sub(r"\W+", "_" if self.number is None else "", self.title.lower())


SMOOTHIE = Arm("smoothie", "smoothie", "Smoothie")
DDPG = Arm("ddpg", "ddpg", "DDPG")
SOFT_DDPG = Arm("soft_ddpg", "soft_ddpg", "Soft DDPG")
SVG0 = Arm("svg0", "svg0", "SVG(0)")
SMOOTHIE_WITHOUT_KL = Arm(
    "smoothie-no-kl",
    "smoothie",
    "Smoothie, no KL-penalty (λ = 0)",
    ("SmoothieAgent.kl_penalty = 0.0",),
)

FIGURE_3 = Figure(
    number=3,
    subject="Smoothie and DDPG on continuous control",
    arms=(SMOOTHIE, DDPG),
    envs=(
        "HalfCheetah-v5",
        "Swimmer-v5",
        "Hopper-v5",
        "Walker2d-v5",
        "Ant-v5",
        "Humanoid-v5",
    ),
)
FIGURE_4 = Figure(
    number=4,
    subject="Smoothie with and without the KL-penalty",
    arms=(
        dataclasses.replace(SMOOTHIE, label="Smoothie, KL-penalty (λ > 0)"),
        SMOOTHIE_WITHOUT_KL,
    ),
    envs=("Hopper-v5", "Walker2d-v5", "Ant-v5", "Humanoid-v5"),
)

_DISCRETIZED = ("Hopper-v5", "HalfCheetah-v5", "Walker2d-v5")
NEIGHBOURS = Figure(
    number=None,
    comparison="Soft DDPG",
    subject="four uses of a critic",
    arms=(SMOOTHIE, DDPG, SOFT_DDPG, SVG0),
    # InvertedPendulum's reward has two levels as it is: discretized, it is itself.
    envs=(
        *("InvertedPendulum-v5", *_DISCRETIZED),
        *(f"smoothie_tf/Discretized{env}" for env in _DISCRETIZED),
    ),
    tuned=False,
)
# From narrow and dark to wide and light.
_WIDTHS = {
    0.05: "#440154",
    0.1: "#3b528b",
    0.2: "#21918c",
    0.3: "#5ec962",
    0.6: "#fdae61",
}
# That of gin/agents/soft_ddpg.gin.
_DEFAULT_WIDTH = 0.3
SOFT_DDPG_WIDTHS = Figure(
    number=None,
    comparison="Soft DDPG ablation",
    subject="the width σ of its smoothing and exploration",
    arms=tuple(
        # The default width has been run where Soft DDPG has.
        dataclasses.replace(SOFT_DDPG, label=f"σ = {stddev}, default", colour=colour)
        if stddev == _DEFAULT_WIDTH
        else Arm(
            f"soft_ddpg-stddev-{stddev}",
            "soft_ddpg",
            f"σ = {stddev}",
            (f"SoftDdpgAgent.stddev = {stddev}",),
            colour,
        )
        for stddev, colour in _WIDTHS.items()
    ),
    envs=("Hopper-v5", "smoothie_tf/DiscretizedHopper-v5"),
    tuned=False,
)
_ABLATIONS = {
    "covariance-full": ("full Σ", ("covariance = 'full'",), "#009E73"),
    "covariance-state": (
        "Σ(s) diagonal",
        ("covariance = 'state_diagonal'",),
        "#56B4E9",
    ),
    "weights": (
        "weights 1/q ≤ 5",
        ("importance_weight_clipping = 5.0",),
        "#E69F00",
    ),
    "expected": ("(16) and (17)", ("evaluation = 'expected'",), "#CC79A7"),
    "derivatives": (
        "derivative errors, baseline",
        ("bellman_error_weights = (1.0, 0.1, 0.01)", "derivative_baseline = True"),
        "#D55E00",
    ),
}
ABLATIONS = Figure(
    number=None,
    comparison="Ablations",
    subject="the pieces of the paper beside Algorithm 1",
    arms=(
        SMOOTHIE,
        *(
            Arm(
                f"smoothie-{name}",
                "smoothie",
                label,
                tuple(f"SmoothieAgent.{binding}" for binding in bindings),
                colour,
            )
            for name, (label, bindings, colour) in _ABLATIONS.items()
        ),
        Arm(
            "smoothie-compatible",
            "smoothie",
            "compatible critic (22)",
            (
                "create_agent.critic_network = @CompatibleCriticNetwork",
                "SmoothieAgent.bellman_error_weights = (1.0, 0.1, 0.01)",
                "SmoothieAgent.derivative_baseline = True",
            ),
            "#000000",
        ),
    ),
    envs=("Hopper-v5",),
    tuned=False,
)


@dataclasses.dataclass(frozen=True)
class Preset:
    """What a grid needs to know of a preset before any run has started.

    Attributes:
        name: `quick`, `short` or `paper`.
        num_steps: Environment steps of each run (`train.num_steps`).
        num_seeds: Seeds of each arm on each environment (`grid.num_seeds`).
        gin_bindings: Bindings given by hand on top of the preset.
    """

    name: str
    num_steps: int
    num_seeds: int
    gin_bindings: tuple[str, ...] = ()

    def on(self, panel: Panel) -> "Preset":
        """Returns the preset for a panel, which may be longer or shorter."""
        by_hand = any("train.num_steps" in each for each in self.gin_bindings)
        if by_hand or not panel.num_steps:
            return self
        num_steps = panel.num_steps
        if self.name != _OF_PANELS:
            num_steps = min(num_steps, self.num_steps)
        return dataclasses.replace(self, num_steps=num_steps)

    @property
    def is_result(self) -> bool:
        """Whether what it gives is a result to keep: unaltered, and at length."""
        return self.name != "quick" and not self.gin_bindings

    @property
    def label(self) -> str:
        """Name of the directory that holds the runs of this preset."""
        if not self.gin_bindings:
            return self.name
        bindings = "+".join(re.sub(r"\s+", "", each) for each in self.gin_bindings)
        readable = re.sub(r"[^\w.=+-]", "_", bindings)
        # Two bindings that read alike once made fit for a file name must not share.
        if readable != bindings or len(readable) > _LONGEST_LABEL:
            digest = hashlib.sha1(bindings.encode()).hexdigest()[:8]
            readable = f"{readable[:_LONGEST_LABEL]}-{digest}"
        return f"{self.name}+{readable}"


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run: everything that `reproduce/train.py` has to be told.

    Attributes:
        agent: Name of the agent.
        env: Gymnasium id of the environment.
        seed: Seed of the run.
        preset: Preset that the run belongs to.
        variant: Name of the arm.
        gin_bindings: All bindings on top of the preset, in the order they apply.
        root: Directory that holds all runs.
        tuned: Digest of the tuned values the run trains with; empty without any.
        untuned: Whether there are some that it does not take.
    """

    agent: str
    env: str
    seed: int
    preset: Preset
    variant: str
    gin_bindings: tuple[str, ...] = ()
    root: pathlib.Path = pathlib.Path("runs")
    tuned: str = ""
    untuned: bool = False

    @property
    def num_steps(self) -> int:
        """Environment steps of the finished run."""
        return self.preset.num_steps

    @property
    def directory(self) -> pathlib.Path:
        """Where the run's files are."""
        # Runs from before a search must not pass for runs with what it found.
        variant = f"{self.variant}+tuned-{self.tuned}" if self.tuned else self.variant
        arm = (
            self.root / self.preset.label / gin_directory.file_name(self.env) / variant
        )
        return arm / f"seed{self.seed}"

    def __str__(self) -> str:
        return f"{self.env} {self.variant} seed {self.seed}"


@gin.configurable(allowlist=["num_seeds"])
def grid(
    figure: Figure,
    preset: Preset,
    envs: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    root: str | os.PathLike[str] = "runs",
    num_seeds: int | None = None,
    tuned: bool = True,
) -> tuple[Run, ...]:
    """Lists the runs of a figure, seed by seed.

    A gin configurable: `grid.num_seeds` is what a preset binds.

    Args:
        figure: Which arms, and on which environments by default.
        preset: Steps, seeds and bindings of each run.
        envs: Environments in place of the figure's own.
        seeds: Seeds in place of the preset's 0 … num_seeds − 1.
        root: Directory that holds all runs.
        num_seeds: Number of seeds in place of the preset's.
        tuned: Whether runs take what searches have found, if the figure's do.

    Returns:
        The runs. The first seed of every panel comes before the second of any, so
        that a figure drawn early shows all of its panels.
    """
    if seeds is None:
        seeds = range(preset.num_seeds if num_seeds is None else num_seeds)
    runs = (
        Run(
            agent=arm.agent,
            env=env,
            seed=seed,
            preset=preset.on(panel),
            variant=arm.variant,
            gin_bindings=preset.gin_bindings + arm.gin_bindings,
            root=pathlib.Path(root),
            **_tuned(arm.agent, env, tuned and figure.tuned),
        )
        for seed in seeds
        for env in (figure.envs if envs is None else envs)
        for panel in figure.panels_on(env)
        for arm in panel.arms
    )
    # Panels may share runs.
    return tuple({run.directory: run for run in runs}.values())


def _tuned(agent, env, wanted):
    digest = tuned_digest(agent, env)
    return {"tuned": digest} if wanted else {"untuned": bool(digest)}


def lengths(runs: Sequence[Run]) -> str:
    """Says how many steps runs have: one number, or from the least to the most."""
    steps = {run.num_steps for run in runs}
    return " to ".join(f"{number:,}" for number in sorted({min(steps), max(steps)}))


def tuned_digest(agent: str, env: str) -> str:
    """Returns a digest of the tuned values of an agent on a task, if there are any.

    Of the values alone: a comment in the file makes no new run. A task with a
    discretized reward has those of the task itself, and its own over them.
    """
    values: dict[str, Any] = {}
    for name in discretized_reward.lineage(env):
        if path := gin_directory.find_tuned(agent, name):
            values |= bound_values(path)
    if not values:
        return ""
    return hashlib.sha1(repr(sorted(values.items())).encode()).hexdigest()[:8]


def read_preset(
    name: str,
    gin_bindings: Iterable[str] = (),
    directory: pathlib.Path | None = None,
) -> Preset:
    """Reads the number of steps and seeds of a preset.

    The file is parsed by gin but bound to nothing: what the other bindings configure
    lives in modules that import TensorFlow, and a launcher needs none of it.

    Args:
        name: Name of a file in `directory`, without its `.gin`.
        gin_bindings: Bindings given by hand; they win over the file's.
        directory: Where presets are; `None` for this repository's.

    Returns:
        The preset.

    Raises:
        InputError: If there is no such preset, if it or a binding cannot be read, or
            if the number of steps or seeds is missing or not a positive integer.
    """
    gin_bindings = tuple(gin_bindings)
    directory = PRESETS if directory is None else directory
    path = directory / f"{name}.gin"
    if not path.is_file():
        known = sorted(each.stem for each in directory.glob("*.gin"))
        raise InputError(
            f"--preset {name!r} is not a preset{_nearest(name, known)}: "
            f"choose one of {', '.join(known)}."
        )
    values = bound_values(path)
    for binding in gin_bindings:
        values.update(bound_values(binding))
    for key in values:
        if key.startswith("grid.") and key != "grid.num_seeds":
            raise InputError(f"{key!r} cannot be bound: grid has only num_seeds.")
    counts = {}
    for key in ("train.num_steps", "grid.num_seeds"):
        count = values.get(key)
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise InputError(
                f"{key} is {count!r} under the preset {name!r}: it has to be an "
                "integer of at least 1."
            )
        counts[key] = count
    return Preset(
        name, counts["train.num_steps"], counts["grid.num_seeds"], gin_bindings
    )


def check_envs(envs: Sequence[str], flag: str = "--envs") -> None:
    """Checks that Gymnasium knows every environment.

    Args:
        envs: Their ids.
        flag: Where they were given.

    Raises:
        InputError: If one is unknown, with the nearest id there is.
    """
    # Half a second that `--help` and a typo in another flag need not wait for.
    import gymnasium

    import smoothie_tf.environments  # noqa: F401  Registers the package's own tasks.

    for env in envs:
        try:
            gymnasium.spec(env)
        except (gymnasium.error.Error, ImportError) as error:
            near = _nearest(env, gymnasium.registry)
            detail = near or f" ({' '.join(str(error).split())})"
            raise InputError(
                f"{flag} {env!r} is not an environment Gymnasium knows{detail}."
            ) from None


def status(run_dir: str | os.PathLike[str], num_steps: int | None = None) -> Status:
    """Says how far the run in a directory is.

    Args:
        run_dir: The run's directory; it need not exist.
        num_steps: Environment steps that are wanted; a run that was finished with
            fewer is resumable. `None` takes what the run was asked for.

    Returns:
        The status. A run whose process was killed left `running` behind in its
        `run.json`, but holds no lock any more: it is resumable.
    """
    if is_locked(run_dir):
        return Status.RUNNING
    return recorded_status(run_dir, num_steps)


def recorded_status(
    run_dir: str | os.PathLike[str], num_steps: int | None = None
) -> Status:
    """Says how far a run is by its own `run.json`, whoever is at work on it.

    Args:
        run_dir: As for `status`.
        num_steps: As for `status`.

    Returns:
        The status; never `RUNNING`, which a file alone cannot tell.
    """
    try:
        path = pathlib.Path(run_dir) / "run.json"
        record = json.loads(path.read_text(encoding="utf-8"))
        state = record["status"]
        enough = num_steps is None or int(record["num_steps"]) >= num_steps
    except FileNotFoundError:
        return Status.MISSING
    except (OSError, ValueError, KeyError, TypeError, *_TOO_MUCH):
        return Status.FAILED
    if state == "failed":
        return Status.FAILED
    return Status.DONE if state == "done" and enough else Status.RESUMABLE


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns what a JSON file holds, or nothing where there is none to read."""
    try:
        values = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, *_TOO_MUCH):
        return {}
    return values if isinstance(values, dict) else {}


def lock(run_dir: str | os.PathLike[str]) -> int | None:
    """Takes hold of a run, so that no two launchers train it at once.

    The lock belongs to the open file, not to the process: handed to a child, it holds
    for as long as the child lives, even where the launcher is killed.

    Args:
        run_dir: The run's directory; it has to exist.

    Returns:
        The file descriptor that holds the lock, or `None` if somebody is at work there.
    """
    run_dir = pathlib.Path(run_dir)
    descriptor = _try_lock(run_dir / _LAUNCH_LOCK)
    if descriptor is None:
        return None
    training = run_dir / _TRAINING_LOCK
    if training.exists():
        training_descriptor = _try_lock(training)
        if training_descriptor is None:
            os.close(descriptor)
            return None
        os.close(training_descriptor)
    return descriptor


def is_locked(run_dir: str | os.PathLike[str]) -> bool:
    """Says whether a process is at work on the run."""
    run_dir = pathlib.Path(run_dir)
    if not any((run_dir / name).exists() for name in (_LAUNCH_LOCK, _TRAINING_LOCK)):
        return False
    descriptor = lock(run_dir)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def _try_lock(path: pathlib.Path) -> int | None:
    """Locks a file without waiting; `None` if somebody else has it."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


class _Unbound(config_parser.ParserDelegate):
    """Reads references as text and macros as their values; binds nothing."""

    def __init__(self, values: dict[str, Any]):
        self._values = values

    def configurable_reference(self, scoped_configurable_name, evaluate):
        return f"@{scoped_configurable_name}{'()' if evaluate else ''}"

    def macro(self, macro_name):
        return self._values.get(macro_name)


def bound_values(source: pathlib.Path | str) -> dict[str, Any]:
    """Reads a gin file, or one binding, without binding anything.

    Args:
        source: The file's path, or the binding's text.

    Returns:
        Values by `configurable.parameter`.

    Raises:
        InputError: If it cannot be read as gin.
    """
    values: dict[str, Any] = {}
    try:
        text = source
        if isinstance(source, pathlib.Path):
            text = source.read_text(encoding="utf-8")
        for statement in config_parser.ConfigParser(text, _Unbound(values)):
            if isinstance(statement, config_parser.IncludeStatement):
                values.update(bound_values(_included(source, statement.filename)))
            elif isinstance(statement, config_parser.BindingStatement):
                # A selector may carry its module, which says nothing new here.
                name = statement.selector.rsplit(".", 1)[-1]
                argument = statement.arg_name
                values[f"{name}.{argument}" if argument else name] = statement.value
    except InputError:
        raise
    # Text that is not UTF-8, or holds a NUL, is a ValueError; gin's parser also passes
    # on what Python's makes of nonsense.
    except (
        SyntaxError,
        tokenize.TokenError,
        AttributeError,
        OSError,
        TypeError,
        ValueError,
        *_TOO_MUCH,
    ) as error:
        given = f"--gin_bindings {source!r}" if isinstance(source, str) else source
        reason = " ".join(str(error.args[0] if error.args else error).split())
        raise InputError(
            f"{given} cannot be read as gin ({reason.rstrip('.')}): "
            "it takes the form configurable.parameter = value."
        ) from None
    return values


def _included(source: pathlib.Path | str, filename: str) -> pathlib.Path:
    """Finds an included file as gin does, or beside the file that includes it."""
    beside = pathlib.Path(source).parent / filename
    return beside if beside.is_file() else pathlib.Path(filename)


def _nearest(name: str, known: Iterable[str]) -> str:
    """Returns ` (did you mean …?)` where something known is close, else nothing."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
