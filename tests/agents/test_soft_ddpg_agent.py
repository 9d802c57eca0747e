"""Soft DDPG: losses by hand, and an actor that no derivative of the critic teaches."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.trajectories import StepType
from tf_agents.trajectories import time_step as ts

from smoothie_tf import gaussian
from smoothie_tf.agents import ddpg_agent, soft_ddpg_agent
from smoothie_tf.networks import keras_network
from tests import slow
from tests.agents import builders

SGD = tf.keras.optimizers.legacy.SGD


def make(by_hand, **changes):
    """An agent with the networks of `by_hand`, γ = 1, σ = 2 and two samples."""
    return builders.make(
        soft_ddpg_agent.SoftDdpgAgent,
        by_hand,
        **{
            "gamma": 1.0,
            "stddev": 2.0,
            "actor_samples": 2,
            "target_samples": 3,
            "variance_reduction": "none",
            "seed": 7,
            **changes,
        },
    )


def small(**changes):
    settings = {"actor_samples": 4, "target_samples": 3, "seed": 7}
    return builders.small(soft_ddpg_agent.SoftDdpgAgent, **settings, **changes)


def noise(number, draw, step=0):
    """The u of two states: the actor's draw is 0, the target's 1."""
    return gaussian.stateless_normal([number, 2, 1], [7, 2 * step + draw])[..., 0]


def test_the_target_is_a_mean_over_smoothed_next_actions(by_hand):
    # Q(s′, π(s′) + 2u) = Q(s′, π(s′)) + 4u: targets 10 + 0.9·(69 + 4ū) and
    # 20 + 0.9·(89 + 4ū) with the mean ū of each state's u; values 21 and 31.
    agent = make(by_hand)
    agent.train_step_counter.assign(5)
    u = noise(3, 1, step=5).numpy().mean(axis=0)
    assert np.abs(u).min() > 0.01
    errors = 0.9 * 4 * u + [51.1, 69.1]
    info = agent.loss(by_hand.experience(discounts=(0.9, 0.9))).extra
    np.testing.assert_allclose(info.critic_loss, np.mean(errors) - 0.5, rtol=1e-5)


def test_targets_come_from_the_target_networks(by_hand):
    agent = make(by_hand)
    before = agent.loss(by_hand.experience()).extra.critic_loss
    # μ by 1 more: Q(s′, a′) by 2. That of the trained policy is not asked for.
    agent.actor_network.variables[-1].assign([6.0])
    np.testing.assert_array_equal(
        agent.loss(by_hand.experience()).extra.critic_loss, before
    )
    agent._target_actor_network.variables[-1].assign([6.0])
    after = agent.loss(by_hand.experience()).extra.critic_loss
    np.testing.assert_allclose(after - before, 2.0, rtol=1e-4)
    # With w′ at zero targets are the rewards, 10 and 20; values are 21 and 31.
    for variable in agent._target_critic_network.variables:
        variable.assign(tf.zeros_like(variable))
    loss = agent.loss(by_hand.experience()).extra.critic_loss
    np.testing.assert_allclose(loss, 10.5, rtol=1e-6)


def test_termination_gamma_and_reward_scale(by_hand):
    # Terminated: 0.1·10 − 21 = −20. Cut off: 2 + ½·(89 + 4ū) − 31 = 15.5 + 2ū.
    agent = make(by_hand, gamma=0.5, reward_scale_factor=0.1)
    experience = by_hand.experience(
        discounts=(0.0, 1.0), next_step_types=[StepType.LAST, StepType.LAST]
    )
    u = noise(3, 1).numpy().mean(axis=0)[1]
    loss = agent.loss(experience).extra.critic_loss
    np.testing.assert_allclose(loss, (19.5 + 15.0 + 2 * u) / 2, rtol=1e-5)


@pytest.mark.parametrize("reduction", gaussian.REDUCTIONS)
def test_the_actors_step_is_s7_written_out(by_hand, reduction):
    # Q(s, a) = 2a + c with c = 11 and 19; π(s) = 9 and 15; σ = 2.
    agent = make(by_hand, variance_reduction=reduction, learning_rates=(1.0, 0.0))
    u = noise(2, 0).numpy()
    if reduction == "antithetic":
        u = np.stack([u[0], -u[0]])
    values = 2 * (np.array([9.0, 15.0]) + 2 * u) + [11.0, 19.0]
    baseline = [29.0, 49.0] if reduction == "value" else 0.0
    g = (u * (values - baseline)).mean(axis=0) / 2
    info = agent.train(by_hand.experience()).extra
    kernel, bias = agent.actor_network.trainable_variables
    np.testing.assert_allclose(bias, [5 + g.mean()], rtol=1e-5)
    # ∇π is the state itself: (1, 2) and (3, 4).
    np.testing.assert_allclose(
        kernel[:, 0],
        [2 + (g * [1, 3]).mean(), 1 + (g * [2, 4]).mean()],
        rtol=1e-5,
    )
    np.testing.assert_allclose(info.q, values.mean(), rtol=1e-5)


def test_perturbed_actions_can_be_clipped_to_the_bounds(by_hand):
    # π(s) and π(s′) are 9 to 27, so actions within the bounds of ±1 are 1:
    # Q(s′, 1) = 29 and 37, Q(s, 1) = 13 and 21. Targets 10 + 0.9·29 and 20 + 0.9·37,
    # values 21 and 31: errors 15.1 and 22.3.
    agent = make(by_hand, clip_actions=True, learning_rates=(1.0, 0.0))
    experience = by_hand.experience(discounts=(0.9, 0.9))
    info = agent.train(experience).extra
    np.testing.assert_allclose(info.critic_loss, 18.7 - 0.5, rtol=1e-6)
    np.testing.assert_allclose(info.q, 17.0, rtol=1e-6)
    # Clipping does not change the density of u, so (S8) holds as it is.
    g = (noise(2, 0).numpy() * [13.0, 21.0]).mean(axis=0) / 2
    np.testing.assert_allclose(
        agent.actor_network.trainable_variables[1], [5 + g.mean()], rtol=1e-5
    )
    time_step = ts.restart(tf.constant(by_hand.observations), 2)
    collected = agent.collect_policy.action(time_step, (), seed=(1, 2)).action
    np.testing.assert_array_equal(collected, [[1.0], [1.0]])


def test_pairs_across_an_episodes_end_have_no_weight(by_hand):
    experience = by_hand.experience(
        step_types=[StepType.LAST, StepType.MID],
        next_step_types=[StepType.FIRST, StepType.MID],
        rewards=(1e6, 20.0),
        discounts=(1.0, 0.0),
    )
    info = make(by_hand).loss(experience).extra
    # Target 20, value 31: 11 − ½. Q = 49 + 4u of the second state.
    np.testing.assert_allclose(info.critic_loss, 10.5, rtol=1e-6)
    expected = 49 + 4 * noise(2, 0).numpy()[:, 1].mean()
    np.testing.assert_allclose(info.q, expected, rtol=1e-5)


def step_critic():
    """Q(s, a) = 1 where a > 0.5, else −1: its gradient in a is zero."""
    observation, action = tf.keras.Input([2]), tf.keras.Input([1])
    step = tf.keras.layers.Lambda(lambda a: tf.sign(a - 0.5))(action)
    # A layer of weights that are zero, for an agent that trains it at rate 0.
    nothing = tf.keras.layers.Dense(1, kernel_initializer="zeros")(observation)
    return tf.keras.Model([observation, action], step + nothing)


def test_a_piecewise_constant_critic_trains_the_actor(by_hand):
    def trained(kind, **arguments):
        networks = {
            "actor_network": keras_network.as_network(
                tf.keras.Sequential(
                    [tf.keras.layers.Dense(1, kernel_initializer="zeros")]
                ),
                by_hand.observation_spec,
                "Actor",
            ),
            "critic_network": keras_network.as_network(
                step_critic(), (by_hand.observation_spec, by_hand.action_spec), "Critic"
            ),
        }
        agent = kind(
            by_hand.time_step_spec,
            by_hand.action_spec,
            **networks,
            actor_optimizer=SGD(0.02),
            critic_optimizer=SGD(0.0),
            seed=7,
            train_step_counter=tf.Variable(0, dtype=tf.int64),
            **arguments,
        )
        agent.initialize()
        train = tf.function(agent.train, autograph=False)
        for _ in range(60):
            train(by_hand.experience())
        return agent._actor_network(tf.constant(by_hand.observations))[0].numpy()

    soft = trained(soft_ddpg_agent.SoftDdpgAgent, stddev=0.3, actor_samples=32)
    assert (soft > 0.5).all()
    hard = trained(ddpg_agent.DdpgAgent, ou_stddev=0.3)
    np.testing.assert_array_equal(hard, 0.0)


def test_the_width_is_fixed(by_hand):
    agent = make(by_hand)
    agent.train(by_hand.experience())
    np.testing.assert_allclose(tf.exp(agent.log_variance / 2), [2.0], rtol=1e-6)
    assert not agent.log_variance.trainable
    assert all(v is not agent.log_variance for v in agent._policy_variables)
    info = agent.loss(by_hand.experience()).extra
    np.testing.assert_allclose(info.policy_stddev, 2.0, rtol=1e-6)


def test_it_acts_by_the_gaussian_and_is_judged_by_its_mean(by_hand):
    # μ = 0.1·s₁ + 0.1·s₂: 0.3 and 0.7. What explores is not clipped.
    agent = make(by_hand)
    for variable, value in zip(
        agent.actor_network.variables, ([[0.1], [0.1]], [0.0]), strict=True
    ):
        variable.assign(value)
    time_step = ts.restart(tf.constant(by_hand.observations), 2)
    np.testing.assert_allclose(
        agent.policy.action(time_step).action, [[0.3], [0.7]], rtol=1e-6
    )
    seed = tf.constant([1, 2])
    action = agent.collect_policy.action(time_step, (), seed=seed).action
    expected = gaussian.stateless_normal([2, 1], seed) * 2 + [[0.3], [0.7]]
    np.testing.assert_allclose(action, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "xla", slow.all_but([True], [False, True]), ids=["graph", "xla"]
)
def test_compiled_training_is_eager_training(random_experience, xla):
    builders.check_compiled_is_eager(
        small, random_experience(12, 5, 3), xla, steps=3, rtol=2e-3, atol=2e-5
    )


def test_a_whole_number_may_have_a_point(by_hand):
    config = make(by_hand, target_samples=3.0).config
    assert type(config.target_samples) is int and config.target_samples == 3


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"stddev": 0.0}, "SoftDdpgAgent.stddev must be a number above 0"),
        ({"actor_samples": 0}, "SoftDdpgAgent.actor_samples must be a whole number"),
        ({"target_samples": 1.5}, "SoftDdpgAgent.target_samples must be a whole"),
        ({"gamma": 1.5}, "SoftDdpgAgent.gamma must be a number between 0 and 1"),
        ({"clip_actions": "no"}, "SoftDdpgAgent.clip_actions must be True or False"),
        (
            {"variance_reduction": "half"},
            "must be one of 'none', 'value', 'antithetic', but is 'half'",
        ),
        (
            {"variance_reduction": "antithetic", "actor_samples": 3},
            "SoftDdpgAgent.actor_samples must be even",
        ),
    ],
)
def test_bad_arguments_are_named(by_hand, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(by_hand, **changes)
