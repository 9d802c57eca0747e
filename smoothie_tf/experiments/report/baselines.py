"""The report's section on Smoothie beside DDPG, TD3 and SAC, and others' returns."""

import pathlib

import pandas as pd

from smoothie_tf.experiments.drawing import curves
from smoothie_tf.experiments.evidence import evidence, statistics, writing
from smoothie_tf.experiments.figures.baselines import (
    BASELINES,
    HELD_OUT,
    SMOOTHIE_RECOMMENDED,
)
from smoothie_tf.experiments.figures.continuous_control import DDPG, FIGURE_3, SMOOTHIE
from smoothie_tf.experiments.figures.grids import Arm
from smoothie_tf.experiments.report import tables

_COMMAND = "python reproduce/baselines.py --preset short"
_LAST = "recommended − DDPG"
_SHOWN = SMOOTHIE_RECOMMENDED, SMOOTHIE, DDPG
_BESIDE = [
    "task",
    *(f"{arm.label}, training" for arm in _SHOWN),
    f"{_LAST}, training",
    "recommended − Smoothie",
]
# Without runs of these, the section would only repeat Figure 3.
_OWN = [arm for arm in BASELINES.arms if arm not in FIGURE_3.arms]


def section(found: evidence.Evidence, out_dir: pathlib.Path) -> list[str]:
    """Writes the section.

    Args:
        found: The evidence.
        out_dir: Directory of the picture, a subdirectory of the report's.
    """
    finals = found.baselines
    parts = ["## Where Smoothie stands\n"]
    if not any(len(finals.values(env, arm)) for env in BASELINES.envs for arm in _OWN):
        return [*parts, tables.not_yet(_COMMAND, "python reproduce/collect.py")]
    rows = [
        [
            env,
            *(_cell(finals, env, arm) for arm in BASELINES.arms),
            _difference(finals, env),
        ]
        for env in BASELINES.envs
    ]
    name = f"{BASELINES.name}.png"
    curves.draw(
        curves.RETURN,
        finals.frame,
        BASELINES,
        finals.runs,
        out_dir / name,
        [
            panel
            for panel in curves.compared(BASELINES, finals.runs)
            if any(len(finals.values(panel.env, arm)) for arm in _OWN)
        ],
    )
    return [
        *parts,
        "Final returns of the mean action with 95 % intervals of the mean, and the "
        "number of seeds; 300,000 steps, on "
        f"{', '.join(HELD_OUT)} 100,000. On the tasks of Figure 3, Smoothie and DDPG "
        "have its hyperparameters, on the others those of `gin/agents/`. The "
        "recommended values are the same on every task, and were chosen without the "
        "last three. TD3 and SAC are TF-Agents' own with the settings of their "
        "papers. The last column has Welch's interval.\n",
        tables.table(["task", *(arm.label for arm in BASELINES.arms), _LAST], rows),
        "The recommended values in training returns, with noise (± is the standard "
        "deviation over seeds), and beside Smoothie's other ones:\n",
        tables.table(_BESIDE, _beside(finals)),
        f"![{BASELINES.subject}](report/{name})\n",
        f"```\n{_COMMAND}\n```\n",
    ]


def _cell(finals: evidence.Finals, env: str, arm: Arm) -> str:
    returns = finals.values(env, arm)
    if not len(returns):
        return "not yet run"
    if len(returns) < evidence.LEAST_SEEDS:
        return f"{writing.mean_and_std(returns)} (n = {len(returns)})"
    return f"{writing.interval(statistics.mean(returns))} (n = {len(returns)})"


def _difference(
    finals: evidence.Finals,
    env: str,
    other: Arm = DDPG,
    column: str = "evaluation_return",
) -> str:
    """Writes how much higher a return is with the recommended values."""
    arms = SMOOTHIE_RECOMMENDED, other
    if not finals.has(env, arms):
        return ""
    ours, theirs = (finals.values(env, arm, column) for arm in arms)
    return writing.interval(statistics.difference(ours, theirs), with_signs=True)


def _beside(finals: evidence.Finals) -> list[list[str]]:
    """Writes training returns, and what the recommended values have above others."""
    noisy = "training_return"
    return [
        [
            env,
            *(writing.mean_and_std(finals.values(env, arm, noisy)) for arm in _SHOWN),
            _difference(finals, env, DDPG, noisy),
            _difference(finals, env, SMOOTHIE),
        ]
        for env in BASELINES.envs
        if len(finals.values(env, SMOOTHIE_RECOMMENDED))
    ]


def published(found: evidence.Evidence) -> list[str]:
    """Writes others' published returns of DDPG, TD3 and SAC beside those of ours."""
    table = found.table("published_returns.csv", text=True)
    if table is None:
        return []
    rows = [["" if pd.isna(cell) else cell for cell in row] for row in table.to_numpy()]
    steps = list(table.columns).index("steps")
    for row in rows:
        row[steps] = f"{int(row[steps]):,}"
    labels = BASELINES.labels
    for preset in found.presets:
        is_own = preset.name == evidence.BASELINES_PRESET
        runs = (found.baselines if is_own else found.finals[preset.name]).by_run
        for variant in ("ddpg", "td3", "sac"):
            arm = runs[(runs["variant"] == variant) & runs["env"].isin(FIGURE_3.envs)]
            if arm.empty:
                continue
            by_env = arm.groupby("env")
            cells = {
                env.split("-")[0]: writing.mean_and_std(each["evaluation_return"])
                for env, each in by_env
            }
            counts = sorted(set(by_env.size()))
            seeds = "–".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
            head = [labels[variant], "**ours**", "v5", f"{preset.num_steps:,}", seeds]
            rows.append([*head, *(cells.get(task, "") for task in table.columns[5:])])
    order = list(dict.fromkeys(row[0] for row in rows))
    rows.sort(key=lambda row: order.index(row[0]))
    return [
        "## Others' returns\n",
        "This table checks that our baselines work. Task versions, networks and "
        "hyperparameters differ, so only orders of magnitude can be compared. Others' "
        "numbers are as printed by their authors, rounded "
        "([`published_returns.csv`](published_returns.csv)); (highest) marks averages "
        "of each run's highest evaluation, which is above its last ones.\n",
        tables.table(list(table.columns), rows),
    ]
