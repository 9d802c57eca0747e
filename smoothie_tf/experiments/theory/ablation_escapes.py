"""An ablation: the paper's variants of Algorithm 1 on the two-Gaussians task."""

import math
import pathlib
from collections.abc import Container

import pandas as pd

from smoothie_tf.environments import two_gaussians
from smoothie_tf.experiments.drawing import style
from smoothie_tf.experiments.theory import ablation, escape, escape_runs

_VARIANTS_A_ROW = 4

#: Variants on the two-Gaussians task by name, each with its label and gin bindings.
VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "default": ("Algorithm 1", ()),
    **{
        f"weights-{clipping}": (
            f"weights 1/q ≤ {clipping}",
            (f"SmoothieAgent.replay_weight_clipping = {clipping}.0",),
        )
        for clipping in (5, 50)
    },
    "expected": ("(16) and (17)", ("SmoothieAgent.evaluation = 'expected'",)),
    "derivatives": (
        "derivative errors",
        ("SmoothieAgent.bellman_error_weights = (1.0, 0.1, 0.01)",),
    ),
    "baseline": (
        "... with baseline",
        (
            "SmoothieAgent.bellman_error_weights = (1.0, 0.1, 0.01)",
            "SmoothieAgent.derivative_baseline = True",
        ),
    ),
    "mean": (
        "... at a = μ(s) alone",
        (
            "SmoothieAgent.bellman_error_weights = (0.0, 0.0, 0.0)",
            "SmoothieAgent.mean_error_weights = (1.0, 0.1, 0.01)",
            "SmoothieAgent.derivative_baseline = True",
        ),
    ),
    "compatible": (
        "compatible critic (22)",
        (
            "create_agent.critic_network = @CompatibleCriticNetwork",
            "CompatibleCriticNetwork.value_units = ()",
            "SmoothieAgent.bellman_error_weights = (1.0, 0.1, 0.01)",
            "SmoothieAgent.derivative_baseline = True",
        ),
    ),
}


def learn_escapes(seeds: int, known: Container[str] = ()) -> pd.DataFrame:
    """Runs every variant on the two-Gaussians task.

    Args:
        seeds: Number of runs of each variant; their seeds start at 0.
        known: Names of variants that already have results and are skipped.

    Returns:
        The records of `escape.FinishedRun`, and a column variant.
    """
    frames = []
    for name, (label, bindings) in VARIANTS.items():
        if name in known:
            continue
        runs = escape_runs.train_runs(
            range(seeds), 1, bindings, ("smoothie",), title=f"escape, {label}"
        )
        frames.append(pd.concat([run.records for run in runs]).assign(variant=name))
    return pd.concat(frames, ignore_index=True).drop(columns=["environment", "agent"])


def tabulate_escapes(records: pd.DataFrame) -> pd.DataFrame:
    """Tabulates how many runs of each variant end on the better mode, and when.

    Args:
        records: As `learn_escapes` returns them.

    Returns:
        One row per variant.
    """
    rows = []
    for name, (label, _) in VARIANTS.items():
        runs = [run for _, run in records[records["variant"] == name].groupby("seed")]
        if not runs:
            continue
        ends = [bool(escape.near(run["mean"].iloc[-1], escape.BETTER)) for run in runs]
        middle = sum(two_gaussians.MIXTURE.centres) / 2
        # A run that never crosses does so after all others.
        crossings = [run["update"][run["mean"] > middle].min() for run in runs]
        median = pd.Series(crossings).fillna(math.inf).median()
        legs = [escape.legs(run["stddev"].to_numpy()) for run in runs]
        turned = sum(found == ["fell", "rose", "fell"] for found in legs)
        final = pd.concat([run.iloc[-1:] for run in runs])
        rows.append(
            {
                "variant": label,
                "end on the better mode": f"{sum(ends)} of {len(ends)}",
                "update of the crossing, median": (
                    f"{median:,.0f}" if math.isfinite(median) else "never"
                ),
                "σ fell, rose, fell": f"{turned} of {len(legs)}",
                "final μ": ablation.spread(final["mean"]),
                "final σ": ablation.spread(final["stddev"]),
            }
        )
    return pd.DataFrame(rows)


def draw_escapes(records: pd.DataFrame, path: pathlib.Path) -> None:
    """Draws μ and σ of every run on the two-Gaussians task, μ above σ for a variant.

    Args:
        records: As `learn_escapes` returns them.
        path: The picture to write.
    """
    names = [name for name in VARIANTS if name in set(records["variant"])]
    columns = min(_VARIANTS_A_ROW, len(names))
    rows = math.ceil(len(names) / columns)
    means = records["mean"]
    width, height = style.PANEL_INCHES
    size = 0.75 * width * columns, 1.35 * height * rows
    with style.picture(path, figsize=size, layout="constrained") as figure:
        panels = figure.subplots(2 * rows, columns, sharex=True, squeeze=False)
        for place in range(rows * columns):
            row, column = divmod(place, columns)
            pair = panels[2 * row : 2 * row + 2, column]
            if place >= len(names):
                for panel in pair:
                    panel.set_visible(False)
                continue
            title, of_variant = VARIANTS[names[place]][0], records["variant"]
            for _, run in records[of_variant == names[place]].groupby("seed"):
                for panel, what in zip(pair, ("mean", "stddev"), strict=True):
                    panel.plot(
                        run["update"] / 1000,
                        run[what],
                        color=style.SMOOTHIE,
                        linewidth=0.8,
                        alpha=0.7,
                    )
            for mode in two_gaussians.MIXTURE.centres:
                pair[0].axhline(mode, color="0.4", linewidth=0.8, linestyle=":")
            pair[0].set(title=title, ylim=(means.min() - 0.1, means.max() + 0.1))
            pair[1].set_ylim(0, 1.05 * records["stddev"].max())
            if not column:
                pair[0].set_ylabel("mean μ")
                pair[1].set_ylabel("σ")
            if place + columns >= len(names):
                pair[1].set_xlabel("thousand updates")


ESCAPE = ablation.Ablation(
    "escapes",
    "The two-Gaussians task",
    "As Figure 2: runs start on the worse of two modes.",
    "variant",
    tuple(VARIANTS),
    learn_escapes,
    tabulate_escapes,
    draw_escapes,
)
