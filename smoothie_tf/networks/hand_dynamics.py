"""The true model of the task Hand, instead of a learned one.

With it the planner of Section 6.1 of Heess et al. (2015) has no model error: a
remaining difference from SVG(∞) has another cause. Hand's dynamics are linear except
for the bound on the hand's speed; see `smoothie_tf.environments.hand`.

Shapes: B batch, S = 9 state, A = 2 action.
"""

import math

import gin
import numpy as np
import tensorflow as tf
from tf_agents.typing import types

from smoothie_tf.environments import hand
from smoothie_tf.networks import dynamics_network

_HAND, _BALL, _VELOCITY, _TIME = slice(0, 2), slice(2, 4), slice(4, 6), 8
# σ̂ of dimensions without noise: not 0, since inferring noise divides by σ̂.
_LEAST_STDDEV = 1e-6


@gin.configurable(module="smoothie_tf")
class HandDynamics(tf.Module):
    """s' = F·s + G·clip(a) + c, without training; used like `DynamicsNetwork`."""

    learns_reward = False

    def __init__(
        self,
        observation_spec: types.TensorSpec,
        action_spec: types.BoundedTensorSpec,
        learns_reward: bool = False,
        name: str = "HandDynamics",
    ):
        """Creates the matrices.

        Args:
          observation_spec: Spec of Hand's observations, shape [9].
          action_spec: Spec of its actions, shape [2].
          learns_reward: Must be False: the task has a reward function.
          name: Name of the model.

        Raises:
          ValueError: If the specs are not Hand's, or rewards are to be learned.
        """
        super().__init__(name=name)
        if (*observation_spec.shape, *action_spec.shape) != (9, 2) or learns_reward:
            raise ValueError(
                "HandDynamics is the model of smoothie_tf/Hand-v0 only, but the task"
                f" has states of shape {tuple(observation_spec.shape)} and actions of"
                f" shape {tuple(action_spec.shape)}."
            )
        step, dtype = hand.TIME_STEP, observation_spec.dtype
        state, constant = np.eye(9), np.zeros(9)
        pull = step * hand.STIFFNESS * np.eye(2)
        state[_VELOCITY, _HAND], state[_VELOCITY, _BALL] = pull, -pull
        state[_VELOCITY, _VELOCITY] *= 1 - step * hand.DAMPING
        constant[_VELOCITY] = 0.0, -step * hand.GRAVITY
        # The ball moves by the new velocity.
        state[_BALL] += step * state[_VELOCITY]
        constant[_BALL] = step * constant[_VELOCITY]
        constant[_TIME] = 1 / hand.STEPS
        action = np.zeros((9, 2))
        action[_HAND] = step * np.eye(2)
        kick = hand.NOISE * math.sqrt(step)
        stddev = np.full(9, _LEAST_STDDEV)
        stddev[_VELOCITY], stddev[_BALL] = kick, step * kick
        self._state = tf.constant(state, dtype)
        self._action = tf.constant(action, dtype)
        self._constant = tf.constant(constant, dtype)
        #: σ̂, shape [S]. Ball and velocity share one noise; here they have two.
        self.stddev = tf.constant(stddev, dtype)

    def __call__(
        self, state: tf.Tensor, action: tf.Tensor
    ) -> dynamics_network.Prediction:
        """Returns the mean next state; arguments as for `DynamicsNetwork`."""
        following = tf.matmul(state, self._state, transpose_b=True) + self._constant
        clipped = tf.clip_by_value(action, -1.0, 1.0)
        following += tf.matmul(clipped, self._action, transpose_b=True)
        return dynamics_network.Prediction(following, None)

    def jacobians(
        self, state: tf.Tensor, action: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the derivatives, shapes [B, S, S] and [B, S, A]."""
        by_state = tf.tile(self._state[tf.newaxis], [tf.shape(state)[0], 1, 1])
        within = tf.cast(tf.abs(action) <= 1, action.dtype)
        return by_state, self._action * within[:, tf.newaxis]

    def loss(
        self,
        state: tf.Tensor,
        action: tf.Tensor,
        next_state: tf.Tensor,
        reward: tf.Tensor,
        weights: tf.Tensor,
    ) -> tf.Tensor:
        """Returns 0: there is nothing to learn."""
        del state, action, next_state, reward, weights
        return tf.zeros([])

    def observe(
        self,
        state: tf.Tensor,
        action: tf.Tensor,
        next_state: tf.Tensor,
        reward: tf.Tensor,
        weights: tf.Tensor,
    ) -> tf.Operation:
        """Does nothing."""
        del state, action, next_state, reward, weights
        return tf.no_op()
