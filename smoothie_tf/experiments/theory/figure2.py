"""Draws Figure 2: Smoothie leaves a one-step task's worse mode, DDPG does not."""

import pathlib
from typing import TYPE_CHECKING

import pandas as pd

from smoothie_tf.environments import two_gaussians
from smoothie_tf.experiments.drawing import style
from smoothie_tf.experiments.theory import figure1
from smoothie_tf.experiments.theory.escape import (
    AGENTS,
    BETTER,
    ENVIRONMENT,
    WORSE,
    Escape,
)

if TYPE_CHECKING:
    import matplotlib.axes

#: Seed of the runs that are drawn; runs with other seeds are only counted.
DRAWN_SEED = 0
_MIXTURE = two_gaussians.MIXTURE


def draw_figure2(records: pd.DataFrame, path: pathlib.Path) -> None:
    """Draws Figure 2.

    Args:
        records: Records of one run per agent; see `escape.FinishedRun`.
        path: The picture to write.
    """
    width, height = style.PANEL_INCHES
    with style.picture(
        path, figsize=(2 * width, 1.2 * height), layout="constrained"
    ) as figure:
        panels = figure.subplot_mosaic([["mean", "rewards"], ["stddev", "rewards"]])
        for column, name in (("mean", "mean μ"), ("stddev", "standard deviation σ")):
            _draw_training(panels[column], records, column)
            panels[column].set_ylabel(name)
        _name_modes(panels["mean"])
        panels["mean"].set_title(f"Policy during training, seed {DRAWN_SEED}")
        panels["mean"].tick_params(labelbottom=False)
        panels["stddev"].set_ylim(bottom=0)
        panels["stddev"].set_xlabel("updates")
        panels["stddev"].legend(loc="lower left")
        figure1.draw_rewards(panels["rewards"], figure1.tabulate_rewards())
        initial = figure1.INITIAL_STDDEV
        panels["rewards"].set_title(f"Reward, and smoothed with σ = {initial:.2f}")
        figure.align_ylabels([panels["mean"], panels["stddev"]])


def _draw_training(
    panel: "matplotlib.axes.Axes", records: pd.DataFrame, column: str
) -> None:
    for agent, label in AGENTS.items():
        run = records[records["agent"] == agent]
        colour = style.COLOURS[agent]
        panel.plot(run["update"], run[column], color=colour, label=label)
    panel.set_xlim(0, records["update"].max())
    panel.xaxis.set_major_formatter("{x:,.0f}")


def _name_modes(panel: "matplotlib.axes.Axes") -> None:
    """Draws lines at the two modes, with their names between the lines."""
    for name, mode, side in (("better", BETTER, "top"), ("worse", WORSE, "bottom")):
        centre = _MIXTURE.centres[mode]
        panel.axhline(centre, color="0.5", linewidth=0.8, linestyle=":", zorder=0)
        panel.annotate(
            f"{name} mode",
            (1, centre),
            (0, -3 if side == "top" else 3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            va=side,
            color="0.4",
        )


FIGURE_2 = Escape(
    "figure2",
    f"Figure 2 (seed {DRAWN_SEED})",
    "Figure 2: mean and standard deviation of Smoothie's and DDPG's policy on the"
    " two-Gaussians task.",
    AGENTS,
    {ENVIRONMENT: "dense reward"},
    lambda records, _, path: draw_figure2(records[records["seed"] == DRAWN_SEED], path),
)
