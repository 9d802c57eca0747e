"""Settings of a run, bound in gin as `train.num_steps` and so on."""

import dataclasses

import gin

from smoothie_tf import validation
from smoothie_tf.training import episode_limit


@gin.configurable("train", module="smoothie_tf")
@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of a run.

    Attributes:
      num_steps: Environment steps of the run.
      batch_size: Transitions per minibatch, B of Algorithm 1.
      initial_collect_steps: Environment steps before the first training step.
      replay_capacity: Rows of replay: one per transition, and one more per episode.
      evaluation_interval: Environment steps between evaluations.
      evaluation_episodes: Episodes per evaluation.
      evaluation_max_steps: Environment steps after which an evaluation episode ends,
        in a task without max_episode_steps.
      checkpoint_interval: Environment steps between checkpoints.
      updates_per_call: Environment steps between training calls; each call makes as
        many updates. More than 1 is faster but not the paper's algorithm: the acting
        policy is up to that many updates old, and the updates of a call do not see the
        transitions collected between them.
      use_xla: Whether to compile with XLA.

    Raises:
      ValueError: If a setting is not a whole number of at least 1, or replay is too
        small.
    """

    num_steps: int
    batch_size: int = 128
    initial_collect_steps: int = 1000
    replay_capacity: int = 1_000_000
    evaluation_interval: int = 5000
    evaluation_episodes: int = 10
    evaluation_max_steps: int = episode_limit.MAX_STEPS
    checkpoint_interval: int = 10_000
    updates_per_call: int = 1
    use_xla: bool = True

    def __post_init__(self):
        values = dataclasses.asdict(self)
        del values["use_xla"]
        validation.check("train", "count", **values)
        for name, value in values.items():  # 1e6 is a float.
            object.__setattr__(self, name, int(value))
        validation.check_flags("train", use_xla=self.use_xla)
        rows = 2 * self.checkpoint_interval
        if self.replay_capacity < min(rows, 2 * self.num_steps):
            raise ValueError(
                f"train.replay_capacity is {self.replay_capacity}, but must hold what"
                f" two checkpoint intervals add, up to {rows} rows."
            )
        if self.replay_capacity < self.batch_size:
            raise ValueError(
                "train.replay_capacity must be at least train.batch_size, which is"
                f" {self.batch_size}, but is {self.replay_capacity}."
            )

    def check_episodic(self, agent_name: str, max_episode_steps: int | None) -> None:
        """Checks the settings of an agent that trains at the end of each episode.

        Args:
          agent_name: Its name, for messages.
          max_episode_steps: The task's limit on an episode's length, or None.

        Raises:
          ValueError: If the task has no limit, or a setting does not fit.
        """
        if not max_episode_steps:
            raise ValueError(
                f"Agent {agent_name!r} trains at the end of each episode: the task must"
                " have a max_episode_steps, but has none."
            )
        if self.updates_per_call != 1:
            raise ValueError(
                f"train.updates_per_call must be 1 for agent {agent_name!r}, which"
                f" trains at the end of each episode, but is {self.updates_per_call}."
            )
        if self.replay_capacity <= max_episode_steps:
            raise ValueError(
                f"train.replay_capacity must be above {max_episode_steps}, the steps of"
                f" an episode, for agent {agent_name!r}, but is {self.replay_capacity}."
            )
