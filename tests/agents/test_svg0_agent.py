"""SVG(0): the pathwise gradient against integrals, weights, targets, and Smoothie."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import policy_step
from tf_agents.trajectories import time_step as ts

from smoothie_tf import gaussian
from smoothie_tf.agents import smoothie_agent, svg0_agent
from smoothie_tf.networks import critic_network, mean_network
from tests import slow
from tests.agents import builders

SGD = tf.keras.optimizers.legacy.SGD
NODES = 40


def make(by_hand, **changes):
    """An agent with the networks of `by_hand`, γ = 1 and no clipping of gradients."""
    return builders.make(
        svg0_agent.Svg0Agent,
        by_hand,
        **{
            "gamma": 1.0,
            "initial_log_variance": 0.0,
            "policy_gradient_clipping": None,
            "gradient_clipping": None,
            "independent_minibatches": False,
            "seed": 7,
            **changes,
        },
    )


def experience_of(by_hand, log_probability=(0.0, 0.0), **changes):
    """The transitions of `by_hand`, with what the policy stored beside them."""
    stored = tf.constant(np.stack([log_probability] * 2, axis=1), tf.float32)
    info = policy_step.set_log_probability((), stored)
    return by_hand.experience(**changes)._replace(policy_info=info)


def curved():
    """A small agent of one action, at weights where nothing is near zero."""
    tf.keras.utils.set_random_seed(1)
    observation = tensor_spec.TensorSpec([2], tf.float32)
    action = tensor_spec.BoundedTensorSpec([1], tf.float32, -1, 1)
    critic = critic_network.CriticNetwork((observation, action), (4,), (6,))
    agent = svg0_agent.Svg0Agent(
        ts.time_step_spec(observation),
        action,
        mean_network.MeanNetwork(observation, action, ()),
        critic,
        SGD(1.0),
        SGD(1.0),
        importance_weight_clipping=1e6,
    )
    agent.initialize()
    for variable in critic.variables + agent.actor_network.variables:
        variable.assign(0.7 * tf.random.normal(variable.shape))
    agent.log_variance.assign([-1.0])
    return agent


def gauss_hermite(mean, stddev):
    """Nodes and weights of the expectation over N(mean, stddev²)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return mean + stddev * nodes, weights / weights.sum()


def gradient_of(agent, state, actions, weights, log_probability):
    """The gradient of the policy's loss by the mean's last bias and by φ."""
    number = len(actions)
    bias = agent.actor_network.trainable_variables[-1]
    with tf.GradientTape() as tape:
        loss, *_ = agent.policy_loss(
            tf.tile(state, [number, 1]),
            tf.constant(actions[:, np.newaxis], tf.float32),
            tf.constant(log_probability, tf.float32),
            # The loss is a mean over the batch.
            tf.constant(number * weights, tf.float32),
        )
    return np.concatenate(tape.gradient(loss, [bias, agent.log_variance]))


def expected_value(agent, state, mean, log_variance):
    actions, weights = gauss_hermite(mean, np.exp(log_variance / 2))
    values, _ = agent.critic_network(
        (
            tf.tile(state, [NODES, 1]),
            tf.constant(actions[:, np.newaxis], tf.float32),
        )
    )
    return weights @ values.numpy().astype(np.float64)


def integrated_gradient(agent, state):
    """∂/∂(bias, φ) of E[Q(s, μ + ση)], by differences of integrals."""
    mean = agent.actor_network(state)[0].numpy().item()
    phi, step = agent.log_variance.numpy().item(), 1e-2
    by_mean, by_phi = (
        (
            expected_value(agent, state, mean + step * i, phi + step * j)
            - expected_value(agent, state, mean - step * i, phi - step * j)
        )
        / (2 * step)
        for i, j in ((1, 0), (0, 1))
    )
    # μ = tanh(bias + …): ∂μ/∂bias = 1 − μ².
    return np.array([by_mean * (1 - mean**2), by_phi])


def log_density(actions, mean, stddev):
    deviation = (actions - mean) / stddev
    return -0.5 * deviation**2 - np.log(stddev * np.sqrt(2 * np.pi))


def test_pathwise_gradient_is_the_integrals_derivative():
    agent, state = curved(), tf.constant([[0.3, -0.8]])
    mean = agent.actor_network(state)[0].numpy().item()
    stddev = np.exp(-0.5)
    actions, weights = gauss_hermite(mean, stddev)
    found = gradient_of(
        agent, state, actions, weights, log_density(actions, mean, stddev)
    )
    expected = integrated_gradient(agent, state)
    assert np.abs(expected).min() > 1e-2
    np.testing.assert_allclose(-found, expected, rtol=2e-3)


def test_importance_weights_correct_for_an_earlier_policy():
    # Actions of N(μ + 0.1, (1.2σ)²), weighted, have the gradient of N(μ, σ²).
    agent, state = curved(), tf.constant([[0.3, -0.8]])
    mean = agent.actor_network(state)[0].numpy().item()
    stddev = np.exp(-0.5)
    actions, weights = gauss_hermite(mean + 0.1, 1.2 * stddev)
    stored = log_density(actions, mean + 0.1, 1.2 * stddev)
    found = gradient_of(agent, state, actions, weights, stored)
    np.testing.assert_allclose(-found, integrated_gradient(agent, state), rtol=2e-3)

    # Truncated at 1, the integral of the truncated weights times the gradient.
    agent._config = dataclasses.replace(agent.config, importance_weight_clipping=1.0)
    truncated = np.minimum(np.exp(log_density(actions, mean, stddev) - stored), 1.0)
    assert (truncated < 1).any() and (truncated == 1).any()
    at_one = gradient_of(
        agent,
        state,
        actions,
        weights * truncated,
        log_density(actions, mean, stddev),
    )
    found = gradient_of(agent, state, actions, weights, stored)
    np.testing.assert_allclose(found, at_one, rtol=1e-4)


def test_quadratic_critic_agrees_with_smoothie(by_hand):
    # Q = 3a² smoothed by any Gaussian is 3a² and a constant: Smoothie's critic of it
    # has the same gradient and Hessian. Three nodes integrate it exactly.
    agent = make(
        by_hand,
        critic_network=by_hand.quadratic_critic(),
        initial_log_variance=-0.7,
        importance_weight_clipping=1e3,
    )
    smoothie = smoothie_agent.SmoothieAgent(
        by_hand.time_step_spec,
        by_hand.action_spec,
        by_hand.actor(),
        by_hand.quadratic_critic(),
        SGD(1.0),
        SGD(1.0),
        initial_log_variance=-0.7,
    )
    state = tf.constant([[1.0, 2.0]])
    with tf.GradientTape() as tape:
        loss, *_ = smoothie.policy_loss(state, tf.ones([1]))
    bias = smoothie.actor_network.trainable_variables[-1]
    expected = np.concatenate(tape.gradient(loss, [bias, smoothie.log_variance]))
    # By hand: −6μ = −54 and −½·6·e^φ.
    np.testing.assert_allclose(expected, [-54, -3 * np.exp(-0.7)], rtol=1e-5)
    stddev = np.exp(-0.35)
    actions, weights = gauss_hermite(9.0, stddev)
    found = gradient_of(
        agent, state, actions, weights, log_density(actions, 9.0, stddev)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_policys_step_at_inferred_noise_by_hand(by_hand):
    # Q = 3a² at the stored 5 and 6, where Q_a = 30 and 36; σ = 1, μ = 9 and 15, so
    # that η = −4 and −9. log p is lower by what it takes for weights 1 and 2.
    # SGD of rate 1:  Δbias = (30 + 2·36)/2 = 51,
    #                 Δφ = ½·½σ·(30·(−4) + 2·36·(−9)) = −192.
    density = log_density(np.array([-4.0, -9.0]), 0.0, 1.0)
    experience = experience_of(by_hand, density - [0.0, np.log(2)])
    agent = make(
        by_hand, critic_network=by_hand.quadratic_critic(), learning_rates=(1.0, 0.0)
    )
    info = agent.train(experience).extra
    np.testing.assert_allclose(
        agent.actor_network.trainable_variables[-1], [5 + 51.0], rtol=1e-4
    )
    np.testing.assert_allclose(agent.log_variance, [-192.0], rtol=1e-4)
    np.testing.assert_allclose(info.importance_weight, 1.5, rtol=1e-4)
    # 3·5² and 3·6².
    np.testing.assert_allclose(info.q, (75 + 108) / 2, rtol=1e-5)


def test_fresh_noise_needs_no_weights(by_hand):
    # The linear critic's Q_a is 2: Δbias = 2, Δφ = ½·2·η̄.
    agent = make(by_hand, infer_noise=False, learning_rates=(1.0, 0.0))
    noise = gaussian.stateless_normal([2, 1], [7, 0]).numpy()
    info = agent.train(experience_of(by_hand, (-1e6, 1e6))).extra
    np.testing.assert_allclose(
        agent.actor_network.trainable_variables[-1], [7.0], rtol=1e-6
    )
    np.testing.assert_allclose(agent.log_variance, [noise.mean()], rtol=1e-5)
    assert info.importance_weight == 1.0


def test_weights_are_truncated_however_far_the_policy_has_moved(by_hand):
    # Ratios of e^1000 and e^−1000 or so: 5 and 0.
    agent = make(by_hand)
    info = agent.loss(experience_of(by_hand, (-1e3, 1e3))).extra
    np.testing.assert_allclose(info.importance_weight, 2.5, rtol=1e-5)
    assert np.isfinite(info.actor_loss)


def test_the_policys_gradient_is_clipped_by_its_norm(by_hand):
    agent = make(
        by_hand,
        infer_noise=False,
        learning_rates=(1.0, 0.0),
        policy_gradient_clipping=0.1,
    )
    before = [v.numpy() for v in agent._policy_variables]
    agent.train(experience_of(by_hand))
    change = np.concatenate(
        [
            (v.numpy() - old).ravel()
            for v, old in zip(agent._policy_variables, before, strict=True)
        ]
    )
    np.testing.assert_allclose(np.linalg.norm(change), 0.1, rtol=1e-4)


def test_critic_loss_by_hand(by_hand):
    # a′ = μ(s′) + u: targets 10 + 0.9·(69 + 2u) and 20 + 0.9·(89 + 2u).
    agent = make(by_hand)
    u = gaussian.stateless_normal([2, 1], [7, 1]).numpy()[:, 0]
    errors = np.array([51.1, 69.1]) + 0.9 * 2 * u
    info = agent.loss(experience_of(by_hand, discounts=(0.9, 0.9))).extra
    np.testing.assert_allclose(info.critic_loss, errors.mean() - 0.5, rtol=1e-5)


def test_next_actions_are_the_current_policys_and_values_the_targets(by_hand):
    agent = make(by_hand)
    for variable in agent._target_critic_network.variables:
        variable.assign(tf.zeros_like(variable))
    # Targets 10 and 20, values 21 and 31.
    np.testing.assert_allclose(
        agent.loss(experience_of(by_hand)).extra.critic_loss, 10.5, rtol=1e-6
    )
    agent = make(by_hand)
    before = agent.loss(experience_of(by_hand)).extra.critic_loss
    # μ by 1 more: Q(s′, a′) by 2.
    agent.actor_network.variables[-1].assign([6.0])
    after = agent.loss(experience_of(by_hand)).extra.critic_loss
    np.testing.assert_allclose(after - before, 2.0, rtol=1e-4)


def test_stored_next_actions_are_those_of_the_critics_minibatch(by_hand):
    # The policy's minibatch comes first. In the critic's, a′ = 1 and 2: targets
    # 10 + Q(s′, 1) = 39 and 20 + Q(s′, 2) = 59, errors 18 and 28, weights 2 and 1.
    agent = make(
        by_hand,
        stored_next_action=True,
        independent_minibatches=True,
        learning_rates=(0.0, 0.0),
    )
    experience = by_hand.experience(copies=2)
    following = np.array([0.0, 0.0, 1.0, 2.0])
    stored = log_density(following, np.array([21.0, 27.0] * 2), 1.0)
    stored -= [0, 0, np.log(2), 0]
    action = np.stack([experience.action[:, 0, 0], following], axis=1)
    both = tf.constant(np.stack([0 * stored, stored], axis=1), tf.float32)
    experience = experience._replace(
        action=tf.constant(action[..., np.newaxis], tf.float32),
        policy_info=policy_step.set_log_probability((), both),
    )
    loss = agent.train(experience).extra.critic_loss
    np.testing.assert_allclose(loss, (2 * 17.5 + 27.5) / 2, rtol=1e-4)


def test_targets_are_copied_every_so_many_steps_exactly(by_hand):
    agent = make(by_hand, target_update_period=3, learning_rates=(1e-3, 1e-3))
    critic, target = agent.critic_network, agent._target_critic_network
    train = tf.function(agent.train, autograph=False)
    first = [v.numpy() for v in target.variables]
    for step in range(1, 7):
        train(experience_of(by_hand))
        if step % 3 == 0:
            first = [v.numpy() for v in critic.variables]
        for mine, expected in zip(target.variables, first, strict=True):
            np.testing.assert_array_equal(mine, expected)
    assert (critic.variables[0].numpy() != by_hand.critic().get_weights()[0]).any()


def test_the_critic_is_trained_first(by_hand):
    # Its action weight goes from 2 to 2 + 5.5 (errors above 1: the mean action), and
    # the policy's bias by that.
    agent = make(by_hand, infer_noise=False)
    agent.train(experience_of(by_hand))
    np.testing.assert_allclose(
        agent.actor_network.trainable_variables[-1], [5 + 7.5], rtol=1e-5
    )


def test_what_is_stored_is_the_probability_of_what_was_done(by_hand):
    agent = make(by_hand)
    leaves = tf.nest.flatten(agent.collect_data_spec.policy_info)
    assert [leaf.shape for leaf in leaves] == [()]
    time_step = ts.restart(tf.constant(by_hand.observations), 2)
    step = agent.collect_policy.action(time_step, (), seed=tf.constant([1, 2]))
    stored = policy_step.get_log_probability(step.info)
    action = step.action.numpy()[:, 0]
    np.testing.assert_allclose(
        stored, log_density(action, np.array([9.0, 15.0]), 1.0), rtol=1e-5
    )
    # Without a stateless seed, TF-Agents draws and stores.
    step = agent.collect_policy.action(time_step)
    action = step.action.numpy()[:, 0]
    np.testing.assert_allclose(
        policy_step.get_log_probability(step.info),
        log_density(action, np.array([9.0, 15.0]), 1.0),
        rtol=1e-5,
    )
    # The mean action has nothing to store.
    assert agent.policy.action(time_step).info == ()


@pytest.mark.parametrize(
    "xla", slow.all_but([True], [False, True]), ids=["graph", "xla"]
)
def test_compiled_training_is_eager_training(by_hand, xla):
    def small():
        return make(
            by_hand,
            learning_rates=(1e-3, 1e-3),
            independent_minibatches=True,
            target_update_period=2,
            gradient_clipping=4.0,
        )

    experience = experience_of(by_hand, (-9.0, -9.0, -40.0, -40.0), copies=2)
    builders.check_compiled_is_eager(small, experience, xla)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("importance_weight_clipping", 0.0, "a number above 0"),
        ("target_update_period", 0, "a whole number of at least 1"),
        ("policy_gradient_clipping", -1.0, "a number above 0"),
        ("target_update_tau", 0.0, "a number above 0 and at most 1"),
    ],
)
def test_numbers_out_of_range_are_named(by_hand, name, value, allowed):
    with pytest.raises(ValueError, match=f"Svg0Agent.{name} must be {allowed}"):
        make(by_hand, **{name: value})
