"""Swimmer: a chain of links in a fluid, on its way to a goal.

Section 6.1 and Appendix D of Heess et al. (2015): chains of 3, 5 or 7 links with 10, 14
or 18 state dimensions and 2, 4 or 6 motors, "initialized in random configurations with
respect to a central goal location", paid

    r = α₁·r̂_goal·v_com + α₂·‖a‖²,

r̂_goal the unit vector from the nose to the goal. α, sizes, fluid and times are ours. A
wave along the body gives more than 0.1 m/s, and rewards of more than 1 per step.

So that not only a learned model's predictions but also its derivatives are accurate,
the state has the velocity of the centre of mass instead of the nose's, with components
along and across the mean direction of the links, ψ̄. A stroke turns and shakes the first
link, but hardly changes the swimmer's speed: in terms of the first link's velocities,
the speed is a small difference of large numbers (docs/svg_results.md). The state holds
the goal's position relative to the nose, so a stroke looks the same at every place and
in every direction.

Links are blades on elastic joints: they pass easily through the fluid along their
length, but not across it, and no joint is pressed against a limit.

Link i of length ℓ points from its front to its rear, at the world angle ψ_i = φ +
Σ_{j≤i} q_j, so that its direction turns by u_i·ψ̇_i with u_i = (−sin ψ_i, cos ψ_i), and,
with equal masses and v the nose's velocity,

    v_com = v + (ℓ/n)·Σ_i [Σ_{j<i} u_j·ψ̇_j + ½·u_i·ψ̇_i].

Shapes: n links, S = 2(n + 2) state dimensions, A = n − 1 actions.
"""

import math
from typing import Any

import numpy as np

from smoothie_tf import validation
from smoothie_tf.environments import mujoco_task

LINK = 0.2  # ℓ, m
SPEED_REWARD = 10.0  # α₁, s/m
ACTION_COST = 1e-2  # −α₂
START_RADIUS = (0.3, 1.5)  # m from the goal
# Smoothing of r̂_goal near the goal, in m.
ROUNDING = 0.05
_FRAME_SKIP = 6  # of 5 ms
_DENSITY = 3000  # of the fluid, kg/m³
_BLADE = (0.01, 0.04)  # m thick and m high
_GEAR = 0.3  # N·m at action 1
_STIFFNESS = 0.2  # of the joints, N·m/rad
_DAMPING = 0.02  # of the joints, N·m·s
# From above, on the goal.
_CAMERA = {"distance": 4.0, "elevation": -90.0, "azimuth": 90.0, "lookat": np.zeros(3)}


class SwimmerEnvironment(mujoco_task.MujocoTask):
    """Observations: (g, ψ̄, q₁ …) and (v_com, dψ̄/dt, q̇₁ …).

    g is the vector from the nose to the goal in m and v_com is in m/s, both along and
    across ψ̄, which is in rad.
    """

    def __init__(self, links: int = 3, render_mode: str | None = None):
        """Creates the task.

        Args:
          links: n, at least 2.
          render_mode: As for `MujocoTask`.

        Raises:
          ValueError: If the number of links is not allowed.
        """
        validation.check("SwimmerEnvironment", "count", links=links)
        if links < 2:
            raise ValueError(
                f"SwimmerEnvironment.links must be at least 2, but is {links!r}."
            )
        self._links = links
        # Link j moves the centres of all links after it by ℓ, its own centre by ℓ/2.
        self._behind = links - np.arange(links) - 0.5
        super().__init__(
            _xml(links), _FRAME_SKIP, 2 * (links + 2), render_mode, _CAMERA
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts at rest, at a random place around the goal, in a random pose."""
        super().reset(seed=seed, options=options)
        draw, size = self.np_random, self._links + 2
        radius, bearing = draw.uniform(*START_RADIUS), draw.uniform(-math.pi, math.pi)
        nose = radius * math.cos(bearing), radius * math.sin(bearing)
        heading = draw.uniform(-math.pi, math.pi)
        joints = draw.uniform(-0.5, 0.5, self._links - 1)
        self._place([*nose, heading, *joints], np.zeros(size))
        return self._observation(), {}

    def step(
        self, action: np.ndarray
    ) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Applies torques, shape [A], for one time step."""
        action = np.asarray(action, np.float64)
        self._simulate(action)
        observation = self._observation()
        goal, velocity = observation[:2], observation[self._links + 2 :][:2]
        direction = goal / math.sqrt(float(goal @ goal) + ROUNDING**2)
        reward = SPEED_REWARD * float(direction @ velocity)
        reward -= ACTION_COST * float(action @ action)
        return observation, reward, False, False, {}

    def reward_fn(self, state: Any, action: Any, next_state: Any) -> Any:
        """Returns r of the module's docstring, shape [B]."""
        import tensorflow as tf

        del state
        goal = next_state[..., :2]
        velocity = next_state[..., self._links + 2 : self._links + 4]
        distance = tf.sqrt(tf.reduce_sum(tf.square(goal), axis=-1) + ROUNDING**2)
        towards = tf.reduce_sum(goal * velocity, axis=-1) / distance
        cost = ACTION_COST * tf.reduce_sum(tf.square(action), axis=-1)
        return SPEED_REWARD * towards - cost

    def _observation(self):
        position, velocity = self.data.qpos, self.data.qvel
        angles, turns = np.cumsum(position[2:]), np.cumsum(velocity[2:])
        sideways = np.stack([-np.sin(angles), np.cos(angles)])
        centre = velocity[:2] + LINK / self._links * sideways @ (self._behind * turns)
        heading = angles.mean()
        cosine, sine = math.cos(heading), math.sin(heading)
        axes = np.array([[cosine, sine], [-sine, cosine]])
        return np.concatenate(
            [
                *(axes @ -position[:2], [heading], position[3:]),
                *(axes @ centre, [turns.mean()], velocity[3:]),
            ]
        )


def _xml(links):
    thick, high = _BLADE
    motors = "".join(
        f'<motor joint="joint{i}" gear="{_GEAR}" ctrllimited="true" ctrlrange="-1 1"/>'
        for i in range(1, links)
    )
    return f"""
    <mujoco model="swimmer">
      <option timestep="0.005" density="{_DENSITY}" integrator="implicitfast">
        <flag contact="disable" gravity="disable"/>
      </option>
      <default>
        <joint armature="1e-4" stiffness="{_STIFFNESS}" damping="{_DAMPING}"/>
        <geom type="box" size="{LINK / 2} {thick / 2} {high / 2}" pos="{LINK / 2} 0 0"
              density="1000" rgba="0 0.45 0.7 1"/>
        <default class="free"><joint armature="0" stiffness="0" damping="0"/></default>
      </default>
      <worldbody>
        <light pos="0 0 3"/>
        <geom name="floor" type="plane" size="3 3 0.1" pos="0 0 -0.1"
              rgba="0.95 0.95 0.95 1"/>
        <site name="goal" type="sphere" size="0.05" rgba="0 0.62 0.45 1"/>
        <body name="link0">
          <joint class="free" type="slide" axis="1 0 0"/>
          <joint class="free" type="slide" axis="0 1 0"/>
          <joint class="free" type="hinge" axis="0 0 1"/>
          <geom rgba="0.84 0.37 0 1"/>
          {_rear(1, links)}
        </body>
      </worldbody>
      <actuator>{motors}</actuator>
    </mujoco>"""


def _rear(i, links):
    """Returns the MJCF of link i, attached to the rear of link i − 1, and the rest."""
    if i == links:
        return ""
    return f"""
    <body name="link{i}" pos="{LINK} 0 0">
      <joint name="joint{i}" type="hinge" axis="0 0 1"/>
      <geom/>
      {_rear(i + 1, links)}
    </body>"""
