"""Compares four agents on the two-Gaussians task: which leave the worse mode.

The runs are as in Figure 2, with Soft DDPG and SVG(0) added, and with the discretized
reward added. The picture shows all seeds.
"""

import pathlib
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import pandas as pd

import smoothie_tf.environments  # noqa: F401  Registers the discretized task.
from smoothie_tf.environments import two_gaussians
from smoothie_tf.experiments.drawing import style
from smoothie_tf.experiments.theory import escape, figure1

if TYPE_CHECKING:
    import matplotlib.axes

_DISCRETIZED = "smoothie_tf/DiscretizedTwoGaussians-v0"
_MIXTURE = two_gaussians.MIXTURE
_ACTIONS = np.linspace(-2.2, 2.2, 1001)


def discretized_reward(action: np.ndarray) -> np.ndarray:
    """Returns the reward of the discretized task for actions, both of any shape."""
    # The registered task sets the number of reward levels.
    env: Any = gymnasium.make(_DISCRETIZED)
    return env.discretize(_MIXTURE.reward(action))


def draw(records: pd.DataFrame, table: pd.DataFrame, path: pathlib.Path) -> None:
    """Draws μ and σ of every run: one column per agent, one row per reward.

    Args:
        records: Records of all runs; see `escape.FinishedRun`.
        table: As `escape.tabulate_runs` returns it.
        path: The picture to write.
    """
    agents, environments = escape.ALL_AGENTS, NEIGHBOURS_ESCAPE.environments
    width, height = style.PANEL_INCHES
    size = 0.62 * width * (1 + len(agents)), 2.9 * height
    with style.picture(path, figsize=size, layout="constrained") as figure:
        panels = figure.subplots(
            2 * len(environments),
            1 + len(agents),
            sharex="col",
            gridspec_kw={"height_ratios": [2, 1] * len(environments)},
        )
        for row, (environment, label) in enumerate(environments.items()):
            upper, lower = panels[2 * row], panels[2 * row + 1]
            _draw_reward(upper[0], environment, label)
            lower[0].set_visible(False)
            upper[0].tick_params(labelbottom=True)
            for place, (agent, name) in enumerate(agents.items(), start=1):
                chosen = _select(records, environment, agent)
                ends = _select(table, environment, agent)["ends_on"]
                _draw_paths(upper[place], chosen, "mean", style.COLOURS[agent])
                _draw_paths(lower[place], chosen, "stddev", style.COLOURS[agent])
                for mode in _MIXTURE.centres:
                    upper[place].axhline(
                        mode, color="0.4", linewidth=0.8, linestyle=":", zorder=0
                    )
                upper[place].set_ylim(-1.4, 1.4)
                lower[place].set_ylim(0, 1.0)
                better = int((ends == "better").sum())
                upper[place].set_title(f"{name}: {better} of {len(ends)} escape")
                if place > 1:
                    upper[place].tick_params(labelleft=False)
                    lower[place].tick_params(labelleft=False)
            upper[1].set_ylabel("mean μ")
            lower[1].set_ylabel("σ")
        for panel in panels[-1][1:]:
            panel.set_xlabel("thousand updates")
        upper[0].set_xlabel("action")
        seeds = table["seed"].nunique()
        figure.suptitle(
            f"The two-Gaussians task, {seeds} seeds: a line is a run; dotted, the modes"
        )
        figure.align_ylabels([panels[row][1] for row in range(2 * len(environments))])


def _select(frame, environment, agent):
    return frame[(frame["environment"] == environment) & (frame["agent"] == agent)]


def _draw_reward(panel: "matplotlib.axes.Axes", environment: str, label: str) -> None:
    dense = environment == escape.ENVIRONMENT
    reward = _MIXTURE.reward(_ACTIONS) if dense else discretized_reward(_ACTIONS)
    panel.plot(_ACTIONS, reward, color=style.REWARD)
    # Equation (9) by the trapezoidal rule, for the dense or the discretized reward.
    stddev = figure1.INITIAL_STDDEV
    points, spacing = np.linspace(-6, 6, 4001, retstep=True)
    rewards = _MIXTURE.reward(points) if dense else discretized_reward(points)
    deviation = (points - _ACTIONS[:, np.newaxis]) / stddev
    density = np.exp(-(deviation**2) / 2) / (stddev * np.sqrt(2 * np.pi))
    panel.plot(_ACTIONS, density @ rewards * spacing, color=style.SMOOTHED_REWARD)
    panel.set_title(f"{label}\nand smoothed, σ = {stddev:.2f}")
    panel.set_ylim(-0.05, 1.05)


def _draw_paths(
    panel: "matplotlib.axes.Axes", records: pd.DataFrame, column: str, colour
) -> None:
    from matplotlib import ticker

    for _, run in records.groupby("seed"):
        panel.plot(run["update"], run[column], color=colour, linewidth=0.8, alpha=0.6)
    panel.set_xlim(0, records["update"].max())
    panel.xaxis.set_major_locator(ticker.MaxNLocator(4))
    # Labels of four digits would overlap those of the next panel.
    panel.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:g}")


NEIGHBOURS_ESCAPE = escape.Escape(
    "neighbours_escape",
    "The comparison",
    "Smoothie, DDPG, Soft DDPG and SVG(0) on the two-Gaussians task, its reward dense"
    " and discretized: which runs end on the better mode.",
    escape.ALL_AGENTS,
    {escape.ENVIRONMENT: "dense reward", _DISCRETIZED: "discretized reward"},
    draw,
)
