"""Compares the paper's ways to learn Q̃, and Smoothie, with exact solutions.

There are two kinds of runs on linear–quadratic tasks. The first learns the value of a
fixed policy in one of the paper's ways and compares it with the closed form. The second
learns a policy and compares its cost with the optimum.

Shapes: B batch, S state, A action.
"""

import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from tf_agents.trajectories import policy_step, trajectory
from tf_agents.trajectories import time_step as ts

from smoothie_tf import covariances, gaussian, quiet
from smoothie_tf.agents import smoothie_variants
from smoothie_tf.environments import gymnasium_environment, linear_quadratic
from smoothie_tf.experiments.theory import evaluation_arms
from smoothie_tf.networks import critic_network, linear_quadratic_networks
from smoothie_tf.training import config, process

ENVIRONMENT = "smoothie_tf/LinearQuadratic-v0"
#: Discount γ of the learned values.
DISCOUNT = 0.9
#: Standard deviation of the fixed policy.
STDDEV = 0.3
#: Half-width of the box of stored actions in uniform replay, in units of `STDDEV`.
UNIFORM_REACH = 10.0
#: Half-width of the box of phantom actions that have weight in "inner" replay, in units
#: of `STDDEV`.
INNER_REACH = 5.0
BATCH_SIZE = 256
_EVALUATED_STATES = 512


#: Critics by name: one that can represent Q̃ exactly, and one as in the paper.
CRITICS: dict[str, Callable] = {
    "quadratic": linear_quadratic_networks.QuadraticCriticNetwork,
    "tanh": lambda specs: critic_network.CriticNetwork(specs, (64,), (64,)),
}
_LEARNING_RATES = {"quadratic": 3e-2, "tanh": 3e-3}


def fixed_policy() -> linear_quadratic.Evaluation:
    """Returns the fixed policy and its exact values.

    Its gain is 0.8 of the optimal one, so that the gradient of Q̃ at its mean is not 0.
    """
    system = linear_quadratic.random_system(2, 2, 0)
    gain = 0.8 * system.optimal_gain(DISCOUNT)
    return system.evaluate(gain, STDDEV * np.eye(2), DISCOUNT)


def learn_values(
    arm: evaluation_arms.Arm,
    critic: str,
    seed: int,
    updates: int,
    record_interval: int,
    on_record: Callable[[int], None] = lambda updates: None,
) -> pd.DataFrame:
    """Learns the value of the fixed policy, and measures the errors during training.

    Every update draws a new minibatch, with states from N(0, I). The replay buffer is
    thus infinite, and no error comes from a finite sample.

    Args:
        arm: The way to learn Q̃, and the kind of replay.
        critic: One of `CRITICS`.
        seed: Seed of the initial weights and of all draws.
        updates: Number of updates, over which the learning rate falls to 0.
        record_interval: Updates between records.
        on_record: Called after each record with the number of updates since the last.

    Returns:
        One row per record, with columns arm, critic, seed and update; value_error,
        gradient_error and hessian_error: root mean square errors over states, at
        a = μ(s), divided by the standard deviation of the exact values or the root
        mean square of the exact derivatives; gradient_factor and hessian_factor: the
        factor of the exact derivatives that fits the learned ones best, by least
        squares.
    """
    truth = fixed_policy()
    tf.keras.utils.set_random_seed(seed)
    env = gymnasium_environment.make(ENVIRONMENT)
    time_step_spec = gymnasium_environment.time_step_spec(env)
    action_spec = gymnasium_environment.action_spec(env)
    specs = (time_step_spec.observation, action_spec)
    rate = tf.keras.optimizers.schedules.CosineDecay(_LEARNING_RATES[critic], updates)
    agent = smoothie_variants.create_smoothie(
        time_step_spec,
        action_spec,
        linear_quadratic_networks.LinearMeanNetwork(*specs, truth.gain.tolist()),
        CRITICS[critic](specs),
        # A learning rate of 0 keeps the policy fixed.
        actor_optimizer=tf.keras.optimizers.legacy.SGD(0.0),
        critic_optimizer=tf.keras.optimizers.Adam(rate, jit_compile=False),
        gamma=DISCOUNT,
        initial_log_variance=2 * float(np.log(STDDEV)),
        # The fixed points are means, which only the squared error has as its minimum.
        td_errors_loss_fn=lambda x, y: 0.5 * tf.square(x - y),
        gradient_clipping=None,
        independent_minibatches=False,
        seed=seed,
        train_step_counter=tf.Variable(0, dtype=tf.int64),
        **arm.arguments,
    )
    agent.initialize()
    draw = _replay(truth, arm.replay, seed, agent.collect_policy.emit_log_probability)

    @tf.function(jit_compile=True, autograph=False)
    def train_several():
        def train_once(i):
            agent.train(*draw(agent.train_step_counter))
            return (i + 1,)

        tf.while_loop(lambda i: i < record_interval, train_once, (tf.constant(0),))

    states = np.random.default_rng(10_000).normal(size=(_EVALUATED_STATES, 2))
    rows: list[dict[str, Any]] = []
    for update in range(record_interval, updates + 1, record_interval):
        if rows:
            train_several()
        else:
            with quiet.without_known_notices():
                train_several()
        rows.append(
            {
                "arm": arm.name,
                "critic": critic,
                "seed": seed,
                "update": update,
                **_errors(agent, truth, states),
            }
        )
        on_record(record_interval)
    return pd.DataFrame(rows)


def _replay(truth, kind, seed, with_density):
    """Returns a function that draws the minibatch and weights of an update."""
    system = truth.system
    A, B, Q, R, gain = (
        tf.constant(x, tf.float32)
        for x in (system.A, system.B, system.Q, system.R, truth.gain)
    )
    noise_factor = tf.constant(np.linalg.cholesky(system.W), tf.float32)
    log_variance = tf.fill([2], 2 * float(np.log(STDDEV)))

    def draw(step):
        numbers = tf.random.stateless_normal([3, BATCH_SIZE, 2], [seed + 1000, step])
        state, noise = numbers[0], numbers[2]
        mean = tf.matmul(state, gain, transpose_b=True)
        weights = tf.ones([BATCH_SIZE])
        if kind != "on-policy":
            reach = UNIFORM_REACH * STDDEV
            offset = tf.random.stateless_uniform(
                [BATCH_SIZE, 2], [seed + 2000, step], -reach, reach
            )
            if kind == "inner":
                # The agent draws the same noise: it depends on seed and step alone.
                phantom = offset + STDDEV * gaussian.stateless_normal(
                    [BATCH_SIZE, 2], tf.stack([tf.cast(seed, tf.int64), step])
                )
                inside = tf.reduce_all(abs(phantom) < INNER_REACH * STDDEV, axis=-1)
                weights = tf.cast(inside, tf.float32)
                weights /= tf.maximum(tf.reduce_mean(weights), 1 / BATCH_SIZE)
            action, density = mean + offset, tf.zeros([BATCH_SIZE])
        else:
            action = mean + STDDEV * numbers[1]
            policy = covariances.Diagonal(log_variance).distribution(mean)
            density = policy.log_prob(action)
        reward = -0.5 * tf.reduce_sum(
            state * tf.matmul(state, Q) + action * tf.matmul(action, R), axis=-1
        )
        following = tf.matmul(state, A, transpose_b=True)
        following += tf.matmul(action, B, transpose_b=True)
        following += tf.matmul(noise, noise_factor, transpose_b=True)
        middle = tf.fill([BATCH_SIZE], ts.StepType.MID)
        ones = tf.ones([BATCH_SIZE])
        info = policy_step.PolicyInfo(log_probability=density) if with_density else ()
        transition = trajectory.Transition(
            ts.TimeStep(middle, tf.zeros([BATCH_SIZE]), ones, state),
            policy_step.PolicyStep(action, (), info),
            ts.TimeStep(middle, reward, ones, following),
        )
        return transition, weights

    return draw


def _errors(agent, truth, states):
    actions = states @ truth.gain.T
    learned = agent.critic_derivatives(
        tf.constant(states, tf.float32), tf.constant(actions, tf.float32)
    )
    value, gradient, hessian = (np.asarray(x, np.float64) for x in learned)
    true_value = truth.smoothed_action_value(states, actions)
    true_gradient = truth.action_gradient(states, actions)
    true_hessian = np.diag(truth.action_hessian()) * np.ones_like(gradient)

    def relative(mine, true, scale):
        return float(np.sqrt(((mine - true) ** 2).mean()) / scale)

    def factor(mine, true):
        return float((mine * true).sum() / (true**2).sum())

    def size(true):
        return np.sqrt((true**2).mean())

    return {
        "value_error": relative(value, true_value, true_value.std()),
        "gradient_error": relative(gradient, true_gradient, size(true_gradient)),
        "hessian_error": relative(hessian, true_hessian, size(true_hessian)),
        "gradient_factor": factor(gradient, true_gradient),
        "hessian_factor": factor(hessian, true_hessian),
    }


#: Gin bindings of the runs that learn a policy, on an unstable task.
IMPROVEMENT = (
    "LinearQuadraticEnvironment.spectral_radius = 1.1",
    "LinearQuadraticEnvironment.start_stddev = 1.0",
    "create_agent.actor_network = @LinearMeanNetwork",
    "create_agent.critic_network = @QuadraticCriticNetwork",
    "create_agent.actor_learning_rate = 1e-3",
    "create_agent.critic_learning_rate = 1e-2",
    "SmoothieAgent.initial_log_variance = -2.4",
    f"SmoothieAgent.gamma = {DISCOUNT}",
    "SmoothieAgent.reward_scale_factor = 0.1",
    "SmoothieAgent.gradient_clipping = None",
    "train.initial_collect_steps = 1000",
    "train.evaluation_episodes = 1",
)


#: Environment steps between the records of such a run.
RECORD_INTERVAL = 50


def stabilising_start() -> tuple[
    linear_quadratic.LinearQuadraticEnvironment, np.ndarray
]:
    """Returns the unstable task, and a gain, shape [A, S], that barely stabilises it.

    It is the optimal gain, scaled down until the spectral radius of A + BK just is at
    most 0.97.
    """
    env = linear_quadratic.LinearQuadraticEnvironment(spectral_radius=1.1)
    best = env.system.optimal_gain(DISCOUNT)
    share = next(
        share
        for share in np.linspace(0, 1, 1001)
        if env.system.spectral_radius(share * best) <= 0.97
    )
    return env, share * best


def learn_policy(
    seed: int,
    num_steps: int,
    kl_penalty: float,
    gin_bindings: Sequence[str] = (),
    on_record: Callable[[int], None] = lambda steps: None,
) -> pd.DataFrame:
    """Trains Smoothie in the package's own loop, and records its gain regularly.

    Args:
        seed: Seed of the run.
        num_steps: Environment steps.
        kl_penalty: λ, at least 0.
        gin_bindings: Bindings that override those of `IMPROVEMENT`.
        on_record: Called after each record with the number of steps since the last.

    Returns:
        One row per record, with columns kl_penalty, seed and step; spectral_radius, the
        largest one of A + BK since the last record; cost, −J of the mean action divided
        by that of the optimal policy, so that 1 is optimal; and stddev, the policy's σ.
        The cost is NaN where the return is not finite.
    """
    task, start = stabilising_start()

    def objective(gain):
        evaluation = task.system.evaluate(gain, np.zeros((2, 2)), DISCOUNT)
        return evaluation.objective(task.start_moment)

    optimum = objective(task.system.optimal_gain(DISCOUNT))
    rows, radii = [], []

    def record(trainer):
        gain = trainer.agent.actor_network.gain.numpy()
        radii.append(task.system.spectral_radius(gain))
        if trainer.step % RECORD_INTERVAL:
            return
        try:
            cost = objective(gain) / optimum
        except ValueError:  # No finite return.
            cost = np.nan
        stddev = trainer.agent.policy_stddev(tf.zeros([1, 2])).numpy()
        rows.append(
            {
                "kl_penalty": kl_penalty,
                "seed": seed,
                "step": trainer.step,
                "spectral_radius": max(radii[-RECORD_INTERVAL:]),
                "cost": cost,
                "stddev": float(stddev.mean()),
            }
        )
        on_record(RECORD_INTERVAL)

    config.parse(
        "smoothie",
        ENVIRONMENT,
        bindings=[
            *IMPROVEMENT,
            f"LinearMeanNetwork.gain = {start.tolist()}",
            f"SmoothieAgent.kl_penalty = {kl_penalty}",
            f"train.num_steps = {num_steps}",
            f"train.evaluation_interval = {num_steps}",
            f"train.checkpoint_interval = {num_steps}",
            *gin_bindings,
        ],
    )
    with tempfile.TemporaryDirectory() as folder:
        process.run("smoothie", ENVIRONMENT, seed, folder, quiet=True, on_step=record)
    return pd.DataFrame(rows)
