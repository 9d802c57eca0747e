"""Agents from specs and bindings."""

import dataclasses

import gin
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from smoothie_tf.agents import (
    factory,
    protocol,
    smoothie_agent,
    smoothie_variants,
)
from smoothie_tf.networks import critic_network, mean_network
from smoothie_tf.training import config

TIME_STEP = ts.time_step_spec(tensor_spec.TensorSpec([4], tf.float32))
ACTION = tensor_spec.BoundedTensorSpec([2], tf.float32, -1, 1)
RATES = {"actor_learning_rate": 1e-3, "critic_learning_rate": 1e-4}


# Those with a critic of states and actions; what the others have is in
# test_config.py and in their own tests.
CRITICS = ["ddpg", "dpg", "smoothie", "soft_ddpg", "svg0", "svg0_episode"]


def class_of(name):
    # Of Smoothie there are several.
    return smoothie_agent.SmoothieAgent if name == "smoothie" else factory.AGENTS[name]


@pytest.mark.parametrize("name", CRITICS)
def test_each_agent_has_the_papers_networks(name):
    agent = factory.create_agent(name, TIME_STEP, ACTION, seed=1, **RATES)
    assert isinstance(agent, class_of(name))
    # (4·400 + 400) + (400·300 + 300) + (300·2 + 2), and
    # (4·400 + 400) + (402·300 + 300) + (300 + 1).
    sizes = [
        sum(v.shape.num_elements() for v in network.trainable_variables)
        for network in (agent._actor_network, agent._critic_network)
    ]
    assert sizes == [122_902, 123_201]
    assert agent.train_step_counter == 0
    assert float(agent._actor_optimizer.learning_rate) == pytest.approx(1e-3)
    assert float(agent._critic_optimizer.learning_rate) == pytest.approx(1e-4)


# Two critics of states and actions.
TWO_CRITICS = ["sac", "td3"]


@pytest.mark.parametrize("name", TWO_CRITICS)
def test_agents_with_two_critics_have_their_papers_networks(name):
    config.parse(name, "Hopper-v5")
    agent = factory.create_agent(name, TIME_STEP, ACTION, seed=1)
    assert isinstance(agent, factory.AGENTS[name])
    first, second = (400, 300) if name == "td3" else (256, 256)
    # SAC's actor has a standard deviation for each action, too.
    outputs = 2 if name == "td3" else 4

    def size(inputs, outputs):
        layers = (inputs, first, second, outputs)
        return sum((i + 1) * o for i, o in zip(layers, layers[1:], strict=False))

    def weights(network):
        return sum(v.shape.num_elements() for v in network.trainable_variables)

    assert weights(agent._actor_network) == size(4, outputs)
    # The critic sees the two actions beside the four observations from its first layer.
    for critic in (agent._critic_network_1, agent._critic_network_2):
        assert weights(critic) == size(4 + 2, 1)
    rate = 1e-3 if name == "td3" else 3e-4
    for optimizer in (agent._actor_optimizer, agent._critic_optimizer):
        assert float(optimizer.learning_rate) == pytest.approx(rate)


@pytest.mark.parametrize("name", sorted(set(factory.AGENTS) - {*CRITICS, *TWO_CRITICS}))
def test_agents_with_other_networks(name):
    gin.parse_config("create_agent.model_learning_rate = 1e-2")
    agent = factory.create_agent(
        name, TIME_STEP, ACTION, seed=1, max_episode_steps=7, **RATES
    )
    assert isinstance(agent, class_of(name))
    takes = agent.config.takes
    assert float(agent._actor_optimizer.learning_rate) == pytest.approx(1e-3)
    assert (agent.value_network is not None) == ("value_network" in takes)
    assert (agent.dynamics_network is not None) == ("dynamics_network" in takes)
    if "value_network" in takes:
        assert float(agent._critic_optimizer.learning_rate) == pytest.approx(1e-4)
    if "dynamics_network" in takes:
        assert float(agent._model_optimizer.learning_rate) == pytest.approx(1e-2)
        # Rewards are learned where nobody knows them.
        assert agent.dynamics_network.learns_reward
        known = factory.create_agent(
            name,
            TIME_STEP,
            ACTION,
            reward_fn=lambda s, a, following: s[:, 0],
            max_episode_steps=7,
            **RATES,
        )
        assert not known.dynamics_network.learns_reward
    # As many updates as an episode has steps, unless it is told otherwise.
    with pytest.raises(ValueError, match="_updates must be a whole number .* without"):
        factory.create_agent(name, TIME_STEP, ACTION, **RATES)


def test_a_horizon_asks_for_a_value_function_and_moves_no_other_weights():
    def make(*bindings):
        gin.clear_config()
        gin.parse_config(bindings)
        tf.keras.utils.set_random_seed(0)
        agent = factory.create_agent(
            "svg_infinity", TIME_STEP, ACTION, seed=1, max_episode_steps=7, **RATES
        )
        return agent, [v.numpy() for v in agent.actor_network.variables]

    plain, weights = make()
    assert plain.value_network is None and plain.minibatches_per_train == 7
    agent, same = make(
        "SvgInfinityAgent.horizon = 3", "smoothie_tf.ValueNetwork.hidden_units = (5,)"
    )
    assert agent.minibatches_per_train == 14
    # (4·5 + 5) + (5 + 1).
    sizes = [v.shape.num_elements() for v in agent.value_network.trainable_variables]
    assert sum(sizes) == 31
    assert float(agent._critic_optimizer.learning_rate) == pytest.approx(1e-4)
    for mine, other in zip(weights, same, strict=True):
        assert (mine == other).all()


def test_bindings_reach_agents_and_networks():
    gin.parse_config(
        [
            "SmoothieAgent.kl_penalty = 0.125",
            "DdpgAgent.ou_stddev = 0.25",
            "MeanNetwork.hidden_units = (3,)",
            "smoothie_tf.CriticNetwork.joint_units = (5, 6)",
        ]
    )
    smoothie = factory.create_agent("smoothie", TIME_STEP, ACTION, **RATES)
    ddpg = factory.create_agent("ddpg", TIME_STEP, ACTION, **RATES)
    assert smoothie.config.kl_penalty == 0.125
    assert ddpg._ou_stddev == 0.25
    for agent in (smoothie, ddpg):
        assert agent._actor_network.variables[0].shape == (4, 3)
        kernels = {
            tuple(variable.shape)
            for variable in agent._critic_network.trainable_variables
            if variable.shape.rank == 2
        }
        assert kernels == {(4, 400), (400, 5), (2, 5), (5, 6), (6, 1)}


def test_unknown_agents_and_bad_rates_are_named():
    with pytest.raises(ValueError, match="'ppo' is unknown: .* ddpg, .*, smoothie"):
        factory.create_agent("ppo", TIME_STEP, ACTION, **RATES)
    with pytest.raises(ValueError, match="create_agent.actor_learning_rate must be"):
        factory.create_agent(
            "ddpg", TIME_STEP, ACTION, actor_learning_rate=0, critic_learning_rate=1
        )


# What bindings of `SmoothieAgent` select.


@pytest.mark.parametrize(
    ("bindings", "kind"),
    [
        ((), smoothie_agent.SmoothieAgent),
        (("evaluation = 'smoothed'",), smoothie_agent.SmoothieAgent),
        (("bellman_error_weights = (1.0, 0.0, 0.0)",), smoothie_agent.SmoothieAgent),
        (
            ("evaluation = 'expected'", "smoothing_samples = 3"),
            smoothie_variants.ExpectedSmoothieAgent,
        ),
        (
            ("bellman_error_weights = (1.0, 0.1, 0.01)", "derivative_baseline = True"),
            smoothie_variants.DerivativeSmoothieAgent,
        ),
    ],
)
def test_bindings_select_how_q_is_learned(bindings, kind):
    gin.parse_config([f"SmoothieAgent.{binding}" for binding in bindings])
    agent = factory.create_agent("smoothie", TIME_STEP, ACTION, **RATES)
    assert type(agent) is kind
    assert agent.config == smoothie_variants.VariantConfig(
        **{name: eval(value) for name, value in (b.split(" = ") for b in bindings)}
    )
    assert "SmoothieAgent.evaluation = " in gin.operative_config_str()


@pytest.mark.parametrize(
    ("binding", "near"),
    [
        ("SmoothieAgent.evaluatoin='expected'", "SmoothieAgent.evaluation"),
        ("SmoothieAgent.smoothing_sample=3", "SmoothieAgent.smoothing_samples"),
        ("SmoothieAgent.kl_penalti=1.0", "SmoothieAgent.kl_penalty"),
        ("Svg1Agent.polici_replay=True", "Svg1Agent.policy_replay"),
        ("SvgInfinityAgent.policy_replay=True", "SvgInfinityAgent.p"),
    ],
)
def test_misspelt_settings_are_caught_with_the_nearest_name(binding, near):
    with pytest.raises(config.ConfigError, match=f"Did you mean {near}"):
        config.parse("smoothie", "Hopper-v5", bindings=[binding])


def test_a_binding_of_before_has_its_name_of_today():
    config.parse(
        "smoothie",
        "Hopper-v5",
        bindings=[
            "SmoothieAgent.importance_weight_clipping = 5.0",
            "Svg1Agent.importance_weight_clipping = 3.0",
        ],
    )
    assert gin.query_parameter("SmoothieAgent.replay_weight_clipping") == 5.0
    # The SVG family's is another, and keeps its name.
    assert gin.query_parameter("Svg1Agent.importance_weight_clipping") == 3.0
    agent = factory.create_agent("smoothie", TIME_STEP, ACTION)
    assert agent.config.replay_weight_clipping == 5.0


def test_settings_are_a_configuration_or_fields_of_it():
    observation = TIME_STEP.observation

    def make(**arguments):
        return smoothie_agent.SmoothieAgent(
            TIME_STEP,
            ACTION,
            mean_network.MeanNetwork(observation, ACTION, (3,)),
            critic_network.CriticNetwork((observation, ACTION), (3,), (3,)),
            tf.keras.optimizers.Adam(1e-3),
            tf.keras.optimizers.Adam(1e-3),
            **arguments,
        )

    config = smoothie_agent.SmoothieConfig(gamma=0.5, kl_penalty=0.25)
    assert make(config=config).config == config
    assert make(gamma=0.5, kl_penalty=0.25).config == config
    assert make(config=config, gamma=0.75).config.gamma == 0.75
    with pytest.raises(TypeError, match="kl_penalti"):
        make(kl_penalti=0.25)
    with pytest.raises(ValueError, match="SmoothieAgent.gamma must be"):
        make(gamma=2.0)


# What the loop asks.


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ddpg", protocol.Contract()),
        ("smoothie", protocol.Contract(minibatches_per_train=2)),
        ("soft_ddpg", protocol.Contract()),
        (
            "svg1",
            # Of each episode's 7 steps, an update of model and of value function.
            protocol.Contract(minibatches_per_train=14, trains_at_episode_end=True),
        ),
    ],
)
def test_what_the_loop_asks_of_an_agent(name, expected):
    config.parse(name, "Pendulum-v1")
    agent = factory.create_agent(name, TIME_STEP, ACTION, max_episode_steps=7)
    found = protocol.contract(agent)
    assert dataclasses.replace(found, config_class=None) == expected
    assert protocol.contract(object()) == protocol.Contract()
