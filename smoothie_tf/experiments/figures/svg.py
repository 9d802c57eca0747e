"""Figures 2, 3 and 4 of Heess et al. (2015): which runs they are made of.

A fourth figure, of our own, shows the first steps of each task; its runs are the
beginnings of the others' runs. The paper gives neither lengths nor seeds, and labels
the curves of few panels; we chose the rest. Panels differ in arms and in length; the
lengths here apply with the preset `svg`.
"""

import dataclasses

from smoothie_tf.experiments.figures.grids import Arm, Figure, Panel

SVG1_ER = Arm("svg1_er", "svg1_er", "SVG(1)-ER", colour="#D55E00")
SVG1 = Arm("svg1", "svg1", "SVG(1)", colour="#0072B2")
SVG0 = Arm("svg0_episode", "svg0_episode", "SVG(0)", colour="#CC79A7")
SVG_INFINITY = Arm("svg_infinity", "svg_infinity", "SVG(∞)", colour="#009E73")
DPG = Arm("dpg", "dpg", "DPG", colour="#E69F00")
ACTOR_CRITIC = Arm(
    "td_actor_critic", "td_actor_critic", "TD actor-critic", colour="#000000"
)
PLANNER = Arm("planner", "planner", "planner", colour="#999999")
PLANNER_WITH_TRUE_MODEL = Arm(
    "planner-true-model",
    "planner",
    "planner, true model",
    (
        "create_agent.dynamics_network = @HandDynamics",
        "SvgInfinityAgent.model_updates = 1",
    ),
    "#56B4E9",
)

HAND = "smoothie_tf/Hand-v0"
CARTPOLE = "smoothie_tf/CartpoleSwingup-v0"
SWIMMER_3 = "smoothie_tf/Swimmer3-v0"
SWIMMER_5 = "smoothie_tf/Swimmer5-v0"
SWIMMER_7 = "smoothie_tf/Swimmer7-v0"
SWIMMERS = {3: SWIMMER_3, 5: SWIMMER_5, 7: SWIMMER_7}
FOUR_TARGETS = "smoothie_tf/FourTargetReacher-v0"
MOVING_TARGET = "smoothie_tf/MovingTargetReacher-v0"
GRIPPER = "smoothie_tf/Gripper-v0"
MONOPED = "smoothie_tf/Monoped-v0"
CHEETAHS = (
    "smoothie_tf/CheetahWithSprings-v0",
    "smoothie_tf/CheetahWithoutSprings-v0",
)
WALKER = "smoothie_tf/Walker-v0"

#: Units of the value function's first layer, in the order of Figure 2's caption; the
#: first is Table 1's.
VALUE_UNITS = (200, 100, 50)
#: Units of each layer of the model's networks, in the order of Figure 3's caption.
MODEL_UNITS = (20, 10, 5)
#: Updates of Hand's model per episode. The paper gives no number. The first is our
#: default; with the second the model learns more slowly.
MODEL_UPDATES = (1000, 10)
#: Environment steps of each run of `SVG_TASKS`.
FIRST_STEPS = 50_000
#: Distance in metres below which a reacher's tip is at its target.
NEAR = 0.05
#: Table of the measures of `experiments.svg.behaviour`, written beside Figure 4.
BEHAVIOUR = "svg_behaviour.csv"
#: Table of the measures of `experiments.svg.models`, written beside Figure 2.
MODELS = "svg_models.csv"
# Colours of an arm's variants, from dark to light.
_SHADES = {
    "svg1": ("#0072B2", "#5AA5D6", "#A9D0EB"),
    "dpg": ("#E69F00", "#EDBE5A", "#F4DDAC"),
    "svg_infinity": ("#009E73", "#5AC2A4", "#A9DFD0"),
    "planner": ("#999999", "#CCCCCC"),
}


def with_value_units(arm: Arm, units: int) -> Arm:
    """Returns an arm with another first layer of its value function.

    Args:
        arm: SVG(1) or DPG.
        units: One of `VALUE_UNITS`; the first of them changes nothing but the label.
    """
    binding = f"smoothie_tf.ValueNetwork.hidden_units = ({units}, 100)"
    if arm.agent == "dpg":
        binding = f"smoothie_tf.CriticNetwork.observation_units = ({units},)"
    return _smaller(arm, "value", units, VALUE_UNITS, binding)


def with_model_units(arm: Arm, units: int) -> Arm:
    """Returns an arm with other layers of its model's networks.

    Args:
        arm: SVG(1) or SVG(∞).
        units: One of `MODEL_UNITS`; the first of them changes nothing but the label.
    """
    binding = f"DynamicsNetwork.hidden_units = ({units}, {units})"
    return _smaller(arm, "model", units, MODEL_UNITS, binding)


def with_model_updates(arm: Arm, updates: int) -> Arm:
    """Returns an arm whose model learns less from each episode.

    Args:
        arm: SVG(∞) or the planner, on Hand.
        updates: One of `MODEL_UPDATES`; the first of them changes nothing but the
            label.
    """
    binding = f"SvgInfinityAgent.model_updates = {updates}"
    return _smaller(arm, "model-updates", updates, MODEL_UPDATES, binding)


def _smaller(arm, what, number, numbers, binding):
    place = numbers.index(number)
    changes = {"label": f"{arm.label}, {number}", "colour": _SHADES[arm.agent][place]}
    if place:
        changes |= {
            "variant": f"{arm.variant}-{what}-{number}",
            "gin_bindings": (binding,),
        }
    return dataclasses.replace(arm, **changes)


SVG_FIGURE_2 = Figure.of_panels(
    "SVG, Figure 2",
    "real trajectories, experience replay, the value function's size",
    (
        Panel(
            "Hand",
            HAND,
            (SVG_INFINITY, PLANNER, PLANNER_WITH_TRUE_MODEL),
            1_500_000,
        ),
        # Not in the paper: a test of what S1 is put down to.
        Panel(
            "Hand, updates of the model an episode",
            HAND,
            tuple(
                with_model_updates(arm, updates)
                for arm in (SVG_INFINITY, PLANNER)
                for updates in MODEL_UPDATES
            ),
            1_500_000,
        ),
        Panel("Cart-pole", CARTPOLE, (SVG1_ER, SVG1, SVG0, SVG_INFINITY, DPG), 150_000),
        Panel(
            "Cart-pole, units of the value function",
            CARTPOLE,
            tuple(
                with_value_units(arm, units)
                for arm in (SVG1, DPG)
                for units in VALUE_UNITS
            ),
            150_000,
        ),
    ),
)
SVG_FIGURE_3 = Figure.of_panels(
    "SVG, Figure 3",
    "swimmers, the model's size",
    (
        Panel(
            "3-link swimmer",
            SWIMMER_3,
            (SVG_INFINITY, SVG1, SVG0, ACTOR_CRITIC),
            300_000,
        ),
        Panel(
            "3-link swimmer, units of the model",
            SWIMMER_3,
            tuple(
                with_model_units(arm, units)
                for arm in (SVG_INFINITY, SVG1)
                for units in MODEL_UNITS
            ),
            300_000,
        ),
        Panel(
            "5-link swimmer",
            SWIMMER_5,
            (SVG1_ER, SVG1, SVG_INFINITY, ACTOR_CRITIC),
            500_000,
        ),
    ),
)
SVG_FIGURE_4 = Figure.of_panels(
    "SVG, Figure 4",
    "SVG(1)-ER in complex environments",
    (
        Panel("7-link swimmer", SWIMMER_7, (SVG1_ER, SVG1, ACTOR_CRITIC), 500_000),
        Panel("4-target reacher", FOUR_TARGETS, (SVG1_ER, SVG1, ACTOR_CRITIC), 300_000),
        Panel("Moving-target reacher", MOVING_TARGET, (SVG1_ER,), 300_000),
        Panel("Gripper", GRIPPER, (SVG1_ER,), 1_000_000),
        Panel("Monoped", MONOPED, (SVG1_ER,), 300_000),
        Panel("Half-Cheetah with springs", CHEETAHS[0], (SVG1_ER,), 500_000),
        Panel("Half-Cheetah without springs", CHEETAHS[1], (SVG1_ER,), 500_000),
        Panel("Walker", WALKER, (SVG1_ER,), 1_000_000),
    ),
)
FIGURES = (SVG_FIGURE_2, SVG_FIGURE_3, SVG_FIGURE_4)

#: Hand is not among them: it has no value function, and no curve of SVG(1)-ER.
SVG_TASKS = Figure.of_panels(
    "SVG tasks",
    "the first steps of SVG(1)-ER",
    tuple(
        Panel(title, env, (SVG1_ER,), FIRST_STEPS)
        for title, env in (
            ("Cart-pole", CARTPOLE),
            *((f"{links}-link swimmer", env) for links, env in SWIMMERS.items()),
            *((panel.title, panel.env) for panel in SVG_FIGURE_4.panels[1:]),
        )
    ),
)
