"""What results/ holds, as tables: the only thing that the report rests on."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from smoothie_tf.experiments.evidence import metrics
from smoothie_tf.experiments.figures.continuous_control import (
    FIGURE_3,
    SMOOTHIE_SEARCHED_WITHOUT_KL,
    SMOOTHIE_WITHOUT_KL,
)
from smoothie_tf.experiments.figures.grids import Figure, grid
from smoothie_tf.experiments.theory import section3
from smoothie_tf.runs.run import Preset, Run, read_preset

#: The presets whose runs are results, the longer one first.
PRESETS = ("paper", "short")
#: Fewer finished runs than this say nothing.
LEAST_SEEDS = 3
ARMS = (*FIGURE_3.arms, SMOOTHIE_WITHOUT_KL, SMOOTHIE_SEARCHED_WITHOUT_KL)


def without_kl(env: str) -> str:
    """Returns the arm that Smoothie's KL penalty is judged against on a task.

    That with values that were searched without λ, as the paper's (Table 1), once there
    are some; until then Smoothie's own values with λ = 0.
    """
    searched = SMOOTHIE_SEARCHED_WITHOUT_KL
    return (searched if searched.is_on(env) else SMOOTHIE_WITHOUT_KL).variant


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The final returns of two arms on a task, from runs of one length.

    Attributes:
        preset: Preset of the runs.
        ours: Of the first arm, shape [N].
        theirs: Of the second, shape [M].
    """

    preset: Preset
    ours: np.ndarray
    theirs: np.ndarray


class Evidence:
    """Reads results/; whatever is not there yet is simply missing."""

    def __init__(self, results_dir: pathlib.Path):
        """Reads everything.

        Args:
            results_dir: As `reproduce/collect.py`, `figure2.py`, `identities.py` and
                `section3.py` leave it.

        Raises:
            metrics.DamagedRunError: If a file is there and cannot be read.
        """
        self.directory = results_dir
        self.presets = [read_preset(name) for name in PRESETS]
        self.runs = {each.name: self._runs(each) for each in self.presets}
        self.frames = {
            name: metrics.read_runs(runs) for name, runs in self.runs.items()
        }
        self.finals = {
            name: metrics.final_by_run(frame) for name, frame in self.frames.items()
        }
        self.figure2 = self._table("figure2/figure2_runs.csv")
        self.identities = self._table("identities/identities.csv")
        self.section3 = {
            name: self._table(f"section3/{name}.csv") for name in section3.TABLES
        }
        self.published = self._table("published_ddpg.csv", text=True)

    def comparison(self, env: str, ours: str, theirs: str) -> Comparison | None:
        """Returns the longest finished comparison of two arms on a task.

        Args:
            env: Gymnasium id of the task.
            ours: Variant of the first arm.
            theirs: Variant of the second.

        Returns:
            That of the longest preset in which both have `LEAST_SEEDS` finished runs;
            `None` if there is none.
        """
        for preset in self.presets:
            pair = [self.returns(preset.name, env, each) for each in (ours, theirs)]
            if min(map(len, pair)) >= LEAST_SEEDS:
                return Comparison(preset, *pair)
        return None

    def returns(self, preset: str, env: str, variant: str) -> np.ndarray:
        """Returns an arm's final returns, by seed, shape [N]."""
        table = self.finals[preset]
        chosen = (table["env"] == env) & (table["variant"] == variant)
        return table.loc[chosen].sort_values("seed")["evaluation_return"].to_numpy()

    def progress(self, env: str, variants: Sequence[str]) -> str:
        """Says how many finished runs of arms on a task there are, where few."""
        counts = {
            variant: max(
                len(self.returns(preset.name, env, variant)) for preset in self.presets
            )
            for variant in variants
        }
        if not any(counts.values()):
            return "no run"
        return ", ".join(f"{variant} {count}" for variant, count in counts.items())

    def other_values(self) -> int:
        """Counts collected runs whose values are not those of gin/tuned now."""
        known = {run.directory for runs in self.runs.values() for run in runs}
        found = {
            path.parent
            for name in PRESETS
            for path in (self.directory / "runs" / name).glob("*/*/seed*/run.json")
        }
        return len(found - known)

    def _runs(self, preset: Preset) -> list[Run]:
        """Lists the collected runs of both figures, by what gin/tuned says now."""
        root = self.directory / "runs"
        envs = FIGURE_3.envs
        figure = Figure(0, "", ARMS, envs)
        seeds = {
            int(path.name.removeprefix("seed"))
            for path in (root / preset.label).glob("*/*/seed*")
            if path.name.removeprefix("seed").isdigit()
        }
        runs = grid(figure, preset, seeds=sorted(seeds), root=root)
        return [run for run in runs if (run.directory / "metrics.csv").is_file()]

    def _table(self, name: str, text: bool = False) -> pd.DataFrame | None:
        path = self.directory / name
        if not path.is_file():
            return None
        try:
            return pd.read_csv(path, dtype=str if text else None)
        except ValueError as error:
            raise metrics.DamagedRunError(
                f"{path} is damaged: {str(error).splitlines()[0]}"
            ) from None
