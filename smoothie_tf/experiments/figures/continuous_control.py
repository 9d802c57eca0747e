"""Figures 3 and 4: Smoothie, with and without its KL-penalty, and DDPG."""

import dataclasses

from smoothie_tf.experiments.figures.grids import Arm, Figure

SMOOTHIE = Arm("smoothie", "smoothie", "Smoothie")
DDPG = Arm("ddpg", "ddpg", "DDPG")
SMOOTHIE_WITHOUT_KL = Arm(
    "smoothie-no-kl",
    "smoothie",
    "Smoothie, no KL-penalty (λ = 0)",
    ("SmoothieAgent.kl_penalty = 0.0",),
)
#: "The lambda coefficient on KL-penalty only applies to Smoothie with a KL-penalty"
#: (Table 1): the paper has searched the arm without it by itself.
SMOOTHIE_SEARCHED_WITHOUT_KL = Arm(
    "smoothie-no-kl-searched",
    "smoothie",
    "Smoothie, no KL-penalty, searched without λ",
    ("SmoothieAgent.kl_penalty = 0.0",),
    tuned_as="smoothie-no-kl",
)


def of_first_search(arm: Arm) -> Arm:
    """Returns an arm with the values that the first search on HalfCheetah found.

    Comparisons that were made with them keep them; figures 3 and 4 have later ones.
    """
    return dataclasses.replace(arm, tuned_as=f"{arm.agent}-first-search")


FIGURE_3 = Figure(
    title="Figure 3",
    subject="Smoothie and DDPG on continuous control",
    arms=(SMOOTHIE, DDPG),
    envs=(
        "HalfCheetah-v5",
        "Swimmer-v5",
        "Hopper-v5",
        "Walker2d-v5",
        "Ant-v5",
        "Humanoid-v5",
    ),
)
FIGURE_4 = Figure(
    title="Figure 4",
    subject="Smoothie with and without the KL-penalty",
    arms=(
        dataclasses.replace(SMOOTHIE, label="Smoothie, KL-penalty (λ > 0)"),
        SMOOTHIE_WITHOUT_KL,
        SMOOTHIE_SEARCHED_WITHOUT_KL,
    ),
    envs=("Hopper-v5", "Walker2d-v5", "Ant-v5", "Humanoid-v5"),
)
