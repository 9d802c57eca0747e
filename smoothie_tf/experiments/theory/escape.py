"""Counts the runs that escape from the worse mode of the two-Gaussians task.

Shapes: T records of a run.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from smoothie_tf.environments import two_gaussians

ENVIRONMENT = "smoothie_tf/TwoGaussians-v0"
#: Agents and their labels, in the order of tables and legends.
ALL_AGENTS = {
    "smoothie": "Smoothie",
    "ddpg": "DDPG",
    "soft_ddpg": "Soft DDPG",
    "svg0": "SVG(0)",
}
#: Agents of the paper's Figure 2.
AGENTS = {agent: ALL_AGENTS[agent] for agent in ("smoothie", "ddpg")}
#: Smallest change of σ that counts as a turn, relative to its extreme in the leg.
TURN = 0.01
#: Indices of the mixture's components whose centres are the two modes.
WORSE, BETTER = two_gaussians.WORSE, two_gaussians.BETTER

_MIXTURE = two_gaussians.MIXTURE
_FIXED_STDDEV = ("ddpg", "soft_ddpg")


@dataclasses.dataclass(frozen=True)
class FinishedRun:
    """The results of a run.

    Attributes:
        records: Columns environment, agent, seed, step, update, mean (μ), stddev (σ),
            value_at_worse and value_at_better (the critic's values at the two modes).
        replay_share_at_better: Share of the actions in the replay buffer that lie
            within one width of the better mode.
    """

    records: pd.DataFrame
    replay_share_at_better: float


@dataclasses.dataclass(frozen=True)
class Escape:
    """A comparison of agents on the two-Gaussians task.

    Attributes:
        name: Name of its script, and first part of the names of its files.
        title: Title in messages.
        subject: Description for `--help`.
        agents: The agents, in order, and their labels.
        environments: Gymnasium ids of versions of the task, and their labels.
        draw: Draws the records (see `FinishedRun`) and the table (see `tabulate_runs`)
            and writes the picture to a path.
    """

    name: str
    title: str
    subject: str
    agents: Mapping[str, str]
    environments: Mapping[str, str]
    draw: Callable[[pd.DataFrame, pd.DataFrame, pathlib.Path], None]


def near(action: np.ndarray | float, mode: int) -> np.ndarray:
    """Returns whether actions lie within one width of a mode of the mixture."""
    return np.abs(action - _MIXTURE.centres[mode]) <= _MIXTURE.widths[mode]


def legs(stddev: np.ndarray) -> list[str]:
    """Splits the course of a standard deviation into falling and rising legs.

    Args:
        stddev: σ over training, above 0, shape [T].

    Returns:
        "fell" and "rose" in turn; empty if σ never changed by `TURN`.
    """
    found: list[str] = []
    low = high = stddev[0]
    for value in stddev:
        low, high = min(low, value), max(high, value)
        if found[-1:] != ["fell"] and value <= high * (1 - TURN):
            found.append("fell")
            low = high = value
        elif found[-1:] != ["rose"] and value >= low * (1 + TURN):
            found.append("rose")
            low = high = value
    return found


def tabulate_runs(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Tabulates how each run ended.

    Args:
        runs: The runs, in any order.

    Returns:
        One row per run, with columns environment, agent, seed, final_mean,
        final_stddev, ends_on ("better" or "worse" if the final mean is within one
        width of that mode, else "neither"), stddev_legs (see `legs`),
        stddev_fell_rose_fell, replay_share_at_better, value_at_worse,
        value_at_better, and critic_prefers_better_from: the first recorded update
        from which the critic's value at the better mode stays the higher one; empty if
        there is none.
    """
    rows = []
    for run in runs:
        records = run.records
        final = records.iloc[-1]
        found = legs(records["stddev"].to_numpy())
        prefers = records["value_at_better"] > records["value_at_worse"]
        until_end = prefers[::-1].cummin()[::-1]
        updates = records["update"][until_end]
        ends_on = "neither"
        for name, mode in (("better", BETTER), ("worse", WORSE)):
            if near(final["mean"], mode):
                ends_on = name
        rows.append(
            {
                "environment": final["environment"],
                "agent": final["agent"],
                "seed": final["seed"],
                "final_mean": final["mean"],
                "final_stddev": final["stddev"],
                "ends_on": ends_on,
                "stddev_legs": " ".join(found),
                "stddev_fell_rose_fell": found == ["fell", "rose", "fell"],
                "replay_share_at_better": run.replay_share_at_better,
                "value_at_worse": final["value_at_worse"],
                "value_at_better": final["value_at_better"],
                "critic_prefers_better_from": updates.iloc[0] if len(updates) else None,
            }
        )
    table = pd.DataFrame(rows)
    table["critic_prefers_better_from"] = table["critic_prefers_better_from"].astype(
        "Int64"
    )
    return in_order(table)


def summarize(table: pd.DataFrame, agents: Mapping[str, str] = AGENTS) -> str:
    """Counts the runs in which the claims of the figure hold.

    Args:
        table: As `tabulate_runs` returns it, for one environment.
        agents: The agents in the table, in order, and their labels.

    Returns:
        A table as text, with one column per agent.
    """

    def count(holds):
        return f"{int(holds.sum())} of {len(holds)}"

    columns = {}
    for agent, label in agents.items():
        runs = table[table["agent"] == agent]
        shares = 100 * runs["replay_share_at_better"]
        since = runs["critic_prefers_better_from"]
        columns[label] = [
            count(runs["ends_on"] == "better"),
            count(runs["ends_on"] == "worse"),
            "fixed" if agent in _FIXED_STDDEV else count(runs["stddev_fell_rose_fell"]),
            count(runs["value_at_better"] > runs["value_at_worse"]),
            "never" if since.isna().any() else f"update {since.max():,}",
            f"{runs['value_at_worse'].mean():.2f} and"
            f" {runs['value_at_better'].mean():.2f}",
            f"{shares.min():.1f} to {shares.max():.1f} %",
        ]
    index = [
        "runs that end on the better mode",
        "runs that end on the worse mode",
        f"σ fell, rose and fell again (by {TURN:.0%} or more)",
        "critic values the better mode more at the end",
        "... in every run, at the latest since",
        "critic's value at the worse and better mode, mean",
        "actions in replay within a width of the better mode",
    ]
    return pd.DataFrame(columns, index=index).to_string()


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Sorts rows by environment, by agent as in `ALL_AGENTS`, and by seed."""
    order = {agent: i for i, agent in enumerate(ALL_AGENTS)}
    keys = ["environment", "_order", "seed"]
    # The shorter id is that of the task with the dense reward, which comes first.
    frame = frame.assign(_order=frame["agent"].map(order)).sort_values(
        keys, kind="stable", key=lambda c: c.str.len() if c.name == keys[0] else c
    )
    return frame.drop(columns="_order").reset_index(drop=True)
