"""Makes and draws the tables on Section 3: naive update, local optima, critic fits.

`likelihood_ratio` and `local_optima` compute exact moments and counts;
`section3_critics` measures learned critics over seeds.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from smoothie_tf.environments import two_gaussians
from smoothie_tf.experiments.drawing import style
from smoothie_tf.experiments.theory import (
    figure1,
    likelihood_ratio,
    local_optima,
)

if TYPE_CHECKING:
    import matplotlib.axes

#: Names of the functions whose local maxima are counted.
TWO_GAUSSIANS, RANDOM, RIDGE = (
    "two Gaussians",
    "random, one dimension",
    "ridge, two dimensions",
)
SEEDS = 20
#: Numbers of stored actions after which a learned update is recorded.
ACTION_COUNTS = (250, 500, 1000, 2000, 4000)
#: Hidden units of the critics that are fitted: a small critic, and Figure 2's.
HIDDEN_UNITS = (10, 300)
#: Numbers of updates after which their error is recorded.
UPDATE_COUNTS = (250, 500, 1000, 2000, 3000)
#: Values of σ for the limit Σ → 0.
LIMIT_STDDEVS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
_STDDEVS = (0.0125, 0.025, 0.05, 0.1, 0.2, 0.4, figure1.INITIAL_STDDEV, 0.8)
_RANDOM_FUNCTIONS, _RANDOM_BUMPS, _RANDOM_POINTS = 200, 6, 2001

_MIXTURE = two_gaussians.MIXTURE
_START_MEAN = two_gaussians.START_MEAN


def tabulate_likelihood_ratio() -> pd.DataFrame:
    """Tabulates the moments of the naive update of each parameter for several σ.

    μ is the initial mean of Figure 2.

    Returns:
        Columns stddev, parameter and those of `likelihood_ratio.UpdateMoments`.
    """
    return pd.DataFrame(
        [
            {
                "stddev": stddev,
                "parameter": parameter,
                **likelihood_ratio.moments(parameter, _START_MEAN, stddev)._asdict(),
            }
            for parameter in likelihood_ratio.PARAMETERS
            for stddev in _STDDEVS
        ]
    )


def tabulate_local_optima() -> pd.DataFrame:
    """Counts local maxima of three kinds of functions for increasing σ.

    Returns:
        Columns function (the kind), stddev, functions (their number), maxima (mean
        number per function), gained (number of functions with more maxima than at the
        previous σ) and, for the two Gaussians, vanishing_stddev: the smallest σ with
        which there is one maximum.
    """
    stddevs = np.unique([*np.linspace(0, 1, 41), figure1.INITIAL_STDDEV])
    rng = np.random.default_rng(0)
    functions = [
        local_optima.random_bumps(rng, _RANDOM_BUMPS) for _ in range(_RANDOM_FUNCTIONS)
    ]
    counts = {
        TWO_GAUSSIANS: [
            [local_optima.count_local_maxima(_MIXTURE, stddev) for stddev in stddevs]
        ],
        RANDOM: [
            [
                local_optima.count_on_axis(bumps, stddev, _RANDOM_POINTS)
                for stddev in stddevs
            ]
            for bumps in functions
        ],
        RIDGE: [
            [
                local_optima.count_on_axis(local_optima.RIDGE, stddev)
                for stddev in stddevs
            ]
        ],
    }
    frames = []
    for name, table in counts.items():
        number = np.asarray(table)
        gained = np.diff(number, axis=1, prepend=number[:, :1]) > 0
        frames.append(
            pd.DataFrame(
                {
                    "function": name,
                    "stddev": stddevs,
                    "functions": len(number),
                    "maxima": number.mean(0),
                    "gained": gained.sum(0),
                }
            )
        )
    frames[0]["vanishing_stddev"] = local_optima.vanishing_stddev(_MIXTURE)
    return pd.concat(frames, ignore_index=True)


def tabulate(seeds: int = SEEDS) -> dict[str, pd.DataFrame]:
    """Computes all tables.

    Args:
        seeds: Number of critics of each kind, at least 2, for learned updates; their
            seeds start at 0. Fits have half as many critics, at least 2.

    Returns:
        Tables by name; each is written to `<out_dir>/<name>.csv`.
    """
    from smoothie_tf.experiments.theory import section3_critics

    return {
        "likelihood_ratio": tabulate_likelihood_ratio(),
        "learned_updates": pd.concat(
            [
                section3_critics.learn_updates(replay, range(seeds), ACTION_COUNTS)
                for replay in section3_critics.REPLAYS
            ],
            ignore_index=True,
        ),
        "local_optima": tabulate_local_optima(),
        "fits": pd.concat(
            [
                section3_critics.fit_targets(
                    units, range(max(2, seeds // 2)), UPDATE_COUNTS
                )
                for units in HIDDEN_UNITS
            ],
            ignore_index=True,
        ),
        "ddpg_limit": section3_critics.ddpg_limit(LIMIT_STDDEVS),
    }


_COLOURS = {"mean": style.SMOOTHIE, "stddev": style.DDPG}


def draw(tables: Mapping[str, pd.DataFrame], path: pathlib.Path) -> None:
    """Draws all tables, one panel per question.

    Args:
        tables: As `tabulate` returns them.
        path: The picture to write.
    """
    width, height = style.PANEL_INCHES
    with style.picture(
        path, figsize=(3.7 * width, 2.3 * height), layout="constrained"
    ) as figure:
        panels = figure.subplots(2, 4)
        exact = tables["likelihood_ratio"]
        _draw_variance(panels[0][0], exact)
        for panel, parameter in zip(
            panels[0][1:3], likelihood_ratio.PARAMETERS, strict=True
        ):
            _draw_learned(panel, tables["learned_updates"], exact, parameter)
        _draw_limit(panels[0][3], tables["ddpg_limit"])
        _draw_counts(panels[1][0], tables["local_optima"])
        _draw_ridge(panels[1][1])
        for panel, units in zip(panels[1][2:], HIDDEN_UNITS, strict=True):
            _draw_fits(panel, tables["fits"], units)


def _draw_variance(panel: "matplotlib.axes.Axes", table: pd.DataFrame) -> None:
    for parameter, rows in table.groupby("parameter", sort=False):
        colour, symbol = _COLOURS[parameter], likelihood_ratio.PARAMETERS[parameter]
        stddev = rows["stddev"]
        panel.plot(stddev, rows["variance"] ** 0.5, color=colour, label=f"Δ{symbol}")
        panel.plot(
            stddev,
            rows["variance_with_baseline"] ** 0.5,
            color=colour,
            linestyle="--",
            label=f"Δ{symbol}, best baseline",
        )
        panel.plot(
            stddev,
            rows["exact"].abs(),
            color=colour,
            linestyle=":",
            label=f"|mean Δ{symbol}|",
        )
    panel.set(xscale="log", yscale="log", xlabel="policy's σ", ylim=(3e-4, 100))
    _tick(panel.xaxis, (0.0125, 0.05, 0.2, 0.8))
    panel.set_title("Naive update from one action:\nstandard deviation")
    panel.legend(fontsize=7, ncols=2, loc="lower center")


def _draw_learned(panel, learned, exact, parameter):
    row = exact[
        (exact["parameter"] == parameter)
        & np.isclose(exact["stddev"], figure1.INITIAL_STDDEV)
    ].iloc[0]
    counts = np.asarray(ACTION_COUNTS, float)
    spread = np.sqrt(row["variance"] / counts)
    panel.axhline(row["exact"], color="0.3", linestyle=":", label="exact slope")
    panel.fill_between(
        counts,
        row["exact"] - spread,
        row["exact"] + spread,
        color="0.8",
        label="naive, averaged over all actions",
    )
    lines = {"on-policy": (style.SMOOTHIE, "o"), "uniform": (style.SVG0, "s")}
    for replay, (colour, marker) in lines.items():
        rows = learned[
            (learned["replay"] == replay) & (learned["parameter"] == parameter)
        ].groupby("actions")["update"]
        panel.errorbar(
            rows.mean().index,
            rows.mean(),
            rows.std(),
            color=colour,
            marker=marker,
            markersize=3,
            capsize=2,
            linewidth=1.2,
            label=f"Smoothie's, {replay} actions",
        )
    panel.set(xscale="log", xlabel="actions seen")
    _tick(panel.xaxis, ACTION_COUNTS)
    low, high = panel.get_ylim()
    panel.set_ylim(low - 0.6 * (high - low), high)  # Room for the legend.
    symbol, single = likelihood_ratio.PARAMETERS[parameter], row["variance"] ** 0.5
    panel.set_title(
        f"Δ{symbol} from a learned critic, ± its deviation\n"
        f"(naive, from one action: ± {single:.2f})"
    )
    panel.legend(fontsize=7, loc="lower center")


def _draw_limit(panel: "matplotlib.axes.Axes", table: pd.DataFrame) -> None:
    stddev = table["stddev"]
    panel.plot(
        stddev,
        table["critic_gradient"],
        color=style.SMOOTHIE,
        marker="o",
        label="critic's gradient",
    )
    panel.plot(
        stddev,
        table["policy_gradient"],
        color=style.DDPG,
        marker="s",
        label="gradient for μ",
    )
    first = table.iloc[0]
    panel.plot(
        stddev,
        first["critic_gradient"] * stddev / first["stddev"],
        color="0.4",
        linestyle=":",
        label="in proportion to σ",
    )
    panel.set(xscale="log", yscale="log", xlabel="policy's σ")
    panel.set_title("Smoothie's updates against DDPG's:\nrelative difference")
    panel.legend(fontsize=7)


def _draw_counts(panel: "matplotlib.axes.Axes", table: pd.DataFrame) -> None:
    colours = (style.SMOOTHIE, style.SOFT_DDPG, style.DDPG)
    for (name, rows), colour in zip(
        table.groupby("function", sort=False), colours, strict=True
    ):
        number = rows["functions"].iloc[0]
        label = name if number == 1 else f"{name}, mean of {number}"
        panel.plot(rows["stddev"], rows["maxima"], color=colour, label=label)
    panel.set(xlabel="smoothing σ", ylim=(0, None))
    panel.set_title("Local maxima")
    panel.legend(fontsize=7)


def _draw_ridge(panel: "matplotlib.axes.Axes") -> None:
    x = np.linspace(-3, 3, 1201)
    stddev = figure1.INITIAL_STDDEV
    for sigma, colour, label in (
        (0.0, style.REWARD, "ridge, two dimensions"),
        (stddev, style.SMOOTHED_REWARD, f"smoothed, σ = {stddev:.2f}"),
    ):
        value, slope = local_optima.smoothed_on_axis(local_optima.RIDGE, x, sigma)
        panel.plot(x, value, color=colour, label=label)
        top = np.flatnonzero((slope[:-1] > 0) & (slope[1:] <= 0))
        panel.plot(x[top], value[top], "o", color=colour, markersize=5)
    panel.set(xlabel="first action, the second at 0", ylim=(0, None))
    panel.set_title("One maximum becomes two (dots)")
    panel.legend(fontsize=7, loc="upper left")


def _draw_fits(panel: "matplotlib.axes.Axes", table: pd.DataFrame, units: int) -> None:
    colours = (style.REWARD, style.SMOOTHED_REWARD, style.SOFT_DDPG)
    chosen = table[table["hidden_units"] == units]
    for (target, rows), colour in zip(
        chosen.groupby("target", sort=False), colours, strict=True
    ):
        error = rows.groupby("updates")["relative_error"]
        panel.fill_between(
            error.mean().index, error.min(), error.max(), color=colour, alpha=0.15
        )
        panel.plot(error.mean().index, error.mean(), color=colour, label=target)
    panel.set(xlabel="updates", yscale="log", ylim=(0.005, 0.7))
    _tick(panel.yaxis, (0.01, 0.03, 0.1, 0.3))
    panel.set_title(f"Error of a critic of {units} units,\nrelative to its target")
    panel.legend(fontsize=7)


def _tick(axis, places: Sequence[float]) -> None:
    """Labels a logarithmic axis only at the given places."""
    from matplotlib import ticker

    axis.set_major_locator(ticker.FixedLocator(places))
    axis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_locator(ticker.NullLocator())
