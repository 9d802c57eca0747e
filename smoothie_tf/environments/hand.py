"""Hand: a hand on a plane swings a ball on a spring to a place where it cannot rest.

Section 6.1 and (15) of Heess et al. (2015). "The policy directly controls the velocity
of a point-mass 'hand' on a 2D plane. By means of a spring-coupling, the hand exerts a
force on a ball mass; the ball additionally experiences a gravitational force and
random forces (Gaussian noise)." The reward for the positions of hand and ball is given
only in the last of 1,000 steps. All numbers except the step of 10 ms and the 10 s are
ours:

    h' = h + dt·a
    v' = v + dt·(−(k/m)·(b − h) − (d/m)·v − g·e_y) + σ_v·√dt·ξ
    b' = b + dt·v'

linear except for the bound on a. At rest the ball hangs 1 m below the hand; the targets
are 1 m to its left or right, at that height.
"""

import math
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from smoothie_tf.environments import drawing

TIME_STEP = 0.01  # s
STEPS = 1000
STIFFNESS = 10.0  # k/m, 1/s²
DAMPING = 0.2  # d/m, 1/s
GRAVITY = 10.0  # m/s²
NOISE = 0.1  # σ_v, m/s^1.5
ACTION_COST = 1e-4  # −α₁
TARGETS = ((-1.0, -1.0), (1.0, -1.0))  # m
# Smoothing of distances near 0, in m.
ROUNDING = 0.01


class HandEnvironment(gymnasium.Env):
    """Observations: hand, ball, ball's velocity, target, and share of elapsed time."""

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
        self.observation_space = spaces.Box(-np.inf, np.inf, (9,), np.float64)
        # m/s.
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts at rest, with one of two targets; see `gymnasium.Env.reset`."""
        super().reset(seed=seed, options=options)
        self._hand = np.zeros(2)
        self._ball = np.array([0.0, -GRAVITY / STIFFNESS])
        self._velocity = np.zeros(2)
        self._target = np.array(TARGETS[self.np_random.integers(len(TARGETS))])
        self._steps = 0
        return self._observation(), {}

    def step(
        self, action: np.ndarray
    ) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Moves the hand at a velocity in m/s, shape [2]; terminates after 10 s.

        The velocity is clipped to the bounds for the motion, but not for the cost.
        """
        action = np.asarray(action, np.float64)
        stretch = self._ball - self._hand
        force = -STIFFNESS * stretch - DAMPING * self._velocity
        force[1] -= GRAVITY
        kick = NOISE * math.sqrt(TIME_STEP) * self.np_random.standard_normal(2)
        self._velocity = self._velocity + TIME_STEP * force + kick
        self._ball = self._ball + TIME_STEP * self._velocity
        self._hand = self._hand + TIME_STEP * np.clip(action, -1.0, 1.0)
        self._steps += 1
        over = self._steps >= STEPS
        if over:
            reward = -_rounded(self._hand) - _rounded(self._ball - self._target)
        else:
            reward = -ACTION_COST * float(action @ action)
        return self._observation(), reward, over, False, {}

    @staticmethod
    def reward_fn(state: Any, action: Any, next_state: Any) -> Any:
        """Returns (15), shape [B]; the time is the observation's last element."""
        import tensorflow as tf

        del state

        def distance(vector):
            return tf.sqrt(tf.reduce_sum(tf.square(vector), axis=-1) + ROUNDING**2)

        hand, ball, target = (next_state[..., i : i + 2] for i in (0, 2, 6))
        arrived = -distance(hand) - distance(ball - target)
        cost = -ACTION_COST * tf.reduce_sum(tf.square(action), axis=-1)
        over = next_state[..., 8] > 1 - 0.5 / STEPS
        return tf.where(over, arrived, cost)

    def render(self) -> np.ndarray | None:
        """Returns a picture of hand (blue), ball (red) and target (green)."""
        if self.render_mode != "rgb_array":
            return None
        picture = drawing.Picture(low=(-2.0, -2.5), high=(2.0, 1.5))
        picture.line(self._hand, self._ball, drawing.GREY)
        picture.disc(self._target, 0.12, drawing.GREEN)
        picture.disc(self._hand, 0.1, drawing.BLUE)
        picture.disc(self._ball, 0.08, drawing.RED)
        return picture.pixels()

    def _observation(self):
        share = [self._steps / STEPS]
        parts = (self._hand, self._ball, self._velocity, self._target, share)
        return np.concatenate(parts)


def _rounded(vector):
    return math.sqrt(float(vector @ vector) + ROUNDING**2)
