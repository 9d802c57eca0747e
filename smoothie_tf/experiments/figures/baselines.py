"""Smoothie, searched and recommended, beside the agents a user would pick instead."""

from smoothie_tf.experiments.figures.continuous_control import (
    DDPG,
    FIGURE_3,
    SMOOTHIE,
)
from smoothie_tf.experiments.figures.grids import Arm, Figure, Panel

SMOOTHIE_RECOMMENDED = Arm(
    "smoothie-recommended",
    "smoothie",
    "Smoothie, recommended values",
    colour="#56B4E9",
    values="recommended",
)
TD3 = Arm("td3", "td3", "TD3", colour="#009E73")
SAC = Arm("sac", "sac", "SAC", colour="#CC79A7")
_ARMS = (SMOOTHIE, SMOOTHIE_RECOMMENDED, DDPG, TD3, SAC)

#: Tasks that no hyperparameter was chosen on; 100,000 steps are enough for them.
HELD_OUT = ("Reacher-v5", "Pusher-v5", "Pendulum-v1")
BASELINES = Figure.of_panels(
    "Baselines",
    "Smoothie beside DDPG, TD3 and SAC",
    (
        *(Panel(env, env, _ARMS, 0) for env in FIGURE_3.envs),
        *(Panel(env, env, _ARMS, 100_000) for env in HELD_OUT),
    ),
)
