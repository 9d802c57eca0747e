"""Kinds of covariance, against integrals in 1-D and 2-D and autodiff in more.

All float64.
"""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from smoothie_tf import covariances

KINDS = {"diagonal": covariances.Diagonal, "full": covariances.Full}


def gauss_hermite(size, points=60):
    """Nodes [N, size] and weights [N] of E over N(0, I)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    weights = weights / weights.sum()
    grid = np.array(list(itertools.product(nodes, repeat=size)))
    products = np.array(list(itertools.product(weights, repeat=size)))
    return grid, np.prod(products, axis=1)


def value(action):
    """A function of actions [..., A] that is no polynomial."""
    scale = np.arange(1, action.shape[-1] + 1)
    total = (action * scale).sum(-1)
    return np.sin(total) + np.exp(-0.3 * (action**2).sum(-1)) * action[..., 0]


def parameters(kind, size, seed=0):
    draw = np.random.default_rng(seed)
    return 0.4 * draw.normal(size=kind.number_of_parameters(size)) - 0.8


def matrix(kind, phi):
    """Σ as a matrix, whichever the kind."""
    covariance = kind(tf.constant(phi)).matrix().numpy()
    return np.diag(covariance) if covariance.ndim == 1 else covariance


def smoothed(action, covariance):
    grid, weights = gauss_hermite(len(action))
    return weights @ value(action + grid @ np.linalg.cholesky(covariance).T)


def slope(function, x, step=1e-3):
    """The gradient in a vector, by the five-point rule."""
    gradient = np.zeros_like(x)
    for i in range(len(x)):
        e = step * np.eye(len(x))[i]
        gradient[i] = 8 * (function(x + e) - function(x - e)) - (
            function(x + 2 * e) - function(x - 2 * e)
        )
    return gradient / (12 * step)


def curvature(function, x, step=2e-3):
    """The Hessian, by the five-point rule for the gradient, twice."""
    return np.stack(
        [
            slope(lambda y, i=i: slope(function, y, step)[i], x, step)
            for i in range(len(x))
        ]
    )


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("name", KINDS)
def test_theorem_1_through_phi(name, size):
    # ∇φ Q̃ is ½·tr(H·∇φΣ), which is the gradient of `half_trace` with H held fixed.
    kind, action = KINDS[name], np.array([0.4, -0.7])[:size]
    phi = parameters(kind, size)
    by_phi = slope(lambda p: smoothed(action, matrix(kind, p)), phi)
    hessian = curvature(lambda a: smoothed(a, matrix(kind, phi)), action)
    if not kind.full_hessian:
        hessian = np.diag(hessian)
    variable = tf.constant(phi)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        surrogate = kind(variable).half_trace(tf.constant(hessian[np.newaxis]))
    np.testing.assert_allclose(
        tape.gradient(surrogate, variable), by_phi, rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("name", KINDS)
def test_hermite_factors_differentiate_the_smoothed_value(name, size):
    # Supplement (8), for any target: E[factor·f(ã)] over ã ~ N(a, Σ) is the gradient,
    # and the Hessian, of E[f(ã)] in a. A phantom action is drawn the other way round,
    # a = ã + Lη, so that ã = a − Lη.
    kind, action = KINDS[name], np.array([0.4, -0.7])[:size]
    phi = parameters(kind, size)
    grid, weights = gauss_hermite(size)
    factor = np.linalg.cholesky(matrix(kind, phi))
    targets = weights * value(action - grid @ factor.T)
    first, second = kind(tf.constant(phi)).hermite_factors(tf.constant(grid))
    covariance = matrix(kind, phi)
    gradient = slope(lambda a: smoothed(a, covariance), action)
    np.testing.assert_allclose(targets @ first.numpy(), gradient, rtol=1e-7)
    hessian = curvature(lambda a: smoothed(a, covariance), action)
    mine = np.tensordot(targets, second.numpy(), 1)
    if kind.full_hessian:
        np.testing.assert_allclose(mine, hessian, rtol=1e-6, atol=1e-8)
    else:
        np.testing.assert_allclose(mine, np.diag(hessian), rtol=1e-6)


def test_the_supplements_own_sign_would_climb_down():
    # (9) as printed has H₁ at Σ^(−1/2)(a − ã): minus the gradient.
    kind, action = covariances.Diagonal, np.array([0.4])
    phi = parameters(kind, 1)
    grid, weights = gauss_hermite(1)
    stddev = np.exp(phi / 2)
    stored = action - grid * stddev
    printed = (weights * value(stored)) @ ((action - stored) / stddev**2)
    gradient = slope(lambda a: smoothed(a, matrix(kind, phi)), action)
    np.testing.assert_allclose(printed, -gradient, rtol=1e-7)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("size", [1, 3, 5])
def test_factors_have_mean_zero_and_match_the_densitys_own(name, size):
    # Autodiff: ∂N/∂a and ∂²N/∂a² over N, of log N(ã|a, Σ) in a.
    kind = KINDS[name]
    sigma = kind(tf.constant(parameters(kind, size, 3)))
    draw = np.random.default_rng(4)
    action = tf.constant(draw.normal(size=(6, size)))
    noise = tf.constant(draw.normal(size=(6, size)))
    stored = 2 * action - sigma.perturb(action, noise)
    with tf.GradientTape() as outer:
        outer.watch(action)
        with tf.GradientTape() as inner:
            inner.watch(action)
            density = sigma.distribution(action).log_prob(stored)
        score = inner.gradient(density, action)
    second = outer.batch_jacobian(score, action) + score[:, :, None] * score[:, None]
    factors = sigma.hermite_factors(noise)
    np.testing.assert_allclose(factors.first, score, rtol=1e-9, atol=1e-12)
    if not kind.full_hessian:
        second = tf.linalg.diag_part(second)
    np.testing.assert_allclose(factors.second, second, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("size", [1, 2])
def test_divergence_is_the_integral(name, size):
    kind = KINDS[name]
    draw = np.random.default_rng(1)
    means = draw.normal(size=(2, 1, size))
    phi, other = parameters(kind, size, 1), parameters(kind, size, 2)
    grid, weights = gauss_hermite(size)
    points = means[0] + grid @ np.linalg.cholesky(matrix(kind, phi)).T
    logarithms = [
        kind(tf.constant(p)).distribution(tf.constant(mean)).log_prob(points).numpy()
        for mean, p in zip(means, (phi, other), strict=True)
    ]
    np.testing.assert_allclose(
        kind(tf.constant(phi)).kl_divergence(
            *map(tf.constant, means), kind(tf.constant(other))
        ),
        [weights @ (logarithms[0] - logarithms[1])],
        rtol=1e-9,
    )


def test_divergence_of_full_covariances_by_formula():
    kind, size = covariances.Full, 4
    draw = np.random.default_rng(5)
    mean, previous = draw.normal(size=(2, 3, size))
    phi, other = 0.3 * draw.normal(size=(2, 3, kind.number_of_parameters(size)))
    mine = kind(tf.constant(phi)).kl_divergence(
        tf.constant(mean), tf.constant(previous), kind(tf.constant(other))
    )
    for i in range(3):
        sigma, before = matrix(kind, phi[i]), matrix(kind, other[i])
        apart = previous[i] - mean[i]
        expected = 0.5 * (
            np.trace(np.linalg.solve(before, sigma))
            + apart @ np.linalg.solve(before, apart)
            - size
            + np.linalg.slogdet(before)[1]
            - np.linalg.slogdet(sigma)[1]
        )
        np.testing.assert_allclose(mine[i], expected, rtol=1e-10)


def test_full_by_hand():
    # φ = (ln 4, ln 9, 0.5): L = ((2, 0), (0.5, 3)), Σ = ((4, 1), (1, 9.25)).
    sigma = covariances.Full(tf.constant(np.array([np.log(4), np.log(9), 0.5])))
    np.testing.assert_allclose(sigma.factor(), [[2, 0], [0.5, 3]])
    np.testing.assert_allclose(sigma.matrix(), [[4, 1], [1, 9.25]])
    np.testing.assert_allclose(sigma.stddev(), [2, np.sqrt(9.25)])
    hessian = tf.constant([[[1.0, 2.0], [2.0, -1.0]]], tf.float64)
    # ½·(1·4 + 2·2·1 − 9.25).
    np.testing.assert_allclose(sigma.half_trace(hessian), [-0.625])
    moved = sigma.perturb(
        tf.constant([[10.0, 20.0]], tf.float64), tf.constant([[1.0, 2.0]], tf.float64)
    )
    np.testing.assert_allclose(moved, [[12, 26.5]])


@pytest.mark.parametrize("size", [1, 2, 6])
def test_full_without_correlation_is_diagonal(size):
    initial = [kind.initial_parameters(size, -0.7) for kind in KINDS.values()]
    assert len(initial[1]) == covariances.Full.number_of_parameters(size)
    np.testing.assert_allclose(initial[0], initial[1][:size])
    diagonal, full = (
        kind(phi).matrix() for kind, phi in zip(KINDS.values(), initial, strict=True)
    )
    np.testing.assert_allclose(np.diag(diagonal), full, rtol=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_one_phi_a_state_is_each_by_itself(name):
    kind, size = KINDS[name], 3
    draw = np.random.default_rng(7)
    phi = tf.constant(0.3 * draw.normal(size=(5, kind.number_of_parameters(size))))
    action, noise = (tf.constant(x) for x in draw.normal(size=(2, 5, size)))
    hessian = draw.normal(size=(5, size, size))
    hessian = tf.constant(hessian + hessian.transpose(0, 2, 1))
    if not kind.full_hessian:
        hessian = tf.linalg.diag_part(hessian)
    results = (
        kind(phi).stddev(),
        kind(phi).perturb(action, noise),
        kind(phi).half_trace(hessian),
        *kind(phi).hermite_factors(noise),
    )
    for i in range(5):
        one = slice(i, i + 1)
        each = (
            kind(phi[i]).stddev()[tf.newaxis],
            kind(phi[i]).perturb(action[one], noise[one]),
            kind(phi[i]).half_trace(hessian[one]),
            *kind(phi[i]).hermite_factors(noise[one]),
        )
        for mine, other in zip(results, each, strict=True):
            np.testing.assert_allclose(mine[one], other, rtol=1e-12)
    # And several draws for each state at once.
    several = kind(phi).perturb(tf.stack([action] * 2), tf.stack([noise, -noise]))
    np.testing.assert_allclose(several[0], results[1], rtol=1e-12)


def test_parameter_sizes_move_the_factor_alike():
    kind, log_variance, step = covariances.Full, -1.4, 1e-3
    start = tf.cast(kind.initial_parameters(3, log_variance), tf.float64)
    sizes = tf.cast(kind.parameter_sizes(3, log_variance), tf.float64)
    moved = kind(start + step * tf.linalg.diag(sizes)).factor() - kind(start).factor()
    norms = tf.norm(moved, axis=[-2, -1]) / step
    # d e^(φ/2) = ½·e^(φ/2)·dφ, to first order.
    np.testing.assert_allclose(norms, [0.5 * np.exp(-0.7)] * 6, rtol=1e-3)
    np.testing.assert_array_equal(covariances.Diagonal.parameter_sizes(3, -1.4), 1.0)


def test_an_owner_gives_phi_and_its_target_in_a_state():
    phi, target = tf.Variable([0.0, 1.0]), tf.Variable([2.0, 3.0])
    free = covariances.Covariance(covariances.Diagonal, phi, target)
    states = tf.constant([[1.0], [2.0]])
    assert free.variables == [phi] and free.target.variables == [target]
    np.testing.assert_allclose(free.at(states).stddev(), np.exp([0, 0.5]), rtol=1e-6)
    np.testing.assert_allclose(
        free.target.at(states).stddev(), np.exp([1, 1.5]), rtol=1e-6
    )

    class Network:
        variables = (phi,)

        def __call__(self, observation):
            return observation * phi, ()

    dependent = covariances.Covariance(covariances.Diagonal, Network())
    assert dependent.target is None and dependent.variables == (phi,)
    np.testing.assert_allclose(
        dependent.at(states).matrix(), np.exp([[0, 1], [0, 2]]), rtol=1e-6
    )
