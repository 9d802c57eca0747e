"""A Gymnasium task on a MuJoCo model that is written out in Python.

Importing this module imports no TensorFlow.
"""

from typing import Any, ClassVar

import gymnasium
import mujoco
import numpy as np
from gymnasium import spaces
from gymnasium.envs.mujoco import mujoco_rendering

_PIXELS = 480  # MuJoCo's own buffer has at least as many.


class MujocoTask(gymnasium.Env):
    """What the tasks share: simulation, bounds, pictures. The state is the model's.

    Actions are shares of each motor's strength, in [−1, 1]. A task charges for actions
    as they are, and clips for itself.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "render_modes": ["human", "rgb_array", "depth_array"],
        "rescale_action": False,
        "clip_action": False,
    }

    def __init__(
        self,
        xml: str,
        frame_skip: int,
        observation_size: int,
        render_mode: str | None = None,
        camera: dict[str, Any] | None = None,
    ):
        """Compiles the model.

        Args:
          xml: The model, as MuJoCo's MJCF.
          frame_skip: Simulation steps a time step.
          observation_size: S.
          render_mode: One of `metadata["render_modes"]`, or None.
          camera: Attributes of the camera, such as its distance.
        """
        self.model = mujoco.MjModel.from_xml_string(xml)
        self.data = mujoco.MjData(self.model)
        self.render_mode = render_mode
        self._frame_skip = frame_skip
        self.metadata = {
            **self.metadata,
            "render_fps": round(1 / (self.model.opt.timestep * frame_skip)),
        }
        self.observation_space = spaces.Box(
            -np.inf, np.inf, (observation_size,), np.float64
        )
        self.action_space = spaces.Box(-1.0, 1.0, (self.model.nu,), np.float32)
        self._renderer = mujoco_rendering.MujocoRenderer(
            self.model,
            self.data,
            default_cam_config=camera,
            width=_PIXELS,
            height=_PIXELS,
        )

    @property
    def dt(self) -> float:
        """Seconds a time step."""
        return self.model.opt.timestep * self._frame_skip

    def render(self) -> np.ndarray | None:
        """Returns a picture, or shows it, as `render_mode` says."""
        if self.render_mode is None:
            return None
        return self._renderer.render(self.render_mode)

    def close(self) -> None:
        """Closes what shows the pictures."""
        self._renderer.close()

    def _place(self, positions, velocities):
        """Puts the model into a state, from rest otherwise."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:] = positions
        self.data.qvel[:] = velocities
        mujoco.mj_forward(self.model, self.data)

    def _simulate(self, control):
        """Simulates a time step with motors at shares of their strength.

        Those beyond [−1, 1] count as its bounds, where the model limits its motors.
        """
        self.data.ctrl[:] = control
        mujoco.mj_step(self.model, self.data, self._frame_skip)
        # Positions of bodies are those of before the last integration otherwise.
        mujoco.mj_kinematics(self.model, self.data)
