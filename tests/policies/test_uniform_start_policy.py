"""Uniform actions until the first training step, and the wrapped policy's from then."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from tf_agents.policies import actor_policy
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from smoothie_tf.networks import mean_network
from smoothie_tf.policies import ornstein_uhlenbeck_policy, uniform_start_policy

OBSERVATION = tensor_spec.TensorSpec([2], tf.float32)
ACTION = tensor_spec.BoundedTensorSpec([2], tf.float32, [-1.0, 0.5], [3.0, 0.75])
NUMBER = 4000


@pytest.fixture
def policy():
    network = mean_network.MeanNetwork(OBSERVATION, ACTION, (4,))
    wrapped = actor_policy.ActorPolicy(ts.time_step_spec(OBSERVATION), ACTION, network)
    wrapped = ornstein_uhlenbeck_policy.OrnsteinUhlenbeckPolicy(wrapped, 0.1, 0.5)
    counter = tf.Variable(0, dtype=tf.int64)
    return uniform_start_policy.UniformStartPolicy(wrapped, counter)


def act(policy, seed, compiled=None):
    batch = ts.restart(tf.ones([NUMBER, 2]), NUMBER)
    state = policy.get_initial_state(NUMBER)

    def action(seed):
        step = policy.action(batch, state, seed=seed)
        return step.action, step.state

    if compiled is not None:
        action = tf.function(action, jit_compile=compiled, autograph=False)
    return [each.numpy() for each in action(seed)]


@pytest.mark.parametrize("seed", [tf.constant([3, 4]), 5], ids=["tensor", "number"])
def test_uniform_within_the_bounds_at_first(policy, seed):
    action, _ = act(policy, seed)
    for column, low, high in zip(action.T, ACTION.minimum, ACTION.maximum, strict=True):
        assert low <= column.min() and column.max() <= high
        assert stats.kstest(column, "uniform", (low, high - low)).pvalue > 1e-3


def test_the_wrapped_policy_from_the_first_training_step(policy):
    seed = tf.constant([3, 4])
    policy._train_step_counter.assign(1)
    for mine, wrapped in zip(
        act(policy, seed), act(policy.wrapped_policy, seed), strict=True
    ):
        np.testing.assert_array_equal(mine, wrapped)


@pytest.mark.parametrize("trained", [0, 1])
def test_a_seed_draws_the_same_however_it_is_compiled(policy, trained):
    policy._train_step_counter.assign(trained)
    seed = tf.constant([3, 4])
    eager, other = act(policy, seed), act(policy, tf.constant([3, 5]))
    assert (eager[0] != other[0]).any(axis=1).all()
    for compiled in (False, True):
        np.testing.assert_allclose(act(policy, seed, compiled)[0], eager[0], 1e-5, 1e-6)


def test_it_has_no_distribution(policy):
    batch = ts.restart(tf.ones([1, 2]), 1)
    with pytest.raises(NotImplementedError, match="no one distribution"):
        policy.distribution(batch, policy.get_initial_state(1))
