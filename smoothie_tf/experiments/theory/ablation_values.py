"""An ablation: the value of a fixed policy, learned in each of the paper's ways."""

import functools
import pathlib
from collections.abc import Container

import pandas as pd

from smoothie_tf import progress_bar
from smoothie_tf.experiments.drawing import style
from smoothie_tf.experiments.theory import ablation
from smoothie_tf.experiments.theory.evaluation_arms import ARMS

_UPDATES = 9600
_RECORDS = 24
_ERRORS = {
    "value_error": "Q̃",
    "gradient_error": "∂Q̃/∂a",
    "hessian_error": "∂²Q̃/∂a²",
}
# An arm diverges if its error of Q̃ is above this many standard deviations of the exact
# values.
_DIVERGED = 10.0
_FACTORS = {"gradient_factor": "gradient", "hessian_factor": "Hessian"}


def learn_values(critic: str, seeds: int, known: Container[str] = ()) -> pd.DataFrame:
    """Learns the value of the fixed policy with every arm.

    Args:
        critic: One of `ground_truth.CRITICS`.
        seeds: Number of runs of each arm; their seeds start at 0.
        known: Names of arms that already have results and are skipped.

    Returns:
        The records of `ground_truth.learn_values`.
    """
    from smoothie_tf.experiments.theory import ground_truth

    arms = [arm for arm in ARMS if arm.name not in known]
    runs = [(arm, seed) for arm in arms for seed in range(seeds)]
    total = len(runs) * _UPDATES
    with progress_bar.create(
        f"{critic} critic", " updates", total, unit_scale=True
    ) as bar:
        return pd.concat(
            [
                ground_truth.learn_values(
                    arm, critic, seed, _UPDATES, _UPDATES // _RECORDS, bar.update
                )
                for arm, seed in runs
            ],
            ignore_index=True,
        )


def tabulate_values(records: pd.DataFrame) -> pd.DataFrame:
    """Tabulates errors and factors after the last update.

    Args:
        records: As `learn_values` returns them.

    Returns:
        One row per arm, with "mean ± standard deviation" over seeds.
    """
    final = records[records["update"] == records["update"].max()]
    rows = []
    for arm in ARMS:
        chosen = final[final["arm"] == arm.name]
        if chosen.empty:
            continue
        row = {"method and replay": arm.label}
        for column, name in _ERRORS.items():
            row[f"error of {name}"] = ablation.spread(chosen[column])
        for column, name in _FACTORS.items():
            row[f"share of the {name}"] = ablation.spread(chosen[column])
        rows.append(row)
    return pd.DataFrame(rows)


_METHOD_COLOURS = {
    "(18)": style.SMOOTHIE,
    "weights": "#E69F00",
    "expected": style.SVG0,
    "derivatives": style.DDPG,
    "baseline": style.SOFT_DDPG,
    "mean": "#56B4E9",
}


def _line(arm):
    """Returns an arm's line style: the colour shows the method, dashes the replay."""
    method = next((name for name in _METHOD_COLOURS if name in arm.name), "(18)")
    dashes = "--" if arm.replay == "on-policy" else "-"
    if arm.name in ("uniform", "on-policy-weights-5", "on-policy-mean-alone"):
        dashes = ":"
    return {"color": _METHOD_COLOURS[method], "linestyle": dashes, "linewidth": 1.4}


def draw_values(records: pd.DataFrame, path: pathlib.Path) -> None:
    """Draws the errors and the learned shares of the derivatives over training.

    Args:
        records: As `learn_values` returns them.
        path: The picture to write.
    """
    width, height = style.PANEL_INCHES
    columns = {**_ERRORS, **_FACTORS}
    with style.picture(
        path, figsize=(2.9 * width, 2.6 * height), layout="constrained"
    ) as figure:
        grid = figure.subplots(2, 3, sharex=True)
        for panel, (column, name) in zip(grid.flat, columns.items(), strict=False):
            for arm in ARMS:
                chosen = records[records["arm"] == arm.name]
                if chosen.empty:
                    continue
                mean = chosen.groupby("update")[list(columns)].mean()
                label = arm.label
                if mean["value_error"].iloc[-1] > _DIVERGED:
                    label += " (diverges)"
                    if column in _FACTORS:  # Outside the panel's limits.
                        continue
                panel.plot(mean.index / 1000, mean[column], label=label, **_line(arm))
            if column in _ERRORS:
                panel.set_yscale("log")
                panel.set_title(f"error of {name}")
                continue
            for level in (1.0, 0.5 if column == "gradient_factor" else 0.25):
                panel.axhline(level, color="0.3", linewidth=0.9, linestyle=":")
            panel.set_ylim(-0.1, 1.4)
            panel.set_title(f"share of the {name} that is learned")
        for panel in (*grid[1][:2], grid[0][2]):
            panel.set_xlabel("thousand updates")
            panel.tick_params(labelbottom=True)
        grid[1][2].set_axis_off()
        handles, labels = grid[0][0].get_legend_handles_labels()
        grid[1][2].legend(handles, labels, loc="center", fontsize=8)
        critic, seeds = records["critic"].iloc[0], records["seed"].nunique()
        figure.suptitle(
            f"At a = μ(s), {critic} critic, mean of seeds: {seeds}. Errors relative to"
            " the truth; dotted: 1, and ½ and ¼, which on-policy replay predicts"
        )


_TITLES = {
    "quadratic": "Values, with a critic that can represent them exactly",
    "tanh": "Values, with a tanh critic like the paper's",
}
_TEXT = (
    "The value of a fixed policy on a linear–quadratic task, learned by each method "
    "with a {} critic and compared with its closed form at a = μ(s). Errors are root "
    "mean squares relative to the size of the exact value; a share of 1 means an "
    "unbiased derivative. Theory predicts that on-policy replay without weights yields "
    "½ of the gradient and ¼ of the Hessian. Uniform replay has actions from a box "
    "around μ(s). Phantom actions near its edges have no weight, since no actions are "
    "stored beyond them; the row with edges gives them their weight."
)

#: One for each kind of critic.
VALUES = tuple(
    ablation.Ablation(
        f"values-{critic}",
        title,
        _TEXT.format(critic),
        "arm",
        tuple(arm.name for arm in ARMS),
        functools.partial(learn_values, critic),
        tabulate_values,
        draw_values,
    )
    for critic, title in _TITLES.items()
)
