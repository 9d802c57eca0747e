"""The paper's networks, and Keras models in their place."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec

from smoothie_tf import action_derivatives
from smoothie_tf.networks import (
    covariance_network,
    critic_network,
    dense,
    keras_network,
    mean_network,
)

OBSERVATION = tensor_spec.TensorSpec([5], tf.float32)
ACTION = tensor_spec.BoundedTensorSpec([2], tf.float32, -1, 1)


def shapes(network):
    return [tuple(variable.shape) for variable in network.trainable_variables]


def test_mean_network_has_the_papers_layers():
    network = mean_network.MeanNetwork(OBSERVATION, ACTION)
    network.create_variables()
    assert shapes(network) == [(5, 400), (400,), (400, 300), (300,), (300, 2), (2,)]
    mean, state = network(tf.random.stateless_normal([7, 5], (0, 0)))
    assert mean.shape == (7, 2)
    assert state == ()
    # DDPG's initial weights: ±1/√inputs, and ±0.003 in the last layer.
    for kernel, bound in zip(
        network.trainable_variables[::2], (5**-0.5, 400**-0.5, 3e-3), strict=True
    ):
        largest = np.abs(kernel).max()
        assert 0.95 * bound < largest <= np.float32(bound)
    for bias in network.trainable_variables[1::2]:
        np.testing.assert_array_equal(bias, np.zeros(bias.shape))


def test_mean_network_by_hand():
    # Kernels of ones: the hidden unit is relu(1 + 2 − 4) = 0 or relu(1 + 2 + 4) = 7,
    # and the mean centre + half·tanh(hidden + bias).
    spec = tensor_spec.BoundedTensorSpec([2], tf.float32, [-3.0, 0.0], [1.0, 0.5])
    network = mean_network.MeanNetwork(
        tensor_spec.TensorSpec([3], tf.float32), spec, hidden_units=(1,)
    )
    network.create_variables()
    for variable, value in zip(
        network.trainable_variables,
        ([[1.0], [1.0], [1.0]], [0.0], [[1.0, 1.0]], [0.5, -0.5]),
        strict=True,
    ):
        variable.assign(value)
    mean, _ = network(tf.constant([[1.0, 2.0, -4.0], [1.0, 2.0, 4.0]]))
    centre, half = np.array([-1.0, 0.25]), np.array([2.0, 0.25])
    np.testing.assert_allclose(
        mean,
        centre + half * np.tanh([[0.5, -0.5], [7.5, 6.5]]),
        rtol=1e-6,
    )


def test_mean_network_stays_within_the_bounds():
    spec = tensor_spec.BoundedTensorSpec([2], tf.float32, [-0.4, 1.0], [0.4, 3.0])
    network = mean_network.MeanNetwork(OBSERVATION, spec, hidden_units=(4,))
    network.create_variables()
    for variable in network.trainable_variables:
        variable.assign(100 * tf.random.stateless_normal(variable.shape, (1, 2)))
    mean, _ = network(tf.random.stateless_normal([50, 5], (0, 0)))
    assert np.all(mean >= spec.minimum) and np.all(mean <= spec.maximum)
    for value in (*spec.minimum, *spec.maximum):
        assert np.isclose(mean, value).any()


def test_mean_network_can_start_elsewhere():
    spec = tensor_spec.BoundedTensorSpec([2], tf.float32, [-3.0, 0.0], [1.0, 0.5])
    network = mean_network.MeanNetwork(OBSERVATION, spec, initial_mean=0.2)
    mean, _ = network(tf.random.stateless_normal([50, 5], (0, 0)))
    np.testing.assert_allclose(mean, np.full([50, 2], 0.2), atol=0.1)
    for value in (0.5, -1.0):
        with pytest.raises(ValueError, match="MeanNetwork.initial_mean must lie"):
            mean_network.MeanNetwork(OBSERVATION, spec, initial_mean=value)


@pytest.mark.parametrize("bound", [np.inf, 3e38])
def test_mean_network_needs_bounds(bound):
    spec = tensor_spec.BoundedTensorSpec([2], tf.float32, -bound, bound)
    with pytest.raises(ValueError, match="MeanNetwork.action_spec must have finite"):
        mean_network.MeanNetwork(OBSERVATION, spec)


@pytest.mark.parametrize("name", ["get", "serialize", "__name__", "swishy"])
def test_what_is_no_activation_is_named(name):
    spec = tensor_spec.BoundedTensorSpec([2], tf.float32, -1, 1)
    with pytest.raises(ValueError, match="MeanNetwork.activation must be the Keras"):
        mean_network.MeanNetwork(OBSERVATION, spec, activation=name)


def by_name(network):
    """Variables by the part of the critic that they are."""
    kernels = [v for v in network.trainable_variables if "action_kernel" in v.name]
    others = [v for v in network.trainable_variables if "action_kernel" not in v.name]
    (action_kernel,) = kernels
    names = ("observation", "observation_bias", "joint", "joint_bias", "output", "bias")
    return {"action": action_kernel, **dict(zip(names, others, strict=True))}


def test_mean_network_without_bounds():
    # By hand as above, centre + half·(hidden + bias): far outside the box.
    spec = tensor_spec.BoundedTensorSpec([2], tf.float32, [-3.0, 0.0], [1.0, 0.5])
    network = mean_network.MeanNetwork(
        tensor_spec.TensorSpec([1], tf.float32), spec, hidden_units=(1,), bounded=False
    )
    network.create_variables()
    for variable, value in zip(
        network.trainable_variables,
        ([[1.0]], [0.0], [[1.0, 1.0]], [0.5, -0.5]),
        strict=True,
    ):
        variable.assign(value)
    mean, _ = network(tf.constant([[7.0]]))
    np.testing.assert_allclose(mean, [[-1 + 2 * 7.5, 0.25 + 0.25 * 6.5]], rtol=1e-6)
    start = mean_network.MeanNetwork(
        OBSERVATION, ACTION, hidden_units=(), initial_mean=0.4, bounded=False
    )
    start.create_variables()
    mean, _ = start(tf.zeros([1, 5]))
    np.testing.assert_allclose(mean, [[0.4, 0.4]], rtol=1e-6)


def test_covariance_network_stays_near_its_start():
    # By hand: φ₀ + c·tanh(hidden·w + b), whatever the state.
    network = covariance_network.CovarianceNetwork(
        tensor_spec.TensorSpec([1], tf.float32),
        [-1.0, 0.5],
        hidden_units=(1,),
        largest_change=1.5,
        parameter_sizes=[1.0, 0.2],
    )
    network.create_variables()
    start, _ = network(tf.constant([[0.3]]))
    np.testing.assert_allclose(start, [[-1.0, 0.5]], atol=0.01)
    for variable, value in zip(
        network.trainable_variables,
        ([[1.0]], [0.0], [[0.25, -100.0]], [0.5, 0.0]),
        strict=True,
    ):
        variable.assign(value)
    phi, _ = network(tf.constant([[7.0]]))
    np.testing.assert_allclose(
        phi, [[-1.0 + 1.5 * np.tanh(2.25), 0.5 - 0.3]], rtol=1e-6
    )


def test_critic_network_has_the_papers_layers():
    network = critic_network.CriticNetwork((OBSERVATION, ACTION))
    network.create_variables()
    # The state's 400 units meet the 2 actions in the layer of 300, whose kernel is
    # kept in two parts.
    parts = by_name(network)
    assert {name: tuple(v.shape) for name, v in parts.items()} == {
        "observation": (5, 400),
        "observation_bias": (400,),
        "joint": (400, 300),
        "action": (2, 300),
        "joint_bias": (300,),
        "output": (300, 1),
        "bias": (1,),
    }
    value, state = network((tf.ones([7, 5]), tf.ones([7, 2])))
    assert value.shape == (7,)
    assert state == ()
    for name, bound in {
        "observation": 5**-0.5,
        "joint": 402**-0.5,
        "action": 402**-0.5,
        "output": 3e-3,
    }.items():
        largest = np.abs(parts[name]).max()
        # The largest draw may be the bound itself, rounded.
        assert 0.95 * bound < largest <= np.float32(bound), name
    for name in ("observation_bias", "joint_bias", "bias"):
        assert not parts[name].numpy().any()


def test_critic_network_by_hand():
    # One unit each: tanh(1·2 + 0) meets a: tanh(1·tanh 2 + 3·a + 0.5), times 4, plus 1.
    network = critic_network.CriticNetwork(
        (
            tensor_spec.TensorSpec([1], tf.float32),
            tensor_spec.BoundedTensorSpec([1], tf.float32, -1, 1),
        ),
        observation_units=(1,),
        joint_units=(1,),
    )
    network.create_variables()
    parts = by_name(network)
    for name, value in {
        "observation": [[1.0]],
        "observation_bias": [0.0],
        "joint": [[1.0]],
        "action": [[3.0]],
        "joint_bias": [0.5],
        "output": [[4.0]],
        "bias": [1.0],
    }.items():
        parts[name].assign(value)
    value, _ = network((tf.constant([[2.0]]), tf.constant([[-0.3]])))
    inner = np.tanh(np.tanh(2.0) + 3 * -0.3 + 0.5)
    np.testing.assert_allclose(value, [4 * inner + 1], rtol=1e-6)


def test_critic_network_can_start_elsewhere():
    network = critic_network.CriticNetwork((OBSERVATION, ACTION), initial_value=-10.0)
    observation, action = (tf.random.stateless_normal([7, n], (0, n)) for n in (5, 2))
    for critic in (network, network.copy()):
        value, _ = critic((observation, action))
        # 300 hidden units in [−1, 1], each with a last weight of at most 0.003.
        np.testing.assert_allclose(value, np.full(7, -10.0), atol=0.9)
        assert critic.trainable_variables[-1].numpy() == [-10.0]
    with pytest.raises(ValueError, match=r"CriticNetwork\.initial_value .* nan"):
        critic_network.CriticNetwork((OBSERVATION, ACTION), initial_value=float("nan"))


def test_squareplus_by_hand():
    # (x + √(x² + 4)) / 2: at 1.5 the root is 2.5.
    values = dense.squareplus(tf.constant([-1.5, 0.0, 1.5, 1e4]))
    np.testing.assert_allclose(values, [0.5, 1.0, 2.0, 1e4], rtol=1e-6)


@pytest.mark.parametrize(
    ("observation_units", "joint_units", "activation"),
    [
        ((400,), (300,), "tanh"),
        ((400,), (300,), "squareplus"),
        ((6,), (8, 5), "tanh"),
        ((), (8,), "tanh"),
        ((7, 6), (5, 4, 3), "squareplus"),
    ],
)
def test_critic_networks_derivatives_are_those_of_nested_tapes(
    observation_units, joint_units, activation
):
    tf.keras.utils.set_random_seed(0)
    network = critic_network.CriticNetwork(
        (OBSERVATION, ACTION), observation_units, joint_units, activation
    )
    network.create_variables()
    for variable in network.trainable_variables:
        if variable.shape[-1] == 1:  # The last layer, away from near zero.
            variable.assign(tf.random.stateless_normal(variable.shape, (1, 2)))
    observation = tf.random.stateless_normal([7, 5], (0, 0))
    action = tf.random.stateless_normal([7, 2], (0, 1))
    forward = network.action_derivatives(observation, action)
    nested = action_derivatives.by_nested_tapes(
        lambda a: network((observation, a))[0], action
    )
    for mine, other in zip(forward, nested, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)


def test_critic_network_names_missing_joint_layers():
    with pytest.raises(ValueError, match="CriticNetwork.joint_units"):
        critic_network.CriticNetwork((OBSERVATION, ACTION), joint_units=())


def test_critic_network_names_an_activation_without_a_rule():
    network = critic_network.CriticNetwork((OBSERVATION, ACTION), activation="elu")
    network.create_variables()
    with pytest.raises(ValueError, match="no rule for activation 'elu'"):
        network.action_derivatives(tf.ones([1, 5]), tf.ones([1, 2]))


def test_networks_copy_to_weights_of_their_own():
    for network in (
        mean_network.MeanNetwork(OBSERVATION, ACTION, hidden_units=(3,)),
        critic_network.CriticNetwork((OBSERVATION, ACTION), (3,), (4,)),
    ):
        network.create_variables()
        copy = network.copy(name="Copy")
        copy.create_variables()
        assert shapes(copy) == shapes(network)
        ours = {variable.ref() for variable in network.variables}
        assert not ours & {variable.ref() for variable in copy.variables}


def sequential():
    return tf.keras.Sequential(
        [tf.keras.layers.Dense(4, "relu"), tf.keras.layers.Dense(2, "tanh")]
    )


def functional():
    observation, action = tf.keras.Input([5]), tf.keras.Input([2])
    joint = tf.keras.layers.Concatenate()([observation, action])
    hidden = tf.keras.layers.Dense(6, "tanh")(joint)
    value = tf.keras.layers.Dense(1)(hidden)
    return tf.keras.Model([observation, action], value)


def test_keras_sequential_as_network():
    model = sequential()
    network = keras_network.as_network(model, OBSERVATION, "Actor")
    assert network.create_variables(OBSERVATION).shape == (2,)
    observation = tf.random.stateless_normal([3, 5], (0, 0))
    output, state = network(observation)
    np.testing.assert_array_equal(output, model(observation))
    assert state == ()
    # The model's weights are used, not copied.
    assert [v.ref() for v in network.variables] == [v.ref() for v in model.variables]


def test_keras_functional_critic_as_network():
    model = functional()
    network = keras_network.as_network(model, (OBSERVATION, ACTION), "Critic")
    assert network.create_variables((OBSERVATION, ACTION)).shape == ()
    inputs = tf.ones([3, 5]), tf.ones([3, 2])
    value, _ = network(inputs)
    np.testing.assert_array_equal(value, model(list(inputs))[:, 0])


def test_keras_network_copies_to_weights_of_its_own():
    network = keras_network.as_network(functional(), (OBSERVATION, ACTION), "Critic")
    network.create_variables()
    copy = network.copy(name="Target")
    copy.create_variables()
    assert copy.name == "Target"
    assert shapes(copy) == shapes(network)
    before = [v.numpy() for v in copy.variables]
    for variable in network.variables:
        variable.assign_add(tf.ones_like(variable))
    for variable, value in zip(copy.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_what_is_neither_network_nor_model_is_named():
    network = keras_network.as_network(sequential(), OBSERVATION, "Actor")
    assert keras_network.as_network(network, OBSERVATION, "Other") is network
    with pytest.raises(TypeError, match="ActorNetwork must be .* but is a function"):
        keras_network.as_network(lambda x: x, OBSERVATION, "ActorNetwork")


def test_several_actions_a_state_have_the_values_of_each():
    tf.keras.utils.set_random_seed(0)
    spec = (
        tensor_spec.TensorSpec([3], tf.float32),
        tensor_spec.TensorSpec([2], tf.float32),
    )
    state, action = tf.keras.Input([3]), tf.keras.Input([2])
    joint = tf.keras.layers.Concatenate()([state, action])
    keras = tf.keras.Model([state, action], tf.keras.layers.Dense(1, "tanh")(joint))
    observation, actions = tf.random.normal([4, 3]), tf.random.normal([5, 4, 2])
    for critic in (
        critic_network.CriticNetwork(spec, (6,), (7, 8)),
        critic_network.CriticNetwork(spec, (), (7,)),
        keras_network.as_network(keras, spec, "Critic"),
    ):
        critic.create_variables()
        for variable in critic.variables:
            variable.assign_add(0.3 * tf.random.normal(variable.shape))
        expected = [critic((observation, each))[0] for each in actions]
        found = critic_network.sample_values(critic, observation, actions)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
