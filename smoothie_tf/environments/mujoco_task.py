"""Base of Gymnasium tasks whose MuJoCo models are defined in Python."""

from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium import spaces
from gymnasium.envs.mujoco import mujoco_rendering

_PIXELS = 480  # MuJoCo's default buffer is at least this large.


class MujocoTask(gymnasium.Env):
    """Base of the tasks: simulation, bounds, rendering. The state is the model's.

    Actions are shares of each motor's strength, in [−1, 1]. A task penalises unclipped
    actions, and clips them itself.
    """

    metadata = {
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
          frame_skip: Simulation steps per time step.
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
        """Seconds per time step."""
        return self.model.opt.timestep * self._frame_skip

    def render(self) -> np.ndarray | None:
        """Returns or shows a picture, depending on `render_mode`."""
        if self.render_mode is None:
            return None
        return self._renderer.render(self.render_mode)

    def close(self) -> None:
        """Closes the renderer."""
        self._renderer.close()

    def _place(self, positions, velocities):
        """Resets the model, and sets its positions and velocities."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:] = positions
        self.data.qvel[:] = velocities
        mujoco.mj_forward(self.model, self.data)

    def _simulate(self, control):
        """Simulates a time step with motors at shares of their strength.

        Shares beyond [−1, 1] are clipped if the model limits its motors.
        """
        self.data.ctrl[:] = control
        mujoco.mj_step(self.model, self.data, self._frame_skip)
        # Otherwise positions of bodies would be those before the last integration.
        mujoco.mj_kinematics(self.model, self.data)
