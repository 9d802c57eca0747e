"""A step limit for episodes of tasks without a time limit."""

from __future__ import annotations

import typing

from smoothie_tf import progress_bar

if typing.TYPE_CHECKING:  # Commands use the limit before they import Gymnasium.
    import gymnasium

#: Default number of steps after which an episode ends.
MAX_STEPS = 10_000


class EpisodeLimit:
    """A step limit for the episodes of one task; reports once when it is reached."""

    def __init__(
        self,
        task: gymnasium.Env,
        max_steps: int = MAX_STEPS,
        setting: str = "train.evaluation_max_steps",
    ):
        """Takes the limit from the task if it has one.

        Args:
          task: A Gymnasium task, or a wrapper around one.
          max_steps: The limit for a task without max_episode_steps, at least 1.
          setting: Name of the setting for `max_steps`, for the message.
        """
        own = task.spec and task.spec.max_episode_steps
        self.steps: int = own or max_steps
        self._name = task.spec.id if task.spec else type(task.unwrapped).__name__
        self._reason = "its max_episode_steps" if own else setting
        self._said = False

    def ends(self, length: int) -> bool:
        """Returns whether to end an episode after `length` steps.

        The first time, it prints a message on standard error.
        """
        if length < self.steps:
            return False
        if not self._said:
            self._said = True
            progress_bar.say(
                f"{self._name} did not end an episode within {self.steps:,} steps"
                f" ({self._reason}): it counts as ended there."
            )
        return True
