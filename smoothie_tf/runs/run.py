"""Defines a run and its directory.

The path of the directory identifies the run:

    <root>/<preset>/<environment>/<variant>/seed<seed>

Figures with the same runs share their directories, so no run is trained twice. The name
of the preset includes the bindings from the command line, and the name of the variant a
digest of the values in `gin/tuned`: runs with other values are never mixed.
"""

import dataclasses
import hashlib
import pathlib
import re
from collections.abc import Iterable, Sequence

from smoothie_tf.training import gin_directory
from smoothie_tf.training.gin_text import bound_values, meaning
from smoothie_tf.validation import InputError, nearest

_MAX_LABEL_LENGTH = 100
# Under this preset, each panel of a figure has its own length of runs.
_PANEL_PRESET = "svg"
_LENGTH_BINDING = "train.num_steps"


@dataclasses.dataclass(frozen=True)
class Preset:
    """The values of a preset that a grid needs before it starts runs.

    Attributes:
        name: The preset's name, such as `short`.
        num_steps: Environment steps of each run (`train.num_steps`).
        num_seeds: Seeds of each arm on each environment (`grid.num_seeds`).
        gin_bindings: Bindings from the command line, applied after the preset.
        others: Names of presets that differ from this one only in the length of runs.
    """

    name: str
    num_steps: int
    num_seeds: int
    gin_bindings: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def of_length(self, num_steps: int) -> "Preset":
        """Returns the preset with the length of runs of a figure's panel.

        A length from the command line is kept. Otherwise the preset `svg` takes the
        panel's length, and other presets the shorter of the two.

        Args:
            num_steps: The panel's length in environment steps; 0 if it has none.
        """
        if not num_steps or any(map(is_length, self.gin_bindings)):
            return self
        if self.name != _PANEL_PRESET:
            num_steps = min(num_steps, self.num_steps)
        return dataclasses.replace(self, num_steps=num_steps)

    @property
    def is_result(self) -> bool:
        """Whether its runs count as results: not `quick`, and without bindings."""
        return self.name != "quick" and not self.gin_bindings

    @property
    def label(self) -> str:
        """The name of the directory of this preset's runs."""
        if not self.gin_bindings:
            return self.name
        bindings = "+".join(re.sub(r"\s+", "", each) for each in self.gin_bindings)
        readable = re.sub(r"[^\w.=+-]", "_", bindings)
        # Different bindings may become equal in a file name; a digest separates them.
        if readable != bindings or len(readable) > _MAX_LABEL_LENGTH:
            digest = hashlib.sha1(bindings.encode()).hexdigest()[:8]
            readable = f"{readable[:_MAX_LABEL_LENGTH]}-{digest}"
        return f"{self.name}+{readable}"

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of this preset and of those that differ only in length, own first."""
        bindings = tuple(each for each in self.gin_bindings if not is_length(each))
        alike = (
            dataclasses.replace(self, name=name, gin_bindings=bindings).label
            for name in (self.name, *self.others)
        )
        return tuple(dict.fromkeys((self.label, *alike)))


#: Parameters of presets that belong to a grid or a search, not to a run, begin so.
OF_ALL_RUNS = ("grid.", "search.")


def is_length(binding: str) -> bool:
    """Returns whether a gin binding sets the number of environment steps of a run."""
    names = (name.rpartition("/")[-1] for name in meaning([binding]))
    return any(f".{name}".endswith(f".{_LENGTH_BINDING}") for name in names)


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run: what determines its numbers, and where its files are.

    Attributes:
        agent: Name of the agent.
        env: Gymnasium id of the environment.
        seed: Seed of the run.
        preset: Preset that the run belongs to.
        variant: Name of the arm.
        gin_bindings: All bindings on top of the preset, in the order they apply.
        root: Directory that holds all runs.
        tuned: Digest of the run's tuned hyperparameters; empty if it has none.
        untuned: Whether the run ignores the task's tuned hyperparameters. Their absence
            does the same.
        recommended: Digest of the run's recommended hyperparameters; empty if it uses
            the paper's.
        home: Its directory, if it may be that of another preset; set by
            `prefix.locate`.
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
    recommended: str = ""
    home: pathlib.Path | None = dataclasses.field(default=None, compare=False)

    @property
    def num_steps(self) -> int:
        """Environment steps of the finished run."""
        return self.preset.num_steps

    @property
    def directory(self) -> pathlib.Path:
        """The directory of the run's files."""
        return self.home or self.directories[0]

    @property
    def directories(self) -> tuple[pathlib.Path, ...]:
        """The run's own directory, then those of runs that differ only in length."""
        # Runs from before a search must not be mistaken for runs with its results.
        variant = self.variant
        if self.tuned:
            variant += f"+tuned-{self.tuned}"
        if self.recommended:
            variant += f"+recommended-{self.recommended}"
        below = pathlib.Path(
            gin_directory.file_name(self.env), variant, f"seed{self.seed}"
        )
        return tuple(self.root / label / below for label in self.preset.labels)

    def __str__(self) -> str:
        return f"{self.env} {self.variant} seed {self.seed}"


def lengths(runs: Sequence[Run]) -> str:
    """Formats the numbers of steps of runs: one number, or "minimum to maximum"."""
    steps = {run.num_steps for run in runs}
    return " to ".join(f"{number:,}" for number in sorted({min(steps), max(steps)}))


def read_preset(
    name: str,
    gin_bindings: Iterable[str] = (),
    directory: pathlib.Path | None = None,
) -> Preset:
    """Reads the number of steps and seeds of a preset.

    Gin parses the file without binding the values, because the configurable modules
    import TensorFlow, which a launcher does not need.

    Args:
        name: Name of a file in `directory`, without its `.gin`.
        gin_bindings: Bindings from the command line; they override the file's.
        directory: The directory of the presets; `None` for the package's own.

    Returns:
        The preset.

    Raises:
        InputError: If there is no such preset, if it or a binding cannot be read, or
            if the number of steps or seeds is missing or not a positive integer.
    """
    gin_bindings = tuple(gin_bindings)
    directory = gin_directory.PRESETS if directory is None else directory
    path = directory / f"{name}.gin"
    if not path.is_file():
        known = sorted(each.stem for each in directory.glob("*.gin"))
        raise InputError(
            f"--preset {name!r} is not a preset{nearest(name, known)}: "
            f"choose one of {', '.join(known)}."
        )
    values = bound_values(path)
    for binding in gin_bindings:
        values.update(bound_values(binding))
    for key in values:
        if key.startswith("grid.") and key != "grid.num_seeds":
            raise InputError(
                f"{key!r} cannot be bound: grid has only the parameter num_seeds."
            )
    counts = {}
    for key in (_LENGTH_BINDING, "grid.num_seeds"):
        count = values.get(key)
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise InputError(
                f"{key} must be an integer of at least 1, but is {count!r} under the "
                f"preset {name!r}."
            )
        counts[key] = count
    others = (each.stem for each in sorted(directory.glob("*.gin")) if each != path)
    return Preset(
        name,
        counts[_LENGTH_BINDING],
        counts["grid.num_seeds"],
        gin_bindings,
        tuple(each for each in others if _differ_only_in_length(directory, name, each)),
    )


def _differ_only_in_length(directory: pathlib.Path, *names: str) -> bool:
    """Says whether two presets train runs that differ only in length."""
    try:
        each = [bound_values(directory / f"{name}.gin") for name in names]
    except InputError:
        return False
    first, second = (
        {
            key: value
            for key, value in values.items()
            if key != _LENGTH_BINDING and not key.startswith(OF_ALL_RUNS)
        }
        for values in each
    )
    return first == second
