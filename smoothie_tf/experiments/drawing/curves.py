"""Draws learning curves in the style of the paper's Figures 3 and 4.

There is one panel per environment, or the figure's own panels, of which several may be
of one environment. The line is the mean over seeds. The band is mean ±
standard deviation, clipped at the runs' minimum and maximum. The x axis shows millions
of environment steps, or thousands for short runs.
"""

import collections
import dataclasses
import math
import os
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib.lines
import matplotlib.ticker
import numpy as np
import pandas as pd

from smoothie_tf.experiments.drawing import style
from smoothie_tf.experiments.evidence import metrics
from smoothie_tf.experiments.figures.grids import Arm, Figure, Panel
from smoothie_tf.runs.run import Run, is_length, lengths

# From the colour-blind safe set of Okabe and Ito, as those of `style`.
_SPARE_COLOURS = ("#56B4E9", "#000000", "#F0E442", "#999999")
_PANELS_A_ROW = 3
# Longer figures count their steps in millions.
_MOST_FOR_THOUSANDS = 100_000


@dataclasses.dataclass(frozen=True)
class Quantity:
    """A quantity that is drawn over training.

    Attributes:
        column: Its column in `metrics.csv`.
        label: Its name on the y axis.
        note: What it is, below the panels.
        least_range: If the values of a panel span less, in its units, its y axis starts
            at 0, so that rounding errors of a constant are not magnified.
    """

    column: str
    label: str
    note: str
    least_range: float = 0.0


RETURN = Quantity(
    "evaluation_return_mean",
    "return",
    "Return of the policy's mean action over the episodes of an evaluation.",
)
TRAINING_RETURN = Quantity(
    "training_return",
    "training return",
    "Mean return of the training episodes between two evaluations, with noise.",
)
POLICY_STDDEV = Quantity(
    "policy_stddev",
    "σ",
    "σ in units of actions scaled to [−1, 1]. The paper does not draw this.",
    0.1,
)


def compared(figure: Figure, runs: Sequence[Run]) -> list[Panel]:
    """Returns the panels that a report draws.

    Args:
        figure: The figure.
        runs: The existing runs, at least one on an environment of the figure.

    Returns:
        The panels for which every arm has runs, in the figure's order; if there are
        none, the panels for which some arm has runs.
    """
    existing = {(run.env, run.variant) for run in runs}
    wanted = {
        panel: {(env, arm.variant) for arm in panel.arms}
        for env in figure.envs
        for panel in figure.panels_on(env)
    }
    whole = [panel for panel, arms in wanted.items() if arms <= existing]
    return whole or [panel for panel, arms in wanted.items() if arms & existing]


def title(figure: Figure, quantity: str, runs: Sequence[Run], finished: int) -> str:
    """Returns a title with preset, steps, seeds, and whether all runs are done.

    Args:
        figure: The figure.
        quantity: The quantity on the y axis.
        runs: All runs of the grid.
        finished: Number of runs that have made all their steps.

    Returns:
        Two lines.
    """
    counts = collections.Counter((run.env, run.variant) for run in runs)
    fewest, most = min(counts.values()), max(counts.values())
    seeds = f"{most}" if fewest == most else f"{fewest} to {most}"
    preset = runs[0].preset
    facts = [
        f"preset {preset.name}",
        f"{lengths(runs)} steps",
        f"n = {seeds} seed{'s' if most > 1 else ''}",
        *(binding for binding in preset.gin_bindings if not is_length(binding)),
    ]
    if finished < len(runs):
        facts.append(f"unfinished: {finished} of {len(runs)} runs done")
    first = f"{figure.title}, {quantity}"
    if figure.subject:
        first += f": {figure.subject}"
    return f"{first}\n{', '.join(facts)}"


def _panels(figure, runs, panels):
    """Returns panels, by default those of the figure, with the lengths of the runs."""
    if panels is None:
        envs = dict.fromkeys(run.env for run in runs)
        panels = [panel for env in envs for panel in figure.panels_on(env)]
    steps = {run.env: run.num_steps for run in runs}
    return [
        dataclasses.replace(
            panel,
            num_steps=steps.get(panel.env) or panel.num_steps or runs[0].num_steps,
        )
        for panel in panels
    ]


def draw(
    quantity: Quantity,
    frame: pd.DataFrame,
    figure: Figure,
    runs: Sequence[Run],
    path: str | os.PathLike[str],
    panels: Sequence[Panel] | None = None,
) -> None:
    """Draws a quantity over training.

    Args:
        quantity: What to draw.
        frame: As `metrics.read_runs` returns it for `runs`.
        figure: The figure.
        runs: All runs of the grid, including those without metrics.
        path: The picture to write.
        panels: The panels to draw; `None` for those of `figure` on the environments of
            `runs`.
    """
    wanted = _panels(figure, runs, panels)
    note = quantity.note
    arms = [arm for panel in wanted for arm in panel.arms]
    if quantity is POLICY_STDDEV and any(arm.agent == "ddpg" for arm in arms):
        note += (
            " DDPG learns none: its line is the stationary σ of its noise, which "
            "starts each episode at 0 and stays below."
        )
    panels = _distinct(wanted, set(zip(frame["env"], frame["variant"], strict=True)))
    # The title counts only the runs that are drawn.
    drawn = {(panel.env, arm.variant) for panel in panels for arm in panel.arms}
    runs = [run for run in runs if (run.env, run.variant) in drawn]
    pairs = zip(frame["env"], frame["variant"], strict=True)
    frame = frame[[pair in drawn for pair in pairs]]
    width = min(_PANELS_A_ROW, len(panels))
    if len(panels) == 4:
        width = 2
    height = math.ceil(len(panels) / width)
    several = len({run.seed for run in runs}) > 1
    if several:
        note += (
            " Line: mean over seeds. Band: mean ± standard deviation, clipped at the "
            "runs' minimum and maximum."
        )
    else:
        note += " One seed: no band."
    curves = metrics.curves(frame, quantity.column)
    seeds = curves.groupby(["env", "variant"])["seeds"].max().to_dict()
    counts = [
        [seeds.get((panel.env, arm.variant), 0) for arm in panel.arms]
        for panel in panels
    ]
    most = [max(each) for each in counts]
    differ = len(set(most) - {0}) > 1
    finished = frame[frame["finished"].astype(bool)]
    finished = len(finished[["env", "variant", "seed"]].drop_duplicates())
    short = max(panel.num_steps for panel in panels) <= _MOST_FOR_THOUSANDS
    unit, unit_name = (1e3, "thousand") if short else (1e6, "million")
    # The figure must be wide enough for the title and the note.
    size = (
        max(6.0, style.PANEL_INCHES[0] * width),
        style.PANEL_INCHES[1] * height + 1.3,
    )
    with style.picture(path, figsize=size, layout="constrained") as canvas:
        # In a subfigure the legend does not overlap the title.
        body: Any = canvas.subfigures()  # A single one.
        axes = body.subplots(height, width, squeeze=False)
        share_arms = all(each.arms == panels[0].arms for each in panels)
        for place, panel in enumerate(axes.flat):
            if place >= len(panels):
                panel.set_visible(False)
                continue
            shown = panels[place]
            for arm, colour in zip(shown.arms, colours(shown.arms), strict=True):
                chosen = curves["env"] == shown.env
                chosen &= curves["variant"] == arm.variant
                _draw_curve(panel, curves[chosen], arm.label, colour, most[place], unit)
            low, high = panel.get_ylim()
            if panel.lines and high - low < quantity.least_range:
                panel.set_ylim(0, 1.2 * high)
            counted = f" (n = {most[place]})" if differ and most[place] else ""
            if share_arms and 0 < (least := _least_below(counts, place)) < most[place]:
                counted = f" (n = {least} to {most[place]})"
            _finish_panel(panel, shown.title + counted, shown.num_steps / unit)
            if not share_arms and panel.lines:
                panel.legend(fontsize=7)
            if place % width == 0:
                panel.set_ylabel(quantity.label)
            if place + width >= len(panels):
                panel.set_xlabel(f"{unit_name} environment steps")
        characters = int(canvas.get_figwidth() * 11)
        lines = title(figure, quantity.label, runs, finished).splitlines()
        canvas.suptitle(
            style.literal(
                "\n".join(
                    textwrap.fill(line, characters, break_on_hyphens=False)
                    for line in lines
                )
            ),
            fontsize=11,
        )
        if share_arms:
            _add_legend(body, panels[0].arms, curves)
        canvas.supxlabel(
            textwrap.fill(note, int(canvas.get_figwidth() * 16)), fontsize=8
        )


def _least_below(counts: Sequence[Sequence[int]], place: int) -> int:
    """Returns the smallest number of seeds in a panel that the shared legend hides.

    The legend has each arm's largest number in any panel. Returns 0 if it hides none.

    Args:
        counts: Seeds of each arm in each panel, 0 without runs.
        place: Index of the panel.
    """
    legend = [max(each) for each in zip(*counts, strict=True)]
    pairs = zip(counts[place], legend, strict=True)
    return min((n for n, most in pairs if 0 < n < most), default=0)


def _distinct(panels: Sequence[Panel], existing: set[tuple[str, str]]) -> list[Panel]:
    """Leaves out panels whose curves another panel on the same environment has too.

    Args:
        panels: The panels.
        existing: Environments and variants with evaluations.
    """
    shown: list[set[tuple[str, str]]] = [
        {(panel.env, arm.variant) for arm in panel.arms} & existing for panel in panels
    ]
    return [
        panel
        for i, (panel, pairs) in enumerate(zip(panels, shown, strict=True))
        if not pairs
        or not any(
            pairs < other or (pairs == other and j < i) for j, other in enumerate(shown)
        )
    ]


def _draw_curve(
    panel, curve: pd.DataFrame, label: str, colour: str, most_seeds: int, unit: float
) -> None:
    """Draws the line and, if several seeds have evaluations, the band.

    A curve of fewer seeds than the panel's others says so in its label. The line is
    dotted where not all of its seeds have been evaluated: where one ends, the mean can
    jump.
    """
    if curve.empty:  # A line without data would still be in the legend.
        return
    if curve["seeds"].max() < most_seeds:
        label += f" (n = {curve['seeds'].max()})"
    steps = curve["step"].to_numpy(float) / unit
    # A single point would not show as a line.
    marker = "o" if len(curve) == 1 else None
    style_of = {"color": colour, "marker": marker, "markersize": 3}
    whole = curve["seeds"].to_numpy() == curve["seeds"].max()
    means = curve["mean"].to_numpy(float)
    panel.plot(
        steps, np.where(whole, means, np.nan), label=style.literal(label), **style_of
    )
    if not whole.all():
        # From the last point of the line on, so that there is no gap.
        tail = ~whole | np.append(~whole[1:], False)
        panel.plot(steps, np.where(tail, means, np.nan), ls=":", **style_of)
    if (curve["seeds"] > 1).any():
        panel.fill_between(
            steps, curve["low"], curve["high"], color=colour, alpha=0.2, linewidth=0
        )


def _finish_panel(panel, title: str, end: float) -> None:
    """Sets the title and the x axis, and marks a panel without runs."""
    panel.set_title(style.literal(title))
    panel.set_xlim(0, end)
    panel.xaxis.set_major_locator(
        matplotlib.ticker.MaxNLocator(4, steps=(1, 2, 2.5, 5, 10))
    )
    if not any(len(line.get_xdata()) for line in panel.lines):
        panel.text(0.5, 0.5, "no run yet", ha="center", transform=panel.transAxes)
        panel.set_yticks([])


def _add_legend(body, arms: Sequence[Arm], curves: pd.DataFrame) -> None:
    """Adds one legend for all panels, between the title and the panels.

    Arms that have fewer seeds than others say so; those without a curve are left out.
    """
    seeds = curves.groupby("variant")["seeds"].max().to_dict()
    lines = []
    for arm, colour in zip(arms, colours(arms), strict=True):
        label, n = arm.label, seeds.get(arm.variant)
        if n is None:
            continue
        if n < max(seeds.values()):
            label += f" (n = {n})"
        lines.append(
            matplotlib.lines.Line2D([], [], color=colour, label=style.literal(label))
        )
    # Use as few rows as the width allows.
    for columns in range(len(lines), 0, -1):
        legend = body.legend(handles=lines, loc="outside upper center", ncols=columns)
        if legend.get_window_extent().width <= body.bbox.width:
            return
        if columns > 1:
            legend.remove()


def colours(arms: Sequence[Arm]) -> list[str]:
    """Returns the colours of arms; known variants have the same one in every figure."""
    spare = iter(_SPARE_COLOURS)
    known = style.COLOURS
    return [arm.colour or known.get(arm.variant) or next(spare) for arm in arms]
