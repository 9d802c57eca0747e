"""The contents of results/ as tables, the report's only input."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from smoothie_tf.experiments.evidence import metrics
from smoothie_tf.experiments.figures import svg as svg_figures
from smoothie_tf.experiments.figures.baselines import BASELINES
from smoothie_tf.experiments.figures.continuous_control import (
    FIGURE_3,
    SMOOTHIE_SEARCHED_WITHOUT_KL,
    SMOOTHIE_WITHOUT_KL,
)
from smoothie_tf.experiments.figures.grids import Arm, Figure, grid
from smoothie_tf.runs import prefix, recorded_values
from smoothie_tf.runs.run import Preset, Run, read_preset
from smoothie_tf.runs.status import read_json
from smoothie_tf.validation import InputError

#: The presets whose runs are results, the longest first.
PRESETS = ("paper", "short")
#: That of the comparison with TD3 and SAC; of longer runs, the first steps count.
BASELINES_PRESET = "short"
#: The preset of the SVG family's figures.
SVG_PRESET = "svg"
#: With fewer finished runs, a claim is not judged.
LEAST_SEEDS = 3
#: The arms of Figures 3 and 4 together.
ARMS = (*FIGURE_3.arms, SMOOTHIE_WITHOUT_KL, SMOOTHIE_SEARCHED_WITHOUT_KL)


def without_kl(env: str) -> str:
    """Returns the arm without KL penalty that Smoothie is compared with on a task.

    This is the arm with hyperparameters searched without λ, as in the paper (Table 1),
    if they exist; otherwise Smoothie's own hyperparameters with λ = 0.
    """
    searched = SMOOTHIE_SEARCHED_WITHOUT_KL
    return (searched if searched.is_on(env) else SMOOTHIE_WITHOUT_KL).variant


class Finals:
    """Runs of one preset: all their evaluations, and one row per finished run."""

    def __init__(
        self,
        frame: pd.DataFrame,
        runs: Sequence[Run] = (),
        last: Callable[[pd.Series], pd.Series] = metrics.last_evaluations,
    ):
        """Reduces runs to rows.

        Args:
            frame: As `metrics.read_runs` and `metrics.read_table` return it.
            runs: The runs of the frame, if they are known.
            last: Which evaluations make up a final return, see `metrics.by_run`.
        """
        self.frame = frame
        self.runs = tuple(runs)
        self.by_run = metrics.by_run(frame, last)

    @classmethod
    def collected(
        cls,
        root: pathlib.Path,
        preset: Preset,
        figures: Iterable[Figure],
        last: Callable[[pd.Series], pd.Series] = metrics.last_evaluations,
    ) -> "Finals":
        """Reads the runs of figures, with the hyperparameters in gin/tuned now.

        Args:
            root: The directory of runs.
            preset: Their length; of longer runs, the first steps of that length count.
            figures: The figures.
            last: As for the constructor.

        Raises:
            metrics.DamagedRunError: If a run's metrics are damaged.
        """
        names = (
            path.name.removeprefix("seed")
            for label in preset.labels
            for path in (root / label).glob("*/*/seed*")
        )
        seeds = sorted({int(name) for name in names if name.isdigit()})
        runs = {
            run.directory: prefix.locate(run)
            for figure in figures
            for run in grid(figure, preset, seeds=seeds, root=root)
        }
        there = [
            run
            for run in runs.values()
            if _is_as_long(run) and _has_current_values(run)
        ]
        return cls(metrics.read_runs(there), there, last)

    def values(
        self, env: str, arm: Arm | str, column: str = "evaluation_return"
    ) -> np.ndarray:
        """Returns one number per finished run of an arm on a task, ordered by seed.

        Args:
            env: Gymnasium id of the task.
            arm: The arm, or its variant.
            column: One of `metrics.NUMBERS`.

        Returns:
            The numbers, shape [N].
        """
        table = self.by_run
        chosen = (table["env"] == env) & (table["variant"] == _variant(arm))
        return table.loc[chosen].sort_values("seed")[column].to_numpy()

    def has(self, env: str, arms: Iterable[Arm | str]) -> bool:
        """Says whether arms have enough finished runs on a task to be judged."""
        return all(len(self.values(env, each)) >= LEAST_SEEDS for each in arms)

    def count(self, env: str, arms: Iterable[Arm | str]) -> str:
        """Writes the numbers of finished runs of each arm on a task."""
        return " + ".join(str(len(self.values(env, each))) for each in arms)


def _variant(arm: Arm | str) -> str:
    return arm if isinstance(arm, str) else arm.variant


def _is_as_long(run: Run) -> bool:
    """Says whether a run was started with its full length, not a shorter one."""
    if not (run.directory / "metrics.csv").is_file():
        return False
    return read_json(run.directory / "run.json").get("num_steps", 0) >= run.num_steps


def _has_current_values(run: Run) -> bool:
    """Says whether a run has the hyperparameters that it would have now."""
    try:
        recorded_values.check([run], drawn=True)
    except InputError:
        return False
    return True


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The final returns of two arms on a task, from runs of one length.

    Attributes:
        preset: Preset of the runs.
        ours: Returns of the first arm's mean action, shape [N].
        theirs: Returns of the second arm's mean action, shape [M].
        training: Returns of both arms' training episodes, with noise, [N] and [M].
        first: Returns of both arms' first evaluations, [N] and [M].
    """

    preset: Preset
    ours: np.ndarray
    theirs: np.ndarray
    training: tuple[np.ndarray, np.ndarray]
    first: tuple[np.ndarray, np.ndarray]

    @property
    def has_learned(self) -> bool:
        """Whether a mean final return is above both arms' mean first evaluations."""
        finals = self.ours.mean(), self.theirs.mean()
        return max(finals) > max(each.mean() for each in self.first)

    @property
    def has_training(self) -> bool:
        """Whether training episodes ended between the evaluations of every run."""
        return not any(np.isnan(returns).any() for returns in self.training)


class Evidence:
    """Reads results/; missing results are allowed."""

    def __init__(self, results_dir: pathlib.Path):
        """Reads the runs of all figures.

        Args:
            results_dir: Directory with the tables of the commands, and the runs that
                `reproduce/collect.py` copied to `runs/`.

        Raises:
            metrics.DamagedRunError: If a file exists but cannot be read.
        """
        self.directory = results_dir
        self.presets = [read_preset(name) for name in PRESETS]
        root = results_dir / "runs"
        figure = Figure("", "", ARMS, FIGURE_3.envs)
        #: Runs of Figures 3 and 4, by the name of their preset.
        self.finals = {
            preset.name: Finals.collected(root, preset, [figure])
            for preset in self.presets
        }
        self.baselines = Finals.collected(
            root, read_preset(BASELINES_PRESET), [BASELINES]
        )
        of_svg = functools.partial(
            Finals.collected, root, read_preset(SVG_PRESET), last=metrics.last_tenth
        )
        self.svg = of_svg(svg_figures.FIGURES)
        self.svg_tasks = of_svg([svg_figures.SVG_TASKS])
        self._tables: dict[tuple[str, bool], pd.DataFrame | None] = {}

    def table(self, name: str, text: bool = False) -> pd.DataFrame | None:
        """Reads a table, or returns `None` if it does not exist.

        Args:
            name: Its path relative to the directory of results.
            text: Whether cells stay strings.

        Raises:
            metrics.DamagedRunError: If it cannot be read.
        """
        path = self.directory / name
        if (name, text) not in self._tables:
            there = path.is_file()
            table = metrics.read_table(path, text) if there else None
            self._tables[name, text] = table
        return self._tables[name, text]

    def comparison(self, env: str, ours: str, theirs: str) -> Comparison | None:
        """Returns the longest finished comparison of two arms on a task.

        Args:
            env: Gymnasium id of the task.
            ours: Variant of the first arm.
            theirs: Variant of the second.

        Returns:
            The comparison of the longest preset in which both have `LEAST_SEEDS`
            finished runs; `None` if there is none.
        """
        of_each = (
            self.comparison_of(preset, env, ours, theirs) for preset in self.presets
        )
        return next((each for each in of_each if each is not None), None)

    def comparison_of(
        self, preset: Preset, env: str, ours: str, theirs: str
    ) -> Comparison | None:
        """Returns the comparison of two arms on a task in one preset, as above."""
        finals = self.finals[preset.name]
        if not finals.has(env, (ours, theirs)):
            return None
        values = functools.partial(finals.values, env)
        evaluation, training, first = (
            (values(ours, column), values(theirs, column))
            for column in ("evaluation_return", "training_return", "first")
        )
        return Comparison(preset, *evaluation, training, first)

    def measured(self, name: str, measure: str, **keys: str) -> np.ndarray:
        """Returns a measured quantity of the SVG family's runs, ordered by seed.

        Measurements of runs that are not, or no longer, among `svg` do not count.

        Args:
            name: As for `table`; the table has columns measure, seed and value.
            measure: The quantity.
            **keys: Values of further columns that select rows.

        Returns:
            The values, shape [N]; empty if the table does not exist.
        """
        table = self.table(name)
        if table is None:
            return np.zeros(0)
        runs = pd.MultiIndex.from_frame(self.svg.by_run[list(metrics.KEYS)])
        table = table[pd.MultiIndex.from_frame(table[list(metrics.KEYS)]).isin(runs)]
        for column, value in {"measure": measure, **keys}.items():
            table = table[table[column] == value]
        return table.sort_values("seed")["value"].to_numpy()

    def runs(self, preset: str) -> tuple[Run, ...]:
        """Returns the collected runs of Figures 3 and 4 and of the baselines."""
        runs = self.finals[preset].runs
        if preset == BASELINES_PRESET:
            runs += self.baselines.runs
        return tuple({run.directory: run for run in runs}.values())

    def other_values(self) -> int:
        """Counts collected runs whose hyperparameters differ from the gin files now."""
        known = {
            directory
            for preset in self.presets
            for run in self.runs(preset.name)
            for directory in run.directories
        }
        found = {
            path.parent
            for name in PRESETS
            for path in (self.directory / "runs" / name).glob("*/*/seed*/run.json")
        }
        return len(found - known)


#: What `progress` writes where no arm has a finished run.
NO_RUN = "no run"


def progress(env: str, arms: Iterable[Arm | str], *of: Finals) -> str:
    """Writes how many finished runs arms have on a task.

    Args:
        env: Gymnasium id of the task.
        arms: The arms, or their variants.
        *of: Sets of runs; for each arm, the set with the most runs counts.
    """
    counts = {
        _variant(arm): max(len(finals.values(env, arm)) for finals in of)
        for arm in arms
    }
    if not any(counts.values()):
        return NO_RUN
    return ", ".join(f"{variant} {count}" for variant, count in counts.items())
