"""What an ablation is."""

import dataclasses
import pathlib
from collections.abc import Callable, Container

import pandas as pd


@dataclasses.dataclass(frozen=True)
class Ablation:
    """Runs of several kinds, with a table and a picture of them.

    Attributes:
        name: Name in `--only`, and of its files.
        title: Heading in `ablations.md`.
        text: What is compared, in one paragraph.
        kind_column: Column of the records with the kind of a run.
        kinds: All kinds.
        learn: From the number of seeds, which start at 0, and the kinds to leave out,
            to the records of the runs, with the columns seed and `kind_column`.
        tabulate: From records to a table of texts.
        draw: From records to a picture, written to a path.
    """

    name: str
    title: str
    text: str
    kind_column: str
    kinds: tuple[str, ...]
    learn: Callable[[int, Container[str]], pd.DataFrame]
    tabulate: Callable[[pd.DataFrame], pd.DataFrame]
    draw: Callable[[pd.DataFrame, pathlib.Path], None]

    def known_kinds(self, records: pd.DataFrame, seeds: int) -> set[str]:
        """Returns the kinds that records have for all wanted seeds.

        Args:
            records: Records of earlier runs.
            seeds: Number of wanted seeds; they start at 0.
        """
        kinds = records.groupby(self.kind_column)["seed"]
        return {str(kind) for kind, each in kinds if set(range(seeds)) <= set(each)}


def spread(values: pd.Series) -> str:
    """Returns "mean ± standard deviation" of values over seeds."""
    if len(values) == 1:
        return f"{values.iloc[0]:.3f}"
    return f"{values.mean():.3f} ± {values.std(ddof=0):.3f}"
