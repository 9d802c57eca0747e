"""Tasks of our own, registered with Gymnasium, and the bridge to TF-Agents.

Importing any module here but `gymnasium_environment` imports no TensorFlow. That
module's `known_to_agents` says what a task's `reward_fn` takes.
"""

import os
from typing import Any

import gymnasium

from smoothie_tf import quiet

# Imported for its gin bindings: Gymnasium would import it only in `make`.
from smoothie_tf.environments import (
    discretized_reward,
    linear_quadratic,  # noqa: F401
)

# Before a task imports it, which fails on some values that matter only for rendering.
if "MUJOCO_GL" in os.environ:
    quiet.import_mujoco()

gymnasium.register(
    id="smoothie_tf/TwoGaussians-v0",
    entry_point="smoothie_tf.environments.two_gaussians:TwoGaussiansEnvironment",
)
gymnasium.register(
    id="smoothie_tf/LinearQuadratic-v0",
    entry_point="smoothie_tf.environments.linear_quadratic:LinearQuadraticEnvironment",
    max_episode_steps=100,
)

# Tasks of Heess et al. (2015). The two cheetahs and Walker, registered below, are
# Gymnasium's HalfCheetah-v5 (with or without springs) and Walker2d-v5, under names of
# their own so that their settings are separate.
_TASKS: tuple[tuple[str, str, str, int, dict[str, Any]], ...] = (
    ("Hand", "hand", "HandEnvironment", 1000, {}),
    ("CartpoleSwingup", "cartpole", "CartpoleEnvironment", 250, {}),
    ("Swimmer3", "swimmer", "SwimmerEnvironment", 300, {"links": 3}),
    ("Swimmer5", "swimmer", "SwimmerEnvironment", 300, {"links": 5}),
    ("Swimmer7", "swimmer", "SwimmerEnvironment", 300, {"links": 7}),
    ("FourTargetReacher", "reacher", "ReacherEnvironment", 150, {}),
    ("MovingTargetReacher", "reacher", "ReacherEnvironment", 150, {"moving": True}),
    ("Gripper", "reacher", "GripperEnvironment", 200, {}),
    ("Monoped", "monoped", "MonopedEnvironment", 200, {}),
    ("CheetahWithSprings", "cheetah", "CheetahEnvironment", 1000, {}),
    (
        "CheetahWithoutSprings",
        "cheetah",
        "CheetahEnvironment",
        1000,
        {"springs": False},
    ),
)
for _name, _module, _class, _steps, _arguments in _TASKS:
    gymnasium.register(
        id=f"smoothie_tf/{_name}-v0",
        entry_point=f"smoothie_tf.environments.{_module}:{_class}",
        max_episode_steps=_steps,
        kwargs=_arguments,
    )
gymnasium.register(
    id="smoothie_tf/Walker-v0",
    entry_point="gymnasium.envs.mujoco.walker2d_v5:Walker2dEnv",
    max_episode_steps=1000,
)

# Ranges of one step's reward. If the task does not define one, it is calibrated: it
# holds the 1st to 99th percentile of the rewards of uniformly random actions in 20,000
# steps (in the comments), and the rewards of the best known policies.
for _environment_id, _low, _high in (
    # Its own bounds: 1 is the better mode's height.
    ("smoothie_tf/TwoGaussians-v0", 0.0, 1.0),
    # Its own bounds: 1 while the pole stands. It has no other values, so its
    # discretized version is the task itself.
    ("InvertedPendulum-v5", 0.0, 1.0),
    ("Hopper-v5", -1.0, 5.0),  # -0.87 to 2.15; 3.5 a step is a return of 3,500.
    ("Walker2d-v5", -1.0, 5.0),  # -1.40 to 1.25; 4.5 a step is a return of 4,500.
    ("HalfCheetah-v5", -2.0, 12.0),  # -1.86 to 1.20; 11.7 a step is one of 11,700.
):
    discretized_reward.register(_environment_id, _low, _high)
