"""Where an episode ends that its task does not end."""

from __future__ import annotations

import sys
import typing

import tqdm

if typing.TYPE_CHECKING:  # Commands know of the limit before they import anything.
    import gymnasium

#: Steps after which it ends, unless something else is asked for.
MAX_STEPS = 10_000


class EpisodeLimit:
    """A limit of steps for the episodes of one task; reaching it is said once."""

    def __init__(
        self,
        task: gymnasium.Env,
        max_steps: int = MAX_STEPS,
        setting: str = "train.evaluation_max_steps",
    ):
        """Takes the limit from the task where that has one.

        Args:
          task: A task as Gymnasium makes it, or around one.
          max_steps: The limit, at least 1, of a task without max_episode_steps.
          setting: Where `max_steps` can be set.
        """
        own = task.spec and task.spec.max_episode_steps
        self.steps: int = own or max_steps
        self._name = task.spec.id if task.spec else type(task.unwrapped).__name__
        self._reason = "its max_episode_steps" if own else setting
        self._said = False

    def ends(self, length: int) -> bool:
        """Returns whether an episode that goes on after `length` steps is to end.

        The first time it does, a sentence on standard error says so.
        """
        if length < self.steps:
            return False
        if not self._said:
            self._said = True
            # Which puts a progress bar out of the way.
            tqdm.tqdm.write(
                f"{self._name} did not end an episode within {self.steps:,} steps"
                f" ({self._reason}): it counts as ended there.",
                file=sys.stderr,
            )
        return True
