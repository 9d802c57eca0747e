"""The commands of the figures that are learning curves, one function per figure.

Their flags and exit statuses are those of `figure.figure_command`.
"""

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


def figure3(argv: Sequence[str] | None = None) -> int:
    """Trains and draws Figure 3."""
    return figure_command(FIGURE_3, argv)


def figure4(argv: Sequence[str] | None = None) -> int:
    """Trains and draws Figure 4."""
    return figure_command(FIGURE_4, argv)


def baselines(argv: Sequence[str] | None = None) -> int:
    """Trains and draws Smoothie beside DDPG, TD3 and SAC."""
    return figure_command(BASELINES, argv)


def behind_ddpg(argv: Sequence[str] | None = None) -> int:
    """Trains and draws variants of Smoothie on HalfCheetah and Swimmer."""
    return figure_command(BEHIND_DDPG, argv, baseline=EQUAL.variant)


def choices(argv: Sequence[str] | None = None) -> int:
    """Trains and draws both agents with settings that the paper does not specify."""
    return figure_command(CHOICES, argv)


def soft_ddpg(argv: Sequence[str] | None = None) -> int:
    """Trains and draws four agents with dense and with discretized rewards."""
    return figure_command(
        NEIGHBOURS, argv, ablation=SOFT_DDPG_WIDTHS, baseline=DDPG.variant
    )


def svg_figure2(argv: Sequence[str] | None = None) -> int:
    """Trains and draws Figure 2 of the SVG paper, and measures learned models."""
    from smoothie_tf.experiments.svg.models import measure

    return figure_command(SVG_FIGURE_2, argv, finish=measure)


def svg_figure3(argv: Sequence[str] | None = None) -> int:
    """Trains and draws Figure 3 of the SVG paper."""
    return figure_command(SVG_FIGURE_3, argv)


def svg_figure4(argv: Sequence[str] | None = None) -> int:
    """Trains and draws Figure 4 of the SVG paper, and measures its policies."""
    from smoothie_tf.experiments.svg.behaviour import measure

    return figure_command(SVG_FIGURE_4, argv, finish=measure)


def svg_tasks(argv: Sequence[str] | None = None) -> int:
    """Trains SVG(1)-ER for a few steps on each task of the SVG paper except Hand."""
    return figure_command(SVG_TASKS, argv)
