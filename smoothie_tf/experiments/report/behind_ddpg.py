"""The report's section on what holds Smoothie back where it is behind DDPG."""

import pathlib

from smoothie_tf.experiments.figures import behind_ddpg
from smoothie_tf.experiments.report import tables

_FIGURE = behind_ddpg.BEHIND_DDPG
_COMMAND = "```\npython reproduce/behind_ddpg.py --preset short\n```\n"


def section(results_dir: pathlib.Path) -> list[str]:
    """Writes the section.

    Args:
        results_dir: Read are its `behind_ddpg-*/`, as `reproduce/behind_ddpg.py` leaves
            them.

    Returns:
        Lines of Markdown, with pictures where there are results and the command where
        there are none.

    Raises:
        metrics.DamagedRunError: If a table is there and cannot be read.
    """
    parts = ["## Behind DDPG: what holds Smoothie back\n"]
    paths = sorted(results_dir.glob(f"{_FIGURE.name}-*/{_FIGURE.name}_runs.csv"))
    if not paths:
        return [*parts, f"Not yet run:\n\n{_COMMAND}"]
    parts.append(
        "Smoothie and DDPG as in Figure 3, each with the values searched for it on "
        "HalfCheetah; Smoothie with the learning rates and the reward scale that the "
        'search found for DDPG; and from there, one change at a time ("...").\n'
    )
    for path in paths:
        parts += tables.returns(path, _FIGURE, behind_ddpg.EQUAL.variant)
        stddev = f"{path.parent.name}/{_FIGURE.name}_stddev.png"
        parts.append(f"![σ of the same runs]({stddev})\n")
    return [*parts, _COMMAND]
