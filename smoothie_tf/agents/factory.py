"""Builds an agent with the paper's networks from specs and gin bindings."""

import functools
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
    protocol,
    sac_agent,
    smoothie_variants,
    soft_ddpg_agent,
    svg0_agent,
    svg1_agent,
    svg_infinity_agent,
    td3_agent,
    td_actor_critic_agent,
)
from smoothie_tf.networks import (
    compatible_critic_network,  # noqa: F401  Used by gin bindings.
    critic_network,
    dynamics_network,
    hand_dynamics,  # noqa: F401  Used by gin bindings.
    linear_quadratic_networks,  # noqa: F401  Used by gin bindings.
    mean_network,
    squashed_gaussian_network,  # noqa: F401  Used by gin bindings.
    value_network,
)

#: Agents by their `--agent` names. Names with the same class have different gin files.
#: `protocol.Contract` says which arguments each takes.
AGENTS: dict[str, Callable[..., tf_agent.TFAgent]] = {
    "ddpg": ddpg_agent.DdpgAgent,
    "td3": td3_agent.Td3Agent,
    "sac": sac_agent.SacAgent,
    "smoothie": smoothie_variants.create_smoothie,
    "soft_ddpg": soft_ddpg_agent.SoftDdpgAgent,
    "svg0": svg0_agent.Svg0Agent,
    "svg0_episode": svg0_agent.Svg0Agent,
    "dpg": svg0_agent.Svg0Agent,
    "svg1": svg1_agent.Svg1Agent,
    "svg1_er": svg1_agent.Svg1Agent,
    "svg_infinity": svg_infinity_agent.SvgInfinityAgent,
    "planner": svg_infinity_agent.SvgInfinityAgent,
    "td_actor_critic": td_actor_critic_agent.TdActorCriticAgent,
}
#: Gin's configurables for the config classes.
_BOUND = {
    config_class: gin.external_configurable(
        config_class, config_class.owner, module="smoothie_tf"
    )
    for config_class in {protocol.contract(a).config_class for a in AGENTS.values()}
    if config_class is not None
}


@gin.configurable(module="smoothie_tf")
def create_agent(
    name: str,
    time_step_spec: ts.TimeStep,
    action_spec: types.BoundedTensorSpec,
    seed: int | None = None,
    actor_learning_rate: float = gin.REQUIRED,
    critic_learning_rate: float = gin.REQUIRED,
    adam_epsilon: float = 1e-7,
    actor_network: Callable[..., network.Network] = mean_network.MeanNetwork,
    critic_network: Callable[..., network.Network] = critic_network.CriticNetwork,
    model_learning_rate: float = 1e-3,
    value_network: Callable[..., network.Network] = value_network.ValueNetwork,
    dynamics_network: Callable[..., tf.Module] = dynamics_network.DynamicsNetwork,
    reward_fn: Callable[..., tf.Tensor] | None = None,
    max_episode_steps: int | None = None,
) -> tf_agent.TFAgent:
    """Creates an agent, its networks and its optimizers, and initialises it.

    Args:
      name: One of `AGENTS`.
      time_step_spec: Spec of the time steps, observations of shape [S].
      action_spec: Bounded float spec of the actions, shape [A].
      seed: Seed of the draws in the agent's training step.
      actor_learning_rate: η_π, > 0, for Adam.
      critic_learning_rate: η_Q, > 0, for Adam.
      adam_epsilon: Adam's ε, > 0, of every optimizer: 1e-7 is Keras's default, 1e-8
        was TensorFlow 1's.
      actor_network: Creates μ_θ from (observation spec, action spec).
      critic_network: Creates the critic from the pair (observation spec, action spec)
        as one argument.
      model_learning_rate: Adam's learning rate for the dynamics model, > 0, if the
        agent learns one.
      value_network: Creates V̂ from the observation spec, for agents whose critic takes
        states only.
      dynamics_network: Creates the model from (observation spec, action spec, whether
        it learns rewards as well).
      reward_fn: The task's reward function in TensorFlow, of states, actions and next
        states; if None, an agent with a model learns rewards.
      max_episode_steps: The task's time limit, if it has one.

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
        model_learning_rate=model_learning_rate,
        adam_epsilon=adam_epsilon,
    )
    adam = functools.partial(_adam, epsilon=adam_epsilon)
    kind, observation_spec = AGENTS[name], time_step_spec.observation
    takes, arguments = ("critic_network",), {}
    if (config_class := protocol.contract(kind).config_class) is not None:
        arguments["config"] = _BOUND[config_class]()
        takes = arguments["config"].takes
    arguments["actor_network"] = actor_network(observation_spec, action_spec)
    make = {
        "critic_network": lambda: critic_network((observation_spec, action_spec)),
        "value_network": lambda: value_network(observation_spec),
        "dynamics_network": lambda: dynamics_network(
            observation_spec, action_spec, reward_fn is None
        ),
        "max_episode_steps": lambda: max_episode_steps,
    }
    arguments |= {name: make[name]() for name in takes}
    if {"critic_network", "value_network"} & set(takes):
        arguments["critic_optimizer"] = adam(critic_learning_rate)
    if "dynamics_network" in takes:
        arguments["model_optimizer"] = adam(model_learning_rate)
        arguments["reward_fn"] = reward_fn
    agent = kind(
        time_step_spec,
        action_spec,
        **arguments,
        actor_optimizer=adam(actor_learning_rate),
        seed=seed,
        train_step_counter=tf.Variable(0, dtype=tf.int64, name="train_step"),
    )
    agent.initialize()
    return agent


def _adam(learning_rate, epsilon):
    # The caller of `train` decides whether to compile it. An optimizer with
    # jit_compile would compile the update of each variable separately.
    return tf.keras.optimizers.Adam(learning_rate, epsilon=epsilon, jit_compile=False)
