"""An ablation: Smoothie on a linear–quadratic task, with and without the KL penalty."""

import math
import pathlib
from collections.abc import Container

import pandas as pd

from smoothie_tf import progress_bar
from smoothie_tf.experiments.drawing import style
from smoothie_tf.experiments.theory import ablation

#: KL penalties λ.
KL_PENALTIES = (0.0, 0.1)
_NUM_STEPS = 15_000


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
    with progress_bar.create("policies", " steps", total, unit_scale=True) as bar:
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


def tabulate_policies(records: pd.DataFrame) -> pd.DataFrame:
    """Tabulates how fast and how well each run learned its policy.

    Args:
        records: As `learn_policies` returns them.

    Returns:
        One row per run.
    """
    rows = []
    for (kl_penalty, seed), run in records.groupby(["kl_penalty", "seed"]):
        # A policy that has diverged has no cost, and a mean would leave it out.
        cost = 100 * (run["cost"].fillna(math.inf) - 1)
        radius = run["spectral_radius"].fillna(math.inf)
        last = run["step"] > 0.9 * run["step"].max()
        within = run["step"][cost <= 2]
        since = run["step"][(cost <= 2)[::-1].cummin()[::-1]]
        rows.append(
            {
                "λ": f"{kl_penalty:g}",
                "seed": seed,
                "first cost above the optimum": f"{cost.iloc[0]:.0f} %",
                "first within 2 %": f"{within.iloc[0]:,}" if len(within) else "never",
                "... from then on": f"{since.iloc[0]:,}" if len(since) else "not yet",
                "last tenth, mean": f"{cost[last].mean():.2f} %",
                "last tenth, worst": f"{cost[last].max():.2f} %",
                "largest spectral radius": f"{radius.max():.4f}",
                "ever outside the stable region": (
                    "yes" if (radius >= 1).any() else "no"
                ),
                "final σ": f"{run['stddev'].iloc[-1]:.3f}",
            }
        )
    return pd.DataFrame(rows)


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


POLICIES = ablation.Ablation(
    "policies",
    "A policy",
    "Smoothie in the package's training loop, on an unstable linear–quadratic task, "
    "from a gain that barely stabilises it. Costs are of the mean action.",
    "kl_penalty",
    tuple(map(str, KL_PENALTIES)),
    learn_policies,
    tabulate_policies,
    draw_policies,
)
