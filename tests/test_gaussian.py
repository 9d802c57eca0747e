"""Gaussian calculus, and the paper's identities against numerical integration."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from smoothie_tf import action_derivatives, covariances, gaussian

SEED = (3, 14)


def diagonal(stddev):
    """Σ with these standard deviations."""
    return covariances.Diagonal(2 * tf.math.log(tf.constant(stddev)))


def test_kl_divergence_by_hand():
    # One dimension: ln(σ′/σ) + (σ² + (μ − μ′)²) / (2σ′²) − ½. Two of them:
    #   ln(2/1) + (1 + (0 − 1)²) / 8 − ½ and ln(1/3) + (9 + (2 − 4)²) / 2 − ½.
    expected = (np.log(2) + 2 / 8 - 0.5) + (np.log(1 / 3) + 13 / 2 - 0.5)
    kl = diagonal([1.0, 3.0]).kl_divergence(
        tf.constant([[0.0, 2.0]]), tf.constant([[1.0, 4.0]]), diagonal([2.0, 1.0])
    )
    np.testing.assert_allclose(kl, [expected], rtol=1e-6)


@pytest.mark.parametrize("batched_stddev", [False, True])
def test_kl_divergence_is_the_closed_form(batched_stddev):
    rng = np.random.default_rng(0)
    shape = (5, 3) if batched_stddev else (3,)
    mean, previous = rng.normal(size=(2, 5, 3))
    stddev, previous_stddev = rng.uniform(0.1, 2.0, size=(2, *shape))
    kl = diagonal(stddev).kl_divergence(
        tf.constant(mean), tf.constant(previous), diagonal(previous_stddev)
    )
    written_out = (
        np.log(previous_stddev / stddev)
        + (stddev**2 + (mean - previous) ** 2) / (2 * previous_stddev**2)
        - 0.5
    ).sum(-1)
    np.testing.assert_allclose(kl, written_out, rtol=1e-12)
    normal = tfp.distributions.Normal
    each = tfp.distributions.kl_divergence(
        normal(mean, stddev), normal(previous, previous_stddev)
    )
    np.testing.assert_allclose(kl, tf.reduce_sum(each, -1), rtol=1e-12)


def test_kl_divergence_of_a_policy_to_itself_is_zero():
    mean, covariance = tf.constant([[0.5, -2.0]]), diagonal([0.1, 3.0])
    kl = covariance.kl_divergence(mean, mean, covariance)
    np.testing.assert_allclose(kl, [0.0], atol=1e-7)


def test_phantom_actions_by_hand():
    # a = ã + σ·ε, dimension by dimension.
    phantom = diagonal([0.5, 2.0]).perturb(
        tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.constant([[1.0, -1.0], [2.0, 0.0]])
    )
    np.testing.assert_allclose(phantom, [[1.5, 0.0], [4.0, 4.0]], atol=1e-6)


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_stateless_normal_is_the_same_in_every_mode(dtype):
    def draw(seed):
        return gaussian.stateless_normal([1000, 3], seed, dtype)

    # An argument: draws of a constant seed would be made while it is compiled.
    seed = tf.constant(SEED)
    eager = draw(seed)
    assert eager.dtype == dtype
    assert eager.shape == (1000, 3)
    for xla in (False, True):
        compiled = tf.function(draw, jit_compile=xla)(seed)
        np.testing.assert_allclose(compiled, eager, rtol=1e-6, atol=1e-6)


def test_stateless_normal_is_a_function_of_its_seed():
    draw = gaussian.stateless_normal([4], SEED)
    np.testing.assert_array_equal(draw, gaussian.stateless_normal([4], SEED))
    for other in ((3, 15), (4, 14)):
        assert not np.isclose(draw, gaussian.stateless_normal([4], other)).any()


def test_stateless_normal_has_the_moments_of_a_normal():
    number = 400_000
    x = gaussian.stateless_normal([number], SEED, tf.float64).numpy()
    # Standard deviations of the estimates: √(Var xᵏ / n), with Var x = 1,
    # Var x² = 3 − 1 = 2, Var x³ = 15 and Var x⁴ = 105 − 9 = 96.
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        tolerance = 4 * np.sqrt(variance / number)
        np.testing.assert_allclose((x**power).mean(), moment, atol=tolerance)
    # P(|x| < 1) = 0.6827; neighbours are not correlated.
    np.testing.assert_allclose((np.abs(x) < 1).mean(), 0.6827, atol=0.003)
    assert abs((x[1:] * x[:-1]).mean()) < 4 / np.sqrt(number)
    assert np.isfinite(x).all()


# Theorem 1, in float64. Gauss-Hermite quadrature with 60 nodes is exact to rounding
# for the functions below.
NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
NODE_WEIGHTS = NODE_WEIGHTS / NODE_WEIGHTS.sum()


def action_value_1d(a):
    return np.sin(2 * a) + 0.3 * a**3 - 0.1 * a**4


def smoothed_1d(a, variance):
    """(9): the mean of Q over N(a, Σ)."""
    return NODE_WEIGHTS @ action_value_1d(a + np.sqrt(variance) * NODES)


def action_value_2d(a):
    x, y = a[..., 0], a[..., 1]
    return np.sin(1.5 * x + y) + 0.2 * x * y**2 - 0.1 * x**4 + np.cos(x) * y


def smoothed_2d(a, covariance):
    grid = np.stack(np.meshgrid(NODES, NODES, indexing="ij"), -1).reshape(-1, 2)
    weights = np.outer(NODE_WEIGHTS, NODE_WEIGHTS).ravel()
    return weights @ action_value_2d(a + grid @ np.linalg.cholesky(covariance).T)


def slope(function, step=1e-3):
    """First derivative at zero, by the five-point rule."""
    return (
        8 * (function(step) - function(-step))
        - (function(2 * step) - function(-2 * step))
    ) / (12 * step)


def curvature(function, step=1e-2):
    """Second derivative at zero, by the seven-point rule."""
    return (
        2 * (function(3 * step) + function(-3 * step))
        - 27 * (function(2 * step) + function(-2 * step))
        + 270 * (function(step) + function(-step))
        - 490 * function(0.0)
    ) / (180 * step**2)


@pytest.mark.parametrize("variance", [0.05, np.exp(-1), 1.5])
@pytest.mark.parametrize("a", [-1.2, 0.0, 0.7])
def test_theorem_1_in_one_dimension(a, variance):
    by_covariance = slope(lambda h: smoothed_1d(a, variance + h), variance * 1e-2)
    by_action = curvature(lambda h: smoothed_1d(a + h, variance))
    np.testing.assert_allclose(by_covariance, 0.5 * by_action, rtol=1e-6)  # (14)
    # The same second derivative, as the agent takes it.
    taken = action_derivatives.by_nested_tapes(
        lambda x: tf.linalg.matvec(
            tf.sin(2 * (x + np.sqrt(variance) * NODES))
            + 0.3 * (x + np.sqrt(variance) * NODES) ** 3
            - 0.1 * (x + np.sqrt(variance) * NODES) ** 4,
            NODE_WEIGHTS,
        ),
        tf.constant([[a]], tf.float64),
    )
    np.testing.assert_allclose(taken.value, [smoothed_1d(a, variance)], rtol=1e-12)
    np.testing.assert_allclose(0.5 * taken.hessian, [[by_covariance]], rtol=1e-6)


def test_theorem_1_in_two_dimensions():
    a = np.array([0.4, -0.3])
    covariance = np.array([[0.6, 0.2], [0.2, 0.4]])
    directions = np.eye(2)
    for i in range(2):
        for j in range(2):
            # Σ is symmetric: a move along E_ij + E_ji meets ½H_ij and ½H_ji, which
            # are equal.
            move = np.outer(directions[i], directions[j])
            move = move + move.T
            by_covariance = slope(lambda h, m=move: smoothed_2d(a, covariance + h * m))
            # H_ij from second derivatives along e_i + e_j and e_i − e_j.
            plus, minus = directions[i] + directions[j], directions[i] - directions[j]
            by_action = 0.25 * (
                curvature(lambda h, d=plus: smoothed_2d(a + h * d, covariance))
                - curvature(lambda h, d=minus: smoothed_2d(a + h * d, covariance))
            )
            np.testing.assert_allclose(by_covariance, by_action, rtol=1e-6)


def test_gradient_of_the_log_variance():
    # (15) for one dimension of Σ = e^φ: ∂Q̃/∂φ = ½ · ∂²Q̃/∂a² · e^φ.
    a, log_variance = 0.7, -1.0
    by_parameter = slope(lambda h: smoothed_1d(a, np.exp(log_variance + h)))
    by_action = curvature(lambda h: smoothed_1d(a + h, np.exp(log_variance)))
    np.testing.assert_allclose(
        by_parameter, 0.5 * by_action * np.exp(log_variance), rtol=1e-6
    )


@pytest.mark.parametrize("a", [-0.5, 0.9])
def test_action_derivatives_as_integrals_in_one_dimension(a):
    # The trapezoidal rule converges exponentially for a smooth integrand that
    # vanishes at both ends.
    variance = 0.37
    x = np.linspace(a - 12 * np.sqrt(variance), a + 12 * np.sqrt(variance), 4001)
    density = np.exp(-((x - a) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    weighted = action_value_1d(x) * density * (x[1] - x[0])
    offset = (x - a) / variance
    # Supplement (4), and the Hessian below it.
    np.testing.assert_allclose(
        weighted @ offset, slope(lambda h: smoothed_1d(a + h, variance)), rtol=1e-8
    )
    np.testing.assert_allclose(
        weighted @ (offset**2 - 1 / variance),
        curvature(lambda h: smoothed_1d(a + h, variance)),
        rtol=1e-8,
    )


def test_action_derivatives_as_integrals_in_two_dimensions():
    a = np.array([0.4, -0.3])
    covariance = np.array([[0.6, 0.2], [0.2, 0.4]])
    precision = np.linalg.inv(covariance)
    line = np.linspace(-8, 8, 401)
    offset = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
    density = np.exp(-0.5 * np.einsum("ni,ij,nj->n", offset, precision, offset))
    density /= 2 * np.pi * np.sqrt(np.linalg.det(covariance))
    weighted = action_value_2d(a + offset) * density * (line[1] - line[0]) ** 2
    scaled = offset @ precision
    gradient = weighted @ scaled  # Supplement (4).
    hessian = np.einsum("n,ni,nj->ij", weighted, scaled, scaled) - (
        weighted.sum() * precision
    )
    for i, d in enumerate(np.eye(2)):
        np.testing.assert_allclose(
            gradient[i], slope(lambda h, d=d: smoothed_2d(a + h * d, covariance)), 1e-8
        )
        np.testing.assert_allclose(
            hessian[i, i],
            curvature(lambda h, d=d: smoothed_2d(a + h * d, covariance)),
            rtol=1e-8,
        )


class Drift:
    """A task whose smoothed values are known: s′ = s + ã, r = −(s² + ã²).

    The policy is N(−k·s, v). Put Q̃(s, −k·s) = −(P·s² + C) into (12):

        Q̃(s, a) = −s² − (a² + v) − γ·(P·((s + a)² + v) + C).

    At a = −k·s both sides agree if P = 1 + k² + γ·P·(1 − k)² and
    C = v + γ·(P·v + C).
    """

    discount, gain, variance = 0.9, 0.6, 0.25
    P = (1 + gain**2) / (1 - discount * (1 - gain) ** 2)
    C = variance * (1 + discount * P) / (1 - discount)

    def smoothed(self, state, action):
        return (
            -(state**2)
            - (action**2 + self.variance)
            - self.discount
            * (self.P * ((state + action) ** 2 + self.variance) + self.C)
        )

    def target(self, state, action):
        """r̃ + γ·Q̃(s̃′, μ(s̃′)), which is Q(s, ã) by (11)."""
        following = state + action
        return (
            -(state**2)
            - action**2
            + self.discount * self.smoothed(following, -self.gain * following)
        )


@pytest.mark.parametrize(("state", "action"), [(0.0, 0.0), (1.3, -0.4), (-0.7, 2.0)])
def test_smoothed_bellman_equation(state, action):
    task = Drift()
    width = 10 * np.sqrt(task.variance)
    x = np.linspace(action - width, action + width, 2001)
    density = np.exp(-((x - action) ** 2) / (2 * task.variance))
    density /= np.sqrt(2 * np.pi * task.variance)
    integral = (density * task.target(state, x)).sum() * (x[1] - x[0])  # (12)
    np.testing.assert_allclose(task.smoothed(state, action), integral, rtol=1e-10)


def test_regression_at_phantom_actions_solves_the_bellman_equation():
    # (19): with uniform stored actions, the mean of the targets given a phantom
    # action a is Q̃(s, a). It is quadratic here, so a quadratic fit must find it.
    task, state, number = Drift(), 0.5, 400_000
    stored = np.random.default_rng(0).uniform(-5, 5, size=(number, 1))
    noise = gaussian.stateless_normal([number, 1], SEED, tf.float64)
    covariance = diagonal(np.sqrt([task.variance]))
    phantom = covariance.perturb(tf.constant(stored), noise).numpy()
    # Stored actions end at ±5: phantom actions within six deviations lack some.
    inside = np.abs(phantom[:, 0]) < 2
    fit = np.polynomial.polynomial.polyfit(
        phantom[inside, 0], task.target(state, stored[inside, 0]), 2
    )
    exact = np.polynomial.polynomial.polyfit(
        [-1, 0, 1], task.smoothed(state, np.array([-1, 0, 1])), 2
    )
    np.testing.assert_allclose(fit, exact, atol=0.03)
    # Without smoothing, Q lies higher: by v·(1 + γP) = 0.66 everywhere.
    unsmoothed = task.target(state, 0.0)
    np.testing.assert_allclose(unsmoothed - exact[0], 0.25 * (1 + 0.9 * task.P))
    assert unsmoothed - fit[0] > 0.5


# The gradient of a smoothed function from its values alone.


def integral(function, mean, stddev):
    """E[f(μ + σu)] and E[u·f(μ + σu)]/σ by the midpoint rule, in 1 or 2 dimensions."""
    mean = np.atleast_1d(mean)
    u = (np.arange(-800, 800) + 0.5) / 100
    grid = np.stack(np.meshgrid(*[u] * len(mean), indexing="ij"), axis=-1)
    density = np.exp(-0.5 * (grid**2).sum(-1)) / (2 * np.pi) ** (len(mean) / 2)
    weighted = function(mean + stddev * grid) * density / 100 ** len(mean)
    axes = tuple(range(len(mean)))
    return weighted.sum(), (grid * weighted[..., np.newaxis]).sum(axes) / stddev


def one_step(a):
    return np.where(a[..., 0] > 0.3, 1.0, 0.0)


def two_steps(a):
    return one_step(a) + 2.0 * np.where(a[..., 0] + a[..., 1] > 0.5, 1.0, 0.0)


def test_integral_of_a_step_is_its_closed_form():
    # P(μ + σu > c) has the derivative N(c | μ, σ²).
    _, gradient = integral(one_step, 0.1, 0.5)
    expected = np.exp(-0.5 * (0.2 / 0.5) ** 2) / (0.5 * np.sqrt(2 * np.pi))
    # The midpoint rule places the step within half a spacing.
    np.testing.assert_allclose(gradient, expected, rtol=1e-2)


@pytest.mark.parametrize("reduction", gaussian.REDUCTIONS)
@pytest.mark.parametrize(
    ("function", "mean"), [(one_step, [0.1]), (two_steps, [0.1, -0.2])]
)
def test_smoothed_gradient_of_steps_is_unbiased(function, mean, reduction):
    rng = np.random.default_rng(0)
    batch = 100_000
    gradient, value = gaussian.smoothed_gradient(
        lambda a: tf.constant(function(a.numpy())),
        tf.constant(np.tile(mean, (batch, 1))),
        0.5,
        tf.constant(rng.normal(size=(4, batch, len(mean)))),
        reduction,
    )
    expected_value, expected = integral(function, mean, 0.5)
    assert np.abs(expected).min() > 0.1
    standard_error = gradient.numpy().std(axis=0) / np.sqrt(batch)
    # And the midpoint rule's own error at a step, as above.
    allowed = 4 * standard_error + 1e-2 * np.abs(expected)
    assert (np.abs(gradient.numpy().mean(axis=0) - expected) < allowed).all()
    assert value.numpy().mean() == pytest.approx(expected_value, abs=0.01)


def test_smoothed_gradient_by_hand():
    # f(a) = a² at μ = 1, σ = 2, u = 1 and −½: f(3) = 9, f(0) = 0, f(μ) = 1.
    #   none:  (1·9 − ½·0)/2/2 = 2.25,  value: (1·8 + ½·1)/2/2 = 2.125,
    # antithetic, of u = 1 alone: f(3) = 9, f(−1) = 1: (9 − 1)/2/2 = 2.
    def estimate(reduction):
        noise = tf.constant([[[1.0]], [[-0.5]]])
        gradient, value = gaussian.smoothed_gradient(
            lambda a: a[..., 0] ** 2, tf.constant([[1.0]]), 2.0, noise, reduction
        )
        return gradient.numpy().item(), value.numpy().item()

    assert estimate("none") == (2.25, 4.5)
    assert estimate("value") == (2.125, 4.5)
    assert estimate("antithetic") == (2.0, 5.0)


@pytest.mark.parametrize("samples", [2, 8])
@pytest.mark.parametrize(
    ("reduction", "function", "variance"),
    [
        # f = c + ga at μ = 0: u·f/σ = cu/σ + gu², of variance c²/σ² + 2g².
        ("none", lambda a: 3.0 + 2.0 * a, 9 / 0.25 + 8),
        ("value", lambda a: 3.0 + 2.0 * a, 8.0),
        # A pair counts once: twice the variance for as many values.
        ("antithetic", lambda a: 3.0 + 2.0 * a, 16.0),
        # f = c + ha²: u·f/σ = cu/σ + hσu³, of variance c²/σ² + 6ch + 15h²σ².
        ("none", lambda a: 3.0 + 2.0 * a**2, 36 + 36 + 15),
        ("value", lambda a: 3.0 + 2.0 * a**2, 15.0),
        # What is even around the mean cancels.
        ("antithetic", lambda a: 3.0 + 2.0 * a**2, 0.0),
    ],
)
def test_variance_of_the_smoothed_gradient(reduction, function, variance, samples):
    rng = np.random.default_rng(1)
    gradient, _ = gaussian.smoothed_gradient(
        lambda a: function(a[..., 0]),
        tf.zeros([100_000, 1], tf.float64),
        0.5,
        tf.constant(rng.normal(size=(samples, 100_000, 1))),
        reduction,
    )
    # u³ has heavy tails: its sample variance is off by some per cent.
    np.testing.assert_allclose(
        samples * gradient.numpy().var(), variance, rtol=0.08, atol=1e-12
    )


@pytest.mark.parametrize(
    ("samples", "reduction", "part"),
    [
        (3, "antithetic", "must be even, but is 3"),
        (2, "mirrored", "must be one of none, value, antithetic, but is 'mirrored'"),
    ],
)
def test_bad_reductions_are_named(samples, reduction, part):
    with pytest.raises(ValueError, match=part):
        gaussian.smoothed_gradient(
            lambda a: a[..., 0],
            tf.zeros([1, 1]),
            1.0,
            tf.zeros([samples, 1, 1]),
            reduction,
        )


def test_log_probability_by_hand():
    # (a − μ)/σ = 2 and 0: −½·4 − ln 1 − ln ½ − ln 2π.
    policy = diagonal([1.0, 0.5]).distribution(tf.constant([[1.0, 1.0]]))
    found = policy.log_prob(tf.constant([[3.0, 1.0]]))
    np.testing.assert_allclose(found, [-2 + np.log(2) - np.log(2 * np.pi)], rtol=1e-6)
