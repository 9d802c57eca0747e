"""The report's section on the SVG family: figures of Heess et al. (2015), and ours."""

import pathlib
from collections.abc import Sequence

import numpy as np

from smoothie_tf.experiments import figures, grid, statistics, svg_claims, svg_figures

_COLLECT = "python reproduce/collect.py --presets svg"


def section(
    found: svg_claims.Evidence, first: svg_claims.Evidence, out_dir: pathlib.Path
) -> list[str]:
    """Writes the section, and draws its pictures.

    Args:
        found: What there is of Figures 2 to 4.
        first: What there is of `svg_figures.SVG_TASKS`.
        out_dir: Where the pictures go, a directory below that of the report.

    Returns:
        Lines of Markdown, with pictures where there are results and commands where
        there are none.
    """
    parts = [
        "## The SVG family\n",
        "Heess et al. (2015), on tasks of our own after theirs: see "
        "[`docs/svg.md`](../docs/svg.md). Final: mean of the last tenth of "
        "evaluations. Area: mean of all evaluations, the greater the sooner a run "
        "learns. Both with 95 % intervals over runs. Hyperparameters are those of "
        "`gin/agents/` and `gin/environments/`, the same for all seeds.\n",
    ]
    for source, figure in (
        *((found, figure) for figure in svg_figures.FIGURES),
        (first, svg_figures.SVG_TASKS),
    ):
        parts.append(f"### {figure.title}: {figure.subject}\n")
        runs = [run for run in source.runs if run.env in figure.envs]
        if runs:
            parts += _drawn(source, figure, runs, out_dir)
        else:
            script = figure.name.replace("figure_", "figure")
            command = f"python reproduce/{script}.py --preset svg"
            parts.append(f"Not yet run:\n\n```\n{command}\n{_COLLECT}\n```\n")
    return parts


def _drawn(
    found: svg_claims.Evidence,
    figure: grid.Figure,
    runs: Sequence[grid.Run],
    out_dir: pathlib.Path,
) -> list[str]:
    """Writes the table of a figure, and draws it."""
    lines = ["| task | agent | final | area | n |", "|---|---|---|---|---|"]
    for panel in figure.panels:
        for arm in panel.arms:
            final, area = (
                found.arm(panel.env, arm, column) for column in ("final", "area")
            )
            cells = [panel.title, arm.label, "not yet run", "", str(len(final))]
            if len(final):
                cells[2:4] = _interval(final), _interval(area)
            lines.append("| " + " | ".join(cells) + " |")
    picture = out_dir / f"{figure.name}.png"
    envs = figures.compared(figure, runs)
    figures.draw_returns(found.frame, figure, runs, picture, envs)
    return [
        "\n".join(lines) + "\n",
        f"![{figure.title}, {figure.subject}]({out_dir.name}/{picture.name})\n",
    ]


def _interval(values: np.ndarray) -> str:
    size = np.abs(values).mean()
    digits = 0 if size >= 100 else 1 if size >= 1 else 2
    if len(values) == 1:
        return f"{values[0]:,.{digits}f}".replace("-", "−")
    estimate = statistics.mean(values)
    value, low, high = (f"{each:,.{digits}f}" for each in estimate)
    return f"{value} [{low}, {high}]".replace("-", "−")
