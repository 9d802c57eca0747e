"""Value gradients against closed forms on linear–quadratic tasks, all in float64.

With s' = As + Ba + ε, a = Ks + Lη and r = −½(sᵀQs + aᵀRa), every derivative is known:
see `linear_quadratic` for the infinite horizon, and below for the finite one.
"""

import numpy as np
import pytest
import tensorflow as tf

from smoothie_tf import value_gradients
from smoothie_tf.environments import linear_quadratic

GAMMA = 0.9
SYSTEM = linear_quadratic.System(
    A=[[0.9, 0.3], [-0.2, 0.8]],
    B=[[0.1, 0.4], [0.5, -0.2]],
    Q=[[1.0, 0.2], [0.2, 0.6]],
    R=[[0.5, 0.1], [0.1, 0.8]],
    W=[[0.04, 0.01], [0.01, 0.09]],
)
GAIN = np.array([[-0.3, 0.1], [0.2, -0.4]])
FACTOR = np.array([[0.3, 0.0], [0.1, 0.2]])
# What a model could have learned in the place of A and B.
WRONG_A = SYSTEM.A + np.array([[0.05, -0.1], [0.08, 0.02]])
WRONG_B = SYSTEM.B + np.array([[-0.06, 0.03], [0.1, 0.05]])
LENGTH = 12
RIGHT = (SYSTEM.A, SYSTEM.B)
WRONG = (WRONG_A, WRONG_B)


def transposed(matrix):
    return tf.constant(np.asarray(matrix).T, tf.float64)


def reward(state, action, next_state):
    del next_state
    cost = tf.einsum("bi,ij,bj->b", state, tf.constant(SYSTEM.Q), state)
    cost += tf.einsum("bi,ij,bj->b", action, tf.constant(SYSTEM.R), action)
    return -0.5 * cost


def linear_model(matrices, stddev=0.3):
    A, B = matrices

    def model(state, action):
        mean = state @ transposed(A) + action @ transposed(B)
        return mean, tf.constant(stddev, tf.float64)

    return model


def mean_of(gain=GAIN):
    return lambda state: state @ transposed(gain)


def trajectory(seed=0, matrices=RIGHT, length=LENGTH):
    """A trajectory, with its noise: s, a, s' and η, each [T, ·]."""
    rng = np.random.default_rng(seed)
    A, B = matrices
    states, actions, noise = [rng.normal(size=2)], [], []
    root = np.linalg.cholesky(SYSTEM.W)
    for _ in range(length):
        noise.append(rng.normal(size=2))
        actions.append(GAIN @ states[-1] + FACTOR @ noise[-1])
        following = A @ states[-1] + B @ actions[-1] + root @ rng.normal(size=2)
        states.append(following)
    return [np.array(x) for x in (states[:-1], actions, states[1:], noise)]


def jacobians(mean, model, reward_of, states, actions, next_states):
    """The derivatives at transitions, the model's by tapes."""
    by_model = value_gradients.taped_model_jacobians(
        model, tf.convert_to_tensor(next_states)
    )
    return value_gradients.jacobians(
        mean, by_model, reward_of, states, actions, next_states
    )


def gradients(matrices, states, actions, next_states, mask=None, **changes):
    """v_a and v_s along a trajectory."""
    at = jacobians(
        mean_of(), linear_model(matrices), reward, states, actions, next_states
    )
    mask = np.ones(len(states)) if mask is None else mask
    return [
        x.numpy()
        for x in value_gradients.backward_recursion(
            at, GAMMA, tf.constant(mask), **changes
        )
    ]


def discounts(length=LENGTH):
    return GAMMA ** np.arange(length)


# The finite horizon, t = 0 … T, in closed form.


def costs(length=LENGTH):
    """P_0 … P_{T+1}: P_t = Q_K + γ·CᵀP_{t+1}C, P_{T+1} = 0."""
    closed = SYSTEM.A + SYSTEM.B @ GAIN
    each = [np.zeros((2, 2))]
    for _ in range(length):
        each.append(
            SYSTEM.Q + GAIN.T @ SYSTEM.R @ GAIN + GAMMA * closed.T @ each[-1] @ closed
        )
    return each[::-1]


def mixed_costs(model, along, length=LENGTH):
    """P̂_t = Q_K + γ·ĈᵀP̂_{t+1}C: Jacobians of the model, states of the task."""
    learned, real = model[0] + model[1] @ GAIN, along[0] + along[1] @ GAIN
    each = [np.zeros((2, 2))]
    for _ in range(length):
        each.append(
            SYSTEM.Q + GAIN.T @ SYSTEM.R @ GAIN + GAMMA * learned.T @ each[-1] @ real
        )
    return each[::-1]


def moments(start, matrices=RIGHT, length=LENGTH):
    """S_0 … S_T: S_{t+1} = CS_tCᵀ + BLLᵀBᵀ + W."""
    A, B = matrices
    closed, each = A + B @ GAIN, [start]
    for _ in range(length - 1):
        added = B @ FACTOR @ FACTOR.T @ B.T + SYSTEM.W
        each.append(closed @ each[-1] @ closed.T + added)
    return each


def expected_gain_gradient(model, along, start):
    """−Σγ^t(RK + γB̂ᵀP̂_{t+1}C)S_t."""
    closed = along[0] + along[1] @ GAIN
    cost = mixed_costs(model, along)
    return -sum(
        GAMMA**t
        * (SYSTEM.R @ GAIN + GAMMA * model[1].T @ cost[t + 1] @ closed)
        @ moment
        for t, moment in enumerate(moments(start, along))
    )


def realised_return(gain, factor, start, noise, pushes, matrices=RIGHT):
    """The return with η and ε held, of any K and L."""
    A, B = matrices
    state, total = start, 0.0
    for t, (eta, push) in enumerate(zip(noise, pushes, strict=True)):
        action = gain @ state + factor @ eta
        total += GAMMA**t * SYSTEM.reward(state, action)
        state = A @ state + B @ action + push
    return total


def by_differences(function, matrix):
    """∂function/∂matrix; exact for polynomials of degree two but for rounding."""
    found, step = np.zeros_like(matrix), 1e-4
    for place in np.ndindex(*matrix.shape):
        change = np.zeros_like(matrix)
        change[place] = step
        found[place] = function(matrix + change) - function(matrix - change)
    return found / (2 * step)


def test_reproduced_values_are_the_stored_ones():
    states, actions, next_states, _ = trajectory()
    stddev = tf.constant([0.2, 0.7], tf.float64)
    mean = mean_of()(states)
    found = value_gradients.reproduce(actions, mean, stddev)
    np.testing.assert_allclose(found, actions, atol=1e-14)
    found = value_gradients.reproduce(
        next_states, *linear_model(WRONG)(tf.constant(states), tf.constant(actions))
    )
    np.testing.assert_allclose(found, next_states, atol=1e-14)
    # The noise itself: (a − μ)/σ, and σ's derivative is that noise.
    noise = value_gradients.infer_noise(actions, mean, stddev)
    np.testing.assert_allclose(noise * stddev + mean, actions)
    with tf.GradientTape() as tape:
        tape.watch(stddev)
        total = tf.reduce_sum(value_gradients.reproduce(actions, mean, stddev))
    np.testing.assert_allclose(
        tape.gradient(total, stddev), noise.numpy().sum(axis=0), rtol=1e-12
    )


def test_the_gradient_is_that_of_the_realised_return():
    # By differences of the return with all noise held, in K and in L.
    states, actions, next_states, noise = trajectory()
    pushes = next_states - states @ SYSTEM.A.T - actions @ SYSTEM.B.T
    by_action, _ = gradients(RIGHT, states, actions, next_states)
    weighted = discounts()[:, np.newaxis] * by_action
    for found, matrix, arguments in (
        (weighted.T @ states, GAIN, lambda x: (x, FACTOR)),
        (weighted.T @ noise, FACTOR, lambda x: (GAIN, x)),
    ):
        expected = by_differences(
            lambda x, at=arguments: realised_return(
                *at(x), states[0], noise, pushes, RIGHT
            ),
            matrix,
        )
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("horizon", [1, 2, 5, LENGTH, 40])
def test_the_truncated_recursion_is_that_of_windows(horizon):
    # Each window by itself, with V's gradient behind its last transition.
    states, actions, next_states, _ = trajectory()
    rng = np.random.default_rng(3)
    by_next_state = rng.normal(size=(LENGTH, 2))
    mask = np.ones(LENGTH + 3)
    mask[LENGTH:] = 0

    def padded(x):
        return np.concatenate([x, np.ones((3, 2))])

    at = jacobians(
        mean_of(),
        linear_model(WRONG),
        reward,
        *map(padded, (states, actions, next_states)),
    )
    found = value_gradients.truncated_recursion(
        at, GAMMA, tf.constant(mask), horizon, tf.constant(padded(by_next_state))
    ).numpy()
    for t in range(LENGTH):
        end = min(t + horizon, LENGTH)
        expected, _ = gradients(
            WRONG,
            states[t:end],
            actions[t:end],
            next_states[t:end],
            final=tf.constant(by_next_state[end - 1]),
        )
        np.testing.assert_allclose(found[t], expected[0], rtol=1e-9, atol=1e-10)
    assert not found[LENGTH:].any()


def test_the_recursion_by_hand():
    # v_t = −Qs_t − KᵀRa_t + γCᵀv_{t+1} and g_t = −Ra_t + γBᵀv_{t+1}.
    states, actions, next_states, _ = trajectory()
    closed, v = SYSTEM.A + SYSTEM.B @ GAIN, np.zeros(2)
    expected = []
    for state, action in zip(states[::-1], actions[::-1], strict=True):
        g = -SYSTEM.R @ action + GAMMA * SYSTEM.B.T @ v
        v = -SYSTEM.Q @ state - GAIN.T @ SYSTEM.R @ action + GAMMA * closed.T @ v
        expected.append((g, v))
    found = gradients(RIGHT, states, actions, next_states)
    for mine, theirs in zip(found, zip(*expected[::-1], strict=True), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)


def nonlinear():
    """A policy, a model with σ̂(s, a) and a reward of all three, none of them linear."""

    def policy(state):
        return tf.tanh(state @ transposed(GAIN))

    def model(state, action):
        mean = tf.sin(state) + action @ transposed(WRONG_B) * state
        return mean, 0.2 + tf.square(state) * tf.exp(0.3 * action)

    def rewarded(state, action, next_state):
        return tf.reduce_sum(tf.cos(next_state) * action + state**3, axis=-1)

    return policy, model, rewarded


def test_the_scan_is_the_unrolled_tape():
    policy, model, rewarded = nonlinear()
    states, actions, next_states, _ = map(tf.constant, trajectory(length=6))
    stddev = tf.constant([0.3, 0.2], tf.float64)
    eta = value_gradients.infer_noise(actions, policy(states), stddev)
    xi = value_gradients.infer_noise(next_states, *model(states, actions))
    offsets = tf.Variable(tf.zeros([6, 2], tf.float64))
    with tf.GradientTape() as tape:
        tape.watch(states)
        state, total = states[:1], 0.0
        for t in range(6):
            action = policy(state) + stddev * eta[t : t + 1] + offsets[t : t + 1]
            mean, spread = model(state, action)
            following = mean + spread * xi[t : t + 1]
            total += GAMMA**t * rewarded(state, action, following)[0]
            state = following
    by_offset, by_state = tape.gradient(total, (offsets, states))
    at = jacobians(policy, model, rewarded, states, actions, next_states)
    by_action, v = value_gradients.backward_recursion(at, GAMMA, tf.ones([6]))
    expected = by_offset / (GAMMA ** np.arange(6))[:, np.newaxis]
    np.testing.assert_allclose(by_action, expected, rtol=1e-10)
    np.testing.assert_allclose(v[0], by_state[0], rtol=1e-10)


def test_a_models_varying_noise_needs_its_inferred_value():
    # f̂_s of s' = μ̂ + σ̂(s, a)·ξ by differences, with ξ held at what explains s'.
    policy, model, rewarded = nonlinear()
    states, actions, next_states, _ = map(tf.constant, trajectory(length=3))
    at = jacobians(policy, model, rewarded, states, actions, next_states)
    xi = value_gradients.infer_noise(next_states, *model(states, actions))
    step = 1e-5
    for i in range(2):
        change = tf.constant(step * np.eye(2)[i])
        (high, high_spread), (low, low_spread) = (
            model(states + sign * change, actions) for sign in (1, -1)
        )
        slope = (high - low + (high_spread - low_spread) * xi) / (2 * step)
        np.testing.assert_allclose(at.model_state[:, :, i], slope, rtol=1e-6)
        without = (high - low) / (2 * step)
        assert np.abs(at.model_state[:, :, i] - without).max() > 0.05


def test_a_masked_episode_is_the_short_one():
    states, actions, next_states, _ = trajectory()
    short = gradients(RIGHT, states[:5], actions[:5], next_states[:5])
    mask = np.arange(LENGTH) < 5
    for behind in (0.0, 7.0):
        padded = [np.where(mask[:, None], x, behind) for x in (states, actions)]
        padded.append(np.where(mask[:, None], next_states, behind))
        by_action, by_state = gradients(RIGHT, *padded, mask)
        np.testing.assert_allclose(by_action[:5], short[0], rtol=1e-12)
        np.testing.assert_allclose(by_state[:5], short[1], rtol=1e-12)
        assert not by_action[5:].any() and not by_state[5:].any()
    # The last transition: its own reward, and nothing behind it.
    np.testing.assert_allclose(by_action[4], -SYSTEM.R @ actions[4], rtol=1e-12)


def test_a_value_at_the_end_takes_the_place_of_what_would_follow():
    # Exact V_s of the last state: the gradient of the infinite horizon's return.
    known = SYSTEM.evaluate(GAIN, FACTOR, GAMMA)
    states, actions, next_states, _ = trajectory()
    final = tf.constant(-known.cost @ next_states[4])
    cut = gradients(RIGHT, states[:5], actions[:5], next_states[:5], final=final)
    np.testing.assert_allclose(
        cut[0][4],
        -SYSTEM.R @ actions[4] - GAMMA * SYSTEM.B.T @ known.cost @ next_states[4],
        rtol=1e-12,
    )
    mask = np.arange(LENGTH) < 5
    padded = gradients(RIGHT, states, actions, next_states, mask, final=final)
    np.testing.assert_allclose(padded[0][:5], cut[0], rtol=1e-12)


def samples(model, along, number=20_000):
    """Gradients in K and in L of many trajectories at once, each [number, 2, 2].

    By the same recursion as the agents', batched here over trajectories in the place
    of time: each step's Jacobians are those of `value_gradients`.
    """
    rng = np.random.default_rng(0)
    A, B = along
    root = np.linalg.cholesky(SYSTEM.W)
    state = rng.normal(size=(number, 2))
    seen = []
    for _ in range(LENGTH):
        eta = rng.normal(size=(number, 2))
        action = state @ GAIN.T + eta @ FACTOR.T
        following = state @ A.T + action @ B.T + rng.normal(size=(number, 2)) @ root.T
        at = jacobians(mean_of(), linear_model(model), reward, state, action, following)
        seen.append((state, eta, at))
        state = following
    v = np.zeros((number, 2))
    by_gain, by_factor = np.zeros((2, number, 2, 2))
    for t, (state, eta, at) in reversed(list(enumerate(seen))):
        g = at.reward_action + GAMMA * np.einsum("bi,bij->bj", v, at.model_action)
        v = (
            at.reward_state
            + GAMMA * np.einsum("bi,bij->bj", v, at.model_state)
            + np.einsum("bi,bij->bj", g, at.policy)
        ).numpy()
        by_gain += GAMMA**t * np.einsum("bi,bj->bij", g, state)
        by_factor += GAMMA**t * np.einsum("bi,bj->bij", g, eta)
    return by_gain, by_factor


def assert_mean(values, expected, sigmas=5.0):
    """Holds a sample mean against its expectation, within its own standard error."""
    error = values.std(axis=0) / np.sqrt(len(values))
    assert (np.abs(values.mean(axis=0) - expected) < sigmas * error).all()
    # And the sample is large enough to tell.
    assert (error < 0.05 * np.abs(expected).max()).all()


START = np.eye(2)


def test_the_expected_gradient_of_an_episode():
    by_gain, by_factor = samples(RIGHT, RIGHT)
    assert_mean(by_gain, expected_gain_gradient(RIGHT, RIGHT, START))
    cost = costs()
    B, R = SYSTEM.B, SYSTEM.R
    expected = -sum(
        GAMMA**t * (R + GAMMA * B.T @ cost[t + 1] @ B) @ FACTOR for t in range(LENGTH)
    )
    assert_mean(by_factor, expected)


def test_the_closed_form_is_the_derivative_of_the_expected_return():
    # J = −½·Σγ^t·tr((Q + KᵀRK)S_t + R·LLᵀ), with S_t a function of K.
    def objective(gain):
        closed, moment, total = SYSTEM.A + SYSTEM.B @ gain, START, 0.0
        added = SYSTEM.B @ FACTOR @ FACTOR.T @ SYSTEM.B.T + SYSTEM.W
        for t in range(LENGTH):
            cost = SYSTEM.Q + gain.T @ SYSTEM.R @ gain
            total -= 0.5 * GAMMA**t * np.trace(cost @ moment)
            total -= 0.5 * GAMMA**t * np.trace(SYSTEM.R @ FACTOR @ FACTOR.T)
            moment = closed @ moment @ closed.T + added
        return total

    np.testing.assert_allclose(
        expected_gain_gradient(RIGHT, RIGHT, START),
        by_differences(objective, GAIN),
        rtol=1e-6,
    )


def test_a_wrong_model_biases_real_trajectories_by_the_mixed_recursion():
    by_gain, _ = samples(WRONG, RIGHT)
    expected = expected_gain_gradient(WRONG, RIGHT, START)
    assert_mean(by_gain, expected)
    # It is a bias: neither the true gradient nor the model's own.
    for other in (
        expected_gain_gradient(RIGHT, RIGHT, START),
        expected_gain_gradient(WRONG, WRONG, START),
    ):
        assert np.abs(expected - other).max() > 0.1 * np.abs(expected).max()


def test_the_planner_has_the_exact_gradient_of_its_model():
    by_gain, _ = samples(WRONG, WRONG)
    assert_mean(by_gain, expected_gain_gradient(WRONG, WRONG, START))


def one_step(state, action, next_state, matrices, known):
    """SVG(1)'s action cotangent r_a + γ·V_{s'}·f̂_a, by the agents' functions."""
    mean = tf.Variable(mean_of()(state))
    with tf.GradientTape() as tape:
        # σ = 1: what is added is the noise.
        again = value_gradients.reproduce(action, mean, tf.ones([], tf.float64))
        following = value_gradients.reproduce(
            next_state, *linear_model(matrices)(state, again)
        )
        value = -0.5 * tf.einsum("bi,ij,bj->b", following, known.cost, following)
        total = tf.reduce_sum(reward(state, again, following) + GAMMA * value)
    return tape.gradient(total, mean).numpy()


@pytest.fixture(scope="module")
def steps():
    """Many steps from one state each: states [B, 2], a, s' and η."""
    rng = np.random.default_rng(1)
    number = 100_000
    state = rng.normal(size=(number, 2))
    eta = rng.normal(size=(number, 2))
    action = state @ GAIN.T + eta @ FACTOR.T
    push = rng.normal(size=(number, 2)) @ np.linalg.cholesky(SYSTEM.W).T
    return state, action, state @ SYSTEM.A.T + action @ SYSTEM.B.T + push, eta, push


def test_one_step_gradients_of_svg1_and_svg0(steps):
    state, action, next_state, eta, push = steps
    known = SYSTEM.evaluate(GAIN, FACTOR, GAMMA)
    svg1 = one_step(state, action, next_state, RIGHT, known)
    svg0 = known.action_gradient(state, action)
    # SVG(1) is SVG(0) − γBᵀPε, sample by sample.
    np.testing.assert_allclose(
        svg1, svg0 - GAMMA * push @ known.cost @ SYSTEM.B, atol=1e-10
    )
    for g in (svg0, svg1):
        # E[g·sᵀ] = −E_K·E[ssᵀ] with E[ssᵀ] = I; E[g·ηᵀ] = −HL.
        assert_mean(np.einsum("bi,bj->bij", g, state), -known.action_cost)
        assert_mean(np.einsum("bi,bj->bij", g, eta), -known.curvature @ FACTOR)
    # Covariances at a fixed state: HLLᵀHᵀ, and γ²BᵀPWPB more.
    H, B, P = known.curvature, SYSTEM.B, known.cost
    mean = -state @ known.action_cost.T
    covariance = H @ FACTOR @ FACTOR.T @ H.T
    for g, expected in (
        (svg0, covariance),
        (svg1, covariance + GAMMA**2 * B.T @ P @ SYSTEM.W @ P @ B),
    ):
        np.testing.assert_allclose(np.cov((g - mean).T), expected, rtol=0.03, atol=2e-3)


def test_one_step_with_a_wrong_model(steps):
    # −(RK + γB̂ᵀPC)·ssᵀ: A's error has no part in it.
    state, action, next_state, _, _ = steps
    known = SYSTEM.evaluate(GAIN, FACTOR, GAMMA)
    closed = SYSTEM.A + SYSTEM.B @ GAIN
    g = one_step(state, action, next_state, WRONG, known)
    expected = -(SYSTEM.R @ GAIN + GAMMA * WRONG_B.T @ known.cost @ closed)
    assert_mean(np.einsum("bi,bj->bij", g, state), expected)
    right_b = one_step(state, action, next_state, (WRONG_A, SYSTEM.B), known)
    exact = one_step(state, action, next_state, RIGHT, known)
    np.testing.assert_allclose(right_b, exact, rtol=1e-10, atol=1e-10)


def test_deterministic_gradients_are_svg0_without_noise(steps):
    state = steps[0][:100]
    known = SYSTEM.evaluate(GAIN, FACTOR, GAMMA)
    np.testing.assert_allclose(
        known.action_gradient(state, state @ GAIN.T),
        -state @ known.action_cost.T,
        rtol=1e-10,
        atol=1e-12,
    )


def test_likelihood_ratios_agree_and_vary_far_more(steps):
    # δ·L⁻ᵀη: the same mean, and tens to hundreds of times the variance.
    state, action, next_state, eta, _ = steps
    known = SYSTEM.evaluate(GAIN, FACTOR, GAMMA)
    error = (
        SYSTEM.reward(state, action)
        + GAMMA * known.state_value(next_state)
        - known.state_value(state)
    )
    g = error[:, np.newaxis] * np.linalg.solve(FACTOR.T, eta.T).T
    assert_mean(np.einsum("bi,bj->bij", g, state), -known.action_cost)
    fixed = np.repeat([[1.0, 0.5]], len(state), axis=0)
    taken = fixed @ GAIN.T + eta @ FACTOR.T
    following = SYSTEM.next_mean(fixed, taken) + steps[4]
    error = SYSTEM.reward(fixed, taken) + GAMMA * known.state_value(following)
    error -= known.state_value(fixed)
    g = error[:, np.newaxis] * np.linalg.solve(FACTOR.T, eta.T).T
    svg0 = known.action_gradient(fixed, taken)
    ratio = np.trace(np.cov(g.T)) / np.trace(np.cov(svg0.T))
    assert 10 < ratio < 400


def gauss_hermite(mean, stddev, nodes=80):
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return mean + stddev * points, weights / weights.sum()


def log_density(x, mean, stddev):
    return -0.5 * ((x - mean) / stddev) ** 2 - np.log(stddev * np.sqrt(2 * np.pi))


def test_importance_weights_integrate_to_the_current_policy():
    # E_b[w·g] = E_π[g], π = N(0.3, 0.5²), b = N(0.1, 0.6²), g = sin.
    x, weights = gauss_hermite(0.1, 0.6)
    current, stored = log_density(x, 0.3, 0.5), log_density(x, 0.1, 0.6)
    w = value_gradients.importance_weights(
        tf.constant(current), tf.constant(stored), 1e6
    ).numpy()
    # E_π[sin x] = sin(0.3)·e^(−0.5²/2).
    exact = np.sin(0.3) * np.exp(-0.125)
    np.testing.assert_allclose(weights @ (w * np.sin(x)), exact, rtol=1e-10)
    truncated = value_gradients.importance_weights(
        tf.constant(current), tf.constant(stored), 1.1
    ).numpy()
    np.testing.assert_allclose(truncated, np.minimum(np.exp(current - stored), 1.1))
    assert (truncated == 1.1).any() and (truncated < 1.1).any()
    # Truncated it integrates to what min(π, 1.1·b) does: with b's own rule, of whose
    # points enough lie on both sides of the kink, and by the trapezoidal rule.
    x, spacing = np.linspace(-6, 6, 40_001, retstep=True)
    current, stored = log_density(x, 0.3, 0.5), log_density(x, 0.1, 0.6)
    w = value_gradients.importance_weights(
        tf.constant(current), tf.constant(stored), 1.1
    ).numpy()
    least = np.minimum(np.exp(current), 1.1 * np.exp(stored))
    exact = spacing * (least * np.sin(x)).sum()
    np.testing.assert_allclose(
        spacing * (np.exp(stored) * w * np.sin(x)).sum(), exact, rtol=1e-10
    )
    nodes, weights = gauss_hermite(0.1, 0.6)
    np.testing.assert_allclose(weights @ (truncated * np.sin(nodes)), exact, rtol=0.02)
    # A ratio beyond any float is the clipping, and one below any is 0.
    far = value_gradients.importance_weights(
        tf.constant([1e6, -1e6]), tf.zeros([2]), 5.0
    )
    np.testing.assert_allclose(far, [5.0, 0.0], rtol=1e-6)


def features(state):
    """1, s₁², s₁s₂ and s₂²: all that V is made of."""
    a, b = state.T
    return np.stack([np.ones_like(a), a * a, a * b, b * b], axis=1)


def grid(*nodes):
    """Gauss–Hermite points of as many standard normals, and their weights."""
    one = [np.polynomial.hermite_e.hermegauss(number) for number in nodes]
    points = np.meshgrid(*(x for x, _ in one), indexing="ij")
    weights = np.meshgrid(*(w / w.sum() for _, w in one), indexing="ij")
    stacked = np.stack([x.ravel() for x in points], axis=1)
    return stacked, np.prod([w.ravel() for w in weights], axis=0)


def test_fitted_evaluation_reaches_the_value_function():
    # Algorithm 4 with features of which V is made, integrated by quadrature. Actions
    # are those of a wider policy, weighted and not truncated.
    known = SYSTEM.evaluate(GAIN, FACTOR, GAMMA)
    # Quartic in s, quadratic in ε; in η the weights are no polynomial.
    points, weights = grid(3, 3, 16, 16, 2, 2)
    state, eta, push = points[:, :2], points[:, 2:4], points[:, 4:]
    wider = 1.2 * FACTOR
    action = state @ GAIN.T + eta @ wider.T
    # The density of N(Ks, LLᵀ) over that of N(Ks, 1.44·LLᵀ) at a.
    log_ratio = -0.5 * (1.2**2 - 1) * (eta**2).sum(axis=1) + 2 * np.log(1.2)
    w = value_gradients.importance_weights(
        tf.constant(log_ratio), tf.zeros_like(log_ratio), 1e9
    )
    next_state = SYSTEM.next_mean(state, action)
    next_state += push @ np.linalg.cholesky(SYSTEM.W).T
    phi, following = (tf.constant(features(x)) for x in (state, next_state))
    rewards = tf.constant(SYSTEM.reward(state, action))
    # The loss is a mean over the batch.
    weights = tf.constant(weights * len(weights))
    new, old = tf.Variable(np.zeros(4)), tf.Variable(np.zeros(4))

    @tf.function
    def gradient():
        target = value_gradients.bootstrap_target(
            rewards, tf.ones_like(rewards), tf.linalg.matvec(following, old), GAMMA
        )
        with tf.GradientTape() as tape:
            loss = value_gradients.fitted_evaluation_loss(
                tf.linalg.matvec(phi, new), target, w, weights
            )
        return tape.gradient(loss, new)

    # The gradient is linear in ν_new: its slope, then Newton's step to where the
    # updates between two copies lead.
    zero, slope = gradient(), []
    for unit in np.eye(4):
        new.assign(unit)
        slope.append((gradient() - zero).numpy())
    slope = np.array(slope).T
    for _ in range(250):
        new.assign_sub(np.linalg.solve(slope, gradient()))
        old.assign(new)
    P = known.cost
    expected = [-known.noise_cost, -0.5 * P[0, 0], -P[0, 1], -0.5 * P[1, 1]]
    np.testing.assert_allclose(new, expected, rtol=1e-6)


def test_a_terminal_step_has_no_value_behind_it():
    target = value_gradients.bootstrap_target(
        tf.constant([1.0, 1.0]), tf.constant([1.0, 0.0]), tf.constant([8.0, 8.0]), 0.5
    )
    np.testing.assert_allclose(target, [5.0, 1.0])
