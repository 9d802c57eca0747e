"""Attributes of an agent that the training loop and the factory read.

Any `TFAgent` that learns from transitions of flat observations can be trained. It may
define the attributes below; those that it does not define have the defaults here.
Its `train` returns a named tuple of scalars as `LossInfo.extra`.
"""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Contract:
    """The attributes and their defaults.

    Attributes:
      config_class: Dataclass of its hyperparameters, passed to it as `config`; gin
        binds them by the class attribute `owner`. Its attribute `takes` names the
        arguments of the agent's constructor besides the policy's network and
        optimizer: any of "critic_network", "value_network" (each with
        `critic_optimizer`), "dynamics_network" (with `model_optimizer` and `reward_fn`)
        and "max_episode_steps". None if gin binds the constructor, which then takes
        "critic_network". Read from the class.
      minibatches_per_train: Number of minibatches of `train.batch_size` that one call
        of `train` receives, as one batch.
      trains_at_episode_end: Whether it trains after each episode instead of after each
        step. `train` then receives the episode as well: `episode`, a `Transition` of T
        steps in order, padded to the task's time limit, and `episode_mask`, 0 for
        padding, else 1, shape [T].
      uses_next_action: Whether `train` receives the action after each transition:
        `next_action_step`, a `PolicyStep`, and `next_is_stored`, False where an episode
        ended or replay holds no next action, shape [B].
    """

    config_class: type[Any] | None = None
    minibatches_per_train: int = 1
    trains_at_episode_end: bool = False
    uses_next_action: bool = False


def reward_scale(agent: Any) -> float:
    """Returns the factor by which an agent multiplies rewards, 1 if it has none.

    Args:
      agent: One of this package's agents.
    """
    for owner, name in (
        (getattr(agent, "config", None), "reward_scale_factor"),
        (agent, "_reward_scale_factor"),  # TF-Agents' own.
    ):
        if hasattr(owner, name):
            return float(getattr(owner, name))
    return 1.0


def contract(agent: Any) -> Contract:
    """Returns an agent's attributes, with defaults for those that it does not define.

    Args:
      agent: A `TFAgent`, its class, or a function that creates one.
    """
    names = (field.name for field in dataclasses.fields(Contract))
    said = {name: getattr(agent, name) for name in names if hasattr(agent, name)}
    return Contract(**said)
