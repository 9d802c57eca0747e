"""Draws Figure 1, and the reward panel that Figures 1 and 2 share."""

import math
import os
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from smoothie_tf.environments import two_gaussians
from smoothie_tf.experiments.drawing import style

if TYPE_CHECKING:
    import matplotlib.axes

#: Initial standard deviation: φ starts at −1, and Σ = e^φ (supplement D).
INITIAL_STDDEV = math.exp(-1 / 2)
RELATIVE_TOLERANCE = 1e-10
_NUM_POINTS = 601


def tabulate_rewards() -> pd.DataFrame:
    """Tabulates the reward, and smoothed with `INITIAL_STDDEV`, between action bounds.

    Returns:
        Columns action, reward, smoothed_reward (closed form) and
        smoothed_reward_by_quadrature.
    """
    mixture, bound = two_gaussians.MIXTURE, two_gaussians.ACTION_BOUND
    action = np.linspace(-bound, bound, _NUM_POINTS)
    return pd.DataFrame(
        {
            "action": action,
            "reward": mixture.reward(action),
            "smoothed_reward": mixture.smoothed_reward(action, INITIAL_STDDEV),
            "smoothed_reward_by_quadrature": mixture.smoothed_reward_by_quadrature(
                action, INITIAL_STDDEV
            ),
        }
    )


def largest_difference(table: pd.DataFrame) -> float:
    """Returns the largest difference of quadrature from closed form, relative."""
    exact = table["smoothed_reward"]
    return float(((table["smoothed_reward_by_quadrature"] - exact) / exact).abs().max())


def draw_rewards(axes: "matplotlib.axes.Axes", table: pd.DataFrame) -> None:
    """Draws the reward (green) and the smoothed reward (magenta), as in Figure 1.

    Args:
        axes: The axes to draw on.
        table: As `tabulate_rewards` returns it.
    """
    axes.plot(table["action"], table["reward"], color=style.REWARD, label="reward")
    axes.plot(
        table["action"],
        table["smoothed_reward"],
        color=style.SMOOTHED_REWARD,
        label="smoothed reward",
    )
    axes.set_xlabel("action")
    axes.set_ylabel("expected reward")
    axes.set_xlim(table["action"].min(), table["action"].max())
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left")


def draw_figure1(table: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Draws Figure 1.

    Args:
        table: As `tabulate_rewards` returns it.
        path: The picture to write.
    """
    with style.picture(
        path, figsize=style.PANEL_INCHES, layout="constrained"
    ) as figure:
        axes = figure.subplots()
        draw_rewards(axes, table)
        axes.set_title(f"A reward, and smoothed with σ = {INITIAL_STDDEV:.2f}")
