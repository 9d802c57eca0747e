"""Networks with constant weights and batches of transitions, shared by the agents."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import StepType, trajectory
from tf_agents.trajectories import time_step as ts


class ByHand:
    """Two-dimensional states, one action, networks whose values fit in a comment."""

    observation_spec = tensor_spec.TensorSpec([2], tf.float32)
    action_spec = tensor_spec.BoundedTensorSpec([1], tf.float32, -1, 1)
    time_step_spec = ts.time_step_spec(observation_spec)

    def actor(self):
        """μ(s) = 2·s₁ + 1·s₂ + 5."""
        return tf.keras.Sequential(
            [
                tf.keras.layers.Dense(
                    1,
                    kernel_initializer=tf.constant_initializer([2, 1]),
                    bias_initializer=tf.constant_initializer([5]),
                )
            ]
        )

    def critic(self):
        """Q(s, a) = 1·s₁ + 3·s₂ + 2·a + 4."""
        observation, action = tf.keras.Input([2]), tf.keras.Input([1])
        value = tf.keras.layers.Dense(
            1,
            kernel_initializer=tf.constant_initializer([1, 3, 2]),
            bias_initializer=tf.constant_initializer([4]),
        )(tf.keras.layers.Concatenate()([observation, action]))
        return tf.keras.Model([observation, action], value)

    def quadratic_critic(self):
        """Q(s, a) = 3·a²."""
        observation, action = tf.keras.Input([2]), tf.keras.Input([1])
        square = tf.keras.layers.Lambda(lambda a: a * a)(action)
        value = tf.keras.layers.Dense(
            1, kernel_initializer=tf.constant_initializer([3])
        )(square)
        return tf.keras.Model([observation, action], value)

    # With the networks above, in the two transitions below:
    #   Q(s, a)   = 1 + 6 + 10 + 4 = 21    and 3 + 12 + 12 + 4 = 31
    #   μ(s′)     = 10 + 6 + 5 = 21        and 14 + 8 + 5 = 27
    #   Q(s′, μ)  = 5 + 18 + 42 + 4 = 69   and 7 + 24 + 54 + 4 = 89
    #   μ(s)      = 2 + 2 + 5 = 9          and 6 + 4 + 5 = 15
    observations = ((1.0, 2.0), (3.0, 4.0))
    actions = ((5.0,), (6.0,))
    rewards = (10.0, 20.0)
    next_observations = ((5.0, 6.0), (7.0, 8.0))

    def experience(self, discounts=(1.0, 1.0), copies=1, **changes):
        """Returns the two transitions, `copies` times over, as a replay buffer does.

        Args:
          discounts: Of the transitions.
          copies: How often the batch is repeated.
          **changes: Other values of `observations`, `actions`, `rewards`,
            `next_observations`, `step_types` or `next_step_types`.
        """
        number = len(changes.get("rewards", self.rewards))
        fields = {
            "observations": self.observations,
            "actions": self.actions,
            "rewards": self.rewards,
            "next_observations": self.next_observations,
            "step_types": [StepType.MID] * number,
            "next_step_types": [StepType.MID] * number,
            **changes,
        }
        fields = {
            name: np.concatenate([np.asarray(value)] * copies)
            for name, value in fields.items()
        }
        discounts = np.concatenate([np.asarray(discounts)] * copies)

        def two(first, second=None, dtype=tf.float32):
            second = np.zeros_like(first) if second is None else second
            return tf.constant(np.stack([first, second], axis=1), dtype)

        return trajectory.Trajectory(
            step_type=two(fields["step_types"], fields["next_step_types"], tf.int32),
            observation=two(fields["observations"], fields["next_observations"]),
            action=two(fields["actions"]),
            policy_info=(),
            next_step_type=two(fields["next_step_types"], dtype=tf.int32),
            reward=two(fields["rewards"]),
            discount=two(discounts),
        )


@pytest.fixture
def by_hand():
    return ByHand()


@pytest.fixture
def random_experience():
    """Makes random transitions, with terminations and boundaries among them."""

    def make(number, observation_size, action_size, seed=0):
        rng = np.random.default_rng(seed)

        def normal(*shape):
            return tf.constant(rng.normal(size=(number, 2, *shape)), tf.float32)

        step_type = np.full((number, 2), StepType.MID)
        step_type[::5, 0] = StepType.LAST
        step_type[::5, 1] = StepType.FIRST
        discount = np.ones((number, 2))
        discount[1::4, 0] = 0.0
        return trajectory.Trajectory(
            step_type=tf.constant(step_type, tf.int32),
            observation=normal(observation_size),
            action=normal(action_size),
            policy_info=(),
            next_step_type=tf.fill([number, 2], StepType.MID),
            reward=normal(),
            discount=tf.constant(discount, tf.float32),
        )

    return make


@pytest.fixture
def weights_of():
    """Reads all variables of an agent by where they are in it."""

    def read(agent):
        return [variable.numpy() for variable in agent.variables]

    return read
