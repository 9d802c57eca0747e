"""Variants that test what lowers Smoothie's return on two tasks.

On HalfCheetah, with the hyperparameters that Table 1's first search found for each
agent, Smoothie's mean return is below DDPG's. Both searches draw the same numbers, so
both agents were tried with equal values: in trial 2, DDPG's best, Smoothie's σ vanished
within some 50,000 steps. The arms start from these values and change what their labels
say, also on Swimmer, which has HalfCheetah's values.
"""

from smoothie_tf.experiments.figures import continuous_control
from smoothie_tf.experiments.figures.continuous_control import of_first_search
from smoothie_tf.experiments.figures.grids import Arm, Figure, Panel

HALFCHEETAH = "HalfCheetah-v5"
SWIMMER = "Swimmer-v5"
#: Environment steps after which the two agents differ, by task.
STEPS = {HALFCHEETAH: 150_000, SWIMMER: 200_000}

SMOOTHIE = of_first_search(continuous_control.SMOOTHIE)
DDPG = of_first_search(continuous_control.DDPG)
# The best of each search on HalfCheetah at commit 173f83c (gin/tuned/*-first-search).
_DDPGS_VALUES = (
    "create_agent.actor_learning_rate = 0.0002075",
    "create_agent.critic_learning_rate = 0.0004372",
    "SmoothieAgent.reward_scale_factor = 0.2957",
)
_SMOOTHIES_VALUES = (
    "create_agent.actor_learning_rate = 7.375e-06",
    "create_agent.critic_learning_rate = 0.0002021",
    "DdpgAgent.reward_scale_factor = 0.04636",
)
# σ = e^(φ/2) of 0.14, where the default starts from 0.61.
_NARROW = "initial_log_variance = -4.0"
_HELD = "covariance_learning_rate_factor = 0.0"
# Smoothie's own actor learning rate, for φ alone.
_SLOW = "covariance_learning_rate_factor = 0.0355"


def _smoothie(name, label, colour, *bindings):
    bound = (f"SmoothieAgent.{each}" for each in bindings)
    variant = f"smoothie-ddpg-values-{name}"
    arm = Arm(variant, "smoothie", label, (*_DDPGS_VALUES, *bound), colour)
    return of_first_search(arm)


def _ddpg(name, label, colour, *bindings):
    return of_first_search(Arm(f"ddpg-{name}", "ddpg", label, bindings, colour))


#: Smoothie where it differs from DDPG in the algorithm alone.
EQUAL = of_first_search(
    Arm(
        "smoothie-ddpg-values",
        "smoothie",
        "Smoothie, DDPG's values",
        _DDPGS_VALUES,
        "#000000",
    )
)
NARROW_SLOW = _smoothie(
    "narrow-slow", "... σ from 0.14, φ's 1/28", "#009E73", _SLOW, _NARROW
)
SIGMA = (
    _smoothie("held", "... σ held at 0.61", "#E69F00", _HELD),
    _smoothie("slow", "... φ's steps 1/28, its own rate", "#56B4E9", _SLOW),
    _smoothie("narrow-held", "... σ held at 0.14", "#CC79A7", _HELD, _NARROW),
    NARROW_SLOW,
)
OTHERS = (
    _smoothie(
        "kl-0.04", "... λ = 0.04, Table 1's most", "#E69F00", "kl_penalty = 0.04"
    ),
    _smoothie(
        "clipped", "... stored actions clipped", "#56B4E9", "clip_actions = True"
    ),
    _smoothie("expected", "... (16) and (17)", "#009E73", "evaluation = 'expected'"),
)
NARROW = of_first_search(
    Arm(
        "smoothie-narrow",
        "smoothie",
        "Smoothie, σ from 0.14",
        (f"SmoothieAgent.{_NARROW}",),
        "#009E73",
    )
)
DDPG_AS_SMOOTHIE = _ddpg(
    "smoothie-values", "DDPG, Smoothie's values", "#E69F00", *_SMOOTHIES_VALUES
)
WHITE_NOISE = _ddpg(
    "white-noise",
    "DDPG, white noise of σ = 0.61",
    "#56B4E9",
    "DdpgAgent.ou_damping = 1.0",
    "DdpgAgent.ou_stddev = 0.6065",
)

BEHIND_DDPG = Figure.of_panels(
    "Behind DDPG",
    "Smoothie with one change at a time",
    tuple(
        Panel(title, env, arms, STEPS[env])
        for title, env, arms in (
            (
                "HalfCheetah: values and algorithm",
                HALFCHEETAH,
                (SMOOTHIE, DDPG, EQUAL, DDPG_AS_SMOOTHIE),
            ),
            (
                "HalfCheetah, DDPG's values: σ",
                HALFCHEETAH,
                (DDPG, EQUAL, *SIGMA),
            ),
            (
                "HalfCheetah, DDPG's values: the rest",
                HALFCHEETAH,
                (DDPG, EQUAL, *OTHERS),
            ),
            (
                "HalfCheetah, own values: noise",
                HALFCHEETAH,
                (SMOOTHIE, NARROW, DDPG, WHITE_NOISE),
            ),
            (
                "Swimmer: values and algorithm",
                SWIMMER,
                (SMOOTHIE, DDPG, EQUAL, DDPG_AS_SMOOTHIE),
            ),
            (
                "Swimmer, DDPG's values: σ and noise",
                SWIMMER,
                (DDPG, EQUAL, NARROW_SLOW, WHITE_NOISE),
            ),
        )
    ),
)
