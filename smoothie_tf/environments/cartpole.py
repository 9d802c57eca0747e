"""Cart-pole swing-up: a pole on a cart, from hanging to balanced.

Section 6.1 of Heess et al. (2015) trains "on a cart-pole" without details; all numbers
are ours. A uniform pole turns on a cart that runs on a rail with stops at its ends.
Time steps of 40 ms, integrated by four steps of 10 ms (fourth-order Runge–Kutta); θ = 0
is upright.
"""

import math
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from smoothie_tf.environments import drawing

TIME_STEP = 0.04  # s
SUBSTEPS = 4
CART_MASS = 1.0  # kg
POLE_MASS = 0.1  # kg
POLE_LENGTH = 1.0  # m
GRAVITY = 9.81  # m/s²
FORCE = 10.0  # N at action 1
RAIL = 1.8  # m to either side
CART_FRICTION = 0.1  # N·s/m
POLE_FRICTION = 2e-3  # N·m·s
POSITION_COST = 0.1  # 1/m²
ACTION_COST = 0.01


class CartpoleEnvironment(gymnasium.Env):
    """Observations: x, cos θ, sin θ, ẋ and θ̇."""

    # The task penalises unclipped actions, and clips them itself.
    metadata = {
        "render_modes": ["rgb_array"],
        "render_fps": round(1 / TIME_STEP),
        "rescale_action": False,
        "clip_action": False,
    }

    def __init__(self, render_mode: str | None = None):
        """Creates the task; `render_mode` is "rgb_array" or None."""
        self.render_mode = render_mode
        self.observation_space = spaces.Box(-np.inf, np.inf, (5,), np.float64)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts near hanging; see `gymnasium.Env.reset`."""
        super().reset(seed=seed, options=options)
        x, angle, speed, turn = 0.05 * self.np_random.standard_normal(4)
        self._state = (x, math.pi + angle, speed, turn)
        return self._observation(), {}

    def step(
        self, action: np.ndarray
    ) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Pushes the cart with a share of 10 N, shape [1].

        The share is clipped to the bounds for the motion, but not for the cost.
        """
        (share,) = np.asarray(action, np.float64).tolist()
        force = FORCE * min(max(share, -1.0), 1.0)
        for _ in range(SUBSTEPS):
            self._state = _stopped(_integrated(self._state, force))
        x, angle = self._state[:2]
        reward = 0.5 * (1 + math.cos(angle)) - POSITION_COST * x * x
        reward -= ACTION_COST * share * share
        return self._observation(), reward, False, False, {}

    @staticmethod
    def reward_fn(state: Any, action: Any, next_state: Any) -> Any:
        """Returns ½·(1 + cos θ') − 0.1·x'² − 0.01·a², shape [B]."""
        import tensorflow as tf

        del state
        reward = 0.5 * (1 + next_state[..., 1])
        reward -= POSITION_COST * tf.square(next_state[..., 0])
        return reward - ACTION_COST * tf.square(action[..., 0])

    def render(self) -> np.ndarray | None:
        """Returns a picture of the cart, blue, with its pole, red, on the rail."""
        if self.render_mode != "rgb_array":
            return None
        x, angle = self._state[:2]
        tip = x + POLE_LENGTH * math.sin(angle), POLE_LENGTH * math.cos(angle)
        picture = drawing.Picture(low=(-2.2, -2.2), high=(2.2, 2.2))
        picture.line((-RAIL, 0), (RAIL, 0), drawing.GREY)
        picture.box((x - 0.25, -0.12), (x + 0.25, 0.12), drawing.BLUE)
        picture.line((x, 0), tip, drawing.RED)
        return picture.pixels()

    def _observation(self):
        x, angle, speed, turn = self._state
        return np.array([x, math.cos(angle), math.sin(angle), speed, turn])


def _derivative(state, force):
    """Returns (ẋ, θ̇, ẍ, θ̈) of a uniform pole on a cart."""
    _, angle, speed, turn = state
    half, mass = POLE_LENGTH / 2, CART_MASS + POLE_MASS
    sine, cosine = math.sin(angle), math.cos(angle)
    push = force - CART_FRICTION * speed + POLE_MASS * half * turn * turn * sine
    torque = GRAVITY * sine - cosine * push / mass
    torque -= POLE_FRICTION * turn / (POLE_MASS * half)
    turning = torque / (half * (4 / 3 - POLE_MASS * cosine * cosine / mass))
    pushing = (push - POLE_MASS * half * turning * cosine) / mass
    return speed, turn, pushing, turning


def _integrated(state, force):
    step = TIME_STEP / SUBSTEPS

    def moved(share, slope):
        return [x + share * step * dx for x, dx in zip(state, slope, strict=True)]

    first = _derivative(state, force)
    second = _derivative(moved(0.5, first), force)
    third = _derivative(moved(0.5, second), force)
    fourth = _derivative(moved(1.0, third), force)
    slopes = zip(first, second, third, fourth, strict=True)
    return moved(1 / 6, [a + 2 * b + 2 * c + d for a, b, c, d in slopes])


def _stopped(state):
    """Stops the cart at the rail's ends."""
    x, angle, speed, turn = state
    if abs(x) > RAIL:
        x = math.copysign(RAIL, x)
        # It may move away from the stop.
        speed = min(speed, 0.0) if x > 0 else max(speed, 0.0)
    return x, angle, speed, turn
