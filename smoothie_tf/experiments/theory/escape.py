"""Which agents leave the worse mode of the two-Gaussians task: how runs are counted.

Shapes: T records of a run.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from smoothie_tf.environments import two_gaussians
from smoothie_tf.experiments.drawing import style

ENVIRONMENT = "smoothie_tf/TwoGaussians-v0"
#: Agents in the order of tables and legends, by the names they have there.
ALL_AGENTS = {
    "smoothie": "Smoothie",
    "ddpg": "DDPG",
    "soft_ddpg": "Soft DDPG",
    "svg0": "SVG(0)",
}
#: Those of the paper's figure.
AGENTS = {agent: ALL_AGENTS[agent] for agent in ("smoothie", "ddpg")}
#: Smallest turn of σ that counts, relative to the extreme before it.
TURN = 0.01
COLOURS = {
    "smoothie": style.SMOOTHIE,
    "ddpg": style.DDPG,
    "soft_ddpg": style.SOFT_DDPG,
    "svg0": style.SVG0,
}
#: Places of the two modes in the mixture's components.
WORSE, BETTER = np.argsort(two_gaussians.MIXTURE.heights)

_MIXTURE = two_gaussians.MIXTURE
_FIXED_STDDEV = ("ddpg", "soft_ddpg")


@dataclasses.dataclass(frozen=True)
class FinishedRun:
    """What a run hands back.

    Attributes:
        records: Columns environment, agent, seed, step, update, mean (μ), stddev
            (σ), value_at_worse and value_at_better (the critic's, at the two modes).
        replay_share_at_better: Share of the actions in replay that lie within one
            width of the better mode.
    """

    records: pd.DataFrame
    replay_share_at_better: float


@dataclasses.dataclass(frozen=True)
class Escape:
    """A comparison of agents on the two-Gaussians task.

    Attributes:
        name: Stem of its files and of its script.
        title: What it is called.
        subject: What it shows.
        agents: The agents, in order, and their labels.
        environments: Ids of versions of the task, and their labels.
        draw: Draws records and table (see `FinishedRun` and `tabulate_runs`) to a
            path.
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


def legs(stddev: np.ndarray, turn: float = TURN) -> list[str]:
    """Splits the way of a standard deviation at its turns.

    Args:
        stddev: σ over training, above 0, shape [T].
        turn: A leg begins once σ has gone this share the other way, relative to its
            extreme since the leg before.

    Returns:
        "fell" and "rose" by turns; empty if σ never went that far.
    """
    found: list[str] = []
    low = high = stddev[0]
    for value in stddev:
        low, high = min(low, value), max(high, value)
        if found[-1:] != ["fell"] and value <= high * (1 - turn):
            found.append("fell")
            low = high = value
        elif found[-1:] != ["rose"] and value >= low * (1 + turn):
            found.append("rose")
            low = high = value
    return found


def tabulate_runs(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Tabulates how each run ended, one row a run.

    Args:
        runs: The runs, in any order.

    Returns:
        Columns environment, agent, seed, final_mean, final_stddev, ends_on ("better",
        "worse" or "neither": within one width of that mode), stddev_legs (see
        `legs`), stddev_fell_rose_fell, replay_share_at_better, value_at_worse,
        value_at_better, and critic_prefers_better_from: the first update from which
        on the critic values the better mode more to the end, empty if there is none.
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
    """Returns what the figure claims, counted over all runs, as lines of text.

    Args:
        table: As `tabulate_runs` returns it, of one environment.
        agents: The agents in it, in order, and their labels.
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
    """Returns the rows by environment, as `ALL_AGENTS` orders them, and by seed."""
    order = {agent: i for i, agent in enumerate(ALL_AGENTS)}
    keys = ["environment", "_order", "seed"]
    # The dense task before its discretized version.
    frame = frame.assign(_order=frame["agent"].map(order)).sort_values(
        keys, kind="stable", key=lambda c: c.str.len() if c.name == keys[0] else c
    )
    return frame.drop(columns="_order").reset_index(drop=True)
