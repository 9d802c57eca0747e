"""What the paper leaves open, one choice after the other, for both agents alike.

Adam's ε, what "clipping on gradients of Q" clips, and whether replay holds actions as
drawn or as clipped. The arms are cumulative: each has the choices of the one before
it. What the library of the paper's time and the first author's code of the same year
suggest is taken, unless it is clearly worse. The first arm of each agent is Figure
3's, cut off. DDPG stores clipped actions as it is.
"""

from smoothie_tf.experiments.figures.continuous_control import DDPG, SMOOTHIE
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

#: Bindings of what was decided, for searches and the runs with their values.
DECIDED = {"smoothie": _SMOOTHIE[-1].gin_bindings, "ddpg": _DDPG[-1].gin_bindings}

CHOICES = Figure.of_panels(
    "Choices",
    "what the paper leaves open",
    tuple(
        Panel(f"{env}: {name}", env, arms, STEPS)
        for env in ("HalfCheetah-v5", "Swimmer-v5")
        for name, arms in (("Smoothie", _SMOOTHIE), ("DDPG", _DDPG))
    ),
)
