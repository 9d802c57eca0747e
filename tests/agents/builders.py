"""Builds small agents, and checks what every agent has to satisfy.

The networks by hand are those of `conftest.ByHand`.
"""

import numpy as np
import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from smoothie_tf import covariances
from smoothie_tf.networks import critic_network, keras_network, mean_network

SGD = tf.keras.optimizers.legacy.SGD


def make(create, by_hand, *, action_spec=None, learning_rates=(1.0, 1.0), **settings):
    """Returns an agent with the networks of `by_hand` and plain gradient steps.

    Args:
      create: The agent's class, or a function with the same arguments.
      by_hand: The fixture of this name.
      action_spec: Replaces that of `by_hand`.
      learning_rates: Of the actor and of the critic.
      **settings: Arguments of `create`, which replace the defaults here.
    """
    agent = create(
        by_hand.time_step_spec,
        action_spec or by_hand.action_spec,
        **{
            "actor_network": by_hand.actor(),
            "critic_network": by_hand.critic(),
            "actor_optimizer": SGD(learning_rates[0]),
            "critic_optimizer": SGD(learning_rates[1]),
            "train_step_counter": tf.Variable(0, dtype=tf.int64),
            **settings,
        },
    )
    agent.initialize()
    return agent


def small(create, *, weights_seed=0, actions=3, actor=None, critic=None, **settings):
    """Returns an agent with small networks of the paper's kind, and Adam.

    Args:
      create: The agent's class, or a function with the same arguments.
      weights_seed: Seed of the first weights.
      actions: Number of action dimensions; there are five observations.
      actor: Replaces the actor; from the two specs to a network.
      critic: Replaces the critic; from the two specs to a network.
      **settings: Arguments of `create`, which replace the defaults here.
    """
    tf.keras.utils.set_random_seed(weights_seed)
    observation = tensor_spec.TensorSpec([5], tf.float32)
    action = tensor_spec.BoundedTensorSpec([actions], tf.float32, -1, 1)
    actor = actor or (lambda *specs: mean_network.MeanNetwork(*specs, (8, 6)))
    critic = critic or (lambda *specs: critic_network.CriticNetwork(specs, (8,), (6,)))
    agent = create(
        ts.time_step_spec(observation),
        action,
        **{
            "actor_network": actor(observation, action),
            "critic_network": critic(observation, action),
            "actor_optimizer": tf.keras.optimizers.Adam(1e-2, jit_compile=False),
            "critic_optimizer": tf.keras.optimizers.Adam(1e-2, jit_compile=False),
            "train_step_counter": tf.Variable(0, dtype=tf.int64),
            **settings,
        },
    )
    agent.initialize()
    return agent


class Spread:
    """φ(s) of σ(s) = factor·s₁, in the place of a network."""

    variables = ()

    def __init__(self, factor):
        self._factor = factor

    def __call__(self, observation):
        return 2 * tf.math.log(self._factor * observation[:, :1]), ()


def spread_by_state():
    """One action's Σ with σ(s) = s₁, and with σ′(s) = 2·s₁ in the target."""
    return covariances.Covariance(covariances.Diagonal, Spread(1.0), Spread(2.0))


def joint_critic(*specs):
    """The critic of the TD3 and SAC papers: relu layers that all see the action."""
    return critic_network.CriticNetwork(specs, (), (8, 6), "relu")


def actor_by_hand(by_hand):
    """The actor of `by_hand` as a TF-Agents network."""
    return keras_network.as_network(by_hand.actor(), by_hand.observation_spec, "Actor")


def critic_by_hand(by_hand, bias=4.0):
    """Q(s, a) = 1·s₁ + 3·s₂ + 2·a + bias as a TF-Agents network."""
    network = keras_network.as_network(
        by_hand.critic(), (by_hand.observation_spec, by_hand.action_spec), "Critic"
    )
    network.create_variables()
    network.variables[1].assign([bias])
    return network


def check_compiled_is_eager(
    build, experience, xla, steps=4, rtol=1e-3, atol=1e-5, watch=lambda agent: None
):
    """Checks that graphs train as eager execution does, metrics and weights.

    Args:
      build: Returns an agent; equal agents at each call.
      experience: What both train on in every step.
      xla: Whether XLA compiles the graph.
      steps: Training steps.
      rtol: Relative tolerance of weights, as in `np.testing`.
      atol: Absolute tolerance of weights.
      watch: Called with the compiled agent before the first step and after each.
    """
    eager, compiled = build(), build()
    train = tf.function(compiled.train, jit_compile=xla, autograph=False)
    watch(compiled)
    for _ in range(steps):
        expected, loss = eager.train(experience), train(experience)
        for mine, other in zip(loss.extra, expected.extra, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-5)
        watch(compiled)
    assert compiled.train_step_counter == steps
    for mine, other in zip(compiled.variables, eager.variables, strict=True):
        np.testing.assert_allclose(mine, other, rtol=rtol, atol=atol)


def check_repeats(build, random_experience):
    """Checks that equal agents have equal variables after five equal batches."""

    def train():
        agent = build()
        for seed in range(5):
            agent.train(random_experience(6, 5, 3, seed))
        return [variable.numpy() for variable in agent.variables]

    for mine, same in zip(train(), train(), strict=True):
        np.testing.assert_array_equal(mine, same)


def check_resumes(build, random_experience, directory, variables):
    """Checks that an agent restored half-way trains as one that went on.

    Args:
      build: Returns an agent, with another seed if it is given one.
      random_experience: The fixture of this name.
      directory: Where the checkpoint goes.
      variables: Returns the variables of an agent that have to be equal.
    """
    batches = [random_experience(6, 5, 3, seed) for seed in range(6)]
    whole = build()
    for number, batch in enumerate(batches):
        if number == 3:
            path = tf.train.Checkpoint(agent=whole).write(str(directory / "ckpt"))
        whole.train(batch)
    # Other weights and another seed before it is restored.
    again = build(seed=8)
    again.train(batches[0])
    status = tf.train.Checkpoint(agent=again).read(path)
    status.assert_existing_objects_matched()
    for batch in batches[3:]:
        again.train(batch)
    for mine, same in zip(variables(whole), variables(again), strict=True):
        np.testing.assert_array_equal(mine, same)
