"""The report's section on what lowers Smoothie's return on two tasks."""

import pathlib

from smoothie_tf.experiments.figures import behind_ddpg
from smoothie_tf.experiments.report import tables

_FIGURE = behind_ddpg.BEHIND_DDPG
_COMMAND = "```\npython reproduce/behind_ddpg.py --preset short\n```\n"


def section(results_dir: pathlib.Path) -> list[str]:
    """Writes the section.

    Args:
        results_dir: Directory of results. Its `behind_ddpg-*/`, written by
            `reproduce/behind_ddpg.py`, are read.

    Returns:
        Lines of Markdown, with pictures where there are results and the command where
        there are none.

    Raises:
        metrics.DamagedRunError: If a table exists but cannot be read.
    """
    parts = ["## HalfCheetah and Swimmer: Smoothie with one change at a time\n"]
    paths = sorted(results_dir.glob(f"{_FIGURE.name}-*/{_FIGURE.name}_runs.csv"))
    if not paths:
        return [*parts, f"Not yet run:\n\n{_COMMAND}"]
    parts.append(
        "Smoothie and DDPG each have the hyperparameters that the first search found "
        'for them on HalfCheetah. "Smoothie, DDPG\'s values" has the learning rates '
        "and the reward scale that it found for DDPG. Rows that begin with "
        '"..." add the named changes to it. On HalfCheetah, Figure 3 has the values of '
        "a later search.\n"
    )
    for path in paths:
        parts += tables.returns(path, _FIGURE, behind_ddpg.EQUAL.variant)
        stddev = f"{path.parent.name}/{_FIGURE.name}_stddev.png"
        parts.append(f"![σ of the same runs]({stddev})\n")
    return [*parts, _COMMAND]
