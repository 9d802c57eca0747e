"""The paper's identities as numbers: Theorem 1, the fixed point of (18), Hessians.

Everything is computed in double precision by quadrature, and with the package's own
functions where it has them; only the last compares single-precision critics.

Shapes: B batch, S state, A action, P points of quadrature.
"""

import statistics
import time

import numpy as np
import pandas as pd

from smoothie_tf.environments import two_gaussians

CASES = 30
_NODES = 24
_BATCH = 128
_ROUNDS, _CALLS = 9, 40
#: Observations and actions of Hopper, HalfCheetah and Humanoid.
SIZES = ((11, 3), (17, 6), (348, 17))


def theorem_1(cases: int = CASES, seed: int = 0) -> dict[str, float]:
    """Measures ∂Q̃/∂Σ against ½·∂²Q̃/∂a², (14), on random functions.

    Q is a sum of random waves and a cubic in one to three dimensions, Σ any
    covariance. Both sides are derivatives of the same quadrature of (9), one through
    Σ's Cholesky factor, one through the action.

    Args:
        cases: How many functions, points and covariances.
        seed: Of the draws.

    Returns:
        `cases` and `largest_error`, relative to the largest entry of the Hessian.
    """
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum()
    largest = 0.0
    for case in range(cases):
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
        # Few rows: a loop over them takes less time than vectorising it.
        by_action, by_covariance = outer.jacobian(
            both, [action, covariance], experimental_use_pfor=False
        )
        hessian = by_action[:size].numpy()
        slope = by_covariance[size].numpy()
        slope = (slope + slope.T) / 2
        error = np.abs(slope - hessian / 2).max() / np.abs(hessian).max()
        largest = max(largest, float(error))
    return {"cases": cases, "largest_error": largest}


def fixed_point(weighted: bool, on_policy: bool) -> dict[str, float]:
    """Measures what the regression (18) converges to on the two-Gaussians task.

    For stored actions ã ~ q and phantom actions a ~ N(ã, Σ), the optimum of (19) at a
    is the mean of the targets given a, here an integral over ã.

    Args:
        weighted: Whether the error is weighted by 1/q(ã).
        on_policy: Whether q is the policy's own N(μ, Σ), μ the worse mode; otherwise
            it is uniform over the box of actions and far beyond.

    Returns:
        `cases`, the number of phantom actions within two σ of μ; `largest_error`
        against Q̃ relative to its largest value; and `gradient`, the slope of the
        optimum at μ as a share of the slope of Q̃ there.
    """
    mixture = two_gaussians.MIXTURE
    stddev = np.exp(-0.5)
    mean = mixture.centres[int(np.argmin(mixture.heights))]
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


def hessians(
    state_size: int, action_size: int, rounds: int = _ROUNDS, calls: int = _CALLS
) -> dict[str, float]:
    """Measures supplement D.1 against nested tapes on the paper's critic.

    Args:
        state_size: S.
        action_size: A.
        rounds: How many times the two take turns.
        calls: Calls a turn.

    Returns:
        `cases` (calls of each), `largest_error` relative to the largest derivative,
        `speedup` (median over rounds) and the least and greatest of the rounds.
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
        for _ in range(calls):
            result = function(state, action)
        result.value.numpy()
        return time.perf_counter() - start

    for function in (nested, forward):
        seconds(function)
    speedups = [seconds(nested) / seconds(forward) for _ in range(rounds)]
    return {
        "cases": rounds * calls,
        "largest_error": error,
        "speedup": statistics.median(speedups),
        "speedup_low": min(speedups),
        "speedup_high": max(speedups),
    }


def tabulate() -> pd.DataFrame:
    """Measures all of it, one row a check."""
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
