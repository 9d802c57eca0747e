"""Smoothie beside Soft DDPG and SVG(0), with dense and with discretized rewards."""

import dataclasses

from smoothie_tf.experiments.figures.continuous_control import DDPG, SMOOTHIE
from smoothie_tf.experiments.figures.grids import Arm, Figure

SOFT_DDPG = Arm("soft_ddpg", "soft_ddpg", "Soft DDPG")
SVG0 = Arm("svg0", "svg0", "SVG(0)")

_DISCRETIZED = ("Hopper-v5", "HalfCheetah-v5", "Walker2d-v5")
NEIGHBOURS = Figure(
    title="Soft DDPG",
    subject="four uses of a critic",
    arms=(SMOOTHIE, DDPG, SOFT_DDPG, SVG0),
    # InvertedPendulum's reward has two levels as it is: discretized, it is itself.
    envs=(
        *("InvertedPendulum-v5", *_DISCRETIZED),
        *(f"smoothie_tf/Discretized{env}" for env in _DISCRETIZED),
    ),
    tuned=False,
)
# From narrow and dark to wide and light.
_WIDTHS = {
    0.05: "#440154",
    0.1: "#3b528b",
    0.2: "#21918c",
    0.3: "#5ec962",
    0.6: "#fdae61",
}
# That of gin/agents/soft_ddpg.gin.
_DEFAULT_WIDTH = 0.3
SOFT_DDPG_WIDTHS = Figure(
    title="Soft DDPG ablation",
    subject="the width σ of its smoothing and exploration",
    arms=tuple(
        # The default width has been run where Soft DDPG has.
        dataclasses.replace(SOFT_DDPG, label=f"σ = {stddev}, default", colour=colour)
        if stddev == _DEFAULT_WIDTH
        else Arm(
            f"soft_ddpg-stddev-{stddev}",
            "soft_ddpg",
            f"σ = {stddev}",
            (f"SoftDdpgAgent.stddev = {stddev}",),
            colour,
        )
        for stddev, colour in _WIDTHS.items()
    ),
    envs=("Hopper-v5", "smoothie_tf/DiscretizedHopper-v5"),
    tuned=False,
)
