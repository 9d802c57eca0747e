"""Reacher and gripper: an arm in a walled box, seen from above.

Section 6.2 of Heess et al. (2015): "Reacher is an arm stationed within a walled box
with 6 state dimensions and 3 action dimensions and the (x, y) coordinates of a target
site, giving 8 state dimensions in total. In 4-Target Reacher, the site was randomly
placed at one of the four corners of the box, and the arm in a random configuration at
the beginning of each trial. In Moving-Target Reacher, the site moved at a randomized
speed and heading in the box with reflections at the walls. … Gripper augments the
reacher arm with a manipulator that can grab a ball in a randomized position and return
it to a specified site." Rewards, sizes, masses and motors are ours.

Observations and rewards have lengths in units of a link, 10 cm: in metres, positions
are too small beside angles for a network to distinguish the corners, and values are
hardly larger than a value function's initial output.

Shapes: S state dimensions.
"""

import math
from typing import Any

import mujoco
import numpy as np

from smoothie_tf.environments import mujoco_task

BOX = 0.25  # m from the middle to each wall
LINK = 0.1  # m
CORNER = 0.18  # m: a target's |x| and |y|
ACTION_COST = 0.1
# Smoothing of distances near 0, in links.
ROUNDING = 0.1
START_ANGLES = (math.pi, 2.0, 2.0)  # rad, largest absolute values
TARGET_SPEEDS = (0.05, 0.25)  # m/s
_FRAME_SKIP = 4  # of 5 ms
_CAMERA = {"distance": 1.0, "elevation": -90.0, "azimuth": 90.0}


class ReacherEnvironment(mujoco_task.MujocoTask):
    """Observations: joint angles and speeds, and the target's position in links."""

    def __init__(
        self,
        moving: bool = False,
        shows_target_velocity: bool = False,
        render_mode: str | None = None,
    ):
        """Creates the task.

        Args:
          moving: Whether the target moves; otherwise it is in one of the corners.
          shows_target_velocity: Whether the target's velocity is observed as well; the
            paper's 8 dimensions do not include it.
          render_mode: As for `MujocoTask`.
        """
        self._moving = moving
        self._shows = shows_target_velocity
        size = 10 if shows_target_velocity else 8
        super().__init__(_xml(), _FRAME_SKIP, size, render_mode, _CAMERA)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draws a pose and a target; see `gymnasium.Env.reset`."""
        super().reset(seed=seed, options=options)
        draw = self.np_random
        self._target_velocity = np.zeros(2)
        if self._moving:
            self._target = draw.uniform(-CORNER, CORNER, 2)
            speed, heading = draw.uniform(*TARGET_SPEEDS), draw.uniform(0, 2 * math.pi)
            self._target_velocity[:] = math.cos(heading), math.sin(heading)
            self._target_velocity *= speed
        else:
            self._target = CORNER * draw.choice([-1.0, 1.0], 2)
        self._place(_random_pose(self, 3), np.zeros(3))
        self._show_target()
        return self._observation(), {}

    def step(
        self, action: np.ndarray
    ) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Applies torques, shape [3]; `info` has tip and target's `distance` in m."""
        action = np.asarray(action, np.float64)
        self._simulate(action)
        self._target = self._target + self.dt * self._target_velocity
        for i in range(2):
            beyond = abs(self._target[i]) - CORNER
            if beyond > 0:
                self._target[i] -= 2 * math.copysign(beyond, self._target[i])
                self._target_velocity[i] *= -1
        self._show_target()
        away = tip(self.data.qpos[:3]) - self._target
        reward = -_rounded(away / LINK) - ACTION_COST * float(action @ action)
        info = {"distance": float(np.linalg.norm(away))}
        return self._observation(), reward, False, False, info

    @staticmethod
    def reward_fn(state: Any, action: Any, next_state: Any) -> Any:
        """Returns −√(d² + ε²) − 0.1·‖a‖², d from tip to target in links, shape [B]."""
        del state
        away = _tips(next_state[..., :3]) - next_state[..., 6:8]
        return -_rounded_lengths(away) - _action_costs(action)

    def _show_target(self):
        self.data.mocap_pos[0, :2] = self._target

    def _observation(self):
        parts = [self.data.qpos, self.data.qvel, self._target / LINK]
        if self._shows:
            parts.append(self._target_velocity / LINK)
        return np.concatenate(parts)


class GripperEnvironment(mujoco_task.MujocoTask):
    """Observations, 22 in all.

    Angles and speeds of three joints and two fingers, position and velocity of the
    ball, positions of target and hand, and the vectors from hand to ball and from ball
    to target; lengths in links.
    """

    def __init__(self, render_mode: str | None = None):
        """Creates the task; `render_mode` is as for `MujocoTask`."""
        super().__init__(_xml(gripper=True), _FRAME_SKIP, 22, render_mode, _CAMERA)
        kind = mujoco.mjtObj.mjOBJ_BODY
        bodies = [
            mujoco.mj_name2id(self.model, kind, name)
            for name in ("link0", "link1", "link2", "finger0", "finger1", "ball")
        ]
        self._arm, self._ball = set(bodies[:-1]), bodies[-1]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draws a pose, the ball's position and a target; see `gymnasium.Env.reset`."""
        super().reset(seed=seed, options=options)
        draw = self.np_random
        self._target = draw.uniform(-CORNER, CORNER, 2)
        for _ in range(1000):
            ball = draw.uniform(-CORNER, CORNER, 2)
            pose = _random_pose(self, 7, fingers=True)
            pose[5:] = ball
            self._place(pose, np.zeros(7))
            if not self._touches():
                break
        self.data.mocap_pos[0, :2] = self._target
        mujoco.mj_kinematics(self.model, self.data)
        return self._observation(), {}

    def step(
        self, action: np.ndarray
    ) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Applies torques, shape [5]; `info` has ball and target's `distance` in m."""
        action = np.asarray(action, np.float64)
        self._simulate(action)
        observation = self._observation()
        to_ball, to_target = observation[18:].reshape(2, 2)
        reward = -_rounded(to_ball) - _rounded(to_target)
        reward -= ACTION_COST * float(action @ action)
        info = {"distance": LINK * float(np.linalg.norm(to_target))}
        return observation, reward, False, False, info

    @staticmethod
    def reward_fn(state: Any, action: Any, next_state: Any) -> Any:
        """Returns −d(hand, ball) − d(ball, target) − 0.1·‖a‖², shape [B].

        Distances are computed from angles and positions, not from the observed vectors:
        a learned model may not keep these consistent.
        """
        del state
        hand = _tips(next_state[..., :3])
        ball, target = next_state[..., 10:12], next_state[..., 14:16]
        distances = _rounded_lengths(ball - hand) + _rounded_lengths(target - ball)
        return -distances - _action_costs(action)

    def _touches(self):
        """Returns whether the ball and the arm overlap."""
        bodies = self.model.geom_bodyid
        for contact in self.data.contact:
            pair = {int(bodies[i]) for i in contact.geom}
            if self._ball in pair and pair & self._arm:
                return True
        return False

    def _observation(self):
        data = self.data
        hand, ball = tip(data.qpos[:3]), data.qpos[5:7]
        places = [
            ball,
            data.qvel[5:7],
            self._target,
            hand,
            ball - hand,
            self._target - ball,
        ]
        return np.concatenate(
            [data.qpos[:5], data.qvel[:5], np.concatenate(places) / LINK]
        )


def tip(angles: np.ndarray) -> np.ndarray:
    """Returns the position of the arm's end, m, shape [2], for joint angles [3]."""
    turned = np.cumsum(angles)
    return LINK * np.array([np.cos(turned).sum(), np.sin(turned).sum()])


def _random_pose(task, size, fingers=False):
    """Draws joint angles for which the arm is within the walls."""
    pose = np.zeros(size)
    while True:
        pose[:3] = task.np_random.uniform(-1.0, 1.0, 3) * START_ANGLES
        turned = np.cumsum(pose[:3])
        joints = LINK * np.cumsum([np.cos(turned), np.sin(turned)], axis=1)
        # Fingers reach 5 cm further, and to the sides.
        if np.abs(joints).max() < BOX - (0.08 if fingers else 0.03):
            return pose


def _rounded(vector):
    return math.sqrt(float(vector @ vector) + ROUNDING**2)


def _tips(angles):
    """`tip` in TensorFlow and in links: from [B, 3] to [B, 2]."""
    import tensorflow as tf

    turned = tf.cumsum(angles, axis=-1)
    return tf.stack(
        [
            tf.reduce_sum(tf.cos(turned), axis=-1),
            tf.reduce_sum(tf.sin(turned), axis=-1),
        ],
        axis=-1,
    )


def _rounded_lengths(vectors):
    """`_rounded` in TensorFlow: from [B, 2] to [B]."""
    import tensorflow as tf

    return tf.sqrt(tf.reduce_sum(tf.square(vectors), axis=-1) + ROUNDING**2)


def _action_costs(actions):
    """Returns the cost of torques [B, A], in TensorFlow, shape [B]."""
    import tensorflow as tf

    return ACTION_COST * tf.reduce_sum(tf.square(actions), axis=-1)


def _xml(gripper=False):
    # Walls and ball collide with the arm; the arm does not collide with itself.
    walls = "".join(
        f'<geom type="box" pos="{x * (BOX + 0.01)} {y * (BOX + 0.01)} 0"'
        f' size="{0.01 if x else BOX + 0.02} {0.01 if y else BOX + 0.02} 0.02"'
        ' contype="1" conaffinity="2" rgba="0.5 0.5 0.5 1"/>'
        for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1))
    )
    hand, ball, motors = "", "", ""
    if gripper:
        hand = "".join(
            f"""
            <body name="finger{i}" pos="{LINK} {side * 0.02} 0">
              <joint name="finger{i}" axis="0 0 1" range="{low} {high}"
                     damping="0.002" armature="1e-4"/>
              <geom fromto="-0.02 0 0 0.04 {side * 0.01} 0" size="0.005"
                    mass="0.01" friction="1.5"/>
            </body>"""
            for i, (side, low, high) in enumerate(((1, -35, 35), (-1, -35, 35)))
        )
        ball = """
        <body name="ball">
          <joint type="slide" axis="1 0 0" limited="false" damping="0.05"/>
          <joint type="slide" axis="0 1 0" limited="false" damping="0.05"/>
          <geom type="sphere" size="0.018" mass="0.02" contype="3" conaffinity="3"
                friction="1.5" rgba="0.84 0.37 0 1"/>
        </body>"""
        motors = "".join(
            f'<motor joint="finger{i}" gear="0.02" ctrllimited="true"'
            ' ctrlrange="-1 1"/>'
            for i in range(2)
        )
    ranges = (170, 150, 150)
    joints = [
        f'<joint name="joint{i}" axis="0 0 1" range="-{each} {each}"'
        ' damping="0.01" armature="1e-3"/>'
        for i, each in enumerate(ranges)
    ]
    link = f'<geom fromto="0 0 0 {LINK} 0 0"/>'
    arm = "".join(
        f'<motor joint="joint{i}" gear="{gear}" ctrllimited="true" ctrlrange="-1 1"/>'
        for i, gear in enumerate((0.1, 0.06, 0.03))
    )
    return f"""
    <mujoco model="reacher">
      <option timestep="0.005" integrator="implicitfast">
        <flag gravity="disable"/>
      </option>
      <default>
        <joint limited="true"/>
        <geom type="capsule" size="0.012" mass="0.1" contype="2" conaffinity="1"
              rgba="0 0.45 0.7 1"/>
      </default>
      <worldbody>
        <light pos="0 0 2"/>
        <geom type="plane" size="0.5 0.5 0.1" pos="0 0 -0.05" contype="0"
              conaffinity="0" rgba="0.95 0.95 0.95 1"/>
        {walls}
        <body name="target" mocap="true">
          <site type="sphere" size="0.015" rgba="0 0.62 0.45 1"/>
        </body>
        <body name="link0">
          {joints[0]}{link}
          <body name="link1" pos="{LINK} 0 0">
            {joints[1]}{link}
            <body name="link2" pos="{LINK} 0 0">
              {joints[2]}{link}
              {hand}
            </body>
          </body>
        </body>
        {ball}
      </worldbody>
      <actuator>{arm}{motors}</actuator>
    </mujoco>"""
