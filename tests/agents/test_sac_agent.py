"""SAC: TF-Agents' numbers by hand, and what is mended around them."""

import gin
import numpy as np
import pytest
import tensorflow as tf
from tf_agents.trajectories import StepType
from tf_agents.trajectories import time_step as ts

from smoothie_tf import gaussian
from smoothie_tf.agents import sac_agent
from smoothie_tf.networks import (
    mean_network,
    squashed_gaussian_network,
)
from tests import slow
from tests.agents import builders

SGD = tf.keras.optimizers.legacy.SGD
# Of the policy by hand: μ = 0.5 and log σ = −0.5 in every state, log α = 0.25.
MEAN, LOG_STDDEV, LOG_TEMPERATURE = 0.5, -0.5, 0.25
CRITIC, ACTOR, TEMPERATURE = range(3)


def make(by_hand, **changes):
    """An agent with the critic of `by_hand` and one policy for all states."""
    specs = by_hand.observation_spec, by_hand.action_spec
    agent = builders.make(
        sac_agent.SacAgent,
        by_hand,
        **{
            "actor_network": squashed_gaussian_network.SquashedGaussianNetwork(
                *specs, ()
            ),
            "critic_network": builders.critic_by_hand(by_hand),
            "alpha_optimizer": SGD(1.0),
            "initial_log_alpha": LOG_TEMPERATURE,
            "target_update_tau": 0.01,
            "seed": 7,
            **changes,
        },
    )
    kernel, bias = agent._actor_network.variables
    kernel.assign(tf.zeros_like(kernel))
    bias.assign([MEAN, LOG_STDDEV])
    return agent


def small(**changes):
    network = squashed_gaussian_network.SquashedGaussianNetwork
    return builders.small(
        sac_agent.SacAgent,
        actor=lambda *specs: network(*specs, (8, 6)),
        critic=builders.joint_critic,
        **{"gamma": 0.99, "target_update_tau": 0.05, "seed": 7, **changes},
    )


def drawn(draw, step=0, number=2):
    """Actions of the policy by hand and their log-probabilities, in float64.

    a = tanh u with u = μ + σε, so log π(a) = log N(u) − log(1 − a²).
    """
    seed = [7, 3 * step + draw]
    noise = gaussian.stateless_normal([number, 1], seed).numpy()[:, 0].astype(float)
    action = np.tanh(MEAN + np.exp(LOG_STDDEV) * noise)
    log_normal = -0.5 * noise**2 - LOG_STDDEV - 0.5 * np.log(2 * np.pi)
    return action, log_normal - np.log(1 - action**2)


@pytest.mark.parametrize("step", [0, 5])
def test_losses_by_hand(by_hand, step):
    agent = make(by_hand)
    agent.train_step_counter.assign(step)
    info = agent.loss(by_hand.experience(discounts=(0.9, 0.9))).extra
    temperature = np.exp(LOG_TEMPERATURE)

    # Targets r + 0.9·(Q(s′, a′) − α·log π(a′)), where Q(s′, a′) is 27 + 2a′, 35 + 2a′;
    # values 21 and 31. Half the squares, of two critics.
    action, log_probability = drawn(CRITIC, step)
    value = np.array([27.0, 35.0]) + 2 * action - temperature * log_probability
    errors = np.array([10.0, 20.0]) + 0.9 * value - np.array([21.0, 31.0])
    np.testing.assert_allclose(info.critic_loss, np.mean(errors**2), rtol=1e-5)

    # α·log π(a) − Q(s, a), where Q(s, a) is 11 + 2a and 19 + 2a.
    action, log_probability = drawn(ACTOR, step)
    value = np.array([11.0, 19.0]) + 2 * action
    loss = np.mean(temperature * log_probability - value)
    np.testing.assert_allclose(info.actor_loss, loss, rtol=1e-5)
    np.testing.assert_allclose(info.q, np.mean(value), rtol=1e-5)
    np.testing.assert_allclose(info.entropy, -np.mean(log_probability), rtol=1e-5)
    np.testing.assert_allclose(info.temperature, temperature, rtol=1e-6)
    np.testing.assert_allclose(info.policy_stddev, np.exp(LOG_STDDEV), rtol=1e-6)

    # log α·(−log π − H), where H = −1 for one action.
    _, log_probability = drawn(TEMPERATURE, step)
    loss = LOG_TEMPERATURE * np.mean(1 - log_probability)
    np.testing.assert_allclose(info.temperature_loss, loss, rtol=1e-5)


def test_the_least_of_two_critics_counts(by_hand):
    agent = make(by_hand, critic_network_2=builders.critic_by_hand(by_hand, bias=-6.0))
    info = agent.loss(by_hand.experience()).extra
    action, log_probability = drawn(CRITIC)
    value = np.array([17.0, 25.0]) + 2 * action
    value -= np.exp(LOG_TEMPERATURE) * log_probability
    first = np.array([10.0, 20.0]) + value - np.array([21.0, 31.0])
    expected = 0.5 * np.mean(first**2 + (first + 10) ** 2)
    np.testing.assert_allclose(info.critic_loss, expected, rtol=1e-5)
    action, _ = drawn(ACTOR)
    np.testing.assert_allclose(info.q, np.mean([1.0, 9.0] + 2 * action), rtol=1e-5)


def test_reward_scale_and_termination_by_hand(by_hand):
    # Scale 0.1: terminated 1 − 21 = −20; cut off 2 + the next value − 31.
    experience = by_hand.experience(
        discounts=(0.0, 1.0), next_step_types=[StepType.LAST, StepType.LAST]
    )
    info = make(by_hand, reward_scale_factor=0.1).loss(experience).extra
    action, log_probability = drawn(CRITIC)
    value = 35 + 2 * action[1] - np.exp(LOG_TEMPERATURE) * log_probability[1]
    expected = np.mean([20.0**2, (2 + value - 31) ** 2])
    np.testing.assert_allclose(info.critic_loss, expected, rtol=1e-5)


def test_pairs_across_an_episodes_end_have_no_weight(by_hand):
    experience = by_hand.experience(
        step_types=[StepType.LAST, StepType.MID],
        next_step_types=[StepType.FIRST, StepType.MID],
        rewards=(1e6, 20.0),
    )
    info = make(by_hand).loss(experience).extra
    temperature = np.exp(LOG_TEMPERATURE)
    action, log_probability = (each[1] for each in drawn(CRITIC))
    error = 20 + 35 + 2 * action - temperature * log_probability - 31
    np.testing.assert_allclose(info.critic_loss, error**2, rtol=1e-5)
    action, log_probability = (each[1] for each in drawn(ACTOR))
    value = 19 + 2 * action
    np.testing.assert_allclose(info.q, value, rtol=1e-5)
    expected = temperature * log_probability - value
    np.testing.assert_allclose(info.actor_loss, expected, rtol=1e-5)
    np.testing.assert_allclose(info.entropy, -log_probability, rtol=1e-5)
    np.testing.assert_allclose(info.policy_stddev, np.exp(LOG_STDDEV), rtol=1e-6)
    log_probability = drawn(TEMPERATURE)[1][1]
    expected = LOG_TEMPERATURE * (1 - log_probability)
    np.testing.assert_allclose(info.temperature_loss, expected, rtol=1e-5)


def test_the_temperature_falls_where_there_is_more_entropy_than_wanted(by_hand):
    still = {"actor_optimizer": SGD(0.0), "critic_optimizer": SGD(0.0)}
    _, log_probability = drawn(TEMPERATURE)
    entropy = -np.mean(log_probability)
    for wanted in (-5.0, 5.0):
        agent = make(by_hand, target_entropy=wanted, **still)
        agent.train(by_hand.experience())
        expected = LOG_TEMPERATURE - (entropy - wanted)
        np.testing.assert_allclose(agent._log_alpha, expected, rtol=1e-5)
        assert (float(agent._log_alpha) < LOG_TEMPERATURE) == (entropy > wanted)


def test_the_actor_follows_the_critic_and_the_entropy(by_hand):
    # Of α·log π − Q in a state: with a = tanh u, ∂/∂u is α·2a − 2·(1 − a²), which ∂/∂μ
    # is alone; ∂/∂log σ is that times σε, less α. The bias moves by minus the mean.
    agent = make(by_hand, critic_optimizer=SGD(0.0), alpha_optimizer=SGD(0.0))
    agent.train(by_hand.experience())
    temperature = np.exp(LOG_TEMPERATURE)
    action, _ = drawn(ACTOR)
    by_u = temperature * 2 * action - 2 * (1 - action**2)
    by_log_stddev = by_u * (np.arctanh(action) - MEAN) - temperature
    moved = agent._actor_network.variables[1] - [MEAN, LOG_STDDEV]
    expected = [-np.mean(by_u), -np.mean(by_log_stddev)]
    np.testing.assert_allclose(moved, expected, rtol=1e-4)


def test_targets_follow_by_tau(by_hand):
    agent = make(by_hand, critic_optimizer=SGD(1e-3), target_update_tau=0.25)
    for _ in range(2):
        before = float(agent._target_critic_network_2.variables[1])
        agent.train(by_hand.experience())
        online = float(agent._critic_network_2.variables[1])
        assert online != before
        target = agent._target_critic_network_2.variables[1]
        np.testing.assert_allclose(target, [before + 0.25 * (online - before)], 1e-6)
    assert agent.train_step_counter == 2


def test_critics_begin_with_weights_of_their_own():
    agent = small()
    first, second = agent._critic_network_1, agent._critic_network_2
    assert (first.variables[0].numpy() != second.variables[0].numpy()).any()
    for online, target in (
        (first, agent._target_critic_network_1),
        (second, agent._target_critic_network_2),
    ):
        for mine, theirs in zip(online.variables, target.variables, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_only_critic_gradients_are_clipped(by_hand):
    def moved(**changes):
        agent = make(by_hand, **changes)
        agent.train(by_hand.experience())
        weights = [
            np.concatenate([v.numpy().ravel() for v in each.variables])
            for each in (agent._critic_network_1, agent._critic_network_2)
        ]
        return np.concatenate(weights) - np.tile([1, 3, 2, 4], 2)

    step, clipped = moved(), moved(gradient_clipping=4.0)
    assert np.linalg.norm(step) > 4
    np.testing.assert_allclose(clipped, 4 * step / np.linalg.norm(step), rtol=1e-5)


def test_noise_is_a_function_of_seed_and_step(random_experience):
    experience = random_experience(6, 5, 3)

    def losses(step, seed=7):
        agent = small(seed=seed)
        agent.train_step_counter.assign(step)
        # Not one of TensorFlow's global stream.
        tf.random.set_seed(np.random.default_rng().integers(1000))
        info = agent.loss(experience).extra
        return tuple(map(float, (info.critic_loss, info.actor_loss, info.entropy)))

    assert losses(0) == losses(0)
    for one, other in (
        (losses(0), losses(1)),
        (losses(1), losses(1, seed=8)),
    ):
        assert all(a != b for a, b in zip(one, other, strict=True))


def test_the_evaluated_policy_takes_the_mean_and_exploration_samples(by_hand):
    agent = make(by_hand)
    number, seed = 2000, tf.constant([1, 2])
    batch = ts.restart(tf.ones([number, 2]), number)
    mean = agent.policy.action(batch).action
    np.testing.assert_allclose(mean, np.full([number, 1], np.tanh(MEAN)), rtol=1e-6)
    first = agent.collect_policy.action(batch, seed=seed).action.numpy()
    np.testing.assert_allclose(
        first, 2 * gaussian.stateless_uniform([number, 1], seed) - 1, rtol=1e-6
    )
    agent.train_step_counter.assign(1)
    later = agent.collect_policy.action(batch, seed=seed).action.numpy()
    noise = gaussian.stateless_normal([number, 1], seed)
    expected = np.tanh(MEAN + np.exp(LOG_STDDEV) * noise)
    np.testing.assert_allclose(later, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "xla", slow.all_but([True], [False, True]), ids=["graph", "xla"]
)
def test_compiled_training_is_eager_training(random_experience, xla):
    builders.check_compiled_is_eager(small, random_experience(12, 5, 3), xla)


def test_same_batches_same_weights(random_experience):
    builders.check_repeats(small, random_experience)


def test_training_resumes_from_a_checkpoint(random_experience, tmp_path):
    def everything(agent):
        optimizers = (
            agent._actor_optimizer,
            agent._critic_optimizer,
            agent._alpha_optimizer,
        )
        slots = [variable for each in optimizers for variable in each.variables]
        # Two of every weight, and each optimizer's number of steps.
        trained = 6 + 2 * 7 + 1
        assert len(slots) == 2 * trained + 3
        return [*agent.variables, *slots]

    builders.check_resumes(small, random_experience, tmp_path, everything)


def test_the_temperatures_optimizer_is_one_as_the_actors():
    agent = small()
    actor, temperature = agent._actor_optimizer, agent._alpha_optimizer
    assert temperature is not actor
    assert temperature.get_config() == actor.get_config()


def test_the_wanted_entropy_is_the_papers_unless_bound():
    assert small()._target_entropy == -3.0
    gin.parse_config("SacAgent.target_entropy = -7.5")
    assert small()._target_entropy == -7.5


def test_an_actor_without_a_squashed_gaussian_is_named(by_hand):
    specs = by_hand.observation_spec, by_hand.action_spec
    with pytest.raises(ValueError, match="^SacAgent's actor_network .* a MeanNetwork"):
        make(by_hand, actor_network=mean_network.MeanNetwork(*specs))


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("gamma", 1.5, "a number between 0 and 1"),
        ("target_update_tau", 0.0, "a number above 0 and at most 1"),
        ("target_update_period", 0, "a whole number of at least 1"),
        ("reward_scale_factor", -1.0, "a number above 0"),
        ("gradient_clipping", 0.0, "a number above 0"),
        ("initial_log_alpha", float("inf"), "a finite number"),
        ("target_entropy", float("nan"), "a finite number"),
    ],
)
def test_numbers_out_of_range_are_named(by_hand, name, value, allowed):
    with pytest.raises(ValueError, match=f"^SacAgent.{name} must be {allowed}"):
        make(by_hand, **{name: value})
