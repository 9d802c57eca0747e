"""Draws of a Gaussian behind a tanh, and their density, against a closed form."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, stats
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from smoothie_tf import gaussian
from smoothie_tf.networks import squashed_gaussian_network
from smoothie_tf.policies import squashed_gaussian_policy

OBSERVATION = tensor_spec.TensorSpec([1], tf.float32)
# Centre 1 and half range 2; centre 0 and half range 1.
ACTION = tensor_spec.BoundedTensorSpec([2], tf.float32, [-1.0, -1.0], [3.0, 1.0])


@pytest.fixture
def network():
    made = squashed_gaussian_network.SquashedGaussianNetwork(OBSERVATION, ACTION, ())
    made.create_variables()
    return made


def distribution(network, mean, log_stddev, number=1):
    kernel, bias = network.variables
    kernel.assign(tf.zeros_like(kernel))
    bias.assign([*mean, *log_stddev])
    return network(tf.zeros([number, 1]))[0]


def density(action, mean, log_stddev):
    """π(a) in closed form, the product over both dimensions."""
    share = (action - [1.0, 0.0]) / [2.0, 1.0]
    u = np.arctanh(share)
    normal = stats.norm.pdf(u, mean, np.exp(log_stddev))
    return np.prod(normal / ([2.0, 1.0] * (1 - share**2)), axis=-1)


def test_draws_and_densities_by_hand(network):
    mean, log_stddev = [0.3, -0.6], [-1.0, 0.2]
    noise = np.array([[0.0, 0.0], [1.5, -0.5], [-2.0, 1.0]], np.float32)
    action, log_probability = squashed_gaussian_policy.draw(
        distribution(network, mean, log_stddev, 3), tf.constant(noise)
    )
    expected = [1, 0] + [2, 1] * np.tanh(mean + np.exp(log_stddev) * noise)
    np.testing.assert_allclose(action, expected, rtol=1e-5, atol=1e-6)
    expected = np.log(density(expected, mean, log_stddev))
    np.testing.assert_allclose(log_probability, expected, rtol=1e-4)
    # What the closed form says is a density.
    share = np.tanh(np.linspace(-9, 9, 1001))
    a, b = 1 + 2 * share, share
    each = density(np.stack(np.meshgrid(a, b, indexing="ij"), -1), mean, log_stddev)
    total = integrate.trapezoid(integrate.trapezoid(each, b), a)
    np.testing.assert_allclose(total, 1.0, rtol=1e-4)


def test_densities_are_finite_where_tanh_has_rounded_to_its_bound(network):
    action, log_probability = squashed_gaussian_policy.draw(
        distribution(network, [15.0, -15.0], [0.0, 0.0]), tf.zeros([1, 2])
    )
    np.testing.assert_array_equal(action, [[3.0, -1.0]])
    # −½·log 2π twice, − log 2, and −log(1 − tanh² 15) ≈ 30 − log 4 twice.
    expected = -np.log(2 * np.pi) - np.log(2) + 2 * (30 - np.log(4))
    np.testing.assert_allclose(log_probability, [expected], rtol=1e-5)


def test_log_stddev_is_clipped(network):
    for given, held in ((-30.0, -20.0), (5.0, 2.0)):
        made = distribution(network, [0.0, 0.0], [given, given])
        stddev = made.input_distribution.stddev()
        np.testing.assert_allclose(stddev, np.full([1, 2], np.exp(held)), rtol=1e-5)


@pytest.mark.parametrize("compiled", [None, False, True])
def test_a_tensor_seeds_the_policy(network, compiled):
    made = distribution(network, [0.3, -0.6], [-1.0, 0.2], 5)
    policy = squashed_gaussian_policy.SquashedGaussianPolicy(
        ts.time_step_spec(OBSERVATION), ACTION, network
    )

    def act(seed):
        return policy.action(ts.restart(tf.zeros([5, 1]), 5), seed=seed).action

    if compiled is not None:
        act = tf.function(act, jit_compile=compiled, autograph=False)
    noise = gaussian.stateless_normal([5, 2], [3, 4])
    expected, _ = squashed_gaussian_policy.draw(made, noise)
    np.testing.assert_allclose(act(tf.constant([3, 4])), expected, rtol=1e-5, atol=1e-6)
    assert (act(tf.constant([3, 5])).numpy() != expected.numpy()).all()


def test_networks_say_what_is_wrong_with_their_layers():
    make = squashed_gaussian_network.SquashedGaussianNetwork
    with pytest.raises(ValueError, match="SquashedGaussianNetwork.hidden_units must"):
        make(OBSERVATION, ACTION, (8, 0))
    with pytest.raises(ValueError, match="SquashedGaussianNetwork.activation must"):
        make(OBSERVATION, ACTION, (8,), activation="curved")


def test_a_copy_has_weights_of_its_own():
    made = squashed_gaussian_network.SquashedGaussianNetwork(OBSERVATION, ACTION, (8,))
    other = made.copy(name="Other")
    for each in (made, other):
        each.create_variables()
    # 1·8 + 8, and 8·4 + 4: means and deviations of two actions.
    for each in (made, other):
        assert sum(v.shape.num_elements() for v in each.variables) == 16 + 36
    assert (made.variables[0].numpy() != other.variables[0].numpy()).any()
