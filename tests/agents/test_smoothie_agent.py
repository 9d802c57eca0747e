"""Algorithm 1: losses by hand, gradients written out, and what must not matter."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import StepType
from tf_agents.trajectories import time_step as ts

from smoothie_tf import action_derivatives, gaussian
from smoothie_tf.agents import smoothie_agent
from smoothie_tf.networks import critic_network, mean_network
from tests import slow
from tests.agents import builders

SGD = tf.keras.optimizers.legacy.SGD


def make(by_hand, **changes):
    """An agent with the networks of `by_hand`, γ = 1 and next to no noise."""
    return builders.make(
        smoothie_agent.SmoothieAgent,
        by_hand,
        **{
            "gamma": 1.0,
            "initial_log_variance": -60.0,
            "independent_minibatches": False,
            "seed": 7,
            **changes,
        },
    )


def small(weights_seed=0, actions=3, **changes):
    """An agent with small networks of the paper's kind."""
    return builders.small(
        smoothie_agent.SmoothieAgent,
        weights_seed=weights_seed,
        actions=actions,
        **{"kl_penalty": 0.01, "seed": 7, **changes},
    )


def critic_loss(agent, experience):
    return agent.loss(experience).extra.critic_loss.numpy()


def kernel_and_bias(agent):
    return np.concatenate(
        [v.numpy().ravel() for v in agent.critic_network.trainable_variables]
    )


# The critic's loss.


def test_critic_loss_by_hand(by_hand):
    # Targets 10 + 0.9·69 = 72.1 and 20 + 0.9·89 = 100.1; errors 51.1 and 69.1;
    # Huber: |e| − ½; the mean of 50.6 and 68.6.
    experience = by_hand.experience(discounts=(0.9, 0.9))
    np.testing.assert_allclose(critic_loss(make(by_hand), experience), 59.6, rtol=1e-6)


def test_gamma_multiplies_the_discount(by_hand):
    # 10 + 0.5·69 = 44.5 and 20 + 0.5·89 = 64.5: errors 23.5 and 33.5.
    agent = make(by_hand, gamma=0.5)
    np.testing.assert_allclose(critic_loss(agent, by_hand.experience()), 28.0)


def test_termination_ends_the_return_and_truncation_does_not(by_hand):
    # Both episodes end. The first terminated: target 10, error −11, loss 10.5. The
    # second was cut off: target 20 + 89 = 109, error 78, loss 77.5. Mean 44.
    experience = by_hand.experience(
        discounts=(0.0, 1.0), next_step_types=[StepType.LAST, StepType.LAST]
    )
    np.testing.assert_allclose(critic_loss(make(by_hand), experience), 44.0)


def test_reward_scale(by_hand):
    # 0.1·10 + 69 − 21 = 49 and 0.1·20 + 89 − 31 = 60, less ½ each.
    agent = make(by_hand, reward_scale_factor=0.1)
    np.testing.assert_allclose(critic_loss(agent, by_hand.experience()), 54.0)


@pytest.mark.parametrize(
    ("error", "loss"), [(0.5, 0.125), (-1.0, 0.5), (1.5, 1.0), (-4.0, 3.5)]
)
def test_huber_threshold_is_one(by_hand, error, loss):
    # ½e² up to 1, |e| − ½ beyond. Terminal: the target is the reward, Q is 21 and 31.
    experience = by_hand.experience(
        discounts=(0.0, 0.0), rewards=(21.0 + error, 31.0 + error)
    )
    np.testing.assert_allclose(critic_loss(make(by_hand), experience), loss, rtol=1e-5)


def test_other_losses(by_hand):
    agent = make(by_hand, td_errors_loss_fn=lambda x, y: (x - y) ** 2)
    experience = by_hand.experience(discounts=(0.0, 0.0), rewards=(24.0, 30.0))
    np.testing.assert_allclose(critic_loss(agent, experience), (9 + 1) / 2)


def test_phantom_actions_enter_the_value(by_hand):
    # σ = e^{½·ln 4} = 2: Q at the phantom action is Q + 2·(2·ε). Targets 79, 109.
    agent = make(by_hand, initial_log_variance=np.log(4.0))
    agent.train_step_counter.assign(12)
    noise = gaussian.stateless_normal([2, 1], [7, 12])[:, 0].numpy()
    assert np.abs(noise).min() > 0.01
    expected = np.mean(np.abs([79 - 21, 109 - 31] - 4 * noise) - 0.5)
    np.testing.assert_allclose(
        critic_loss(agent, by_hand.experience()), expected, rtol=1e-6
    )


def test_phantom_actions_spread_as_the_policy_does_in_their_own_state(by_hand):
    # σ(s) = 1 and 3, where σ(s′) = 5 and 7, and σ′ is twice as wide.
    agent = make(by_hand)
    agent._covariance = builders.spread_by_state()
    noise = gaussian.stateless_normal([2, 1], [7, 0])[:, 0].numpy()
    errors = np.array([79 - 21, 109 - 31]) - 2 * np.array([1.0, 3.0]) * noise
    np.testing.assert_allclose(
        critic_loss(agent, by_hand.experience()), np.mean(errors) - 0.5, rtol=1e-6
    )


def test_targets_come_from_the_target_networks_mean(by_hand):
    # Only θ′ and w′ may enter: with w′ at zero targets are the rewards, 10 and 20,
    # whatever σ is and whatever θ and w are; errors −11 and −11.
    agent = make(by_hand)
    for variable in agent._target_critic_network.variables:
        variable.assign(tf.zeros_like(variable))
    np.testing.assert_allclose(critic_loss(agent, by_hand.experience()), 10.5)
    agent.actor_network.variables[1].assign([100.0])
    np.testing.assert_allclose(critic_loss(agent, by_hand.experience()), 10.5)


def test_pairs_across_an_episodes_end_have_no_weight(by_hand):
    # Only the second pair counts: target 109, error 78, loss 77.5.
    experience = by_hand.experience(
        step_types=[StepType.LAST, StepType.MID],
        next_step_types=[StepType.FIRST, StepType.MID],
        rewards=(1e6, 20.0),
    )
    agent = make(by_hand)
    info = agent.loss(experience).extra
    np.testing.assert_allclose(info.critic_loss, 77.5)
    # g·μ = 2·15 of the second state; Q(s, μ) = 3 + 12 + 30 + 4 = 49.
    np.testing.assert_allclose(info.actor_loss, -30.0)
    np.testing.assert_allclose(info.q, 49.0)


def test_nothing_but_boundaries_is_no_loss(by_hand):
    experience = by_hand.experience(
        step_types=[StepType.LAST] * 2, next_step_types=[StepType.FIRST] * 2
    )
    agent = make(by_hand)
    before = kernel_and_bias(agent)
    info = agent.train(experience).extra
    np.testing.assert_array_equal([info.critic_loss, info.actor_loss], [0.0, 0.0])
    np.testing.assert_array_equal(kernel_and_bias(agent), before)


def test_each_minibatch_is_weighed_by_its_own_boundaries(by_hand):
    # First half: one true pair of two, Δ from μ = 15 alone. Second half: two true
    # pairs, losses 57.5 and 77.5. Boundaries in one half must not weigh the other.
    first, second = (
        by_hand.experience(
            step_types=[StepType.LAST, StepType.MID],
            next_step_types=[StepType.FIRST, StepType.MID],
        ),
        by_hand.experience(),
    )
    both = tf.nest.map_structure(lambda *x: tf.concat(x, 0), first, second)
    info = make(by_hand, independent_minibatches=True).loss(both).extra
    np.testing.assert_allclose(info.actor_loss, -30.0, rtol=1e-6)
    np.testing.assert_allclose(info.critic_loss, 67.5, rtol=1e-6)


def test_weights_multiply_the_losses(by_hand):
    # Losses 57.5 and 77.5, weights 2 and 0: the mean is 57.5.
    agent = make(by_hand)
    loss = agent.loss(by_hand.experience(), weights=tf.constant([2.0, 0.0]))
    np.testing.assert_allclose(loss.extra.critic_loss, 57.5)


# The policy's loss.


def test_policy_loss_of_a_linear_critic_by_hand(by_hand):
    # g = 2, H = 0: −(2·9 + 2·15)/2 = −24; Q(s, μ) = 29 and 49: 39 on average.
    info = make(by_hand).loss(by_hand.experience()).extra
    np.testing.assert_allclose(info.actor_loss, -24.0)
    np.testing.assert_allclose(info.q, 39.0)
    np.testing.assert_allclose(info.kl, 0.0)
    np.testing.assert_allclose(info.policy_stddev, np.exp(-30), rtol=1e-5)


def test_policy_step_of_a_quadratic_critic_by_hand(by_hand):
    # Q = 3a²: g = 6μ = 54 and 90, H = 6. With SGD of rate 1,
    #   Δbias = (54 + 90)/2 = 72,  Δkernel = ((54·1 + 90·3)/2, (54·2 + 90·4)/2),
    #   Δφ = ½·6·e^φ = 3·½ for φ = ln ½.
    agent = make(
        by_hand,
        critic_network=by_hand.quadratic_critic(),
        initial_log_variance=np.log(0.5),
    )
    agent.train(by_hand.experience())
    kernel, bias = agent.actor_network.trainable_variables
    np.testing.assert_allclose(bias, [5 + 72.0], rtol=1e-6)
    np.testing.assert_allclose(kernel, [[2 + 162.0], [1 + 234.0]], rtol=1e-6)
    np.testing.assert_allclose(agent.log_variance, [np.log(0.5) + 1.5], rtol=1e-6)


@pytest.mark.parametrize("kl_penalty", [0.0, 0.3])
def test_gradients_are_13_and_15_written_out(kl_penalty):
    # The paper's own networks, at weights where g, H and μ are not near zero.
    tf.keras.utils.set_random_seed(3)
    observation_spec = tensor_spec.TensorSpec([11], tf.float32)
    action_spec = tensor_spec.BoundedTensorSpec([3], tf.float32, -1, 1)
    agent = smoothie_agent.SmoothieAgent(
        ts.time_step_spec(observation_spec),
        action_spec,
        mean_network.MeanNetwork(observation_spec, action_spec),
        critic_network.CriticNetwork((observation_spec, action_spec)),
        SGD(1.0),
        SGD(1.0),
        kl_penalty=kl_penalty,
    )
    agent.initialize()
    for variable in agent.actor_network.variables + agent.critic_network.variables:
        variable.assign_add(0.05 * tf.random.normal(variable.shape))
    agent.log_variance.assign([-1.0, 0.2, -0.5])
    observation = tf.random.normal([5, 11])
    theta = agent.actor_network.trainable_variables
    with tf.GradientTape() as tape:
        loss, kl, _ = agent.policy_loss(observation, tf.ones([5]))
    *by_theta, by_phi = tape.gradient(loss, [*theta, agent.log_variance])

    with tf.GradientTape(persistent=True) as tape:
        mean, _ = agent.actor_network(observation)
        target, _ = agent._target_actor_network(observation)
        ratio = tf.exp(agent.log_variance - agent._target_log_variance)
        divergence = 0.5 * tf.reduce_sum(
            ratio
            - tf.math.log(ratio)
            - 1
            + (mean - target) ** 2 / tf.exp(agent._target_log_variance),
            axis=-1,
        )
        divergence = tf.reduce_mean(divergence)
    g, H = action_derivatives.by_nested_tapes(
        lambda a: agent.critic_network((observation, a))[0], mean
    )[1:]
    assert np.abs(g).max() > 1e-2 and np.abs(H).max() > 1e-3
    penalties = tape.gradient(divergence, [*theta, agent.log_variance])
    for mine, parameter, penalty in zip(by_theta, theta, penalties, strict=False):
        jacobian = tape.jacobian(mean, parameter)  # [B, A, ...]
        delta = tf.einsum("ba,ba...->...", g, jacobian) / 5  # (13)
        np.testing.assert_allclose(
            -mine, delta - kl_penalty * penalty, rtol=1e-4, atol=1e-6
        )
    delta = tf.reduce_mean(0.5 * H, axis=0) * tf.exp(agent.log_variance)  # (15)
    np.testing.assert_allclose(
        -by_phi, delta - kl_penalty * penalties[-1], rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(kl, divergence if kl_penalty else 0.0, rtol=1e-4)


def test_kl_penalty_by_hand(by_hand):
    # A critic of zero leaves λ·KL. μ − μ′ = 1, φ = 0, φ′ = ln 2:
    #   KL = ½·(ln 2 + (1 + 1²)/2 − 1) = ½·ln 2,
    #   ∂bias = (μ − μ′)/σ′² = ½,  ∂φ = ½·(e^φ/e^φ′ − 1) = −¼.
    # SGD of rate 1 with λ = 2: bias 6 − 1, φ 0 + ½.
    critic = by_hand.critic()
    critic.set_weights([np.zeros((3, 1)), np.zeros(1)])
    agent = make(
        by_hand, critic_network=critic, initial_log_variance=0.0, kl_penalty=2.0
    )
    agent.actor_network.variables[1].assign([6.0])
    agent._target_log_variance.assign([np.log(2.0)])
    loss = agent.train(by_hand.experience())
    np.testing.assert_allclose(loss.extra.kl, 0.5 * np.log(2), rtol=1e-6)
    np.testing.assert_allclose(loss.extra.actor_loss, np.log(2), rtol=1e-6)
    np.testing.assert_allclose(agent.actor_network.variables[1], [5.0], rtol=1e-6)
    np.testing.assert_allclose(agent.log_variance, [0.5], rtol=1e-6)


def test_the_divergence_is_weighted_as_the_rest(by_hand):
    # μ − μ′ = s₁ = 1 and 3, and σ = σ′ = 1: KL = ½ and 4½.
    agent = make(by_hand, initial_log_variance=0.0, kl_penalty=2.0)
    agent.actor_network.variables[0].assign([[3.0], [1.0]])
    states, weights = tf.constant(by_hand.observations), tf.constant([2.0, 0.0])
    np.testing.assert_allclose(agent.policy_loss(states, weights)[1], 0.5, rtol=1e-6)


@pytest.mark.parametrize("kl_penalty", [0.0, 1e-6])
def test_without_penalty_no_divergence_is_computed(by_hand, kl_penalty):
    agent = make(by_hand, kl_penalty=kl_penalty)

    def called(*unused):
        raise AssertionError("called")

    agent._target_actor_network = called
    states = tf.constant(by_hand.observations)
    if kl_penalty:
        with pytest.raises(AssertionError, match="called"):
            agent.policy_loss(states, tf.ones([2]))
    else:
        _, kl, _ = agent.policy_loss(states, tf.ones([2]))
        assert kl == 0


def test_dqda_clipping(by_hand):
    # g = 2 becomes 1.5: the bias moves by 1.5, not 2. H is not touched.
    for clipping, expected in ((None, 7.0), (1.5, 6.5), (3.0, 7.0)):
        agent = make(by_hand, dqda_clipping=clipping)
        agent.train(by_hand.experience())
        np.testing.assert_allclose(agent.actor_network.variables[1], [expected])


@pytest.mark.parametrize(
    ("clipping", "scale"), [(4.0, 4 / np.sqrt(44.25)), (7.0, 1.0), (None, 1.0)]
)
def test_critic_gradients_are_clipped_by_their_global_norm(by_hand, clipping, scale):
    # Both errors are positive and beyond 1, so each Huber slope is −1: the gradient
    # is minus the mean of (s₁, s₂, a, 1) = (2, 3, 5.5, 1), of norm √44.25 = 6.65.
    agent = make(by_hand, gradient_clipping=clipping)
    agent.train(by_hand.experience())
    np.testing.assert_allclose(
        kernel_and_bias(agent) - [1, 3, 2, 4],
        scale * np.array([2, 3, 5.5, 1]),
        rtol=1e-5,
    )


def test_nested_tapes_and_forward_propagation_train_alike(random_experience):
    experience = random_experience(12, 5, 3)
    agents = [small(nested_tapes=nested) for nested in (False, True)]
    assert agents[1].config.nested_tapes and not agents[0].config.nested_tapes
    for agent in agents:
        agent.train(experience)
    for mine, other in zip(agents[0].variables, agents[1].variables, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-6)


def test_a_critic_without_action_derivatives_uses_nested_tapes(by_hand):
    agent = make(by_hand, critic_network=by_hand.quadratic_critic())
    value, g, H = agent.critic_derivatives(tf.ones([1, 2]), tf.constant([[2.0]]))
    np.testing.assert_allclose(value, [12.0])
    np.testing.assert_allclose(g, [[12.0]])
    np.testing.assert_allclose(H, [[6.0]])


# One training step.


def test_targets_follow_by_tau(by_hand):
    # One step of rate 1: bias 5 → 7 and φ stays (H = 0); w′ follows w likewise.
    agent = make(by_hand, target_update_tau=0.01, gradient_clipping=None)
    agent.log_variance.assign([-50.0])
    agent.train(by_hand.experience())
    np.testing.assert_allclose(
        agent._target_actor_network.variables[1], [5 + 0.01 * 2], rtol=1e-6
    )
    np.testing.assert_allclose(
        agent._target_critic_network.variables[0][:, 0],
        np.array([1, 3, 2]) + 0.01 * np.array([2, 3, 5.5]),
        rtol=1e-6,
    )
    # φ′ ← 0.99·(−60) + 0.01·(−50).
    np.testing.assert_allclose(agent._target_log_variance, [-59.9], rtol=1e-6)


def test_initialize_copies_to_the_targets(by_hand):
    agent = make(by_hand)
    for variable in agent.trainable_variables:
        variable.assign_add(tf.ones_like(variable))
    agent.initialize()
    for source, target in (
        (agent.actor_network.variables, agent._target_actor_network.variables),
        (agent.critic_network.variables, agent._target_critic_network.variables),
        ([agent.log_variance], [agent._target_log_variance]),
    ):
        for mine, other in zip(source, target, strict=True):
            np.testing.assert_array_equal(mine, other)


def test_train_step_counter_rises_by_one(by_hand):
    agent = make(by_hand)
    for expected in (1, 2, 3):
        agent.train(by_hand.experience())
        assert agent.train_step_counter == expected


def test_policy_learns_from_the_first_half_and_critic_from_the_second(
    random_experience,
):
    experience = random_experience(12, 5, 3)
    other = random_experience(12, 5, 3, seed=1)

    # Phantom actions have the new Σ, so the policy's batch reaches the critic through
    # φ: a policy that stands still shows that it does so in no other way.
    def train(halves, policy_rate=1e-2):
        mixed = tf.nest.map_structure(
            lambda x, y: tf.concat([(x, y)[halves[0]][:6], (x, y)[halves[1]][6:]], 0),
            experience,
            other,
        )
        agent = small(actor_optimizer=SGD(policy_rate))
        agent.train(mixed)
        policy = [*agent.actor_network.variables, agent.log_variance]
        return [
            np.concatenate([v.numpy().ravel() for v in variables])
            for variables in (policy, agent.critic_network.variables)
        ]

    policy, critic = train((0, 0))
    same_policy, other_critic = train((0, 1))
    np.testing.assert_array_equal(policy, same_policy)
    assert not np.allclose(critic, other_critic)
    assert not np.array_equal(policy, train((1, 0))[0])
    np.testing.assert_array_equal(
        train((0, 0), policy_rate=0.0)[1], train((1, 0), policy_rate=0.0)[1]
    )


def test_one_batch_form_is_two_equal_minibatches(random_experience):
    experience = random_experience(6, 5, 3)
    twice = tf.nest.map_structure(lambda x: tf.concat([x, x], 0), experience)
    one = small(independent_minibatches=False)
    two = small(independent_minibatches=True)
    assert (one.minibatches_per_train, two.minibatches_per_train) == (1, 2)
    one.train(experience)
    two.train(twice)
    for mine, other in zip(one.variables, two.variables, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-7)


def test_an_odd_batch_does_not_split(random_experience):
    with pytest.raises(ValueError, match="its batch is 7; SmoothieAgent.independent"):
        small().train(random_experience(7, 5, 3))
    small(independent_minibatches=False).train(random_experience(7, 5, 3))


def test_same_seed_same_weights(random_experience, weights_of):
    experience = random_experience(12, 5, 3)

    def train(seed):
        agent = small(weights_seed=seed)
        for _ in range(5):
            agent.train(experience)
        return weights_of(agent)

    first, again, other = train(7), train(7), train(8)
    for mine, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(mine, same)
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_phantom_noise_changes_with_seed_and_step(by_hand):
    losses = set()
    for seed in (1, 2):
        agent = make(by_hand, seed=seed, initial_log_variance=0.0)
        for step in (0, 1):
            agent.train_step_counter.assign(step)
            losses.add(float(critic_loss(agent, by_hand.experience())))
    assert len(losses) == 4


def test_without_a_seed_tensorflows_decides(by_hand):
    seeds = []
    for global_seed in (0, 0, 1):
        tf.random.set_seed(global_seed)
        seeds.append(int(make(by_hand, seed=None)._seed))
    assert seeds[0] == seeds[1] != seeds[2]


@pytest.mark.parametrize("covariance", ["diagonal", "state_full"])
@pytest.mark.parametrize("factor", [0.0, 0.25])
def test_covariance_takes_a_share_of_each_step(random_experience, factor, covariance):
    experience = random_experience(12, 5, 3)
    whole = small(covariance=covariance)
    share = small(covariance=covariance, covariance_learning_rate_factor=factor)

    def phi(agent):
        variables = agent.covariance.variables
        return np.concatenate([variable.numpy().ravel() for variable in variables])

    start = phi(whole)
    whole.train(experience)
    share.train(experience)
    step = phi(whole) - start
    assert np.abs(step).max() > 1e-3
    np.testing.assert_allclose(phi(share) - start, factor * step, atol=1e-7)
    for mine, other in zip(
        share.actor_network.variables, whole.actor_network.variables, strict=True
    ):
        np.testing.assert_array_equal(mine, other)
    for _ in range(3):
        share.train(experience)
    assert np.array_equal(phi(share), start) == (factor == 0)


def test_stddev_stays_within_its_bounds(random_experience):
    # φ starts at −1, σ = 0.6065. The bounds of φ are −1.0018 and −0.9985, and Adam's
    # first step moves each φ further than that, by up to its learning rate of 0.01.
    experience = random_experience(12, 5, 3)
    bounds = np.array([0.606, 0.607])
    free = small()
    bounded = small(min_stddev=bounds[0], max_stddev=bounds[1])
    for agent in (free, bounded):
        agent.train(experience)
    assert np.abs(free.log_variance + 1).min() > 0.003
    low, high = 2 * np.log(bounds)
    np.testing.assert_allclose(
        bounded.log_variance, np.clip(free.log_variance, low, high), rtol=1e-6
    )
    for mine, other in zip(
        bounded.actor_network.variables, free.actor_network.variables, strict=True
    ):
        np.testing.assert_array_equal(mine, other)
    for _ in range(3):
        bounded.train(experience)
    stddev = np.exp(bounded.log_variance / 2)
    assert np.all((bounds[0] - 1e-6 <= stddev) & (stddev <= bounds[1] + 1e-6))


@pytest.mark.parametrize(
    "xla", slow.all_but([True], [False, True]), ids=["graph", "xla"]
)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"covariance_learning_rate_factor": 0.25},
        {"min_stddev": 0.6, "max_stddev": 0.62},
    ],
    ids=["default", "share", "bounds"],
)
def test_compiled_training_is_eager_training(random_experience, xla, changes):
    builders.check_compiled_is_eager(
        lambda: small(**changes), random_experience(12, 5, 3), xla
    )


def test_the_policies_share_the_agents_weights(by_hand):
    agent = make(by_hand)
    agent.actor_network.variables[0].assign([[0.0], [0.0]])
    agent.actor_network.variables[1].assign([0.25])
    time_step = ts.restart(tf.ones([1, 2]), 1)
    np.testing.assert_allclose(agent.policy.action(time_step).action, [[0.25]])
    agent.log_variance.assign([np.log(9.0)])
    distribution = agent.collect_policy.distribution(time_step).action
    np.testing.assert_allclose(distribution.mean(), [[0.25]])
    np.testing.assert_allclose(distribution.stddev(), [[3.0]], rtol=1e-6)


def test_stored_actions_are_clipped_on_request(by_hand):
    agents = [
        make(by_hand, initial_log_variance=3.0, clip_actions=c) for c in (False, True)
    ]
    drawn, clipped = (
        agent.collect_policy.action(
            ts.restart(tf.zeros([100, 2]), 100), seed=tf.constant([1, 2])
        ).action.numpy()
        for agent in agents
    )
    low, high = by_hand.action_spec.minimum, by_hand.action_spec.maximum
    assert (drawn < low).any() and (drawn > high).any()
    np.testing.assert_array_equal(clipped, np.clip(drawn, low, high))


# Bad input.


def test_a_clipped_action_has_no_density(by_hand):
    with pytest.raises(ValueError, match="SmoothieAgent.clip_actions must be False"):
        make(by_hand, clip_actions=True, replay_weight_clipping=5.0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"min_stddev": 0.1, "covariance": "full"}, "need the covariance 'diagonal'"),
        ({"min_stddev": 0.7}, "is -1.0, a σ of 0.607, but must be within min_stddev"),
        ({"max_stddev": 0.5}, "within min_stddev None and max_stddev 0.5"),
    ],
)
def test_bounds_that_the_stddev_cannot_keep_are_named(by_hand, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(by_hand, **{"initial_log_variance": -1.0, **changes})


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("min_stddev", 0.0, "a number above 0"),
        ("gamma", 1.5, "a number between 0 and 1"),
        ("gamma", -0.1, "a number between 0 and 1"),
        ("kl_penalty", -1e-6, "a number of at least 0"),
        ("target_update_tau", 0.0, "a number above 0 and at most 1"),
        ("target_update_tau", 1.1, "a number above 0 and at most 1"),
        ("reward_scale_factor", 0.0, "a number above 0"),
        ("gradient_clipping", 0.0, "a number above 0"),
        ("dqda_clipping", -1.0, "a number above 0"),
        ("gamma", float("nan"), "a number between 0 and 1"),
        ("kl_penalty", float("inf"), "a number of at least 0"),
        ("reward_scale_factor", "big", "a number above 0"),
        ("gamma", True, "a number between 0 and 1"),
        ("initial_log_variance", float("nan"), "a number between -80 and 80"),
        ("initial_log_variance", 200.0, "a number between -80 and 80"),
        ("covariance_learning_rate_factor", -0.1, "a number of at least 0"),
    ],
)
def test_numbers_out_of_range_are_named(by_hand, name, value, allowed):
    with pytest.raises(ValueError, match=f"^SmoothieAgent.{name} must be {allowed}"):
        make(by_hand, **{name: value})


def test_the_stddev_may_start_at_a_bound():
    for bound in (0.01, 0.1, 0.3):
        phi = 2 * float(np.log(bound))
        smoothie_agent.SmoothieConfig(initial_log_variance=phi, max_stddev=bound)
        smoothie_agent.SmoothieConfig(initial_log_variance=phi, min_stddev=bound)


def test_losses_and_weights_are_one_for_each_transition(by_hand):
    with pytest.raises(
        ValueError, match=r"must return one loss for each .* shape \(\)"
    ):
        make(by_hand, td_errors_loss_fn=tf.keras.losses.mse)
    agent, batch = make(by_hand), by_hand.experience()
    number = batch.reward.shape[0]
    with pytest.raises(ValueError, match=r"one number for each transition, .*, 1\)"):
        agent.train(batch, weights=tf.ones([number, 1]))


@pytest.mark.parametrize("name", ["actor_optimizer", "critic_optimizer"])
def test_a_missing_optimizer_is_named(by_hand, name):
    with pytest.raises(ValueError, match=name):
        make(by_hand, **{name: None})


def test_networks_of_the_wrong_shape_are_named(by_hand):
    wide = tf.keras.Sequential([tf.keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=r"ActorNetwork must return shape \[B, 1\]"):
        make(by_hand, actor_network=wide)
    observation, action = tf.keras.Input([2]), tf.keras.Input([1])
    joint = tf.keras.layers.Concatenate()([observation, action])
    critic = tf.keras.Model([observation, action], tf.keras.layers.Dense(2)(joint))
    with pytest.raises(ValueError, match="CriticNetwork"):
        make(by_hand, critic_network=critic)
