"""The report's section on the SVG family: Figures 2 to 4 of Heess et al. (2015)."""

import pathlib

import pandas as pd

from smoothie_tf.experiments import grid, results, statistics, svg_claims
from smoothie_tf.experiments import svg_figures as figures


def section(results_dir: pathlib.Path) -> list[str]:
    """Writes the section.

    Args:
        results_dir: Read are its `svg_figure_*/`, as the scripts leave them.

    Returns:
        Lines of Markdown, with pictures where there are results and commands where
        there are none.

    Raises:
        results.DamagedRunError: If a table is there and cannot be read.
    """
    parts = [
        "## The SVG family\n",
        "Heess et al. (2015), on tasks of our own after theirs: see "
        "[`docs/svg.md`](../docs/svg.md). Final: mean of the last tenth of "
        "evaluations. Area: mean of all evaluations, the greater the sooner a run "
        "learns. Both with 95 % intervals over runs. Hyperparameters are those of "
        "`gin/agents/` and `gin/environments/`, the same for all seeds.\n",
    ]
    for number, figure in enumerate(figures.FIGURES, start=2):
        parts.append(f"### {figure.title}: {figure.subject}\n")
        paths = sorted(results_dir.glob(f"{figure.name}-*/{figure.name}_runs.csv"))
        for path in paths:
            parts += _drawn(figure, path)
        if not paths:
            command = f"python reproduce/svg_figure{number}.py --preset svg"
            parts.append(f"Not yet run:\n\n```\n{command}\n```\n")
    return parts


def _drawn(figure: grid.Figure, path: pathlib.Path) -> list[str]:
    """Writes the table and the picture of one table of runs."""
    try:
        measures = svg_claims.measure(pd.read_csv(path))
    except (ValueError, KeyError) as error:
        raise results.DamagedRunError(
            f"{path} is damaged: {str(error).splitlines()[0]}"
        ) from None
    lines = ["| task | agent | final | area | n |", "|---|---|---|---|---|"]
    for panel in figure.panels:
        for arm in panel.arms:
            chosen = measures["env"] == panel.env
            of_arm = measures[chosen & (measures["variant"] == arm.variant)]
            cells = [panel.title, arm.label, "not yet run", "", str(len(of_arm))]
            if len(of_arm):
                cells[2:4] = (_interval(of_arm[column]) for column in ("final", "area"))
            lines.append("| " + " | ".join(cells) + " |")
    return [
        "\n".join(lines) + "\n",
        f"![{figure.subject}]({path.parent.name}/{figure.name}.png)\n",
    ]


def _interval(values: pd.Series) -> str:
    digits = 0 if values.abs().mean() >= 100 else 1
    if len(values) == 1:
        return f"{values.iloc[0]:,.{digits}f}".replace("-", "−")
    estimate = statistics.mean(values.to_numpy())
    value, low, high = (f"{each:,.{digits}f}" for each in estimate)
    return f"{value} [{low}, {high}]".replace("-", "−")
