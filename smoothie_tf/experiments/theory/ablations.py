"""Compares the paper's variants of Algorithm 1 with exact values and the default.

There are three parts: learning the values of a fixed policy on a linear–quadratic task,
learning a policy on that task, and learning on the two-Gaussians task. The comparison
on Hopper is a grid of runs, `figures.ablations`.
"""

import functools
import math
import pathlib
from collections.abc import Callable, Container

import pandas as pd

from smoothie_tf.environments import two_gaussians
from smoothie_tf.experiments.drawing import style
from smoothie_tf.experiments.theory import escape, escape_runs

#: KL penalties λ of the runs that learn a policy.
KL_PENALTIES = (0.0, 0.1)
_UPDATES = 9600
_RECORDS = 24
_NUM_STEPS = 15_000
_ESCAPES_A_ROW = 4
#: Folders in `--results_dir`: for the three parts, and for the runs on Hopper.
FOLDER = "ablations"
HOPPER_FOLDER = "ablations-hopper"
_ERRORS = {
    "value_error": "Q̃",
    "gradient_error": "∂Q̃/∂a",
    "hessian_error": "∂²Q̃/∂a²",
}
# An arm diverges if its error of Q̃ is above this many standard deviations of the exact
# values.
_DIVERGED = 10.0
_FACTORS = {"gradient_factor": "gradient", "hessian_factor": "Hessian"}

#: Variants on the two-Gaussians task by name, each with its label and gin bindings.
ESCAPES: dict[str, tuple[str, tuple[str, ...]]] = {
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

    arms = [arm for arm in ground_truth.ARMS if arm.name not in known]
    runs = [(arm, seed) for arm in arms for seed in range(seeds)]
    total = len(runs) * _UPDATES
    with escape_runs.progress_bar(f"{critic} critic", " updates", total) as bar:
        return pd.concat(
            [
                ground_truth.learn_values(
                    arm, critic, seed, _UPDATES, _UPDATES // _RECORDS, bar.update
                )
                for arm, seed in runs
            ],
            ignore_index=True,
        )


def learn_policies(seeds: int, known: Container[str] = ()) -> pd.DataFrame:
    """Trains Smoothie with each of `KL_PENALTIES`.

    Args:
        seeds: Number of runs of each λ; their seeds start at 0.
        known: Values of λ, as text, that already have results and are skipped.

    Returns:
        The records of `ground_truth.learn_policy`.
    """
    from smoothie_tf.experiments.theory import ground_truth

    kl_penalties = [each for each in KL_PENALTIES if str(each) not in known]
    total = seeds * len(kl_penalties) * _NUM_STEPS
    with escape_runs.progress_bar("policies", " steps", total) as bar:
        return pd.concat(
            [
                ground_truth.learn_policy(
                    seed, _NUM_STEPS, kl_penalty, on_record=bar.update
                )
                for kl_penalty in kl_penalties
                for seed in range(seeds)
            ],
            ignore_index=True,
        )


def learn_escapes(seeds: int, known: Container[str] = ()) -> pd.DataFrame:
    """Runs every variant on the two-Gaussians task.

    Args:
        seeds: Number of runs of each variant; their seeds start at 0.
        known: Names of variants that already have results and are skipped.

    Returns:
        The records of `escape.FinishedRun`, and a column variant.
    """
    frames = []
    for name, (label, bindings) in ESCAPES.items():
        if name in known:
            continue
        runs = escape_runs.train_runs(
            range(seeds), 1, bindings, ("smoothie",), title=f"escape, {label}"
        )
        frames.append(pd.concat([run.records for run in runs]).assign(variant=name))
    return pd.concat(frames, ignore_index=True).drop(columns=["environment", "agent"])


def tabulate_values(records: pd.DataFrame) -> pd.DataFrame:
    """Tabulates errors and factors after the last update.

    Args:
        records: As `learn_values` returns them.

    Returns:
        One row per arm, with "mean ± standard deviation" over seeds.
    """
    from smoothie_tf.experiments.theory import ground_truth

    final = records[records["update"] == records["update"].max()]
    rows = []
    for arm in ground_truth.ARMS:
        chosen = final[final["arm"] == arm.name]
        if chosen.empty:
            continue
        row = {"method and replay": arm.label}
        for column, name in _ERRORS.items():
            row[f"error of {name}"] = _spread(chosen[column])
        for column, name in _FACTORS.items():
            row[f"share of the {name}"] = _spread(chosen[column])
        rows.append(row)
    return pd.DataFrame(rows)


def tabulate_policies(records: pd.DataFrame) -> pd.DataFrame:
    """Tabulates how fast and how well each run learned its policy.

    Args:
        records: As `learn_policies` returns them.

    Returns:
        One row per run.
    """
    rows = []
    for (kl_penalty, seed), run in records.groupby(["kl_penalty", "seed"]):
        cost = 100 * (run["cost"] - 1)
        last = run["step"] > 0.9 * run["step"].max()
        within = run["step"][cost <= 2]
        since = run["step"][run["step"] > run["step"][~(cost <= 2)].max()]
        rows.append(
            {
                "λ": f"{kl_penalty:g}",
                "seed": seed,
                "first cost above the optimum": f"{cost.iloc[0]:.0f} %",
                "first within 2 %": f"{within.iloc[0]:,}" if len(within) else "never",
                "... from then on": f"{since.iloc[0]:,}" if len(since) else "not yet",
                "last tenth, mean": f"{cost[last].mean():.2f} %",
                "last tenth, worst": f"{cost[last].max():.2f} %",
                "largest spectral radius": f"{run['spectral_radius'].max():.4f}",
                "ever outside the stable region": (
                    "yes" if (run["spectral_radius"] >= 1).any() else "no"
                ),
                "final σ": f"{run['stddev'].iloc[-1]:.3f}",
            }
        )
    return pd.DataFrame(rows)


def tabulate_escapes(records: pd.DataFrame) -> pd.DataFrame:
    """Tabulates how many runs of each variant end on the better mode, and when.

    Args:
        records: As `learn_escapes` returns them.

    Returns:
        One row per variant.
    """
    rows = []
    for name, (label, _) in ESCAPES.items():
        runs = [run for _, run in records[records["variant"] == name].groupby("seed")]
        if not runs:
            continue
        ends = [bool(escape.near(run["mean"].iloc[-1], escape.BETTER)) for run in runs]
        middle = sum(two_gaussians.MIXTURE.centres) / 2
        crossed = pd.concat([run[run["mean"] > middle].iloc[:1] for run in runs])
        legs = [escape.legs(run["stddev"].to_numpy()) for run in runs]
        turned = sum(found == ["fell", "rose", "fell"] for found in legs)
        final = pd.concat([run.iloc[-1:] for run in runs])
        rows.append(
            {
                "variant": label,
                "end on the better mode": f"{sum(ends)} of {len(ends)}",
                "update of the crossing, median": (
                    f"{crossed['update'].median():,.0f}" if len(crossed) else "never"
                ),
                "σ fell, rose, fell": f"{turned} of {len(legs)}",
                "final μ": _spread(final["mean"]),
                "final σ": _spread(final["stddev"]),
            }
        )
    return pd.DataFrame(rows)


def _spread(values):
    if len(values) == 1:
        return f"{values.iloc[0]:.3f}"
    return f"{values.mean():.3f} ± {values.std(ddof=0):.3f}"


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
    from smoothie_tf.experiments.theory import ground_truth

    width, height = style.PANEL_INCHES
    columns = {**_ERRORS, **_FACTORS}
    with style.picture(
        path, figsize=(2.9 * width, 2.6 * height), layout="constrained"
    ) as figure:
        grid = figure.subplots(2, 3, sharex=True)
        for panel, (column, name) in zip(grid.flat, columns.items(), strict=False):
            for arm in ground_truth.ARMS:
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


def draw_policies(records: pd.DataFrame, path: pathlib.Path) -> None:
    """Draws cost, stability and σ over training, with one line per run.

    Args:
        records: As `learn_policies` returns them.
        path: The picture to write.
    """
    width, height = style.PANEL_INCHES
    colours = dict(zip(KL_PENALTIES, (style.DDPG, style.SMOOTHIE), strict=True))
    with style.picture(
        path, figsize=(2.9 * width, 1.1 * height), layout="constrained"
    ) as figure:
        panels = figure.subplots(1, 3)
        for (kl_penalty, seed), run in records.groupby(["kl_penalty", "seed"]):
            label = f"λ = {kl_penalty:g}" if seed == 0 else None
            line = {"color": colours[kl_penalty], "linewidth": 1.0, "label": label}
            steps = run["step"] / 1000
            panels[0].plot(steps, 100 * (run["cost"] - 1), **line)
            panels[1].plot(steps, run["spectral_radius"], **line)
            panels[2].plot(steps, run["stddev"], **line)
        panels[0].set_yscale("log")
        panels[0].axhline(2, color="0.3", linewidth=0.9, linestyle=":")
        panels[0].set_title("cost above the optimum, % (dotted: 2)")
        panels[1].axhline(1, color="0.3", linewidth=0.9, linestyle=":")
        panels[1].set_title("spectral radius of A + BK (dotted: 1)")
        panels[2].set_title("policy's standard deviation σ")
        panels[2].set_ylim(bottom=0)
        panels[1].legend()
        for panel in panels:
            panel.set_xlabel("thousand steps")


def draw_escapes(records: pd.DataFrame, path: pathlib.Path) -> None:
    """Draws μ and σ of every run on the two-Gaussians task, μ above σ for a variant.

    Args:
        records: As `learn_escapes` returns them.
        path: The picture to write.
    """
    names = [name for name in ESCAPES if name in set(records["variant"])]
    columns = min(_ESCAPES_A_ROW, len(names))
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
            title, of_variant = ESCAPES[names[place]][0], records["variant"]
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


#: Parts by name, each with the functions that make, tabulate and draw its records.
PARTS: dict[str, tuple[Callable, Callable, Callable]] = {
    **{
        f"values-{critic}": (
            functools.partial(learn_values, critic),
            tabulate_values,
            draw_values,
        )
        for critic in ("quadratic", "tanh")
    },
    "policies": (learn_policies, tabulate_policies, draw_policies),
    "escapes": (learn_escapes, tabulate_escapes, draw_escapes),
}

# The column, by part, that says which arm, λ or variant a run has: its kind.
_KINDS = {"policies": "kl_penalty", "escapes": "variant"}


def kind_column(part: str) -> str:
    """Returns the column of a part's table that holds the kind of a run.

    The kind is the arm of the values, λ of the policies and the variant of the escapes.
    """
    return _KINDS.get(part, "arm")


def known_kinds(part: str, records: pd.DataFrame, seeds: int) -> set[str]:
    """Returns the kinds of runs that a table has for all wanted seeds.

    Args:
        part: One of `PARTS`.
        records: The table of the part.
        seeds: Number of wanted seeds; they start at 0.
    """
    kinds = records.groupby(kind_column(part))["seed"]
    return {str(kind) for kind, each in kinds if set(range(seeds)) <= set(each)}


def all_kinds(part: str) -> list[str]:
    """Returns the kinds of runs that a part has."""
    from smoothie_tf.experiments.theory import ground_truth

    if part == "policies":
        return [str(each) for each in KL_PENALTIES]
    return (
        list(ESCAPES) if part == "escapes" else [arm.name for arm in ground_truth.ARMS]
    )
