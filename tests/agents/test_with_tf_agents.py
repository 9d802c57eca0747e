"""The agents among TF-Agents' own parts alone, and Keras models in the agent."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.drivers import dynamic_step_driver
from tf_agents.environments import tf_py_environment
from tf_agents.policies import policy_saver
from tf_agents.replay_buffers import tf_uniform_replay_buffer
from tf_agents.trajectories import time_step as ts
from tf_agents.utils import common

from smoothie_tf.agents import factory, smoothie_agent
from smoothie_tf.environments import gymnasium_environment
from smoothie_tf.networks import (
    critic_network,
    mean_network,
    squashed_gaussian_network,
)
from tests import slow

BATCH = 8
AGENTS = ["smoothie", "ddpg", "td3", "sac", "keras", "soft_ddpg", "svg0"]


@pytest.fixture
def environment():
    task = gymnasium_environment.GymnasiumEnvironment("InvertedPendulum-v5", seed=3)
    env = tf_py_environment.TFPyEnvironment(task)
    yield env
    env.close()


def create(name, env):
    tf.keras.utils.set_random_seed(0)
    observation, action = env.observation_spec(), env.action_spec()
    arguments = {
        "time_step_spec": env.time_step_spec(),
        "action_spec": action,
        "actor_network": mean_network.MeanNetwork(observation, action, (8,)),
        "critic_network": critic_network.CriticNetwork(
            (observation, action), (8,), (8,)
        ),
        "actor_optimizer": tf.keras.optimizers.Adam(1e-3),
        "critic_optimizer": tf.keras.optimizers.Adam(1e-3),
        "gamma": 0.99,
        "target_update_tau": 0.01,
        "train_step_counter": tf.Variable(0, dtype=tf.int64),
    }
    if name == "keras":
        states, actions = (
            tf.keras.Input(observation.shape),
            tf.keras.Input(action.shape),
        )
        joint = tf.keras.layers.Concatenate()([states, actions])
        hidden = tf.keras.layers.Dense(8, "tanh")(joint)
        arguments["critic_network"] = tf.keras.Model(
            [states, actions], tf.keras.layers.Dense(1)(hidden)
        )
        arguments["actor_network"] = tf.keras.Sequential(
            [tf.keras.layers.Dense(8, "relu"), tf.keras.layers.Dense(1, "tanh")]
        )
    if name == "svg0":
        # Target networks are to change within three steps here.
        arguments["target_update_period"] = 1
    if name == "sac":
        network = squashed_gaussian_network.SquashedGaussianNetwork
        arguments["actor_network"] = network(observation, action, (8,))
    kind = factory.AGENTS.get(name, smoothie_agent.SmoothieAgent)
    agent = kind(**arguments)
    agent.initialize()
    return agent


@pytest.mark.parametrize("name", slow.all_but(["smoothie", "ddpg", "keras"], AGENTS))
def test_driver_buffer_and_saver(environment, name, tmp_path):
    agent = create(name, environment)
    buffer = tf_uniform_replay_buffer.TFUniformReplayBuffer(
        agent.collect_data_spec, batch_size=1, max_length=1000
    )
    driver = dynamic_step_driver.DynamicStepDriver(
        environment, agent.collect_policy, [buffer.add_batch], num_steps=10
    )
    driver.run = common.function(driver.run)
    time_step, state = environment.reset(), None
    for _ in range(3):
        time_step, state = driver.run(time_step, state)
    assert buffer.num_frames() >= 30
    dataset = buffer.as_dataset(
        sample_batch_size=agent.minibatches_per_train * BATCH, num_steps=2
    )
    train = common.function(agent.train)
    before = [v.numpy() for v in agent.trainable_variables]
    assert before
    for experience, _ in dataset.take(3):
        assert np.isfinite(train(experience).loss)
    assert agent.train_step_counter == 3
    changed = [
        (v.numpy() != old).any()
        for v, old in zip(agent.trainable_variables, before, strict=True)
    ]
    assert all(changed)

    for kind in ("policy", "collect_policy"):
        policy = getattr(agent, kind)
        policy_saver.PolicySaver(policy, batch_size=None).save(str(tmp_path / kind))
        loaded = tf.saved_model.load(str(tmp_path / kind))
        batch = ts.restart(tf.random.stateless_normal([3, 4], (0, 1)), 3)
        # Both draw from the same global stream from its start.
        actions = []
        for actor in (policy, loaded):
            state = actor.get_initial_state(3)
            tf.random.set_seed(5)
            actions.append(actor.action(batch, state).action.numpy())
        if kind == "policy":
            np.testing.assert_allclose(*actions, rtol=1e-5, atol=1e-7)
        else:
            assert actions[0].shape == actions[1].shape == (3, 1)
            assert np.isfinite(actions[1]).all()
