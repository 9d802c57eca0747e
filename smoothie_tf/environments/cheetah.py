"""Half-Cheetah, with the springs that help it to stand, or without.

Section 6.2 of Heess et al. (2015): "Half-Cheetah has a version with springs to aid
balanced standing and a version without them." Gymnasium's HalfCheetah-v5, whose joints
have the springs; 17 observations, since the horizontal position is left out, where the
paper has 18.

Importing this module imports no TensorFlow.
"""

from typing import Any

from gymnasium.envs.mujoco import half_cheetah_v5


class CheetahEnvironment(half_cheetah_v5.HalfCheetahEnv):
    """Gymnasium's task, whose joints need not have springs."""

    def __init__(self, springs: bool = True, **kwargs: Any):
        """Makes the task.

        Args:
          springs: Whether the joints have them.
          **kwargs: As Gymnasium's.
        """
        super().__init__(**kwargs)
        if not springs:
            self.model.jnt_stiffness[:] = 0.0
