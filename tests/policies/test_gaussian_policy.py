"""Samples, means and seeds of the Gaussian policy."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.policies import greedy_policy
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from smoothie_tf import covariances
from smoothie_tf.networks import keras_network
from smoothie_tf.policies import gaussian_policy

OBSERVATION = tensor_spec.TensorSpec([1], tf.float32)
ACTION = tensor_spec.BoundedTensorSpec([2], tf.float32, -1, 1)
LOG_VARIANCE = np.log([0.25, 4.0]).astype(np.float32)  # σ = ½ and 2.


@pytest.fixture
def policy():
    # μ(s) = (0.5·s, −s + 0.9).
    layer = tf.keras.layers.Dense(
        2,
        kernel_initializer=tf.constant_initializer([0.5, -1.0]),
        bias_initializer=tf.constant_initializer([0.0, 0.9]),
    )
    network = keras_network.KerasNetwork(OBSERVATION, tf.keras.Sequential([layer]))
    network.create_variables()
    return gaussian_policy.GaussianPolicy(
        ts.time_step_spec(OBSERVATION),
        ACTION,
        network,
        covariances.Covariance(covariances.Diagonal, tf.Variable(LOG_VARIANCE)),
    )


def at(state, number):
    return ts.restart(tf.fill([number, 1], state), number)


@pytest.mark.parametrize("seed", [None, tf.constant([1, 2])], ids=["global", "tensor"])
def test_samples_have_the_moments_and_are_not_clipped(policy, seed):
    tf.random.set_seed(0)
    number = 100_000
    action = policy.action(at(1.0, number), seed=seed).action.numpy()
    # Four standard errors: 4·σ/√n of the mean, 4·σ/√(2n) of the deviation.
    stddev = np.array([0.5, 2.0])
    np.testing.assert_allclose(
        action.mean(0) - [0.5, -0.1], [0, 0], atol=4 * 2 / np.sqrt(number)
    )
    np.testing.assert_allclose(
        action.std(0) / stddev, [1, 1], atol=4 / np.sqrt(2 * number)
    )
    assert abs(np.corrcoef(action.T)[0, 1]) < 4 / np.sqrt(number)
    # P(|a₂| > 1) = 1 − Φ(0.55) + Φ(−0.45) = 0.2912 + 0.3264.
    np.testing.assert_allclose((np.abs(action[:, 1]) > 1).mean(), 0.6176, atol=0.01)


def test_a_tensor_seed_repeats(policy):
    def act(seed):
        return policy.action(at(1.0, 3), seed=tf.constant(seed)).action.numpy()

    np.testing.assert_array_equal(act([1, 2]), act([1, 2]))
    assert not np.isclose(act([1, 2]), act([1, 3])).any()
    compiled = tf.function(
        lambda seed: policy.action(at(1.0, 3), seed=seed).action, jit_compile=True
    )
    np.testing.assert_allclose(compiled(tf.constant([1, 2])), act([1, 2]), rtol=1e-5)


def test_greedy_is_the_mean(policy):
    greedy = greedy_policy.GreedyPolicy(policy)
    action = greedy.action(at(1.5, 1)).action
    np.testing.assert_allclose(action, [[0.75, -0.6]], rtol=1e-6)


def test_distribution_is_the_gaussian(policy):
    distribution = policy.distribution(at(1.0, 1)).action
    np.testing.assert_allclose(distribution.mean(), [[0.5, -0.1]], rtol=1e-5)
    np.testing.assert_allclose(distribution.stddev(), [[0.5, 2.0]], rtol=1e-6)
    # −½·(z₁² + z₂²) − ln(σ₁σ₂) − ln 2π, with z = (1, −1) and σ₁σ₂ = 1.
    np.testing.assert_allclose(
        distribution.log_prob([[1.0, -2.1]]), [-1 - np.log(2 * np.pi)], rtol=1e-5
    )


def test_it_holds_its_variables(policy):
    assert len(policy.variables()) == 3
    (log_variance,) = (
        variable
        for variable in policy.variables()
        if "kernel" not in variable.name and "bias" not in variable.name
    )
    other = tf.constant(LOG_VARIANCE) + 1
    log_variance.assign(other)
    np.testing.assert_allclose(
        policy.distribution(at(0.0, 1)).action.variance(), [np.exp(other)], rtol=1e-5
    )
