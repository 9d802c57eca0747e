"""Builds an agent with the paper's networks from specs and gin bindings."""

from collections.abc import Callable

import gin
import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.networks import network
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types

from smoothie_tf import validation
from smoothie_tf.agents import (
    ddpg_agent,
    smoothie_agent,
    soft_ddpg_agent,
    svg0_agent,
)
from smoothie_tf.networks import (
    compatible_critic_network,  # noqa: F401  For its gin bindings.
    critic_network,
    linear_quadratic_networks,  # noqa: F401  For its gin bindings.
    mean_network,
)

#: Agents by the name that `--agent` takes.
AGENTS: dict[str, Callable[..., tf_agent.TFAgent]] = {
    "ddpg": ddpg_agent.DdpgAgent,
    "smoothie": smoothie_agent.SmoothieAgent,
    "soft_ddpg": soft_ddpg_agent.SoftDdpgAgent,
    "svg0": svg0_agent.Svg0Agent,
}


@gin.configurable(module="smoothie_tf")
def create_agent(
    name: str,
    time_step_spec: ts.TimeStep,
    action_spec: types.BoundedTensorSpec,
    seed: int | None = None,
    actor_learning_rate: float = gin.REQUIRED,
    critic_learning_rate: float = gin.REQUIRED,
    actor_network: Callable[..., network.Network] = mean_network.MeanNetwork,
    critic_network: Callable[..., network.Network] = critic_network.CriticNetwork,
) -> tf_agent.TFAgent:
    """Creates an agent, its networks and its optimizers, and initialises it.

    Args:
      name: One of `AGENTS`.
      time_step_spec: Spec of the time steps, observations of shape [S].
      action_spec: Bounded float spec of the actions, shape [A].
      seed: Seed of the draws in the agent's training step.
      actor_learning_rate: η_π, > 0, for Adam.
      critic_learning_rate: η_Q, > 0, for Adam.
      actor_network: Makes μ_θ from (observation spec, action spec).
      critic_network: Makes the critic from (observation spec, action spec) as one
        pair.

    Returns:
      The agent, initialised.

    Raises:
      ValueError: If the name is unknown or a number out of range.
    """
    if name not in AGENTS:
        raise ValueError(
            f"Agent {name!r} is unknown: it must be one of {', '.join(sorted(AGENTS))}."
        )
    validation.check(
        "create_agent",
        "positive",
        actor_learning_rate=actor_learning_rate,
        critic_learning_rate=critic_learning_rate,
    )
    observation_spec = time_step_spec.observation
    agent = AGENTS[name](
        time_step_spec,
        action_spec,
        actor_network=actor_network(observation_spec, action_spec),
        critic_network=critic_network((observation_spec, action_spec)),
        # Whoever calls `train` decides whether to compile it: an optimizer that
        # compiles its own update would do so variable by variable.
        actor_optimizer=tf.keras.optimizers.Adam(
            actor_learning_rate, jit_compile=False
        ),
        critic_optimizer=tf.keras.optimizers.Adam(
            critic_learning_rate, jit_compile=False
        ),
        seed=seed,
        train_step_counter=tf.Variable(0, dtype=tf.int64, name="train_step"),
    )
    agent.initialize()
    return agent
