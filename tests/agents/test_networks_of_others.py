"""Networks, specs and optimizers that are not the package's own."""

import functools
import warnings

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents.ddpg import actor_rnn_network
from tf_agents.agents.ddpg import critic_network as tf_agents_critic
from tf_agents.networks import network
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from smoothie_tf.agents import (
    ddpg_agent,
    sac_agent,
    smoothie_agent,
    smoothie_variants,
    soft_ddpg_agent,
    td3_agent,
)
from smoothie_tf.networks import (
    critic_network,
    keras_network,
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
    # Nor does what `loss` was told outlive it.
    agent.loss(experience, training=False)
    target = agent._target_actor_network.normalization.moving_mean
    before, behind = average.numpy(), target.numpy()
    agent.train(experience)
    assert np.abs(average - before).max() > 0
    # Targets follow in what is not trained as well.
    assert np.abs(target - behind).max() > 0


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


def keras_critic(observation_spec, action_spec, first="glorot_uniform"):
    """A smooth critic without `action_derivatives`."""
    inputs = [tf.keras.Input(spec.shape) for spec in (observation_spec, action_spec)]
    hidden = tf.keras.layers.Dense(8, "tanh")(tf.keras.layers.Concatenate()(inputs))
    value = tf.keras.layers.Dense(1, kernel_initializer=first)(hidden)
    return tf.keras.Model(inputs, value)


def test_a_critic_without_curvature_is_told():
    with pytest.warns(
        UserWarning, match="Hessian in the action is 0 at 16 random"
    ) as told:
        builders.small(smoothie_agent.SmoothieAgent, critic=relu_critic)
    # Where the agent was created.
    assert {each.filename for each in told if "Hessian" in str(each.message)} == {
        builders.__file__
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        builders.small(smoothie_agent.SmoothieAgent)
        builders.small(smoothie_agent.SmoothieAgent, nested_tapes=True)
        for first in ("glorot_uniform", "zeros"):
            critic = functools.partial(keras_critic, first=first)
            builders.small(smoothie_agent.SmoothieAgent, critic=critic)
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


KINDS = [
    smoothie_agent.SmoothieAgent,
    ddpg_agent.DdpgAgent,
    td3_agent.Td3Agent,
    sac_agent.SacAgent,
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (tensor_spec.BoundedTensorSpec([], tf.float32, -1, 1), "one Bounded"),
        (tensor_spec.BoundedTensorSpec([0], tf.float32, -1, 1), "one Bounded"),
        (tensor_spec.BoundedTensorSpec([2, 3], tf.float32, -1, 1), "one Bounded"),
        (tensor_spec.BoundedTensorSpec([3], tf.float64, -1, 1), "one Bounded"),
        (tensor_spec.BoundedTensorSpec([3], tf.int32, 0, 1), "one Bounded"),
        ({"x": tensor_spec.BoundedTensorSpec([3], tf.float32, -1, 1)}, "one Bounded"),
        (tensor_spec.BoundedTensorSpec([1], tf.float32, -1, np.inf), "finite bounds"),
        (tensor_spec.BoundedTensorSpec([1], tf.float32, -3e38, 3e38), "finite bounds"),
        (tensor_spec.BoundedTensorSpec([1], tf.float32, 1, -1), "but has 1.0 and -1.0"),
    ],
    ids=str,
)
def test_actions_that_are_no_bounded_vector_are_refused(by_hand, kind, spec, why):
    with pytest.raises(ValueError, match=f"{kind.__name__}'s action_spec .*{why}"):
        builders.make(kind, by_hand, action_spec=spec)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("optimizer", [None, "adam"])
def test_what_is_no_optimizer_is_refused(kind, optimizer):
    message = f"{kind.__name__}.actor_optimizer must be an optimizer, but is"
    with pytest.raises(ValueError, match=message):
        builders.small(kind, actor_optimizer=optimizer)


def test_an_optimizer_of_another_agent_is_refused():
    optimizer = tf.keras.optimizers.Adam(name="mine")
    builders.small(smoothie_agent.SmoothieAgent, actor_optimizer=optimizer)
    with pytest.raises(ValueError, match="'mine' already updates other variables"):
        builders.small(smoothie_agent.SmoothieAgent, actor_optimizer=optimizer)


@pytest.mark.parametrize(
    ("kind", "config", "wanted"),
    [
        (smoothie_agent.SmoothieAgent, 0.5, "SmoothieConfig"),
        (
            smoothie_agent.SmoothieAgent,
            soft_ddpg_agent.SoftDdpgConfig(),
            "SmoothieConfig",
        ),
        (
            smoothie_variants.DerivativeSmoothieAgent,
            smoothie_agent.SmoothieConfig(),
            "VariantConfig",
        ),
        (
            smoothie_variants.create_smoothie,
            smoothie_agent.SmoothieConfig(),
            "VariantConfig",
        ),
    ],
)
def test_hyperparameters_of_another_agent_are_refused(kind, config, wanted):
    with pytest.raises(TypeError, match=f"{kind.__name__}'s config must be a {wanted}"):
        builders.small(kind, config=config)


@pytest.mark.parametrize(
    ("argument", "value"), [("train_step_counter", 0), ("seed", 1.7), ("seed", True)]
)
def test_arguments_of_another_type_are_refused(argument, value):
    with pytest.raises(ValueError, match=rf"{argument} must be a .* but is {value}"):
        builders.small(smoothie_agent.SmoothieAgent, **{argument: value})


def test_adapted_statistics_are_those_of_the_target_too(random_experience):
    normalization = tf.keras.layers.Normalization()
    normalization.adapt(np.random.default_rng(0).normal(3.0, 2.0, (100, 5)))

    def actor(*_):
        layers = tf.keras.Input((5,)), normalization, tf.keras.layers.Dense(3, "tanh")
        return tf.keras.Sequential(layers)

    agent = builders.small(smoothie_agent.SmoothieAgent, actor=actor)
    states = tf.ones([2, 5])
    np.testing.assert_array_equal(
        agent.actor_network(states)[0], agent._target_actor_network(states)[0]
    )
    agent.train(random_experience(8, 5, 3))


def test_twin_critics_of_keras_begin_apart():
    agent = builders.small(
        td3_agent.Td3Agent,
        critic=lambda *specs: keras_network.KerasNetwork(specs, keras_critic(*specs)),
    )
    one, other = (
        critic.variables[0].numpy()
        for critic in (agent._critic_network_1, agent._critic_network_2)
    )
    assert (one != other).any()


class Frozen(tf.keras.layers.Layer):
    """Holds a trainable weight that no loss depends on."""

    def build(self, shape):
        self.unused = self.add_weight("unused", shape[-1:])

    def call(self, inputs):
        return inputs + tf.stop_gradient(self.unused)


def test_a_weight_without_gradient_does_not_stop_a_compiled_step(random_experience):
    def actor(*_):
        return tf.keras.Sequential([Frozen(), tf.keras.layers.Dense(3, "tanh")])

    agent = builders.small(smoothie_agent.SmoothieAgent, actor=actor)
    info = tf.function(agent.train)(random_experience(8, 5, 3))
    assert np.isfinite(info.loss)


def test_weights_of_another_type_are_converted(random_experience):
    agent = builders.small(smoothie_agent.SmoothieAgent)
    experience = random_experience(8, 5, 3)
    losses = [
        agent.loss(experience, weights=weights).loss.numpy()
        for weights in (2.0, 2, np.full(8, 2.0))
    ]
    assert losses[0] == losses[1] == losses[2]
    with pytest.raises(ValueError, match=r"shape \(8,\), but have the shape \(4,\)"):
        agent.loss(experience, weights=tf.ones(4))


def test_ddpg_without_the_state_of_its_noise_is_told():
    agent = builders.small(ddpg_agent.DdpgAgent)
    time_step = ts.restart(tf.zeros([1, 5]), batch_size=1)
    with pytest.raises(
        ValueError, match=r"or get_initial_state\(batch_size\), but got"
    ):
        agent.collect_policy.action(time_step)
    for state in (agent.collect_policy.get_initial_state(1), np.zeros((1, 3), "f")):
        assert agent.collect_policy.action(time_step, state).action.shape == (1, 3)


def test_several_actions_of_states_in_parts():
    class Critic(network.Network):
        def call(self, inputs, step_type=(), network_state=()):
            states, actions = inputs
            value = tf.reduce_sum(states["a"], [1, 2]) + states["b"][:, 0]
            return value + 100 * actions[:, 0], network_state

    states = {
        "a": tf.reshape(tf.range(12.0), [2, 2, 3]),
        "b": tf.constant([[1.0], [2]]),
    }
    actions = tf.constant([[[0.0], [0]], [[1], [2]], [[3], [4]]])
    values = critic_network.sample_values(Critic(), states, actions)
    np.testing.assert_array_equal(values, [[16, 53], [116, 253], [316, 453]])


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
