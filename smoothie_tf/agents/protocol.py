"""What the training loop and the factory ask of an agent beside `TFAgent`.

Any `TFAgent` that learns from transitions of flat observations can be trained: what it
does not say has the defaults here. An agent says otherwise by attributes of these
names.
Its `train` returns a named tuple of scalars as `LossInfo.extra`.
"""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Contract:
    """The attributes, and what they are for an agent that has none.

    Attributes:
      takes: What its constructor takes beside the policy's network and optimizer, of
        "critic_network", "value_network", "make_value_network" (each with
        `critic_optimizer`), "dynamics_network" (with `model_optimizer` and `reward_fn`)
        and "max_episode_steps". Read from the class.
      config_class: A dataclass of its settings, whose class attribute `owner` names
        them in gin, and which it takes as `config`; None where gin binds its
        constructor. Read from the class.
      minibatches_per_train: Minibatches of `train.batch_size` that one call of `train`
        consumes, given as one batch.
      trains_at_episode_end: Whether it trains once an episode has ended, in place of
        after each step. `train` is then given the episode as well: `episode`, a
        `Transition` of T steps in their order, padded to the task's time limit, and
        `episode_mask`, 1 for what is no padding, shape [T].
      uses_next_action: Whether `train` is given what was done after each transition:
        `next_action_step`, a `PolicyStep`, and `next_is_stored`, False where an episode
        ended or replay holds no next one, shape [B].
    """

    takes: tuple[str, ...] = ("critic_network",)
    config_class: type | None = None
    minibatches_per_train: int = 1
    trains_at_episode_end: bool = False
    uses_next_action: bool = False


def contract(agent: Any) -> Contract:
    """Returns what an agent, or what makes one, says of itself, or the defaults.

    Args:
      agent: A `TFAgent`, its class, or a function that creates one.
    """
    names = (field.name for field in dataclasses.fields(Contract))
    said = {name: getattr(agent, name) for name in names if hasattr(agent, name)}
    return Contract(**said)
