"""The noise's recursion, its reset at episode starts, and its long-run spread."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.policies import actor_policy
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from smoothie_tf import gaussian
from smoothie_tf.networks import keras_network
from smoothie_tf.policies import ornstein_uhlenbeck_policy

OBSERVATION = tensor_spec.TensorSpec([1], tf.float32)
MEAN = (0.5, -0.25)


def make(stddev, damping, bound=1.0):
    layer = tf.keras.layers.Dense(
        2,
        kernel_initializer=tf.zeros_initializer(),
        bias_initializer=tf.constant_initializer(MEAN),
    )
    network = keras_network.KerasNetwork(OBSERVATION, tf.keras.Sequential([layer]))
    network.create_variables()
    wrapped = actor_policy.ActorPolicy(
        ts.time_step_spec(OBSERVATION),
        tensor_spec.BoundedTensorSpec([2], tf.float32, -bound, bound),
        network,
    )
    return ornstein_uhlenbeck_policy.OrnsteinUhlenbeckPolicy(wrapped, stddev, damping)


def step(kind, number=1):
    return ts.TimeStep(
        tf.fill([number], kind), tf.zeros(number), tf.ones(number), tf.ones([number, 1])
    )


def test_recursion_by_hand():
    policy = make(stddev=0.1, damping=0.25)
    state = policy.get_initial_state(1)
    np.testing.assert_array_equal(state, [[0.0, 0.0]])
    noise = np.zeros((1, 2))
    kind = ts.StepType.FIRST
    for i in range(4):
        seed = tf.constant([7, i])
        decision = policy.action(step(kind), state, seed=seed)
        # x ← (1 − ¼)·x + 0.1·ε, and the action is the mean plus x.
        noise = 0.75 * noise + 0.1 * gaussian.stateless_normal([1, 2], seed).numpy()
        np.testing.assert_allclose(decision.state, noise, rtol=1e-5)
        np.testing.assert_allclose(decision.action, MEAN + noise, rtol=1e-5)
        state, kind = decision.state, ts.StepType.MID


def test_noise_starts_anew_with_every_episode():
    policy = make(stddev=0.1, damping=0.25)
    earlier = tf.constant([[3.0, -3.0], [3.0, -3.0]])
    kinds = tf.constant([ts.StepType.FIRST, ts.StepType.MID])
    time_step = step(ts.StepType.MID, 2)._replace(step_type=kinds)
    seed = tf.constant([1, 2])
    increment = 0.1 * gaussian.stateless_normal([2, 2], seed).numpy()
    state = policy.action(time_step, earlier, seed=seed).state
    # Row 0 begins an episode and forgets; row 1 keeps ¾ of ±3.
    np.testing.assert_allclose(
        state, increment + [[0.0, 0.0], [2.25, -2.25]], rtol=1e-5
    )


def test_actions_are_clipped_but_the_noise_is_not():
    policy = make(stddev=0.1, damping=0.25)
    decision = policy.action(
        step(ts.StepType.MID), tf.constant([[8.0, -8.0]]), seed=tf.constant([1, 2])
    )
    np.testing.assert_array_equal(decision.action, [[1.0, -1.0]])
    assert np.all(np.abs(decision.state) > 5)


@pytest.mark.parametrize("seeded", [True, False])
def test_stationary_spread(seeded):
    # s / √(1 − (1 − d)²) = 0.2 / √(1 − 0.64) = 1/3.
    tf.random.set_seed(0)
    policy = make(stddev=0.2, damping=0.2, bound=100.0)
    number = 20_000
    act = tf.function(policy.action)
    state = policy.get_initial_state(number)
    for i in range(30):  # 0.8⁶⁰ of the variance is still missing: nothing.
        seed = tf.constant([5, i]) if seeded else None
        decision = act(step(ts.StepType.MID, number), state, seed=seed)
        state = decision.state
    action = decision.action.numpy()
    np.testing.assert_allclose(action.std(0), [1 / 3, 1 / 3], rtol=0.03)
    np.testing.assert_allclose(action.mean(0), MEAN, atol=0.01)


def test_it_has_no_distribution():
    policy = make(0.1, 0.1)
    with pytest.raises(NotImplementedError, match="not independent draws"):
        policy.distribution(step(ts.StepType.FIRST), policy.get_initial_state(1))


@pytest.mark.parametrize("changes", [{"stddev": -1.0}, {"damping": 3.0}])
def test_numbers_out_of_range_are_named(changes):
    with pytest.raises(ValueError, match=f"Policy.{next(iter(changes))} must be a num"):
        make(**{"stddev": 0.1, "damping": 0.5, **changes})
