"""Checks the paper's identities numerically: Theorem 1, (18)'s fixed point, Hessians.

Theorem 1 and the fixed point are computed by quadrature in double precision. The
Hessians are those of critics in single precision.

Shapes: B batch, S state, A action, P points of quadrature.
"""

import time

import numpy as np
import pandas as pd
from scipy import stats

from smoothie_tf.environments import two_gaussians
from smoothie_tf.experiments.theory import figure1

CASES = 30
_NODES = 24
_BATCH = 128
# Rounds, each of which times both methods once, and calls per method and round.
_ROUNDS, _CALLS = 30, 40
#: Sizes of observations and actions of Hopper, HalfCheetah and Humanoid.
SIZES = ((11, 3), (17, 6), (348, 17))


def theorem_1() -> dict[str, float]:
    """Compares ∂Q̃/∂Σ with ½·∂²Q̃/∂a², equation (14), on random functions.

    Q is a sum of random waves and a cubic function, of one to three action dimensions;
    Σ is a random covariance. Both sides differentiate the same quadrature of equation
    (9): the left through the Cholesky factor of Σ, the right through the action.

    Returns:
        `cases`, each of a drawn function, action and covariance, and `largest_error`,
        relative to the largest entry of the Hessian.
    """
    import tensorflow as tf

    rng = np.random.default_rng(0)
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum()
    largest = 0.0
    for case in range(CASES):
        size = 1 + case % 3
        points = np.stack(np.meshgrid(*[nodes] * size), -1).reshape(-1, size)  # [P, A]
        masses = np.ones(len(points))
        for column in np.stack(np.meshgrid(*[weights] * size), -1).reshape(-1, size).T:
            masses = masses * column
        waves, phases = rng.normal(size=(5, size)), rng.uniform(0, 6, size=5)
        slopes = tf.constant(rng.normal(size=size))
        square = rng.normal(size=(size, size))
        covariance = tf.constant(0.1 * square @ square.T + 0.2 * np.eye(size))
        action = tf.constant(rng.normal(size=size))

        def smoothed(a, sigma, points=points, masses=masses):
            x = a + tf.matmul(points, tf.linalg.cholesky(sigma), transpose_b=True)
            q = tf.reduce_sum(tf.sin(tf.matmul(x, waves.T) + phases), 1)  # noqa: B023
            q += 0.1 * tf.reduce_sum(slopes * x, 1) ** 3  # noqa: B023
            return tf.reduce_sum(masses * q)

        with tf.GradientTape(persistent=True) as outer:
            outer.watch([action, covariance])
            with tf.GradientTape() as inner:
                inner.watch(action)
                value = smoothed(action, covariance)
            gradient = inner.gradient(value, action)
            value = smoothed(action, covariance)
            both = tf.concat([gradient, [value]], 0)
        # For so few rows, a loop is faster than vectorisation.
        by_action, by_covariance = outer.jacobian(
            both, [action, covariance], experimental_use_pfor=False
        )
        hessian = by_action[:size].numpy()
        slope = by_covariance[size].numpy()
        slope = (slope + slope.T) / 2
        error = np.abs(slope - hessian / 2).max() / np.abs(hessian).max()
        largest = max(largest, float(error))
    return {"cases": CASES, "largest_error": largest}


def fixed_point(weighted: bool, on_policy: bool) -> dict[str, float]:
    """Computes what the regression (18) converges to on the two-Gaussians task.

    With stored actions ã ~ q and phantom actions a ~ N(ã, Σ), the minimizer of (19) at
    a is the mean target given a, which here is an integral over ã.

    Args:
        weighted: Whether the error is weighted by 1/q(ã).
        on_policy: Whether q is the policy N(μ, Σ), with μ at the worse mode. Otherwise
            q is uniform on an interval far wider than the action bounds.

    Returns:
        `cases`, the number of compared actions, all within 2σ of μ; `largest_error` of
        the minimizer, relative to the largest value of Q̃; and `gradient`, the slope of
        the minimizer at μ divided by the slope of Q̃.
    """
    mixture = two_gaussians.MIXTURE
    stddev, mean = figure1.INITIAL_STDDEV, two_gaussians.START_MEAN
    stored = np.linspace(mean - 14 * stddev, mean + 14 * stddev, 20_001)

    def log_normal(x, centre):
        return -0.5 * ((x - centre) / stddev) ** 2

    log_q = log_normal(stored, mean) if on_policy else np.zeros_like(stored)

    def optimum(actions):
        log_mass = log_q + log_normal(actions[:, np.newaxis], stored)
        if weighted:
            log_mass = log_mass - log_q
        mass = np.exp(log_mass - log_mass.max(1, keepdims=True))
        return mass @ mixture.reward(stored) / mass.sum(1)

    actions = np.linspace(mean - 2 * stddev, mean + 2 * stddev, 81)
    exact = mixture.smoothed_reward(actions, stddev)
    error = np.abs(optimum(actions) - exact).max() / np.abs(exact).max()
    step = np.array([mean - 1e-4, mean + 1e-4])
    slope = (
        np.diff(optimum(step))[0] / np.diff(mixture.smoothed_reward(step, stddev))[0]
    )
    return {
        "cases": len(actions),
        "largest_error": float(error),
        "gradient": float(slope),
    }


def hessians(state_size: int, action_size: int) -> dict[str, float]:
    """Compares the derivatives of supplement D.1 with nested tapes on a critic.

    Args:
        state_size: S.
        action_size: A.

    Returns:
        `cases`, the calls of each method; `largest_error`, relative to the largest
        derivative; `speedup` over nested tapes, the median over rounds; and
        `speedup_low` and `speedup_high`, the median's 95 % interval, which assumes no
        distribution.
    """
    import tensorflow as tf

    from smoothie_tf import action_derivatives
    from smoothie_tf.networks import critic_network

    tf.keras.utils.set_random_seed(0)
    unbounded = tf.TensorSpec([state_size], tf.float32)
    critic = critic_network.CriticNetwork(
        (unbounded, tf.TensorSpec([action_size], tf.float32)),
        observation_units=(400,),
        joint_units=(300,),
        activation="tanh",
    )
    critic.create_variables()
    state = tf.random.normal([_BATCH, state_size])
    action = tf.random.normal([_BATCH, action_size])

    @tf.function
    def nested(state, action):
        return action_derivatives.by_nested_tapes(
            lambda a: tf.reshape(critic((state, a))[0], [-1]), action
        )

    @tf.function
    def forward(state, action):
        return critic.action_derivatives(state, action)

    error = 0.0
    for ours, theirs in zip(forward(state, action), nested(state, action), strict=True):
        scale = float(tf.reduce_max(tf.abs(theirs)))
        error = max(error, float(tf.reduce_max(tf.abs(ours - theirs))) / scale)

    def seconds(function):
        start = time.perf_counter()
        for _ in range(_CALLS):
            result = function(state, action)
        result.value.numpy()
        return time.perf_counter() - start

    for function in (nested, forward):
        seconds(function)
    speedups = [seconds(nested) / seconds(forward) for _ in range(_ROUNDS)]
    interval = stats.quantile_test(speedups).confidence_interval(0.95)
    return {
        "cases": _ROUNDS * _CALLS,
        "largest_error": error,
        "speedup": float(np.median(speedups)),
        "speedup_low": interval.low,
        "speedup_high": interval.high,
    }


def tabulate() -> pd.DataFrame:
    """Runs all checks and returns one row per check."""
    rows = [{"check": "theorem 1", **theorem_1()}]
    for weighted in (True, False):
        for on_policy in (True, False):
            name = "fixed point, " + ("1/q" if weighted else "no weights")
            name += ", on-policy" if on_policy else ", uniform"
            rows.append({"check": name, **fixed_point(weighted, on_policy)})
    for state_size, action_size in SIZES:
        name = f"hessian, {action_size} actions"
        rows.append({"check": name, **hessians(state_size, action_size)})
    return pd.DataFrame(rows)
