"""The report's section on Smoothie's neighbours: Soft DDPG and SVG(0)."""

import pathlib

import pandas as pd

from smoothie_tf.experiments import grid, results, statistics

#: Fewer finished runs of an arm than this say nothing.
LEAST_SEEDS = 3
_RETURNS, _WIDTHS = grid.NEIGHBOURS, grid.SOFT_DDPG_WIDTHS
_LABELS = {arm.variant: arm.label for arm in _RETURNS.arms}
_COMMAND = "python reproduce/soft_ddpg.py --preset short"
_ESCAPE_COMMAND = "python reproduce/neighbours_escape.py"


def section(results_dir: pathlib.Path) -> list[str]:
    """Writes the section.

    Args:
        results_dir: Read are its `soft_ddpg-*/`, as `reproduce/soft_ddpg.py` leaves
            them, and `neighbours_escape/`.

    Returns:
        Lines of Markdown, with pictures where there are results and commands where
        there are none.

    Raises:
        results.DamagedRunError: If a table is there and cannot be read.
    """
    parts = [
        "## Neighbours: Soft DDPG and SVG(0)\n",
        "Soft DDPG is our reading of it, see "
        "[`docs/soft_ddpg.md`](../docs/soft_ddpg.md). Returns are always in the task's "
        "own reward, also where agents learn from a discretized one. All agents have "
        "the hyperparameters of their files in `gin/agents/`, searched on no task "
        "here.\n",
    ]
    paths = sorted(results_dir.glob(f"{_RETURNS.name}-*/{_RETURNS.name}_runs.csv"))
    for path in paths:
        parts += _returns(path)
    if not paths:
        parts.append(f"Returns: not yet run.\n\n```\n{_COMMAND}\n```\n")
    widths = sorted(results_dir.glob(f"{_WIDTHS.name}-*/{_WIDTHS.name}.png"))
    for path in widths:
        parts.append(f"![Soft DDPG, its width σ]({path.relative_to(results_dir)})\n")
    if not widths:
        parts.append(
            f"Soft DDPG's width: not yet run.\n\n```\n{_COMMAND} --ablation\n```\n"
        )
    return parts + _escape(results_dir / "neighbours_escape")


def _returns(path: pathlib.Path) -> list[str]:
    """Writes the table and the picture of one table of runs."""
    finals = results.final_by_run(_read(path))
    parts = []
    for steps, of_length in finals.groupby("steps"):
        rows = []
        for env in [e for e in _RETURNS.envs if e in set(of_length["env"])]:
            arms = {
                variant: of_length.loc[
                    (of_length["env"] == env) & (of_length["variant"] == variant),
                    "evaluation_return",
                ].to_numpy()
                for variant in _LABELS
            }
            for variant, label in _LABELS.items():
                if len(arms[variant]):
                    rows.append([env, label, *_cells(arms[variant], arms["ddpg"])])
                    if variant == "ddpg":
                        rows[-1][-1] = ""
        head = ["task", "agent", "return", "n", "mean against DDPG's"]
        lines = ["| " + " | ".join(each) + " |" for each in (head, *rows)]
        lines.insert(1, "|" + "---|" * len(head))
        parts += [f"### After {steps:,} steps\n", "\n".join(lines) + "\n"]
    picture = f"{path.parent.name}/{_RETURNS.name}.png"
    parts.append(f"![{_RETURNS.subject}]({picture})\n")
    return parts


def _cells(returns, baseline) -> list[str]:
    cells = [f"{returns.mean():,.0f} ± {returns.std():,.0f}", str(len(returns))]
    if min(len(returns), len(baseline)) < LEAST_SEEDS:
        cells.append("too few runs")
    else:
        estimate = statistics.difference(returns, baseline)
        value, low, high = (f"{each:+,.0f}" for each in estimate)
        word = "better" if estimate.low > 0 else "undecided"
        word = "worse" if estimate.high < 0 else word
        cells.append(f"{value} [{low}, {high}]: {word}")
    return [cell.replace("-", "−") for cell in cells]


def _escape(path: pathlib.Path) -> list[str]:
    """Writes which agents leave the worse mode of the two-Gaussians task."""
    parts = ["### The two-Gaussians task\n"]
    table = path / f"{path.name}_runs.csv"
    if not table.is_file():
        return [*parts, f"Not yet run:\n\n```\n{_ESCAPE_COMMAND}\n```\n"]
    runs = _read(table)
    lines = ["| reward | agent | runs that end on the better mode | n |"]
    lines.append("|---|---|---|---|")
    for (environment, agent), arm in runs.groupby(["environment", "agent"], sort=False):
        reward = "discretized" if "Discretized" in environment else "dense"
        share = statistics.share(int((arm["ends_on"] == "better").sum()), len(arm))
        value, low, high = (f"{100 * each:.0f}" for each in share)
        cells = [reward, _LABELS.get(agent, agent), f"{value} % [{low}, {high}]"]
        lines.append("| " + " | ".join([*cells, str(len(arm))]) + " |")
    picture = f"{path.name}/{path.name}.png"
    return [
        *parts,
        "\n".join(lines) + "\n",
        f"![Who leaves the worse mode]({picture})\n",
    ]


def _read(path: pathlib.Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except ValueError as error:
        raise results.DamagedRunError(
            f"{path} is damaged: {str(error).splitlines()[0]}"
        ) from None
