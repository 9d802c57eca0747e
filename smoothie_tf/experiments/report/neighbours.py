"""The report's section on Smoothie's neighbours: Soft DDPG and SVG(0)."""

import pathlib

from smoothie_tf.experiments.evidence import metrics, statistics, writing
from smoothie_tf.experiments.figures.neighbours import NEIGHBOURS, SOFT_DDPG_WIDTHS
from smoothie_tf.experiments.report import tables

_RETURNS, _WIDTHS = NEIGHBOURS, SOFT_DDPG_WIDTHS
_COMMAND = "python reproduce/soft_ddpg.py --preset short"
_ESCAPE_COMMAND = "python reproduce/neighbours_escape.py"


def section(results_dir: pathlib.Path) -> list[str]:
    """Writes the section.

    Args:
        results_dir: Directory of results. Its `soft_ddpg-*/`, written by
            `reproduce/soft_ddpg.py`, and `neighbours_escape/` are read.

    Returns:
        Lines of Markdown, with pictures where there are results and commands where
        there are none.

    Raises:
        metrics.DamagedRunError: If a table exists but cannot be read.
    """
    parts = [
        "## Neighbours: Soft DDPG and SVG(0)\n",
        "Soft DDPG is our interpretation of that method, see "
        "[`docs/soft_ddpg.md`](../docs/soft_ddpg.md). Returns are in the task's own "
        "reward even where agents learn from a discretized one. Hyperparameters are "
        "those of `gin/agents/`: Smoothie's and DDPG's come from trials on Hopper; the "
        "others' were not searched. The commands are in "
        "[`other_runs.md`](other_runs.md).\n",
    ]
    paths = _tables(results_dir, _RETURNS)
    for path in paths:
        parts += tables.returns(path, _RETURNS, baseline="ddpg")
    if not paths:
        parts.append(f"Returns: not yet run.\n\n```\n{_COMMAND}\n```\n")
    widths = _tables(results_dir, _WIDTHS)
    for path in widths:
        parts += tables.returns(
            path, _WIDTHS, baseline="soft_ddpg", subject="Soft DDPG's width σ"
        )
    if not widths:
        parts.append(
            f"Soft DDPG's width: not yet run.\n\n```\n{_COMMAND} --ablation\n```\n"
        )
    return parts + _escape(results_dir / "neighbours_escape")


def _tables(results_dir, figure) -> list[pathlib.Path]:
    """Returns a figure's tables of runs with the hyperparameters of `gin/agents/`."""
    found = results_dir.glob(f"{figure.name}-*/{figure.name}_runs.csv")
    return sorted(path for path in found if "recommended" not in path.parent.name)


def _escape(path: pathlib.Path) -> list[str]:
    """Writes which agents leave the worse mode of the two-Gaussians task."""
    parts = ["### The two-Gaussians task\n"]
    table = path / f"{path.name}_runs.csv"
    if not table.is_file():
        return [*parts, tables.not_yet(_ESCAPE_COMMAND)]
    runs = metrics.read_table(table)
    rows = []
    for (environment, agent), arm in runs.groupby(["environment", "agent"], sort=False):
        reward = "discretized" if "Discretized" in environment else "dense"
        share = statistics.share(int((arm["ends_on"] == "better").sum()), len(arm))
        ended = writing.percent(share)
        rows.append([reward, _RETURNS.labels.get(agent, agent), ended, str(len(arm))])
    head = ["reward", "agent", "runs that end on the better mode", "n"]
    picture = f"{path.name}/{path.name}.png"
    return [
        *parts,
        tables.table(head, rows),
        f"![Which agents leave the worse mode]({picture})\n",
    ]
