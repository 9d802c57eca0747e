"""The commands of all figures that are learning curves."""

from collections.abc import Sequence

from smoothie_tf.experiments.commands.figure import figure_command
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
    """Figure 3; flags and exit status are those of `figure_command`, as below."""
    return figure_command(FIGURE_3, argv)


def figure4(argv: Sequence[str] | None = None) -> int:
    """Figure 4."""
    return figure_command(FIGURE_4, argv)


def behind_ddpg(argv: Sequence[str] | None = None) -> int:
    """What holds Smoothie back where it is behind DDPG."""
    return figure_command(BEHIND_DDPG, argv, baseline=EQUAL.variant)


def choices(argv: Sequence[str] | None = None) -> int:
    """What the paper leaves open, for both agents alike."""
    return figure_command(CHOICES, argv)


def soft_ddpg(argv: Sequence[str] | None = None) -> int:
    """DDPG, Soft DDPG, SVG(0) and Smoothie, with dense and with discretized rewards."""
    return figure_command(
        NEIGHBOURS, argv, ablation=SOFT_DDPG_WIDTHS, baseline=DDPG.variant
    )


def svg_figure2(argv: Sequence[str] | None = None) -> int:
    """Figure 2 of the SVG paper, and what Hand's learned models are worth."""
    from smoothie_tf.experiments.svg.models import measure

    return figure_command(SVG_FIGURE_2, argv, finish=measure)


def svg_figure3(argv: Sequence[str] | None = None) -> int:
    """Figure 3 of the SVG paper."""
    return figure_command(SVG_FIGURE_3, argv)


def svg_figure4(argv: Sequence[str] | None = None) -> int:
    """Figure 4 of the SVG paper, and what its policies do."""
    from smoothie_tf.experiments.svg.behaviour import measure

    return figure_command(SVG_FIGURE_4, argv, finish=measure)


def svg_tasks(argv: Sequence[str] | None = None) -> int:
    """The first steps of SVG(1)-ER on each task of the SVG paper but Hand."""
    return figure_command(SVG_TASKS, argv)
