"""The one-step, one-dimensional task of Sections 3 and 6.1: a mixture of two Gaussians.

The paper draws the mixture (Figures 1 and 2) and prints no numbers; those of `MIXTURE`
are ours. A policy that starts on the worse mode with the paper's φ = −1, which is
σ = exp(−1/2) ≈ 0.61, must satisfy the paper's premise:

- Ascent on the reward itself ends on the worse mode: the reward falls from 0.506 there
  to 0.297 in the valley before it rises to 1 on the better one.
- Ascent on the smoothed reward, (13) and (15), crosses the valley, and σ falls, rises
  and falls to zero. This holds if μ is 0.5 to 30 times as fast as φ, with exact
  gradients and with Adam; and, if μ is at least as fast as φ, also with derivatives of
  the worse bump 20 % too large and of the better one 20 % too small. The faster μ is,
  the less σ changes. At equal speeds, σ falls by 0.6 % and rises by 2.7 % with exact
  gradients, by 8 % and 23 % with Adam.
- The bumps are about as wide as σ, so that a critic of the paper's size learns them in
  a few thousand updates. Bumps narrow enough for [−1, 1], with this σ, take it far
  longer, and meanwhile DDPG sees a single slope that leads to the better mode.

So actions are in the units of the task and not of [−1, 1]: σ = 0.61 means 0.61 on the
axis of Figure 1. The bounds of [−3, 3] are 3.6 standard deviations from either mode,
and do not affect learning.

Shapes: A is any shape of actions; arguments broadcast against each other.
"""

import dataclasses
import math
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

# The trapezoidal rule converges geometrically on Gaussians: with three points per
# standard deviation, out to ten of them, its error is below float64's rounding.
_POINTS_A_WIDTH = 3
_WIDTHS_BEYOND = 10


@dataclasses.dataclass(frozen=True)
class TwoGaussians:
    """The reward h₁·exp(−(a − m₁)²/2s₁²) + h₂·exp(−(a − m₂)²/2s₂²).

    Attributes:
      heights: h, in units of reward.
      centres: m, in units of action.
      widths: s, in units of action, above 0.
    """

    heights: tuple[float, float]
    centres: tuple[float, float]
    widths: tuple[float, float]

    def __post_init__(self):
        for field in dataclasses.fields(self):
            values = getattr(self, field.name)
            if len(values) != 2 or not np.isfinite(values).all():
                raise ValueError(
                    f"TwoGaussians.{field.name} must be two finite numbers, but is"
                    f" {values!r}."
                )
        if min(self.widths) <= 0:
            raise ValueError(
                f"TwoGaussians.widths must be above 0, but is {self.widths!r}."
            )

    def reward(self, action: np.ndarray | float) -> np.ndarray:
        """Returns the reward, shape A, of actions of shape A."""
        return self.smoothed_reward(action, 0.0)

    def smoothed_reward(
        self, action: np.ndarray | float, stddev: np.ndarray | float
    ) -> np.ndarray:
        """Returns the reward smoothed by a Gaussian: Q̃ of (9) in this task.

        A Gaussian bump convolved with a Gaussian is a Gaussian bump with the sum of the
        variances and the same area.

        Args:
          action: Means of the Gaussian, shape A.
          stddev: Its standard deviation σ, at least 0, in units of action.

        Returns:
          E[R(ã)] for ã ~ N(a, σ²), shape A.

        Raises:
          ValueError: If a standard deviation is negative.
        """
        bumps, _, _ = self._smoothed_bumps(action, stddev)
        return bumps.sum(-1)

    def smoothed_reward_gradient(
        self, action: np.ndarray | float, stddev: np.ndarray | float
    ) -> np.ndarray:
        """Returns ∂Q̃/∂a, shape A; arguments as in `smoothed_reward`. See (13)."""
        bumps, distance, variance = self._smoothed_bumps(action, stddev)
        return (bumps * distance / variance).sum(-1)

    def smoothed_reward_hessian(
        self, action: np.ndarray | float, stddev: np.ndarray | float
    ) -> np.ndarray:
        """Returns ∂²Q̃/∂a², shape A; arguments as in `smoothed_reward`. See (15)."""
        bumps, distance, variance = self._smoothed_bumps(action, stddev)
        return (bumps * (distance**2 / variance - 1) / variance).sum(-1)

    def smoothed_reward_by_quadrature(
        self, action: np.ndarray | float, stddev: float
    ) -> np.ndarray:
        """Returns the integral (9) by the trapezoidal rule, from rewards only.

        Args:
          action: Means of the Gaussian, shape A.
          stddev: Its standard deviation σ, above 0, in units of action.

        Returns:
          ∫ N(ã | a, σ²) R(ã) dã, shape A.

        Raises:
          ValueError: If the standard deviation is not above 0.
        """
        if not stddev > 0:
            raise ValueError(
                f"The standard deviation must be above 0, but is {stddev!r}."
            )
        action = np.asarray(action, np.float64)
        # The integrand of each bump is a Gaussian that is narrower than its two
        # factors, with its peak between theirs.
        narrowest = 1 / math.hypot(1 / stddev, 1 / min(self.widths))
        margin = _WIDTHS_BEYOND * min(stddev, max(self.widths))
        low = min(action.min(), *self.centres) - margin
        high = max(action.max(), *self.centres) + margin
        count = math.ceil((high - low) / narrowest * _POINTS_A_WIDTH) + 1
        points, spacing = np.linspace(low, high, count, retstep=True)
        deviation = (points - action[..., np.newaxis]) / stddev
        density = np.exp(-(deviation**2) / 2) / (stddev * math.sqrt(2 * math.pi))
        return density @ self.reward(points) * spacing

    def _smoothed_bumps(self, action, stddev):
        """Returns each bump, its signed distance and its variance: shape A + [2]."""
        stddev = np.asarray(stddev, np.float64)[..., np.newaxis]
        if not (stddev >= 0).all():
            raise ValueError(
                f"Standard deviations must be at least 0, but one is {stddev.min()!r}."
            )
        widths = np.asarray(self.widths)
        variance = widths**2 + stddev**2
        distance = np.asarray(self.centres) - np.asarray(action)[..., np.newaxis]
        heights = np.asarray(self.heights) * widths / np.sqrt(variance)
        bumps = heights * np.exp(-(distance**2) / (2 * variance))
        return bumps, distance, variance


# Rewards are within [0, 1], so that a sensible critic's errors do not reach the linear
# part of the Huber loss, whose minimum is not the mean that (9) needs.
MIXTURE = TwoGaussians(heights=(0.5, 1.0), centres=(-0.8, 0.8), widths=(0.4, 0.5))
ACTION_BOUND = 3.0
#: Places of the modes in `MIXTURE`.
WORSE, BETTER = (int(place) for place in np.argsort(MIXTURE.heights))
#: Mean of a policy that starts on the worse mode.
START_MEAN = MIXTURE.centres[WORSE]


class TwoGaussiansEnvironment(gymnasium.Env):
    """The reward is `MIXTURE` at the action; episodes have one step.

    The observation is always 0, not 1: then the state does not affect the output of a
    mean network with relu layers and zero initial biases, only its last bias learns,
    and the policy is the scalar μ of Section 3. With 1, every weight would change μ,
    which would be far faster than φ.
    """

    # Actions must not be rescaled to [−1, 1]: σ is in the task's own units, see above.
    metadata = {"render_modes": [], "rescale_action": False}

    def __init__(self):
        self.observation_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.action_space = spaces.Box(-ACTION_BOUND, ACTION_BOUND, (1,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode; see `gymnasium.Env.reset`."""
        super().reset(seed=seed, options=options)
        return self._observation(), {}

    def step(
        self, action: np.ndarray
    ) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Pays `MIXTURE` at an action of shape [1], not clipped; terminates."""
        reward = MIXTURE.reward(np.asarray(action, np.float64).item())
        return self._observation(), float(reward), True, False, {}

    def _observation(self) -> np.ndarray:
        return np.zeros((1,), np.float32)
