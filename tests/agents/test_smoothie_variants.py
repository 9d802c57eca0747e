"""What the paper has beside Algorithm 1: losses and gradients of each variant."""

import gin
import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import policy_step, trajectory
from tf_agents.trajectories import time_step as ts

from smoothie_tf import action_derivatives, gaussian
from smoothie_tf.agents import smoothie_agent, smoothie_variants
from smoothie_tf.networks import (
    compatible_critic_network,
    linear_quadratic_networks,
)
from tests import slow
from tests.agents import builders

SGD = tf.keras.optimizers.legacy.SGD
OBSERVATION = tensor_spec.TensorSpec([5], tf.float32)
ACTION = tensor_spec.BoundedTensorSpec([2], tf.float32, -1, 1)

VARIANTS = {
    "full": {"covariance": "full"},
    "state_diagonal": {"covariance": "state_diagonal"},
    "state_full": {"covariance": "state_full"},
    "expected": {"evaluation": "expected", "smoothing_samples": 3},
    "expected, full": {"evaluation": "expected", "covariance": "state_full"},
    "weights": {"replay_weight_clipping": 5.0},
    "derivatives": {"bellman_error_weights": (1.0, 0.1, 0.01)},
    "derivatives, full": {
        "bellman_error_weights": (0.5, 0.1, 0.01),
        "derivative_baseline": True,
        "covariance": "state_full",
        "replay_weight_clipping": 2.0,
    },
    "at the mean": {"mean_error_weights": (0.0, 0.1, 0.01)},
    "at the mean, full": {
        "bellman_error_weights": (0.0, 0.0, 0.0),
        "mean_error_weights": (1.0, 0.1, 0.01),
        "derivative_baseline": True,
        "covariance": "full",
        "replay_weight_clipping": 2.0,
    },
}
#: Between them, these have every option of the others.
LARGEST = "expected, full", "derivatives, full", "at the mean, full"


def make_quadratic(by_hand, **changes):
    """An agent with the critic Q = 3a², γ = 0, σ = 2 and squared errors."""
    return builders.make(
        smoothie_variants.create_smoothie,
        by_hand,
        **{
            "critic_network": by_hand.quadratic_critic(),
            "gamma": 0.0,
            "initial_log_variance": np.log(4.0),
            "independent_minibatches": False,
            "td_errors_loss_fn": lambda x, y: (x - y) ** 2,
            **changes,
        },
    )


def small(seed=0, critic=None, **changes):
    """An agent with small networks of the paper's kind, and all weights at work."""
    gin.bind_parameter("CovarianceNetwork.hidden_units", (6,))
    agent = builders.small(
        smoothie_variants.create_smoothie,
        weights_seed=seed,
        actions=2,
        critic=critic and (lambda *_: critic),
        **{
            "kl_penalty": 0.01,
            "seed": 7,
            "independent_minibatches": False,
            **changes,
        },
    )
    draw = np.random.default_rng(seed)
    for variable in agent.trainable_variables:
        variable.assign_add(0.2 * draw.normal(size=variable.shape))
    return agent


def experience(random_experience, agent, number=12):
    batch = random_experience(number, 5, 2)
    if agent.collect_policy.emit_log_probability:
        density = tf.random.stateless_normal([number, 2], (1, 1))
        info = policy_step.PolicyInfo(log_probability=density)
        batch = batch._replace(policy_info=info)
    return batch


@pytest.mark.parametrize("name", ["full", "state_diagonal", "state_full"])
def test_gradients_are_13_15_and_20_written_out(name):
    agent = small(covariance=VARIANTS[name]["covariance"], kl_penalty=0.3)
    kind = agent.covariance.form
    states = tf.random.stateless_normal([4, 5], (0, 1))
    theta, phi = agent.actor_network.trainable_variables, agent.covariance.variables
    with tf.GradientTape() as tape:
        loss, kl, _ = agent.policy_loss(states, tf.ones([4]))
    mine = tape.gradient(loss, [*theta, *phi])

    with tf.GradientTape(persistent=True) as tape:
        mean, _ = agent.actor_network(states)
        covariance = agent.covariance.at(states)
        matrix = covariance.matrix() * tf.ones([4, 1, 1][: 2 + ("full" in name)])
        divergence = tf.reduce_mean(
            covariance.kl_divergence(
                mean,
                agent._target_actor_network(states)[0],
                agent.covariance.target.at(states),
            )
        )
    _, g, H = action_derivatives.by_nested_tapes(
        lambda a: agent.critic_network((states, a))[0], mean, full_hessian=True
    )
    assert np.abs(H).max() > 1e-2
    if not kind.full_hessian:
        H = tf.linalg.diag_part(H)
    np.testing.assert_allclose(kl, divergence, rtol=1e-5)
    penalties = tape.gradient(divergence, [*theta, *phi])
    for gradient, variable, penalty in zip(
        mine, [*theta, *phi], penalties, strict=True
    ):
        if any(variable is each for each in theta):
            delta = tf.einsum("ba,ba...->...", g, tape.jacobian(mean, variable))  # (13)
        else:
            jacobian = tape.jacobian(matrix, variable)
            letters = "bij,bij...->..." if kind.full_hessian else "bi,bi...->..."
            delta = 0.5 * tf.einsum(letters, H, jacobian)  # (15)
        np.testing.assert_allclose(
            -gradient, delta / 4 - 0.3 * penalty, rtol=2e-4, atol=1e-5
        )


@pytest.mark.parametrize("name", slow.all_but(LARGEST, VARIANTS))
def test_nested_tapes_and_forward_propagation_train_alike(name, random_experience):
    agents = [small(nested_tapes=nested, **VARIANTS[name]) for nested in (False, True)]
    for agent in agents:
        agent.train(experience(random_experience, agent))
    for mine, other in zip(agents[0].variables, agents[1].variables, strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_part_learns_and_every_target_follows(name, random_experience):
    agent = small(**VARIANTS[name])
    targets = [
        agent._target_actor_network,
        agent.covariance.target,
        *(target for _, target in agent._critics()),
    ]
    watched = [*agent.trainable_variables, *(v for t in targets for v in t.variables)]
    before = [variable.numpy() for variable in watched]
    info = agent.train(experience(random_experience, agent)).extra
    assert np.isfinite([float(value) for value in info]).all()
    assert 0.1 < info.policy_stddev < 2
    for variable, old in zip(watched, before, strict=True):
        assert (variable.numpy() != old).any(), variable.name


@pytest.mark.parametrize("name", VARIANTS)
def test_collect_policy_draws_from_its_own_distribution(name):
    agent = small(**VARIANTS[name])
    number = 40_000
    states = tf.repeat(tf.random.stateless_normal([1, 5], (0, 1)), number, axis=0)
    time_step = ts.restart(states, number)
    step = agent.collect_policy.action(time_step, seed=tf.constant([1, 2]))
    one = tf.nest.map_structure(lambda x: x[:1], time_step)
    distribution = agent.collect_policy.distribution(one).action
    covariance = np.cov(step.action.numpy().T)
    np.testing.assert_allclose(
        covariance, distribution.covariance()[0], atol=0.03 * np.trace(covariance)
    )
    np.testing.assert_allclose(
        agent.policy_stddev(states)[..., :1].numpy().ravel()[0],
        distribution.stddev()[0, 0],
        rtol=1e-5,
    )
    if agent.collect_policy.emit_log_probability:
        np.testing.assert_allclose(
            policy_step.get_log_probability(step.info)[:5],
            agent.collect_policy.distribution(time_step).action.log_prob(step.action)[
                :5
            ],
            rtol=1e-4,
            atol=1e-4,
        )


def test_weights_are_those_of_the_stored_density(by_hand):
    # Losses 57.5 and 77.5, see test_smoothie_agent.py, and 1/q = 3 and 1:
    # (3·57.5 + 77.5)/4.
    agent = smoothie_variants.create_smoothie(
        by_hand.time_step_spec,
        by_hand.action_spec,
        actor_network=by_hand.actor(),
        critic_network=by_hand.critic(),
        actor_optimizer=SGD(1.0),
        critic_optimizer=SGD(1.0),
        gamma=1.0,
        initial_log_variance=-60.0,
        independent_minibatches=False,
        replay_weight_clipping=100.0,
    )
    agent.initialize()
    density = tf.constant([[1 / 3, 0.0], [1.0, 0.0]])
    batch = by_hand.experience()._replace(
        policy_info=policy_step.PolicyInfo(log_probability=tf.math.log(density))
    )
    info = agent.loss(batch).extra
    np.testing.assert_allclose(info.critic_loss, 62.5, rtol=1e-6)
    # The policy's batch is not weighted.
    np.testing.assert_allclose(info.actor_loss, -24.0, rtol=1e-6)


def test_expected_values_by_hand(by_hand):
    # (16): Q as in test_smoothie_agent.py: 57.5 and 77.5. (17): with Q linear in a, and
    # next to no noise, the expectation is Q itself: 21 and 31, and Q̃ is made 20 and 30:
    # Huber of 1 is ½.
    agent = smoothie_variants.create_smoothie(
        by_hand.time_step_spec,
        by_hand.action_spec,
        actor_network=by_hand.actor(),
        critic_network=by_hand.critic(),
        actor_optimizer=SGD(1.0),
        critic_optimizer=SGD(1.0),
        gamma=1.0,
        initial_log_variance=-60.0,
        independent_minibatches=False,
        evaluation="expected",
    )
    agent.initialize()
    agent.critic_network.variables[1].assign([3.0])
    loss = agent.loss(by_hand.experience()).extra.critic_loss
    np.testing.assert_allclose(loss, 67.5 + 0.5, rtol=1e-6)


def test_17_is_the_mean_over_the_samples_that_it_draws(by_hand):
    # Q = 3a² and σ = 2: the mean of 3·(a + 2η)² over the samples.
    agent = make_quadratic(
        by_hand,
        evaluation="expected",
        smoothing_samples=5,
        seed=7,
        train_step_counter=tf.Variable(3, dtype=tf.int64),
    )
    noise = gaussian.stateless_normal([5, 2, 1], [7, 2 * 3 + 1])[:, :, 0].numpy()
    actions = np.array([5.0, 6.0])
    expectation = (3 * (actions + 2 * noise) ** 2).mean(0)
    rewards = 3 * actions**2 - np.array([10.0, 20.0])
    expected = np.mean((expectation - 3 * actions**2) ** 2 + rewards**2)
    loss = agent.loss(by_hand.experience()).extra.critic_loss
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_16_and_17_have_the_targets_policy_and_their_own_noise(by_hand):
    # (16): a′ = μ′(s′) + σ′(s′)·η, σ′(s′) = 10 and 14, so Q′(s′, a′) is 69 and 89 of
    # before, and 2·σ′·η; with 4 less, Q is 17 and 27. (17): Q′ is that of before, whose
    # mean at a + σ(s)·η with σ(s) = 1 and 3 is Q̃(s, a) and 2·σ·η̄.
    agent = builders.make(
        smoothie_variants.create_smoothie,
        by_hand,
        evaluation="expected",
        smoothing_samples=2,
        gamma=1.0,
        independent_minibatches=False,
        td_errors_loss_fn=lambda x, y: (x - y) ** 2,
        seed=7,
    )
    agent.train_step_counter.assign(3)
    agent._covariance = builders.spread_by_state()
    agent.actor_network.variables[1].assign([100.0])
    agent._action_value_network.variables[1].assign([0.0])
    noise = gaussian.stateless_normal([2, 1], [7, 2 * 3])[:, 0].numpy()
    several = gaussian.stateless_normal([2, 2, 1], [7, 2 * 3 + 1])[:, :, 0].numpy()
    target = np.array([10 + 69, 20 + 89]) + 2 * np.array([10, 14]) * noise
    smoothing = 2 * np.array([1, 3]) * several.mean(0)
    expected = np.mean((target - [17, 27]) ** 2 + smoothing**2)
    loss = agent.loss(by_hand.experience()).extra.critic_loss
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def move_targets(agent):
    """Moves μ′ away, and makes Q̃′ = 5a²: with γ = 0, only baselines have it."""
    agent._target_actor_network.variables[1].assign([100.0])
    agent._target_critic_network.variables[0].assign([[5.0]])


@pytest.mark.parametrize("baseline", [False, True])
def test_derivative_errors_by_hand(by_hand, baseline):
    # Q = 3a², σ(s) = 1 and 3, a = ã + ση, T the reward, b = 5a² or 0:
    #   (T − 3a²)² + 0.1·½·(6a + η/σ·(T − b))² + 0.01·½·(6 − (η² − 1)/σ²·(T − b))².
    agent = make_quadratic(
        by_hand,
        bellman_error_weights=(1.0, 0.1, 0.01),
        derivative_baseline=baseline,
        seed=7,
        train_step_counter=tf.Variable(3, dtype=tf.int64),
    )
    move_targets(agent)
    agent._covariance = builders.spread_by_state()
    noise = gaussian.stateless_normal([2, 1], [7, 3])[:, 0].numpy()
    stddev = np.array([1.0, 3.0])
    action = np.array([5.0, 6.0]) + stddev * noise
    target = np.array([10.0, 20.0])
    above = target - 5 * action**2 * baseline
    expected = (
        (target - 3 * action**2) ** 2
        + 0.1 * 0.5 * (6 * action + noise / stddev * above) ** 2
        + 0.01 * 0.5 * (6 - (noise**2 - 1) / stddev**2 * above) ** 2
    )
    loss = agent.loss(by_hand.experience()).extra.critic_loss
    np.testing.assert_allclose(loss, expected.mean(), rtol=1e-5)


@pytest.mark.parametrize("baseline", [False, True])
def test_errors_at_the_mean_by_hand(by_hand, baseline):
    # Q = 3a² at μ = 9 and 15, σ = 2, d = ã − μ = −4 and −9, T the reward, b = 5μ² or 0:
    #   (T − 3μ²)² + 0.1·½·(6μ − d/4·(T − b))² + 0.01·½·(6 − (d²/16 − ¼)·(T − b))²,
    # weighed by π(ã|s)/q(ã|s): 0.5, and 2 of 3 that are left; and by 3 and 1 besides.
    agent = make_quadratic(
        by_hand,
        bellman_error_weights=(0.0, 0.0, 0.0),
        mean_error_weights=(1.0, 0.1, 0.01),
        mean_error_clipping=2.0,
        derivative_baseline=baseline,
    )
    move_targets(agent)
    assert agent.collect_policy.emit_log_probability
    mean, target = np.array([9.0, 15.0]), np.array([10.0, 20.0])
    d = np.array([5.0, 6.0]) - mean
    log_policy = -(d**2) / 8 - 0.5 * np.log(2 * np.pi * 4)
    log_stored = tf.constant(log_policy - np.log([0.5, 3.0]), tf.float32)
    batch = by_hand.experience()._replace(
        policy_info=policy_step.PolicyInfo(
            log_probability=tf.tile(log_stored[:, tf.newaxis], [1, 2])
        )
    )
    above = target - 5 * mean**2 * baseline
    errors = (
        (target - 3 * mean**2) ** 2
        + 0.1 * 0.5 * (6 * mean - d / 4 * above) ** 2
        + 0.01 * 0.5 * (6 - (d**2 / 16 - 0.25) * above) ** 2
    )
    loss = agent.loss(batch, tf.constant([3.0, 1.0])).extra.critic_loss
    np.testing.assert_allclose(loss, (errors * [1.5, 2.0]).mean(), rtol=1e-5)


@pytest.mark.parametrize("covariance", slow.all_but(["full"], ["diagonal", "full"]))
def test_own_actions_at_the_mean_have_the_true_derivatives_as_their_minimum(
    by_hand, covariance
):
    # T = bᵀã + ãᵀCã, so that Q̃ = bᵀa + aᵀCa + tr(CΣ), and ã ~ N(μ, Σ) in one state by
    # Gauss-Hermite quadrature: with the true Q̃ for critic, the loss's gradient is 0.
    b, C = np.array([0.7, -0.4]), np.array([[-0.5, 0.2], [0.2, 0.3]])
    deviations = np.array([0.8, 1.3])
    # φ of Σ = LLᵀ with 0.5 below L's diagonal; or of its diagonal alone.
    phi, factor = 2 * np.log(deviations), np.diag(deviations)
    if covariance == "full":
        phi, factor = np.append(phi, 0.5), factor + [[0, 0], [0.5, 0]]
    nodes, masses = np.polynomial.hermite_e.hermegauss(6)
    masses /= masses.sum()
    eta = np.stack(np.meshgrid(nodes, nodes), -1).reshape(-1, 2)
    mass = np.outer(masses, masses).ravel()
    number = len(mass)

    observation, action = tf.keras.Input([2]), tf.keras.Input([2])
    squares = tf.keras.layers.Lambda(
        lambda a: tf.stack([a[:, 0] ** 2, a[:, 1] ** 2, a[:, 0] * a[:, 1]], -1)
    )(action)
    features = tf.keras.layers.Concatenate()([action, squares])
    output = tf.keras.layers.Dense(1)
    critic = tf.keras.Model([observation, action], output(features))
    weights = np.array([*b, C[0, 0], C[1, 1], 2 * C[0, 1]])
    constant = np.trace(C @ factor @ factor.T)
    output.set_weights([weights[:, np.newaxis], np.array([constant])])
    actor = tf.keras.Sequential([tf.keras.layers.Dense(2)])
    action_spec = tensor_spec.BoundedTensorSpec([2], tf.float32, -1, 1)

    def gradient_norm(**changes):
        agent = smoothie_variants.create_smoothie(
            by_hand.time_step_spec,
            action_spec,
            actor_network=actor,
            critic_network=critic,
            actor_optimizer=SGD(1.0),
            critic_optimizer=SGD(1.0),
            gamma=0.0,
            covariance=covariance,
            independent_minibatches=False,
            td_errors_loss_fn=lambda x, y: 0.5 * (x - y) ** 2,
            train_step_counter=tf.Variable(0, dtype=tf.int64),
            **changes,
        )
        agent.log_variance.assign(phi)
        agent.initialize()
        mean = agent.actor_network(tf.constant([[1.0, 2.0]]))[0].numpy()
        actions = mean + eta @ factor.T
        density = agent.covariance.at(None).distribution(mean).log_prob(actions)
        middle = tf.fill([number], ts.StepType.MID)
        states = tf.tile(tf.constant([[1.0, 2.0]]), [number, 1])
        ones = tf.ones([number])
        reward = actions @ b + ((actions @ C) * actions).sum(-1)
        transition = trajectory.Transition(
            ts.TimeStep(middle, 0 * ones, ones, states),
            policy_step.PolicyStep(
                tf.constant(actions, tf.float32),
                (),
                policy_step.PolicyInfo(log_probability=tf.cast(density, tf.float32)),
            ),
            ts.TimeStep(middle, tf.constant(reward, tf.float32), ones, states),
        )
        with tf.GradientTape() as tape:
            info = agent.loss(transition, tf.constant(mass * number, tf.float32)).extra
        found = tape.gradient(info.critic_loss, agent.critic_network.variables)
        return float(tf.linalg.global_norm(found))

    for error in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)):
        for baseline in (False, True):
            norm = gradient_norm(
                bellman_error_weights=(0.0, 0.0, 0.0),
                mean_error_weights=error,
                derivative_baseline=baseline,
            )
            assert norm < 2e-5
    # Phantom actions around own ones have another minimum.
    assert gradient_norm(mean_error_weights=(0.0, 1.0, 0.0)) > 1e-2


def test_compatible_critic_in_the_agent(random_experience):
    critic = compatible_critic_network.CompatibleCriticNetwork(
        (OBSERVATION, ACTION), (8,)
    )
    agent = small(
        critic=critic, covariance="full", bellman_error_weights=(1.0, 0.1, 0.01)
    )
    assert agent._target_critic_network._policy()[0] is agent._target_actor_network
    assert agent.critic_network._policy()[0] is agent.actor_network
    assert agent._target_critic_network._policy()[1] is agent.covariance.target
    assert agent.critic_network._policy()[1] is agent.covariance
    policys = {id(v) for v in agent._policy_variables}
    assert not policys & {id(v) for v in agent._critic_variables()}
    before = [v.numpy() for v in agent._critic_variables()]
    agent.train(experience(random_experience, agent))
    for variable, old in zip(agent._critic_variables(), before, strict=True):
        assert (variable.numpy() != old).any(), variable.name
    # At a = μ′ the target critic is V_w₀ alone, and Q̃ at μ does not see w₁ or w₂.
    compiled = tf.function(agent.train, jit_compile=True, autograph=False)
    assert np.isfinite(compiled(experience(random_experience, agent)).loss)


@pytest.mark.parametrize("name", slow.all_but(LARGEST, VARIANTS))
def test_compiled_training_is_eager_training(name, random_experience):
    eager, compiled = small(**VARIANTS[name]), small(**VARIANTS[name])
    batch = experience(random_experience, eager)
    train = tf.function(compiled.train, jit_compile=True, autograph=False)
    for _ in range(2):
        expected, loss = eager.train(batch), train(batch)
        for mine, other in zip(loss.extra, expected.extra, strict=True):
            np.testing.assert_allclose(mine, other, rtol=2e-3, atol=2e-5)
    for mine, other in zip(compiled.variables, eager.variables, strict=True):
        np.testing.assert_allclose(mine, other, rtol=5e-3, atol=5e-5)


def test_networks_of_the_linear_quadratic_task_in_the_agent(random_experience):
    agent = small(
        actor_network=linear_quadratic_networks.LinearMeanNetwork(OBSERVATION, ACTION),
        critic=linear_quadratic_networks.QuadraticCriticNetwork((OBSERVATION, ACTION)),
        covariance="full",
    )
    assert np.isfinite(agent.train(experience(random_experience, agent)).loss)


@pytest.mark.parametrize("name", slow.all_but(LARGEST, VARIANTS))
def test_a_checkpoint_holds_all_that_training_needs(name, random_experience, tmp_path):
    agent, again = small(**VARIANTS[name]), small(seed=1, **VARIANTS[name])
    batch = experience(random_experience, agent)
    agent.train(batch)
    path = tf.train.Checkpoint(agent=agent).write(str(tmp_path / "checkpoint"))
    status = tf.train.Checkpoint(agent=again).read(path)
    status.assert_existing_objects_matched()
    agent.train(batch)
    again.train(batch)
    for mine, other in zip(agent.variables, again.variables, strict=True):
        np.testing.assert_array_equal(mine, other)


# Bad input.


def test_a_class_trains_what_its_hyperparameters_say(by_hand):
    def of(kind, **changes):
        return builders.make(kind, by_hand, independent_minibatches=False, **changes)

    expected = smoothie_variants.ExpectedSmoothieAgent
    derivative = smoothie_variants.DerivativeSmoothieAgent
    assert of(expected).config.evaluation == "expected"
    with pytest.raises(ValueError, match="evaluation must be 'smoothed' where"):
        of(expected, replay_weight_clipping=5.0)
    config = smoothie_variants.VariantConfig(evaluation="expected")
    for kind in (smoothie_agent.SmoothieAgent, derivative):
        with pytest.raises(ValueError, match="are those of ExpectedSmoothieAgent, but"):
            of(kind, config=config)
    # (22) is a form of Q̃, not of Q.
    with pytest.raises(ValueError, match="evaluation must be 'smoothed' where the cri"):
        small(
            critic=compatible_critic_network.CompatibleCriticNetwork(
                (OBSERVATION, ACTION), (8,)
            ),
            evaluation="expected",
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"covariance": "round"}, r"covariance must be one of 'diagonal', 'full', .*"),
        ({"covariance": None}, r"covariance must be one of .* is None"),
        ({"evaluation": "both"}, r"evaluation must be one of 'smoothed', 'expected'"),
        ({"smoothing_samples": 0}, r"smoothing_samples must be a whole number"),
        ({"replay_weight_clipping": -1}, r"clipping must be a number above 0"),
        ({"replay_weight_clipping": 0.5}, r"clipping must be at least 1"),
        ({"bellman_error_weights": 1.0}, r"weights must be three numbers"),
        ({"bellman_error_weights": "abc"}, r"weights must be three numbers"),
        ({"bellman_error_weights": (1.0, 0.0)}, r"weights must be three numbers"),
        ({"bellman_error_weights": (1.0, -1.0, 0.0)}, r"of at least 0, but is -1.0"),
        ({"bellman_error_weights": (0.0, 0.0, 0.0)}, r"weight above 0 for a deriv"),
        ({"bellman_error_weights": (2.0, 0.0, 0.0)}, r"must be \(1.0, 0.0, 0.0\), or"),
        ({"mean_error_weights": (1.0, 0.0)}, r"mean_error_weights must be three"),
        ({"mean_error_weights": (0.0, -1.0, 0.0)}, r"of at least 0, but is -1.0"),
        ({"mean_error_clipping": 0.0}, r"mean_error_clipping must be a number above 0"),
        (
            {"mean_error_weights": (0.0, 1.0, 0.0), "clip_actions": True},
            r"clip_actions must be False where stored actions",
        ),
        (
            {"evaluation": "expected", "mean_error_weights": (1.0, 0.0, 0.0)},
            r"evaluation must be 'smoothed' where",
        ),
        ({"derivative_baseline": 1}, r"derivative_baseline must be True or False"),
        (
            {"evaluation": "expected", "replay_weight_clipping": 2.0},
            r"evaluation must be 'smoothed' where",
        ),
        (
            {"evaluation": "expected", "bellman_error_weights": (1.0, 1.0, 0.0)},
            r"evaluation must be 'smoothed' where",
        ),
    ],
)
def test_what_is_not_allowed_is_named(arguments, message):
    with pytest.raises(ValueError, match=rf"^SmoothieAgent\..*{message}"):
        small(**arguments)
