"""Monoped: a one-legged machine that falls from a height and has to remain standing.

Section 6.2 of Heess et al. (2015): "Monoped has 14 state dimensions, 4 action
dimensions, and ground contact dynamics. The monoped begins falling from a height and
must remain standing. Additionally, we apply Gaussian random noise to the torques
controlling the joints with a standard deviation of 5% of the total possible actuator
strength at all points in time." Episodes of 200 steps; tests go up to 25 % noise. We
have no further description: a planar torso with hip, knee, ankle and a waist above the
hip, and the reward, are ours.
"""

from typing import Any

import numpy as np

from smoothie_tf import validation
from smoothie_tf.environments import mujoco_task

HEIGHT = 1.25  # m: height of the torso's middle when the machine stands straight
DROP = (0.1, 0.3)  # m: initial height above standing
LEAN_COST = 0.3  # 1/rad²
POSITION_COST = 0.02  # 1/m²
ACTION_COST = 1e-3
_FRAME_SKIP = 5  # of 4 ms


class MonopedEnvironment(mujoco_task.MujocoTask):
    """Observations: x, z, lean, four joints, and their velocities."""

    def __init__(self, torque_noise: float = 0.05, render_mode: str | None = None):
        """Creates the task.

        Args:
          torque_noise: Standard deviation of the noise on each torque, as a share of
            the motor's strength, ≥ 0.
          render_mode: As for `MujocoTask`.

        Raises:
          ValueError: If the noise is not allowed.
        """
        validation.check(
            "MonopedEnvironment", "non-negative", torque_noise=torque_noise
        )
        self._torque_noise = torque_noise
        super().__init__(_XML, _FRAME_SKIP, 14, render_mode, {"distance": 4.0})

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts above the ground, nearly straight; see `gymnasium.Env.reset`."""
        super().reset(seed=seed, options=options)
        draw = self.np_random
        positions = 0.05 * draw.standard_normal(7)
        positions[0] = 0.0
        positions[1] = HEIGHT + draw.uniform(*DROP)
        self._place(positions, 0.05 * draw.standard_normal(7))
        return self._observation(), {}

    def step(
        self, action: np.ndarray
    ) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Applies torques, shape [4], which are clipped before noise is added.

        An episode continues after a fall.
        """
        action = np.asarray(action, np.float64)
        noise = self._torque_noise * self.np_random.standard_normal(4)
        self._simulate(np.clip(action, -1.0, 1.0) + noise)
        x, z, lean = self.data.qpos[:3]
        reward = z / HEIGHT - LEAN_COST * lean**2 - POSITION_COST * x**2
        reward -= ACTION_COST * float(action @ action)
        return self._observation(), float(reward), False, False, {}

    @staticmethod
    def reward_fn(state: Any, action: Any, next_state: Any) -> Any:
        """Returns z/1.25 − 0.3·lean² − 0.02·x² − 0.001·‖a‖², shape [B]."""
        import tensorflow as tf

        del state
        x, z, lean = tf.unstack(next_state[..., :3], axis=-1)
        reward = z / HEIGHT - LEAN_COST * tf.square(lean)
        reward -= POSITION_COST * tf.square(x)
        return reward - ACTION_COST * tf.reduce_sum(tf.square(action), axis=-1)

    def _observation(self):
        return np.concatenate([self.data.qpos, self.data.qvel])


_XML = """
<mujoco model="monoped">
  <option timestep="0.004" integrator="implicitfast"/>
  <default>
    <joint type="hinge" axis="0 -1 0" limited="true" damping="1" armature="0.5"/>
    <geom type="capsule" contype="1" conaffinity="0" friction="1.5"
          rgba="0 0.45 0.7 1"/>
    <motor ctrllimited="false"/>
  </default>
  <worldbody>
    <light pos="0 -2 4"/>
    <geom type="plane" size="20 5 0.1" conaffinity="1" contype="0"
          rgba="0.9 0.9 0.9 1"/>
    <body name="torso">
      <joint type="slide" axis="1 0 0" limited="false" damping="0" armature="0"/>
      <joint type="slide" axis="0 0 1" limited="false" damping="0" armature="0"/>
      <joint limited="false" damping="0" armature="0"/>
      <geom fromto="0 0 0.2 0 0 -0.05" size="0.06" rgba="0.84 0.37 0 1"/>
      <body name="pelvis" pos="0 0 -0.05">
        <joint name="waist" range="-45 45"/>
        <geom fromto="0 0 0 0 0 -0.15" size="0.05"/>
        <body name="thigh" pos="0 0 -0.15">
          <joint name="hip" range="-100 60"/>
          <geom fromto="0 0 0 0 0 -0.45" size="0.05"/>
          <body name="shin" pos="0 0 -0.45">
            <joint name="knee" range="-10 140"/>
            <geom fromto="0 0 0 0 0 -0.5" size="0.04"/>
            <body name="foot" pos="0 0 -0.5">
              <joint name="ankle" range="-45 45"/>
              <geom fromto="-0.13 0 -0.05 0.26 0 -0.05"
                    size="0.05"/>
            </body>
          </body>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor joint="waist" gear="150"/>
    <motor joint="hip" gear="150"/>
    <motor joint="knee" gear="150"/>
    <motor joint="ankle" gear="80"/>
  </actuator>
</mujoco>"""
