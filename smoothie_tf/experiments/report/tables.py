"""Tables and texts that several sections of the report share."""

import json
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from smoothie_tf.experiments.evidence import evidence, metrics, statistics, writing
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
        path: `<name>_runs.csv`, in the same directory as its picture.
        figure: The figure that the runs belong to.
        baseline: Variant that the others are compared with.
        subject: First words of headings, if a section has more than one table.
        picture_folder: Directory of the picture, relative to the file that will hold
            the lines; `None` if that file is in the parent directory.

    Returns:
        Lines of Markdown.

    Raises:
        metrics.DamagedRunError: If the table cannot be read.
    """
    finals = evidence.Finals(metrics.read_table(path))
    labels, parts = figure.labels, []
    for steps, of_length in finals.by_run.groupby("steps"):
        rows = []
        for env in [e for e in figure.envs if e in set(of_length["env"])]:
            of_task = of_length[of_length["env"] == env]
            for variant, label in labels.items():
                ours, theirs = (
                    of_task[of_task["variant"] == each] for each in (variant, baseline)
                )
                if len(ours):
                    cells = [
                        _cells(ours[column].to_numpy(), theirs[column].to_numpy())
                        for column in ("evaluation_return", "training_return")
                    ]
                    if variant == baseline:
                        cells = [[cell, ""] for cell, _ in cells]
                    rows.append([env, label, str(len(ours)), *cells[0], *cells[1]])
        after = f"{subject}, after" if subject else "After"
        versus = f"difference from {labels[baseline]}"
        head = ["task", "agent", "n", "return", versus]
        head += ["training return", f"training {versus}"]
        parts += [f"### {after} {steps:,} steps\n", table(head, rows)]
    folder = path.parent.name if picture_folder is None else picture_folder
    picture = pathlib.PurePosixPath(folder, f"{figure.name}.png")
    parts.append(f"![{figure.subject or ', '.join(labels.values())}]({picture})\n")
    return parts + _commits(path.with_suffix(".json"))


def _commits(path: pathlib.Path) -> list[str]:
    """Lists the commits of runs, if their records are beside their table."""
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


def _cells(returns: np.ndarray, baseline: np.ndarray) -> list[str]:
    """Writes an arm's returns, and how they compare with the baseline's."""
    cell = writing.mean_and_std(returns)
    if np.isnan([*returns, *baseline]).any():
        return [cell, ""]
    if not len(baseline):
        return [cell, "no run to compare with"]
    if min(len(returns), len(baseline)) < 2:
        return [cell, "one run"]
    estimate = statistics.difference(returns, baseline)
    word = "better" if estimate.low > 0 else "undecided"
    word = "worse" if estimate.high < 0 else word
    return [cell, f"{writing.interval(estimate, with_signs=True)}: {word}"]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table as Markdown.

    Args:
        head: Names of the columns.
        rows: Cells.
    """
    texts = [[str(cell).replace("|", r"\|") for cell in each] for each in (head, *rows)]
    lines = ["| " + " | ".join(each) + " |" for each in texts]
    lines.insert(1, "|" + "---|" * len(head))
    return "\n".join(lines) + "\n"


def not_yet(*commands: str) -> str:
    """Says that something is not yet run, with the commands that run it."""
    return "\n".join(["Not yet run:\n", "```", *commands, "```\n"])
