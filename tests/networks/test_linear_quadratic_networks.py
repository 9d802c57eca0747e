"""The networks of the linear–quadratic task."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec

from smoothie_tf import action_derivatives
from smoothie_tf.networks import linear_quadratic_networks

OBSERVATION = tensor_spec.TensorSpec([3], tf.float32)
ACTION = tensor_spec.BoundedTensorSpec([2], tf.float32, -1, 1)


def test_linear_mean_by_hand():
    network = linear_quadratic_networks.LinearMeanNetwork(
        OBSERVATION, ACTION, ((1, 0, 2), (0, -1, 0))
    )
    mean, _ = network(tf.constant([[1.0, 2.0, 3.0]]))
    np.testing.assert_allclose(mean, [[7, -2]])
    copy = network.copy(name="Copy")
    np.testing.assert_allclose(copy(tf.constant([[1.0, 2.0, 3.0]]))[0], [[7, -2]])


@pytest.mark.parametrize("gain", [((1.0, 2.0),), "much", ((1.0, 2.0, np.nan),) * 2])
def test_a_gain_that_is_none_is_named(gain):
    with pytest.raises(ValueError, match=r"LinearMeanNetwork.gain .* shape \(2, 3\)"):
        linear_quadratic_networks.LinearMeanNetwork(OBSERVATION, ACTION, gain)


@pytest.mark.parametrize("full", [False, True])
def test_quadratic_critics_derivatives_are_those_of_nested_tapes(full):
    critic = linear_quadratic_networks.QuadraticCriticNetwork((OBSERVATION, ACTION))
    critic.create_variables()
    draw = np.random.default_rng(0)
    for variable in critic.variables:
        variable.assign(draw.normal(size=variable.shape))
    states = tf.constant(draw.normal(size=(4, 3)), tf.float32)
    actions = tf.constant(draw.normal(size=(4, 2)), tf.float32)
    nested = action_derivatives.by_nested_tapes(
        lambda a: critic((states, a))[0], actions, full
    )
    own = critic.action_derivatives(states, actions, full)
    for mine, other in zip(own, nested, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-5)
