"""Half-Cheetah with or without springs that help it to stand.

Section 6.2 of Heess et al. (2015): "Half-Cheetah has a version with springs to aid
balanced standing and a version without them." This is Gymnasium's HalfCheetah-v5, whose
joints have springs. It has 17 observations, without the horizontal position, where the
paper has 18.
"""

from typing import Any

from gymnasium.envs.mujoco import half_cheetah_v5


class CheetahEnvironment(half_cheetah_v5.HalfCheetahEnv):
    """Gymnasium's task, with or without springs in the joints."""

    def __init__(self, springs: bool = True, **kwargs: Any):
        """Creates the task.

        Args:
          springs: Whether the joints have springs.
          **kwargs: As for Gymnasium's task.
        """
        super().__init__(**kwargs)
        if not springs:
            self.model.jnt_stiffness[:] = 0.0
