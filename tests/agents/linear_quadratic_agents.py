"""Agents of the SVG family on a linear–quadratic task, for tests.

Policies are a = Ks + ση, models s' = Âs + B̂a, V̂ and Q̂ quadratic: exactly what the
task's own are.
"""

import numpy as np
import tensorflow as tf
from tf_agents.networks import network
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import StepType, policy_step, trajectory
from tf_agents.trajectories import time_step as ts

from smoothie_tf.agents import factory, smoothie_agent
from smoothie_tf.environments import linear_quadratic
from smoothie_tf.networks import dynamics_network

GAMMA = 0.9
SYSTEM = linear_quadratic.System(
    A=[[0.9, 0.3], [-0.2, 0.8]],
    B=[[0.1, 0.4], [0.5, -0.2]],
    Q=[[1.0, 0.2], [0.2, 0.6]],
    R=[[0.5, 0.1], [0.1, 0.8]],
    W=1e-4 * np.eye(2),
)
GAIN = np.array([[-0.3, 0.1], [0.2, -0.4]])
OBSERVATION = tensor_spec.TensorSpec([2], tf.float32)
ACTION = tensor_spec.BoundedTensorSpec([2], tf.float32, -20, 20)


def reward_fn(state, action, next_state):
    del next_state
    Q, R = (tf.constant(x, tf.float32) for x in (SYSTEM.Q, SYSTEM.R))
    cost = tf.einsum("bi,ij,bj->b", state, Q, state)
    return -0.5 * (cost + tf.einsum("bi,ij,bj->b", action, R, action))


class Linear(network.Network):
    """a = Ks."""

    def __init__(self, gain=GAIN, name="Linear"):
        super().__init__(input_tensor_spec=OBSERVATION, name=name)
        self._gain = self.add_weight(
            name="gain",
            shape=(2, 2),
            initializer=tf.constant_initializer(np.asarray(gain)),
        )

    def call(self, observation, step_type=(), network_state=(), training=False):
        return tf.matmul(observation, self._gain, transpose_b=True), network_state


class Quadratic(network.Network):
    """All products of two elements, and a constant, linearly combined."""

    def __init__(self, input_tensor_spec=OBSERVATION, name="Quadratic"):
        super().__init__(input_tensor_spec=input_tensor_spec, name=name)
        size = sum(spec.shape[0] for spec in tf.nest.flatten(input_tensor_spec))
        self._weights = self.add_weight(
            name="weights", shape=(size, size), initializer="zeros"
        )
        self._constant = self.add_weight(name="constant", shape=(), initializer="zeros")

    def call(self, inputs, step_type=(), network_state=(), training=False):
        x = tf.concat(tf.nest.flatten(inputs), axis=-1)
        value = tf.einsum("bi,ij,bj->b", x, self._weights, x)
        return value + self._constant, network_state


class LinearDynamics(tf.Module):
    """s' = Âs + B̂a, learned by squares; σ̂ is given."""

    learns_reward = False

    def __init__(self, A=SYSTEM.A, B=SYSTEM.B, stddev=0.01):
        super().__init__()
        self.A = tf.Variable(A, dtype=tf.float32)
        self.B = tf.Variable(B, dtype=tf.float32)
        self.stddev = tf.fill([2], tf.cast(stddev, tf.float32))

    def __call__(self, state, action):
        following = tf.matmul(state, self.A, transpose_b=True)
        following += tf.matmul(action, self.B, transpose_b=True)
        return dynamics_network.Prediction(following, None)

    def jacobians(self, state, action):
        number = state.shape[0]
        return (tf.tile(x[tf.newaxis], [number, 1, 1]) for x in (self.A, self.B))

    def observe(self, state, action, next_state, reward, weights):
        return tf.no_op()

    def loss(self, state, action, next_state, reward, weights):
        error = next_state - self(state, action).next_state
        return tf.reduce_mean(weights * tf.reduce_sum(error**2, axis=-1))


def what_it_takes(name, changes):
    """Names the networks of an agent, which may depend on its horizon."""
    horizon = {"horizon": changes["horizon"]} if changes.get("horizon") else {}
    return factory.AGENTS[name].config_class(**horizon).takes


def make(name, learning_rate=0.0, optimizer=tf.keras.optimizers.legacy.SGD, **changes):
    """An agent by the name that `--agent` takes, at `GAIN` and σ = 0.3.

    Args:
      name: The agent.
      learning_rate: Of the policy; model and critic have 0 unless they are given.
      optimizer: Makes an optimizer from a learning rate.
      **changes: Arguments of the agent in place of these.
    """
    kind, takes = factory.AGENTS[name], what_it_takes(name, changes)
    arguments = {
        "actor_network": Linear(),
        "actor_optimizer": optimizer(learning_rate),
        "gamma": GAMMA,
        "policy_gradient_clipping": None,
        "train_step_counter": tf.Variable(0, dtype=tf.int64),
        "seed": 3,
        "max_episode_steps": 8,
    }
    if "critic_network" in takes:
        arguments["critic_network"] = Quadratic((OBSERVATION, ACTION))
        arguments["initial_log_variance"] = 2 * np.log(0.3)
        arguments["learn_stddev"] = False
        arguments["policy_from_last_episode"] = True
        arguments["critic_updates"] = 1
        arguments["gradient_clipping"] = None
        arguments["deterministic"] = name == "dpg"
        arguments["td_errors_loss_fn"] = lambda x, y: 0.5 * tf.square(x - y)
    else:
        arguments["stddev"] = 0.3
    if "value_network" in takes:
        arguments["value_network"] = Quadratic()
        arguments["value_updates"] = 1
    if {"value_network", "critic_network"} & set(takes):
        arguments["critic_optimizer"] = optimizer(0.0)
    if "dynamics_network" in takes:
        arguments["dynamics_network"] = LinearDynamics()
        arguments["model_optimizer"] = optimizer(0.0)
        arguments["model_updates"] = 1
        arguments["reward_fn"] = reward_fn
    if name in ("svg1", "svg1_er"):
        arguments["policy_updates"] = 1
        arguments["policy_replay"] = name == "svg1_er"
    if name == "planner":
        arguments["plans"] = True
    agent = kind(ts.time_step_spec(OBSERVATION), ACTION, **{**arguments, **changes})
    agent.initialize()
    return agent


def make_smoothie(learning_rate):
    """Smoothie at the same policy, without the penalty."""
    agent = smoothie_agent.SmoothieAgent(
        ts.time_step_spec(OBSERVATION),
        ACTION,
        Linear(),
        Quadratic((OBSERVATION, ACTION)),
        actor_optimizer=tf.keras.optimizers.legacy.SGD(learning_rate),
        critic_optimizer=tf.keras.optimizers.legacy.SGD(0.0),
        gamma=GAMMA,
        initial_log_variance=2 * np.log(0.3),
        kl_penalty=0.0,
        independent_minibatches=False,
        train_step_counter=tf.Variable(0, dtype=tf.int64),
    )
    agent.initialize()
    return agent


def make_learner(name, learning_rate, length, **options):
    """An agent that learns everything: critics from 0, models from wrong matrices."""

    def adam(rate):
        return tf.keras.optimizers.Adam(rate, jit_compile=False)

    takes, changes = what_it_takes(name, options), {"max_episode_steps": length}
    if "dynamics_network" in takes:
        model = LinearDynamics(A=SYSTEM.A + 0.05, B=SYSTEM.B - 0.05)
        changes |= {"dynamics_network": model, "model_optimizer": adam(0.02)}
    for kind in ("value", "critic"):
        if f"{kind}_network" in takes:
            changes |= {"critic_optimizer": adam(0.1), f"{kind}_updates": 5}
            changes["target_update_period"] = 10
    return make(name, learning_rate, adam, **changes, **options)


def rows(number, seed=0, gain=GAIN, stddev=0.3, episode=False, start=1.0):
    """Transitions under a = Ks + ση, each from a state of its own or in a row.

    Returns:
      s, a, s', r and log p(a|s), in numpy.
    """
    rng = np.random.default_rng(seed)
    state = start * rng.normal(size=(number, 2))
    eta = rng.normal(size=(number, 2))
    push = rng.normal(size=(number, 2)) @ np.linalg.cholesky(SYSTEM.W).T
    if episode:
        for t in range(1, number):
            taken = gain @ state[t - 1] + stddev * eta[t - 1]
            state[t] = SYSTEM.next_mean(state[t - 1], taken) + push[t - 1]
    action = state @ np.asarray(gain).T + stddev * eta
    following = SYSTEM.next_mean(state, action) + push
    density = -0.5 * (eta**2).sum(axis=1) - np.log(2 * np.pi * stddev**2)
    return state, action, following, SYSTEM.reward(state, action), density


def transition(state, action, next_state, reward, log_probability, discount=None):
    """Rows as a `Transition` of a collect policy that stores log-probabilities."""
    number = len(state)
    discount = np.ones(number) if discount is None else discount

    def single(x):
        return tf.constant(x, tf.float32)

    middle = tf.fill([number], StepType.MID)
    info = policy_step.set_log_probability((), single(log_probability))
    zeros = tf.zeros([number])
    return trajectory.Transition(
        ts.TimeStep(middle, zeros, tf.ones([number]), single(state)),
        policy_step.PolicyStep(single(action), (), info),
        ts.TimeStep(middle, single(reward), single(discount), single(next_state)),
    )


def gain_of(agent):
    return agent.actor_network.variables[0].numpy().astype(np.float64)
