"""Parts that several sections of the report are made of."""

import json
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from smoothie_tf.experiments.evidence import evidence, metrics, statistics
from smoothie_tf.experiments.figures.grids import Figure


def returns(
    path: pathlib.Path,
    figure: Figure,
    baseline: str,
    subject: str = "",
    picture_folder: str | None = None,
) -> list[str]:
    """Writes the table and the picture of one table of runs.

    Args:
        path: `<name>_runs.csv`, beside its picture.
        figure: Whose runs they are.
        baseline: Variant that the others are held against.
        subject: What headings begin with, where a section has more than one table.
        picture_folder: Where the picture is, seen from the file that the lines are
            for; `None` for a file in the folder above.

    Returns:
        Lines of Markdown.

    Raises:
        metrics.DamagedRunError: If the table cannot be read.
    """
    finals = evidence.Finals(metrics.read_table(path))
    labels = {arm.variant: arm.label for arm in figure.arms}
    parts = []
    for steps, of_length in finals.by_run.groupby("steps"):
        rows = []
        for env in [e for e in figure.envs if e in set(of_length["env"])]:
            of_task = of_length[of_length["env"] == env]
            arms = {
                variant: of_task.loc[
                    of_task["variant"] == variant, "evaluation_return"
                ].to_numpy()
                for variant in labels
            }
            for variant, label in labels.items():
                if len(arms[variant]):
                    cells = _cells(arms[variant], arms[baseline])
                    if variant == baseline:
                        cells[-1] = ""
                    rows.append([env, label, *cells])
        after = f"{subject}, after" if subject else "After"
        versus = f"mean against {labels[baseline]}"
        parts += [
            f"### {after} {steps:,} steps\n",
            table(["task", "agent", "return", "n", versus], rows),
        ]
    folder = path.parent.name if picture_folder is None else picture_folder
    picture = pathlib.PurePosixPath(folder, f"{figure.name}.png")
    parts.append(f"![{figure.subject}]({picture})\n")
    return parts + _commits(path.with_suffix(".json"))


def _commits(path: pathlib.Path) -> list[str]:
    """Says of which commits runs are, where their records lie beside their table."""
    if not path.is_file():
        return []
    try:
        runs = json.loads(path.read_text(encoding="utf-8"))
        if not all("commit" in run for run in runs):
            raise KeyError("commit")
        commits = dict.fromkeys(c[:7] for run in runs for c in metrics.commits(run))
    except (ValueError, TypeError, KeyError):
        raise metrics.DamagedRunError(
            f"{path} is damaged: it must list runs, each with its commit."
        ) from None
    return [f"Commit{'s' * (len(commits) > 1)} {', '.join(commits)}.\n"]


def _cells(final_returns: np.ndarray, baseline: np.ndarray) -> list[str]:
    cells = [f"{final_returns.mean():,.0f} ± {final_returns.std():,.0f}"]
    cells.append(str(len(final_returns)))
    if min(len(final_returns), len(baseline)) < evidence.LEAST_SEEDS:
        cells.append("too few runs")
    else:
        estimate = statistics.difference(final_returns, baseline)
        value, low, high = (f"{each:+,.0f}" for each in estimate)
        word = "better" if estimate.low > 0 else "undecided"
        word = "worse" if estimate.high < 0 else word
        cells.append(f"{value} [{low}, {high}]: {word}")
    return [cell.replace("-", "−") for cell in cells]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table as Markdown.

    Args:
        head: Names of the columns.
        rows: Cells.
    """
    lines = ["| " + " | ".join(map(str, each)) + " |" for each in (head, *rows)]
    lines.insert(1, "|" + "---|" * len(head))
    return "\n".join(lines) + "\n"


def not_yet(*commands: str) -> str:
    """Says that something is not yet run, and how it is."""
    return "\n".join(["Not yet run:\n", "```", *commands, "```\n"])
