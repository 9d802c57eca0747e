"""The model of the dynamics, and the critic of states.

Shapes: B batch, S state, A action.
"""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec

from smoothie_tf.networks import dynamics_network, value_network

STATE = tensor_spec.TensorSpec([3], tf.float64)
ACTION = tensor_spec.BoundedTensorSpec([2], tf.float64, -1, 1)
SCALES = np.array([1.0, 0.1, 10.0])


def transitions(number, seed=0, noise=0.0):
    """A linear task of very different scales: s, a, s' and r = s₁ − a₂."""
    rng = np.random.default_rng(seed)
    state = SCALES * rng.normal(size=(number, 3))
    action = rng.normal(size=(number, 2))
    change = SCALES * (action @ [[0.1, 0.0, 0.2], [0.0, 0.3, 0.1]] + 0.01)
    change += noise * SCALES * rng.normal(size=(number, 3))
    reward = state[:, 0] - action[:, 1]
    return [tf.constant(x) for x in (state, action, state + change, reward)]


def make(learns_reward=False, widths=(8, 6), **changes):
    tf.keras.utils.set_random_seed(1)
    model = dynamics_network.DynamicsNetwork(
        STATE, ACTION, learns_reward, widths, **changes
    )
    model.observe(*transitions(1000, 3), tf.ones([1000], tf.float64))
    return model


def randomise(model):
    """Outputs begin close to 0: what is to be told from 0 is drawn anew."""
    rng = np.random.default_rng(2)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.5, variable.shape))
    return model


def test_each_dimension_has_a_network_of_its_own():
    model = randomise(make(learns_reward=True))
    # Three states, and a reward.
    kernels = [v.shape for v in model.variables if "kernel" in v.name]
    assert kernels == [(4, 5, 8), (4, 8, 6), (4, 1, 6)]
    state, action, *_ = transitions(7)
    before = model(state, action)
    kernel = next(v for v in model.variables if "kernel_1" in v.name)
    kernel[1].assign(kernel[1] + 0.1)
    after = model(state, action)
    changed = np.any(before.next_state != after.next_state, axis=0)
    np.testing.assert_array_equal(changed, [False, True, False])
    np.testing.assert_array_equal(before.reward, after.reward)


def test_one_network_by_hand():
    # One unit a layer, all kernels 1 and biases 0: tanh(tanh(Σ inputs)), standardised
    # inputs and outputs by moments that are set here.
    model = make(widths=(1, 1))
    for variable in model.trainable_variables:
        is_kernel = "kernel" in variable.name
        variable.assign(np.full(variable.shape, float(is_kernel)))
    model._input_mean.assign([1.0, 0, 0, 0, 0])
    model._input_variance.assign([4.0, 1, 1, 1, 1])
    model._change_mean.assign([0.5, 0, 0])
    model._change_variance.assign([9.0, 1, 1])
    state, action = [[2.0, 0.1, 0.0]], [[0.2, -0.1]]
    y = np.tanh(np.tanh((2 - 1) / 2 + 0.1 + 0.2 - 0.1))
    found = model(tf.constant(state, tf.float64), tf.constant(action, tf.float64))
    np.testing.assert_allclose(
        found.next_state, [[2 + 0.5 + 3 * y, 0.1 + y, y]], rtol=1e-12
    )
    # log σ̂ = 0, in units of each dimension's changes.
    np.testing.assert_allclose(model.stddev, [3.0, 1.0, 1.0])
    # −log p without constants: ½·Σ(target − y)² at a change of (3.5, 0, 0).
    following = tf.constant([[5.5, 0.1, 0.0]], tf.float64)
    loss = model.loss(
        *(tf.constant(x, tf.float64) for x in (state, action)),
        following,
        tf.zeros([1], tf.float64),
        tf.constant([2.0], tf.float64),
    )
    target = np.array([(3.5 - 0.5) / 3, 0, 0])
    np.testing.assert_allclose(loss, 2 * 0.5 * ((target - y) ** 2).sum())


@pytest.mark.parametrize("widths", [(5,), (8, 6), (4, 3, 5)])
def test_jacobians_are_those_of_a_tape(widths):
    model = randomise(make(learns_reward=True, widths=widths))
    state, action, *_ = transitions(6)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((state, action))
        following = model(state, action).next_state
    found = model.jacobians(state, action)
    for mine, inputs in zip(found, (state, action), strict=True):
        expected = tape.batch_jacobian(following, inputs)
        np.testing.assert_allclose(mine, expected, rtol=1e-10, atol=1e-12)
    assert np.abs(found[1]).max() > 0.1


def test_moments_are_those_of_all_that_was_seen():
    model = dynamics_network.DynamicsNetwork(STATE, ACTION, True)
    parts = [transitions(50, seed) for seed in range(4)]
    for part in parts:
        # Pairs across an episode's end have weight 0.
        jump = [tf.concat([x, 100 + x[:5]], axis=0) for x in part]
        model.observe(*jump, tf.constant([1.1] * 50 + [0.0] * 5, tf.float64))
    state, action, following, reward = (
        np.concatenate(x) for x in zip(*parts, strict=True)
    )
    inputs = np.concatenate([state, action], axis=1)
    changes = np.concatenate([following - state, reward[:, None]], axis=1)
    for values, mean, variance in (
        (inputs, model._input_mean, model._input_variance),
        (changes, model._change_mean, model._change_variance),
    ):
        np.testing.assert_allclose(mean, values.mean(axis=0), atol=1e-12)
        # What means moved on the way is counted as well.
        np.testing.assert_allclose(variance, values.var(axis=0), rtol=1e-9)
    assert model._times_observed == 4


def test_the_newest_moments_keep_a_thousandth_of_the_weight():
    # From a mean of 0 and a variance of 1, after a million calls: inputs of 3 move the
    # mean by 0.003, and the variance to 0.999·(1 + 0.003²) + 0.001·2.997².
    model = dynamics_network.DynamicsNetwork(STATE, ACTION)
    model._times_observed.assign(10**6)
    three = tf.constant(3.0, tf.float64)
    state, action = tf.fill([4, 3], three), tf.fill([4, 2], three)
    nothing = tf.zeros([4], tf.float64)
    model.observe(state, action, state, nothing, tf.ones([4], tf.float64))
    np.testing.assert_allclose(model._input_mean, [0.003] * 5)
    expected = 0.999 * (1 + 0.003**2) + 0.001 * 2.997**2
    np.testing.assert_allclose(model._input_variance, [expected] * 5)


def test_it_learns_dynamics_noise_and_rewards():
    model = make(learns_reward=True)
    optimizer = tf.keras.optimizers.Adam(1e-2, jit_compile=False)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(*batch):
        with tf.GradientTape() as tape:
            loss = model.loss(*batch, tf.ones([128], tf.float64))
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    for seed in range(500):
        step(*transitions(128, seed, noise=0.05))
    state, action, following, reward = transitions(500, 1000)
    found = model(state, action)
    error = np.sqrt(np.mean((found.next_state - following) ** 2, axis=0)) / SCALES
    assert (error < 0.03).all()
    np.testing.assert_allclose(model.stddev / SCALES, 0.05, rtol=0.25)
    assert np.sqrt(np.mean((found.reward - reward) ** 2)) < 0.2


def test_a_dimension_that_never_changes_stays():
    model = dynamics_network.DynamicsNetwork(STATE, ACTION)
    state, action, following, reward = transitions(100)
    following = tf.concat([following[:, :2], state[:, 2:]], axis=1)
    model.observe(state, action, following, reward, tf.ones([100], tf.float64))
    np.testing.assert_allclose(
        model(state, action).next_state[:, 2], state[:, 2], atol=1e-6
    )


def test_clipped_actions_are_those_at_the_bounds():
    # Bounds of ±1; a third of the draws are beyond.
    model, free = (randomise(make(clip_actions=clip)) for clip in (True, False))
    state, action, *_ = transitions(50)
    within = tf.clip_by_value(action, -1, 1)
    beyond = np.abs(action) > 1
    assert beyond.any() and not beyond.all()
    predicted = model(state, action).next_state
    np.testing.assert_array_equal(predicted, model(state, within).next_state)
    assert np.any(free(state, action).next_state != free(state, within).next_state)
    with tf.GradientTape() as tape:
        tape.watch(action)
        following = model(state, action).next_state
    by_action = model.jacobians(state, action)[1].numpy()
    np.testing.assert_allclose(by_action, tape.batch_jacobian(following, action))
    np.testing.assert_array_equal((by_action != 0).all(axis=1), ~beyond)
    # As are those that it is standardised by.
    seen = np.clip(transitions(1000, 3)[1], -1, 1)
    np.testing.assert_allclose(model._input_mean[3:], seen.mean(axis=0), atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"widths": ()}, "hidden_units must name at least one layer, but is"),
        ({"widths": (0,)}, "hidden_units"),
        ({"initial_stddev": 0.0}, "initial_stddev must be a number above 0, but is"),
        ({"clip_actions": 1}, "clip_actions must be True or False, but is 1"),
        (
            {"clip_actions": True, "learns_reward": True},
            "clip_actions must be False where the model learns rewards",
        ),
    ],
)
def test_what_is_not_allowed_is_named(changes, sentence):
    with pytest.raises(ValueError, match=f"DynamicsNetwork.{sentence}"):
        make(**changes)


def test_value_network_by_hand():
    # One unit: 2·tanh(1·s₁ − 1·s₂ + 0.5) + 3.
    spec = tensor_spec.TensorSpec([2], tf.float32)
    network = value_network.ValueNetwork(spec, hidden_units=(1,))
    network.create_variables()
    values = ([[1.0], [-1.0]], [0.5], [[2.0]], [3.0])
    for variable, value in zip(network.trainable_variables, values, strict=True):
        variable.assign(value)
    value, state = network(tf.constant([[0.2, 0.1], [1.0, 3.0]]))
    np.testing.assert_allclose(value, 2 * np.tanh([0.6, -1.5]) + 3, rtol=1e-6)
    assert state == ()
    # Table 1's sizes for cart-pole and swimmers by default.
    network = value_network.ValueNetwork(spec)
    network.create_variables()
    shapes = [tuple(v.shape) for v in network.trainable_variables]
    assert shapes == [(2, 200), (200,), (200, 100), (100,), (100, 1), (1,)]
    with pytest.raises(ValueError, match="ValueNetwork.hidden_units"):
        value_network.ValueNetwork(spec, hidden_units=(0,))
