"""The baseline: TF-Agents' numbers by hand, and what is mended around them."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.trajectories import StepType
from tf_agents.trajectories import time_step as ts

from smoothie_tf.agents import ddpg_agent
from tests.agents import builders

SGD = tf.keras.optimizers.legacy.SGD


def make(by_hand, **changes):
    return builders.make(
        ddpg_agent.DdpgAgent,
        by_hand,
        **{
            "actor_network": builders.actor_by_hand(by_hand),
            "critic_network": builders.critic_by_hand(by_hand),
            "target_update_tau": 0.01,
            **changes,
        },
    )


def small(**changes):
    settings = {"gamma": 0.99, "target_update_tau": 0.05, "gradient_clipping": 4.0}
    return builders.small(ddpg_agent.DdpgAgent, **settings, **changes)


def test_losses_by_hand(by_hand):
    # As for Smoothie: targets 72.1 and 100.1, so 59.6. TF-Agents' actor loss is the
    # mean of (∂Q/∂a)² = 2². Q(s, μ(s)) is 29 and 49.
    info = make(by_hand).loss(by_hand.experience(discounts=(0.9, 0.9))).extra
    np.testing.assert_allclose(info.critic_loss, 59.6, rtol=1e-6)
    np.testing.assert_allclose(info.actor_loss, 4.0)
    np.testing.assert_allclose(info.q, 39.0)


def test_reward_scale_and_termination_by_hand(by_hand):
    # Scale 0.1: terminated 1 − 21 = −20, cut off 2 + 89 − 31 = 60; less ½ each.
    experience = by_hand.experience(
        discounts=(0.0, 1.0), next_step_types=[StepType.LAST, StepType.LAST]
    )
    info = make(by_hand, reward_scale_factor=0.1).loss(experience).extra
    np.testing.assert_allclose(info.critic_loss, 39.5, rtol=1e-6)


def test_pairs_across_an_episodes_end_have_no_weight(by_hand):
    experience = by_hand.experience(
        step_types=[StepType.LAST, StepType.MID],
        next_step_types=[StepType.FIRST, StepType.MID],
        rewards=(1e6, 20.0),
    )
    info = make(by_hand).loss(experience).extra
    # Target 20 + 89, value 31: error 78. Q(s, μ(s)) = 49 of the second state.
    np.testing.assert_allclose(info.critic_loss, 77.5)
    np.testing.assert_allclose(info.q, 49.0)
    np.testing.assert_allclose(info.actor_loss, 4.0)


def test_the_actor_follows_the_critics_gradient(by_hand):
    # (∂Q/∂a)² as a loss has the gradient −2·∂Q/∂a·∇μ: the bias moves by 2·2, the
    # kernel by 4·(mean s₁, mean s₂) = 4·(2, 3). TF-Agents trains the critic first.
    agent = make(by_hand, critic_optimizer=SGD(0.0))
    agent.train(by_hand.experience())
    kernel, bias = agent._actor_network.trainable_variables
    np.testing.assert_allclose(bias, [5 + 4.0])
    np.testing.assert_allclose(kernel, [[2 + 8.0], [1 + 12.0]])


@pytest.mark.parametrize(("clipping", "scale"), [(4.0, 4 / np.sqrt(44.25)), (None, 1)])
def test_only_critic_gradients_are_clipped(by_hand, clipping, scale):
    # The same gradient as Smoothie's critic: (2, 3, 5.5, 1), of norm 6.65.
    agent = make(by_hand, gradient_clipping=clipping)
    agent.train(by_hand.experience())
    change = np.concatenate(
        [v.numpy().ravel() for v in agent._critic_network.trainable_variables]
    ) - [1, 3, 2, 4]
    np.testing.assert_allclose(change, scale * np.array([2, 3, 5.5, 1]), rtol=1e-5)
    # The actor's gradient follows the critic as updated: its norm is beyond 4.
    slope = 2 + 5.5 * scale
    kernel, bias = agent._actor_network.trainable_variables
    np.testing.assert_allclose(bias, [5 + 2 * slope], rtol=1e-5)
    np.testing.assert_allclose(kernel[:, 0], [2 + 4 * slope, 1 + 6 * slope], rtol=1e-5)


def test_targets_follow_by_tau(by_hand):
    agent = make(by_hand, target_update_tau=0.25)
    agent.train(by_hand.experience())
    assert agent.train_step_counter == 1
    # w by (2, 3, 5.5, 1), of which a quarter.
    np.testing.assert_allclose(
        agent._target_critic_network.variables[0][:, 0],
        np.array([1, 3, 2]) + 0.25 * np.array([2, 3, 5.5]),
        rtol=1e-6,
    )


def test_exploration_noise_starts_anew_and_can_be_seeded(by_hand):
    agent = make(by_hand, ou_stddev=0.3, ou_damping=0.2)
    agent._actor_network.variables[0].assign([[0.0], [0.0]])
    agent._actor_network.variables[1].assign([0.0])
    first = ts.restart(tf.ones([1, 2]), 1)
    middle = ts.transition(tf.ones([1, 2]), tf.zeros([1]))
    policy, seed = agent.collect_policy, tf.constant([1, 2])
    state = policy.get_initial_state(1)
    begun = policy.action(first, state, seed=seed)
    went_on = policy.action(middle, begun.state, seed=seed)
    anew = policy.action(first, went_on.state, seed=seed)
    np.testing.assert_array_equal(anew.state, begun.state)
    np.testing.assert_allclose(went_on.state, 1.8 * begun.state, rtol=1e-5)
    # 0.3 / √(1 − 0.8²) = 0.5.
    info = agent.loss(by_hand.experience()).extra
    np.testing.assert_allclose(info.policy_stddev, 0.5, rtol=1e-6)


@pytest.mark.parametrize("xla", [False, True], ids=["graph", "xla"])
def test_compiled_training_is_eager_training(random_experience, xla):
    builders.check_compiled_is_eager(small, random_experience(12, 5, 3), xla)


def test_same_batches_same_weights(random_experience):
    builders.check_repeats(small, random_experience)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("gamma", 1.5, "a number between 0 and 1"),
        ("target_update_tau", 0.0, "a number above 0 and at most 1"),
        ("reward_scale_factor", -1.0, "a number above 0"),
        ("gradient_clipping", 0.0, "a number above 0"),
        ("ou_stddev", -0.1, "a number of at least 0"),
        ("ou_damping", 0.0, "a number above 0 and at most 1"),
        ("dqda_clipping", -1.0, "a number above 0"),
    ],
)
def test_numbers_out_of_range_are_named(by_hand, name, value, allowed):
    with pytest.raises(ValueError, match=f"^DdpgAgent.{name} must be {allowed}"):
        make(by_hand, **{name: value})
