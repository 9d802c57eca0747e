"""The linear–quadratic task: closed forms against integrals, sums and differences.

Shapes: S state, A action.
"""

import itertools

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import smoothie_tf.environments  # noqa: F401  Registers the task.
from smoothie_tf.environments import gymnasium_environment, linear_quadratic

DISCOUNT = 0.9
#: (S, A); the larger ones only where nothing is integrated.
SMALL = ((1, 1), (2, 2))
SIZES = (*SMALL, (3, 1), (2, 3), (6, 4))


def example(states, actions, discount=DISCOUNT):
    """A system with full Q, R and W, and a policy that is not the best one."""
    draw = np.random.default_rng(10 * states + actions)

    def covariance(size):
        root = draw.normal(size=(size, size))
        return root @ root.T / size + 0.1 * np.eye(size)

    system = linear_quadratic.System(
        A=linear_quadratic.random_system(states, actions, 3).A,
        B=draw.normal(size=(states, actions)),
        Q=covariance(states),
        R=covariance(actions),
        W=covariance(states),
    )
    gain = 0.8 * system.optimal_gain(discount)
    gain += 0.02 * draw.normal(size=gain.shape)
    factor = np.tril(0.3 * draw.normal(size=(actions, actions))) + 0.5 * np.eye(actions)
    return system.evaluate(gain, factor, discount), covariance(states), draw


def gauss_hermite(size, points=6):
    """Nodes [N, size] and weights [N] of E over N(0, I), exact for polynomials."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    weights = weights / weights.sum()
    grid = np.array(list(itertools.product(nodes, repeat=size)))
    return grid, np.prod(
        np.array(list(itertools.product(weights, repeat=size))), axis=1
    )


def differences(function, x, step=1e-3):
    """The gradient of a function of a matrix, by the five-point rule."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        moved = [x.copy() for _ in range(4)]
        for copy, k in zip(moved, (1, -1, 2, -2), strict=True):
            copy[index] += k * step
        values = [function(copy) for copy in moved]
        gradient[index] = 8 * (values[0] - values[1]) - (values[2] - values[3])
    return gradient / (12 * step)


@pytest.mark.parametrize("sizes", SMALL)
def test_state_value_is_the_mean_action_value_over_the_policy(sizes):
    truth, _, draw = example(*sizes)
    noise, weights = gauss_hermite(sizes[1])
    for state in draw.normal(size=(5, sizes[0])):
        actions = truth.gain @ state + noise @ truth.factor.T
        np.testing.assert_allclose(
            weights @ truth.action_value(state, actions),
            truth.state_value(state),
            rtol=1e-12,
        )


@pytest.mark.parametrize("sizes", SMALL)
def test_action_value_solves_the_bellman_equation(sizes):
    truth, _, draw = example(*sizes)
    noise, weights = gauss_hermite(sizes[0])
    root = np.linalg.cholesky(truth.system.W)
    for _ in range(5):
        state, action = draw.normal(size=sizes[0]), draw.normal(size=sizes[1])
        following = truth.system.next_mean(state, action) + noise @ root.T
        bellman = truth.system.reward(state, action) + DISCOUNT * (
            weights @ truth.state_value(following)
        )
        np.testing.assert_allclose(
            truth.action_value(state, action), bellman, rtol=1e-12
        )


@pytest.mark.parametrize("sizes", SMALL)
def test_smoothed_action_value_is_the_integral(sizes):
    truth, _, draw = example(*sizes)
    noise, weights = gauss_hermite(sizes[1])
    for _ in range(5):
        state, action = draw.normal(size=sizes[0]), draw.normal(size=sizes[1])
        around = action + noise @ truth.factor.T
        np.testing.assert_allclose(
            truth.smoothed_action_value(state, action),
            weights @ truth.action_value(state, around),
            rtol=1e-12,
        )  # (9)


@pytest.mark.parametrize("sizes", SIZES)
def test_smoothed_action_value_at_the_mean_is_the_state_value(sizes):
    truth, _, draw = example(*sizes)
    states = draw.normal(size=(4, 3, sizes[0]))
    values = truth.smoothed_action_value(states, states @ truth.gain.T)
    assert values.shape == (4, 3)
    np.testing.assert_allclose(values, truth.state_value(states), rtol=1e-12)


@pytest.mark.parametrize("sizes", SIZES)
def test_action_gradient_and_hessian_are_those_of_the_value(sizes):
    truth, _, draw = example(*sizes)
    state, action = draw.normal(size=sizes[0]), draw.normal(size=sizes[1])
    for value in (truth.action_value, truth.smoothed_action_value):
        np.testing.assert_allclose(
            truth.action_gradient(state, action),
            differences(lambda a, value=value: value(state, a), action),
            rtol=1e-8,
            atol=1e-9,
        )
    for i in range(sizes[1]):
        np.testing.assert_allclose(
            truth.action_hessian()[i],
            differences(lambda a, i=i: truth.action_gradient(state, a)[i], action),
            rtol=1e-8,
            atol=1e-9,
        )


def test_smoothed_value_of_a_batch_has_a_gradient_for_each():
    truth, _, draw = example(3, 2)
    states, actions = draw.normal(size=(7, 3)), draw.normal(size=(7, 2))
    expected = [
        truth.action_gradient(state, action)
        for state, action in zip(states, actions, strict=True)
    ]
    np.testing.assert_allclose(truth.action_gradient(states, actions), expected)


@pytest.mark.parametrize("sizes", SIZES)
def test_objective_is_the_sum_of_discounted_rewards(sizes):
    # Means and covariances of states and actions, carried on until γ^t is gone.
    truth, start, _ = example(*sizes)
    system, closed_loop = truth.system, truth.system.A + truth.system.B @ truth.gain
    moment, total, moments = start, 0.0, 0.0
    for t in range(500):
        actions = truth.gain @ moment @ truth.gain.T + truth.covariance
        reward = -0.5 * (np.trace(system.Q @ moment) + np.trace(system.R @ actions))
        total += DISCOUNT**t * reward
        moments = moments + DISCOUNT**t * moment
        moment = (
            closed_loop @ moment @ closed_loop.T
            + system.B @ truth.covariance @ system.B.T
            + system.W
        )
    np.testing.assert_allclose(truth.objective(start), total, rtol=1e-11)
    np.testing.assert_allclose(truth.state_moment(start), moments, rtol=1e-11)


@pytest.mark.parametrize("sizes", SIZES)
def test_policy_gradients_are_those_of_the_objective(sizes):
    truth, start, _ = example(*sizes)

    def objective(gain, factor):
        return truth.system.evaluate(gain, factor, DISCOUNT).objective(start)

    np.testing.assert_allclose(
        truth.gain_gradient(start),
        differences(lambda gain: objective(gain, truth.factor), truth.gain),
        rtol=1e-7,
        atol=1e-7,
    )
    np.testing.assert_allclose(
        truth.factor_gradient(),
        differences(lambda factor: objective(truth.gain, factor), truth.factor),
        rtol=1e-8,
        atol=1e-8,
    )


@pytest.mark.parametrize("sizes", SIZES)
def test_covariance_gradient_is_theorem_1(sizes):
    # ½·∂²Q̃/∂a², summed with weights γ^t; and through Σ = LLᵀ it is that of L.
    truth, _, _ = example(*sizes)
    np.testing.assert_allclose(
        truth.covariance_gradient(), 0.5 * truth.action_hessian() / (1 - DISCOUNT)
    )
    np.testing.assert_allclose(
        2 * truth.covariance_gradient() @ truth.factor,
        truth.factor_gradient(),
        rtol=1e-12,
    )


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.995])
@pytest.mark.parametrize("sizes", SIZES)
def test_nothing_is_to_be_gained_at_the_optimal_gain(sizes, discount):
    truth, start, draw = example(*sizes, discount)
    gain = truth.system.optimal_gain(discount)
    best = truth.system.evaluate(gain, truth.factor, discount)
    scale = np.abs(best.curvature).max() * max(np.abs(gain).max(), 1.0)
    np.testing.assert_allclose(best.action_cost, 0, atol=1e-9 * scale)
    for _ in range(10):
        other = gain + 0.01 * draw.normal(size=gain.shape)
        worse = truth.system.evaluate(other, truth.factor, discount)
        assert worse.objective(start) < best.objective(start)


def test_by_hand():
    # One dimension, γ = ½: with K = −½, C = 1 − ½ = ½ and Q_K = 1 + ¼·2 = 3/2, so that
    # P = 3/2 + ⅛·P = 12/7, H = 2 + 6/7 = 20/7, E_K = −10/7 + 6/7 = −4/7 and, with
    # L = 1 and W = 1, c = (10/7 + 3/7)/½ = 26/7.
    system = linear_quadratic.System([[1.0]], [[1.0]], [[1.0]], [[2.0]], [[1.0]])
    truth = system.evaluate([[-0.5]], [[1.0]], 0.5)
    np.testing.assert_allclose(truth.cost, [[12 / 7]])
    np.testing.assert_allclose(truth.curvature, [[20 / 7]])
    np.testing.assert_allclose(truth.action_cost, [[-4 / 7]])
    np.testing.assert_allclose(truth.noise_cost, 26 / 7)
    np.testing.assert_allclose(truth.state_value(np.array([2.0])), -24 / 7 - 26 / 7)
    assert system.spectral_radius([[-0.5]]) == 0.5


def test_return_of_episodes():
    # What the environment pays is what the closed form says, within what 2,000
    # episodes tell.
    env = gymnasium.make("smoothie_tf/LinearQuadratic-v0").unwrapped
    system = env.system
    gain, factor = 0.7 * system.optimal_gain(0.8), 0.3 * np.eye(2)
    draw = np.random.default_rng(0)
    returns = []
    env.reset(seed=0)
    for _ in range(2000):
        state, _ = env.reset()
        total = 0.0
        for t in range(50):
            action = gain @ state + factor @ draw.normal(size=2)
            state, reward, terminated, truncated, _ = env.step(action)
            assert not terminated and not truncated
            total += 0.8**t * reward
        returns.append(total)
    expected = system.evaluate(gain, factor, 0.8).objective(env.start_moment)
    error = np.std(returns) / np.sqrt(len(returns))
    assert abs(np.mean(returns) - expected) < 3 * error
    assert error < 0.03 * abs(expected)


def test_environment_keeps_gymnasiums_contract():
    check_env(gymnasium.make("smoothie_tf/LinearQuadratic-v0").unwrapped)


def test_same_seeds_are_the_same_episode():
    def episode():
        env = gymnasium_environment.make(
            "smoothie_tf/LinearQuadratic-v0", state_size=3, action_size=1
        )
        observation, _ = env.reset(seed=5)
        seen = [observation]
        truncated = False
        while not truncated:
            observation, reward, _, truncated, _ = env.step(np.array([0.1]))
            seen.append(np.append(observation, reward))
        return np.concatenate(seen)

    first = episode()
    np.testing.assert_array_equal(first, episode())
    assert len(first) == 3 + 100 * 4


def test_actions_keep_their_units():
    env = gymnasium_environment.make("smoothie_tf/LinearQuadratic-v0")
    state, _ = env.reset(seed=0)
    system = env.unwrapped.system
    _, reward, *_ = env.step(np.array([3.0, -2.0], np.float32))
    assert reward == pytest.approx(
        system.reward(np.float64(state), [3.0, -2.0]), rel=1e-6
    )


def test_matrices_make_the_system():
    env = gymnasium.make(
        "smoothie_tf/LinearQuadratic-v0",
        A=((0.5, 0.0), (0.1, 0.9)),
        B=((1.0,), (2.0,)),
        R=((3.0,),),
    ).unwrapped
    assert env.observation_space.shape == (2,)
    assert env.action_space.shape == (1,)
    np.testing.assert_array_equal(env.system.R, [[3.0]])
    np.testing.assert_array_equal(env.system.Q, np.eye(2))
    np.testing.assert_allclose(env.system.W, 0.01 * np.eye(2))


def test_noise_of_lower_rank():
    env = linear_quadratic.LinearQuadraticEnvironment(W=((1.0, 1.0), (1.0, 1.0)))
    env.reset(seed=0)
    state = env._state
    following, *_ = env.step(np.zeros(2))
    noise = following - env.system.A @ state
    assert noise[0] == pytest.approx(noise[1])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"state_size": 0}, r"random_system.state_size must be a whole number"),
        ({"action_size": 1.5}, r"random_system.action_size must be .* is 1.5"),
        ({"noise_stddev": -1.0}, r"noise_stddev must be a number of at least 0"),
        ({"start_stddev": -1.0}, r"start_stddev must be a number of at least 0"),
        ({"action_bound": 0.0}, r"Environment.action_bound must be .* above 0"),
        ({"A": ((1.0,),)}, r"A and .*B must be given together .* but B is None"),
        ({"A": 3, "B": 3}, r"Environment.A must be a matrix of finite numbers"),
        ({"A": ((1.0,),), "B": ((1.0,), (1.0,))}, r"System.B must have shape \(1, 1\)"),
        ({"Q": ((1.0, 2.0), (0.0, 1.0))}, r"System.Q must be symmetric"),
        ({"R": ((0.0, 0.0), (0.0, 0.0))}, r"System.R must be .* positive definite"),
        ({"W": ((-1.0, 0.0), (0.0, 1.0))}, r"System.W must be .* semi-definite"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        linear_quadratic.LinearQuadraticEnvironment(**arguments)


def test_bad_policies():
    system = linear_quadratic.random_system(2, 1)
    with pytest.raises(ValueError, match=r"gain must have shape \(1, 2\)"):
        system.evaluate(np.zeros((2, 2)), [[1.0]], 0.9)
    with pytest.raises(ValueError, match=r"factor must have shape \(1, 1\)"):
        system.evaluate(np.zeros((1, 2)), np.eye(2), 0.9)
    with pytest.raises(ValueError, match="discount must be below 1"):
        system.evaluate(np.zeros((1, 2)), [[1.0]], 1.0)
    with pytest.raises(ValueError, match="spectral radius .* must be below 1.05"):
        system.evaluate(np.full((1, 2), 100.0), [[1.0]], 0.9)
