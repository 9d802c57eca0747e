"""The commands of the figures that are learning curves, one per figure.

Their flags and exit statuses are those of `figure.figure_command`.
"""

import functools
from collections.abc import Sequence

from smoothie_tf.experiments.commands.figure import figure_command
from smoothie_tf.experiments.figures.baselines import BASELINES
from smoothie_tf.experiments.figures.behind_ddpg import BEHIND_DDPG, EQUAL
from smoothie_tf.experiments.figures.choices import CHOICES
from smoothie_tf.experiments.figures.continuous_control import (
    DDPG,
    FIGURE_3,
    FIGURE_4,
)
from smoothie_tf.experiments.figures.neighbours import NEIGHBOURS, SOFT_DDPG_WIDTHS
from smoothie_tf.experiments.figures.svg import (
    SVG_FIGURE_2,
    SVG_FIGURE_3,
    SVG_FIGURE_4,
    SVG_TASKS,
)

figure3 = functools.partial(figure_command, FIGURE_3)
figure4 = functools.partial(figure_command, FIGURE_4)
baselines = functools.partial(figure_command, BASELINES)
behind_ddpg = functools.partial(figure_command, BEHIND_DDPG, baseline=EQUAL.variant)
choices = functools.partial(figure_command, CHOICES)
soft_ddpg = functools.partial(
    figure_command, NEIGHBOURS, ablation=SOFT_DDPG_WIDTHS, baseline=DDPG.variant
)
svg_figure3 = functools.partial(figure_command, SVG_FIGURE_3)
svg_tasks = functools.partial(figure_command, SVG_TASKS)


def svg_figure2(argv: Sequence[str] | None = None) -> int:
    """Trains and draws Figure 2 of the SVG paper, and measures learned models."""
    from smoothie_tf.experiments.svg.models import measure

    return figure_command(SVG_FIGURE_2, argv, finish=measure)


def svg_figure4(argv: Sequence[str] | None = None) -> int:
    """Trains and draws Figure 4 of the SVG paper, and measures its policies."""
    from smoothie_tf.experiments.svg.behaviour import measure

    return figure_command(SVG_FIGURE_4, argv, finish=measure)
