"""Choices that the paper leaves open, added one after the other, for both agents.

They are Adam's ε, what "clipping on gradients of Q" clips, and whether replay holds
actions before or after clipping. Each arm adds a choice to the previous one. We follow
the library of the paper's time and the first author's code of the same year, unless
that is clearly worse. Values are those of the first search. DDPG stores clipped actions
by default.
"""

from smoothie_tf.experiments.figures.continuous_control import (
    DDPG,
    SMOOTHIE,
    of_first_search,
)
from smoothie_tf.experiments.figures.grids import Arm, Figure, Panel

#: Steps of every run.
STEPS = 150_000

_EPSILON = "create_agent.adam_epsilon = 1e-8"


def _dqda(agent):
    return f"{agent}.gradient_clipping = None", f"{agent}.dqda_clipping = 4.0"


_SMOOTHIE = (
    SMOOTHIE,
    Arm("smoothie-epsilon", "smoothie", "... ε = 1e-8", (_EPSILON,), "#E69F00"),
    Arm(
        "smoothie-epsilon-dqda-clipped",
        "smoothie",
        "... clipping ∂Q̃/∂a, clipped actions",
        (_EPSILON, *_dqda("SmoothieAgent"), "SmoothieAgent.clip_actions = True"),
        "#56B4E9",
    ),
)
_DDPG = (
    DDPG,
    Arm("ddpg-epsilon", "ddpg", "... ε = 1e-8", (_EPSILON,), "#E69F00"),
    Arm(
        "ddpg-epsilon-dqda",
        "ddpg",
        "... clipping ∂Q/∂a",
        (_EPSILON, *_dqda("DdpgAgent")),
        "#56B4E9",
    ),
)

CHOICES = Figure.of_panels(
    "Choices",
    "what the paper leaves open",
    tuple(
        Panel(f"{env}: {name}", env, tuple(map(of_first_search, arms)), STEPS)
        for env in ("HalfCheetah-v5", "Swimmer-v5")
        for name, arms in (("Smoothie", _SMOOTHIE), ("DDPG", _DDPG))
    ),
)
