"""Networks, specs and optimizers that are not the package's own."""

import warnings

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents.ddpg import actor_rnn_network
from tf_agents.agents.ddpg import critic_network as tf_agents_critic
from tf_agents.networks import network
from tf_agents.specs import tensor_spec

from smoothie_tf.agents import (
    ddpg_agent,
    sac_agent,
    smoothie_agent,
    soft_ddpg_agent,
    td3_agent,
)
from smoothie_tf.networks import (
    critic_network,
    mean_network,
    squashed_gaussian_network,
)
from tests.agents import builders


class Normalized(network.Network):
    """An actor with batch normalization, whose averages change in training alone."""

    def __init__(self, observation_spec, action_spec, name="Normalized"):
        super().__init__(input_tensor_spec=observation_spec, name=name)
        self._specs = observation_spec, action_spec
        self.normalization = tf.keras.layers.BatchNormalization()
        self._output = tf.keras.layers.Dense(action_spec.shape[0], "tanh")

    def call(self, inputs, step_type=(), network_state=(), training=False):
        normal = self.normalization(inputs, training=training)
        return self._output(normal), network_state

    def copy(self, **kwargs):
        return Normalized(*self._specs, **kwargs)


@pytest.mark.parametrize(
    "kind", [smoothie_agent.SmoothieAgent, soft_ddpg_agent.SoftDdpgAgent]
)
def test_networks_know_whether_they_train(kind, random_experience):
    agent = builders.small(kind, actor=Normalized)
    experience = random_experience(16, 5, 3)
    if kind is soft_ddpg_agent.SoftDdpgAgent:
        experience = tf.nest.map_structure(lambda x: x[:8], experience)
    average = agent.actor_network.normalization.moving_mean
    before = average.numpy()
    agent.loss(experience, training=False)
    np.testing.assert_array_equal(average, before)
    agent.loss(experience, training=True)
    assert np.abs(average - before).max() > 0
    before = average.numpy()
    agent.train(experience)
    assert np.abs(average - before).max() > 0


class Steeper(critic_network.CriticNetwork):
    """Overrides the values, but none of the methods that make them fast."""

    def call(self, inputs, step_type=(), network_state=(), training=False):
        value, _ = super().call(inputs)
        return value - 5 * tf.reduce_sum(inputs[1] ** 2, axis=-1), network_state

    def copy(self, **kwargs):
        return Steeper(self.input_tensor_spec, (8,), (6,), **kwargs)


def test_a_critic_with_another_call_has_its_own_derivatives():
    agent = builders.small(
        smoothie_agent.SmoothieAgent, critic=lambda *s: Steeper(s, (8,), (6,))
    )
    derivatives = agent.critic_derivatives(tf.zeros([2, 5]), tf.ones([2, 3]))
    np.testing.assert_allclose(derivatives.gradient, -10, atol=0.1)
    np.testing.assert_allclose(derivatives.hessian, -10, atol=0.1)
    values = critic_network.sample_values(
        agent.critic_network, tf.zeros([2, 5]), tf.ones([4, 2, 3])
    )
    np.testing.assert_allclose(values, -15, atol=0.1)


class Fast:
    """A mixin whose method is meant for whatever it is mixed into."""

    def action_derivatives(self, observation, action, full_hessian=False):
        raise NotImplementedError


class Mixed(Fast, tf_agents_critic.CriticNetwork):
    """A critic with a method of a mixin."""


def test_a_method_of_a_mixin_or_of_an_instance_counts():
    specs = tf.TensorSpec([5]), tensor_spec.BoundedTensorSpec([3], tf.float32, -1, 1)
    has = critic_network.has_method_of_call
    assert has(Mixed(specs), "action_derivatives")
    critic = tf_agents_critic.CriticNetwork(specs)
    assert not has(critic, "action_derivatives")
    critic.action_derivatives = lambda *_: None
    assert has(critic, "action_derivatives")


def relu_critic(*specs):
    return tf_agents_critic.CriticNetwork(specs, joint_fc_layer_params=(8,))


def test_a_critic_without_curvature_is_told():
    with pytest.warns(UserWarning, match="Hessian in the action is 0 at 16 random"):
        builders.small(smoothie_agent.SmoothieAgent, critic=relu_critic)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        builders.small(smoothie_agent.SmoothieAgent)
        builders.small(
            smoothie_agent.SmoothieAgent,
            critic=relu_critic,
            covariance_learning_rate_factor=0.0,
        )


def test_a_recurrent_actor_is_refused():
    def recurrent(*specs):
        return actor_rnn_network.ActorRnnNetwork(*specs)

    with pytest.raises(ValueError, match="must have no state, but is a recurrent"):
        builders.small(smoothie_agent.SmoothieAgent, actor=recurrent)
    with pytest.raises(ValueError, match="DdpgAgent's actor_network must have no stat"):
        builders.small(ddpg_agent.DdpgAgent, actor=recurrent)


@pytest.mark.parametrize(
    "spec",
    [
        tensor_spec.BoundedTensorSpec([], tf.float32, -1, 1),
        tensor_spec.BoundedTensorSpec([2, 3], tf.float32, -1, 1),
        tensor_spec.BoundedTensorSpec([3], tf.float64, -1, 1),
        tensor_spec.BoundedTensorSpec([3], tf.int32, 0, 1),
        {"x": tensor_spec.BoundedTensorSpec([3], tf.float32, -1, 1)},
    ],
    ids=str,
)
def test_actions_that_are_no_vector_are_refused(by_hand, spec):
    with pytest.raises(ValueError, match="SmoothieAgent's action_spec must be one"):
        builders.make(smoothie_agent.SmoothieAgent, by_hand, action_spec=spec)


def test_one_optimizer_for_both_is_refused():
    optimizer = tf.keras.optimizers.Adam()
    with pytest.raises(ValueError, match="actor_optimizer and critic_optimizer must n"):
        builders.small(
            smoothie_agent.SmoothieAgent,
            actor_optimizer=optimizer,
            critic_optimizer=optimizer,
        )


def squashed(*specs):
    return squashed_gaussian_network.SquashedGaussianNetwork(*specs, (8,))


@pytest.mark.parametrize(
    "kind", [ddpg_agent.DdpgAgent, td3_agent.Td3Agent, sac_agent.SacAgent]
)
def test_summaries_of_gradients_and_variables(kind, random_experience, tmp_path):
    options = {"actor": squashed} if kind is sac_agent.SacAgent else {}
    agent = builders.small(kind, summarize_grads_and_vars=True, **options)
    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        agent.train(random_experience(8, 5, 3))
    (path,) = tmp_path.iterdir()
    tags = {
        value.tag.split("/")[0]
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert {"summarize_vars", "summarize_grads"} <= tags


def test_integers_as_observations():
    action_spec = tensor_spec.BoundedTensorSpec([3], tf.float32, -1, 1)
    actor = mean_network.MeanNetwork(tf.TensorSpec([5], tf.int32), action_spec, (8,))
    mean, _ = actor(tf.ones([2, 5], tf.int32))
    assert mean.shape == (2, 3)
