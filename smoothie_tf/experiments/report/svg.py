"""The report's section on the SVG family: figures of Heess et al. (2015)."""

import pathlib
from collections.abc import Sequence

import numpy as np

from smoothie_tf.experiments.drawing import curves
from smoothie_tf.experiments.evidence import evidence, statistics, writing
from smoothie_tf.experiments.figures import svg as svg_figures
from smoothie_tf.experiments.figures.grids import Figure
from smoothie_tf.experiments.report import tables
from smoothie_tf.experiments.svg import models
from smoothie_tf.runs.run import Run

_COLLECT = "python reproduce/collect.py --presets svg"
_MODELS = f"{svg_figures.SVG_FIGURE_2.name}-{evidence.SVG_PRESET}/{svg_figures.MODELS}"


def section(found: evidence.Evidence, out_dir: pathlib.Path) -> list[str]:
    """Writes the section, and draws its pictures.

    Args:
        found: The evidence.
        out_dir: Directory of the pictures, a subdirectory of the report's.

    Returns:
        Lines of Markdown, with pictures where there are results and commands where
        there are none.
    """
    parts = [
        "## The SVG family\n",
        "Methods of Heess et al. (2015) on our own versions of their tasks, see "
        "[`docs/svg.md`](../docs/svg.md). Final: mean of the last tenth of "
        "evaluations. Area: mean of all evaluations, which is larger the sooner a run "
        "learns. Both have 95 % intervals over runs. Hyperparameters are those of "
        "`gin/agents/` and `gin/environments/`, the same for all seeds.\n",
    ]
    for figure in (*svg_figures.FIGURES, svg_figures.SVG_TASKS):
        finals = found.svg_tasks if figure is svg_figures.SVG_TASKS else found.svg
        parts.append(f"### {figure.title}: {figure.subject}\n")
        runs = [run for run in finals.runs if run.env in figure.envs]
        script = figure.name.replace("figure_", "figure")
        command = f"python reproduce/{script}.py --preset svg"
        if not runs:
            parts.append(tables.not_yet(command, _COLLECT))
            continue
        parts += _drawn(finals, figure, runs, out_dir)
        if figure is svg_figures.SVG_FIGURE_2:
            parts += _models(found)
        parts.append(f"```\n{command}\n{_COLLECT}\n```\n")
    return parts


def _drawn(
    finals: evidence.Finals,
    figure: Figure,
    runs: Sequence[Run],
    out_dir: pathlib.Path,
) -> list[str]:
    """Writes the table of a figure, and draws it."""
    rows = []
    for panel in figure.panels:
        for arm in panel.arms:
            final, area = (
                finals.values(panel.env, arm, column)
                for column in ("evaluation_return", "area")
            )
            cells = [panel.title, arm.label, "not yet run", "", str(len(final))]
            if len(final):
                cells[2:4] = _interval(final), _interval(area)
            rows.append(cells)
    picture = out_dir / f"{figure.name}.png"
    panels = curves.compared(figure, runs)
    curves.draw(curves.RETURN, finals.frame, figure, runs, picture, panels)
    return [
        tables.table(["task", "agent", "final", "area", "n"], rows),
        f"![{figure.title}, {figure.subject}]({out_dir.name}/{picture.name})\n",
    ]


def _models(found: evidence.Evidence) -> list[str]:
    """Tabulates the errors of Hand's learned models, which explain claim S1."""
    digits = {
        models.DERIVATIVES: 4,
        models.DRIFT: 2,
        models.REAL: 3,
        models.OWN: 3,
        models.BEYOND: 2,
    }
    rows = []
    for arm in models.ARMS:
        values = {
            name: found.measured(_MODELS, name, variant=arm.variant) for name in digits
        }
        count = len(values[models.DRIFT])
        if count:
            cells = [_interval(values[name], digits[name]) for name in digits]
            rows.append([arm.label, *cells, str(count)])
    if not rows:
        return []
    return [
        "Hand's learned models at the end of training, compared with the true one. "
        "Derivatives: root mean square error of the entries. Drift: distance in metres "
        "between the ball and the model's prediction of it within 10 s. Cosine: "
        "between v_θ by the model's derivatives and the true v_θ, along real "
        "trajectories, as SVG(∞) uses it, and along the model's own, as the planner "
        "does. Actions beyond: share of actions beyond the bounds, where the hand "
        "moves no faster.\n",
        tables.table(
            [
                "agent, updates of the model",
                "derivatives",
                "drift",
                "cosine, real trajectory",
                "cosine, model's own",
                "actions beyond",
                "n",
            ],
            rows,
        ),
    ]


def _interval(values: np.ndarray, digits: int | None = None) -> str:
    if digits is None:
        size = np.abs(values).mean()
        digits = 0 if size >= 100 else 1 if size >= 1 else 2
    if len(values) == 1:
        return f"{values[0]:,.{digits}f}".replace("-", "−")
    return writing.interval(statistics.mean(values), digits)
