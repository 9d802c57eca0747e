"""The training loop: collect, learn, evaluate, checkpoint.

Each environment step runs, in this order: environment, replay, minibatch, and one
compiled call (train, then choose the next action). The loop uses agents through
`TFAgent` and the attributes in `agents.protocol.Contract`.
"""

import contextlib
import dataclasses
import re
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import gin
import numpy as np
import tensorflow as tf
import tqdm

from smoothie_tf import validation
from smoothie_tf.agents import factory, protocol
from smoothie_tf.environments import (
    checked_task,
    discretized_reward,
    gymnasium_environment,
)
from smoothie_tf.training import (
    best_policy,
    checkpoint,
    compiled_step,
    episode_limit,
    evaluation,
    files,
    random_streams,
    replay_buffer,
    run_directory,
    stopping,
    summaries,
)

# Environment steps between updates of the progress file.
_PROGRESS_STEPS = 100
# Environment steps between checks of all variables: 1 ms for a million numbers.
_VARIABLES_STEPS = 1000


class NumericalError(ArithmeticError):
    """The task or training produced a number that is not finite."""


@gin.configurable(module="smoothie_tf")
@dataclasses.dataclass(frozen=True)
class train:  # noqa: N801  Named for its bindings: train.num_steps.
    """Settings of a run; bound in gin.

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
        for name, value in values.items():
            if value is None:  # Elsewhere None means "not set".
                raise ValueError(
                    f"train.{name} must be a whole number of at least 1, but is None."
                )
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


class Trainer:
    """A run in progress, with all the state that a checkpoint holds."""

    def __init__(
        self,
        agent_name: str,
        environment_id: str,
        seed: int,
        directory: run_directory.RunDirectory,
        config: train,
        stop: stopping.StopRequest,
    ):
        """Creates the task, the agent and replay, and restores the last checkpoint.

        Args:
          agent_name: One of `factory.AGENTS`.
          environment_id: A Gymnasium id.
          seed: Seed of all random streams, ≥ 0.
          directory: The run's directory.
          config: The run's settings.
          stop: Once set, the run saves a checkpoint and stops before the next
            environment step.

        Raises:
          Interrupted: If `stop` was set while the episode in progress was replayed.
        """
        self._config = config
        self._stop = stop
        self._directory = directory
        self._streams = random_streams.RandomStreams(seed)
        # Initial weights are the only draws from TensorFlow's global stream.
        tf.keras.utils.set_random_seed(self._streams.seed("weights"))
        self._env = gymnasium_environment.make(environment_id)
        self._evaluator = self._summaries = None
        try:
            self._set_up(agent_name, environment_id)
        except BaseException:
            # A task may hold threads that keep the process alive.
            self.close()
            raise

    def _set_up(self, agent_name, environment_id):
        config, stop, directory = self._config, self._stop, self._directory
        self.agent = factory.create_agent(
            agent_name,
            gymnasium_environment.time_step_spec(self._env),
            gymnasium_environment.action_spec(self._env),
            seed=self._streams.seed("agent"),
            **gymnasium_environment.known_to_agents(self._env),
        )
        minibatches = protocol.contract(self.agent).minibatches_per_train
        self._sample_size = config.updates_per_call * minibatches * config.batch_size
        #: The longest episode, if the agent trains at episode ends; else None.
        self._episode_limit = self._longest_episode(agent_name)
        self._compiled = compiled_step.CompiledStep(
            self.agent,
            self._streams.seed("policy"),
            config.use_xla,
            config.updates_per_call,
        )
        self._replay = replay_buffer.ReplayBuffer(
            # At most what the run can fill: in the worst case, episodes of one step.
            min(config.replay_capacity, 2 * config.num_steps + 2),
            self._env.observation_space.shape[0],
            self._env.action_space.shape[0],
            self._compiled.info_size,
        )
        self._evaluator = evaluation.Evaluator(
            lambda: gymnasium_environment.make(environment_id),
            self.agent.policy,
            config.evaluation_episodes,
            self._streams,
            config.use_xla,
            config.evaluation_max_steps,
            stop,
        )
        self._checkpointer = checkpoint.Checkpointer(
            directory.path / "checkpoints", self.agent, self._replay
        )
        self.step = 0
        self.last_row: dict[str, float] = {}
        self._replay_rng = self._streams.generator("replay")
        # Whether the evaluation at this step was interrupted.
        self._evaluation_due = False
        self._reset_sums()
        stop.consequence = self._resume_point
        with self._faults_explained():
            self._start_or_resume()

    @property
    def replay(self) -> replay_buffer.ReplayBuffer:
        """The run's replay buffer."""
        return self._replay

    def run(
        self,
        progress: tqdm.tqdm,
        on_step: Callable[["Trainer"], None] | None = None,
    ) -> None:
        """Trains to the end, with evaluations and checkpoints.

        Args:
          progress: Progress bar, updated after every step.
          on_step: Called with the trainer after every step; it must change nothing.

        Raises:
          Interrupted: If a stop was requested; a checkpoint of this step was saved.
          EnvironmentFault: If the task raised an error or violated its specs.
          NumericalError: If an observation, reward, loss, action or weight is not
            finite.
          StorageError: If a file could not be written.
        """
        with self._faults_explained():
            self._directory.write_metrics()
            self._summaries = summaries.create_writer(
                self._directory.path / "tensorboard",
                # The first step without a row in the checkpoint.
                int(self.last_row.get("step", 0)) + 1,
            )
            self._run(progress, on_step)

    def _run(self, progress, on_step):
        config, stop = self._config, self._stop
        rate = _Rate(self.step)
        if self._evaluation_due:
            self._evaluate_or_stop(rate, progress)
            if self.step == config.num_steps:
                self._save()
        while self.step < config.num_steps:
            self._take_step()
            progress.update()
            if on_step is not None:
                on_step(self)
            if self.step % config.evaluation_interval == 0 or (
                self.step == config.num_steps
            ):
                self._evaluate_or_stop(rate, progress)
            due = self.step % config.checkpoint_interval == 0
            if due or self.step == config.num_steps or stop.is_set():
                self._save()
            if self.step % _PROGRESS_STEPS == 0 or self.step == config.num_steps:
                self._directory.write_progress(
                    step=self.step,
                    num_steps=config.num_steps,
                    steps_per_second=round(rate.read(self.step), 1),
                    evaluation_return=self.last_row.get("evaluation_return_mean"),
                    policy_stddev=self.last_row.get("policy_stddev"),
                )
            if self.step % _VARIABLES_STEPS == 0:
                self._check_variables()
            if stop.is_set() and self.step < config.num_steps:
                raise stopping.Interrupted

    def _evaluate_or_stop(self, rate, progress):
        """Evaluates; if interrupted, saves a checkpoint that marks it as due.

        The resumed run then evaluates first.
        """
        again, self._evaluation_due = self._evaluation_due, True
        try:
            self._evaluate(rate)
        except stopping.Interrupted:
            # If it was due already, that checkpoint exists.
            if not again:
                self._save()
            raise
        self._evaluation_due = False
        _show(progress, self.last_row)

    def close(self) -> None:
        """Closes the environments."""
        others = self._evaluator.environments if self._evaluator else ()
        checked_task.close(self._env, *others)
        if self._summaries is not None:
            self._summaries.close()

    @contextlib.contextmanager
    def _faults_explained(self) -> Iterator[None]:
        """Adds the step and the last checkpoint to error messages."""
        try:
            yield
        except checked_task.NotFiniteError as error:
            self._raise_numerical(str(error), error)
        except tf.errors.InvalidArgumentError as error:
            # Without XLA, TF-Agents' DDPG checks its losses itself.
            found = re.search(r"(\w+) loss is inf or nan", error.message)
            if not found:
                raise
            self._raise_numerical(f"{found[1].lower()}_loss is inf or nan", error)
        except checked_task.EnvironmentFault as error:
            raise checked_task.EnvironmentFault(
                f"{error} (after step {self.step}; {self._last_checkpoint()})."
            ) from error
        except files.StorageError as error:
            raise files.StorageError(
                f"{error} after step {self.step}; {self._last_checkpoint()}. Once it"
                " can be written, the same command resumes the run."
            ) from error

    def _resume_point(self):
        latest = self._checkpointer.latest
        if latest is None:
            return "there is no checkpoint yet, so the same command starts over"
        return f"the same command resumes from {latest}"

    def _last_checkpoint(self):
        latest = self._checkpointer.latest
        return f"the last checkpoint is {latest}" if latest else "no checkpoint yet"

    def _raise_numerical(self, what, error=None) -> NoReturn:
        raise NumericalError(
            f"{what}, which is not finite, after step {self.step}: training stopped;"
            f" {self._last_checkpoint()}."
        ) from error

    def _take_step(self):
        self._check_action()
        action, info = self._decision.action, self._decision.info
        self._stop.waits_for = "the environment's step"
        observation, reward, terminated, truncated, seen = self._env.step(action)
        self._stop.waits_for = "the step of training"
        self._replay.add(
            self._observation, action, info, reward, observation, terminated, truncated
        )
        self.step += 1
        self._episode_return += discretized_reward.original_reward(reward, seen)
        self._episode_length += 1
        self._observation = observation
        if terminated or truncated:
            self._finished_returns.append(self._episode_return)
            self._episode += 1
            self._begin_episode()
        config = self._config
        if self._episode_limit is None:
            due = self.step % config.updates_per_call == 0
        else:
            due = terminated or truncated
        self._choose_action(train=due and self.step >= config.initial_collect_steps)

    def _longest_episode(self, agent_name):
        if not protocol.contract(self.agent).trains_at_episode_end:
            return None
        config, spec = self._config, self._env.spec
        limit = spec and spec.max_episode_steps
        if not limit:
            raise ValueError(
                f"Agent {agent_name!r} trains at the end of each episode: the task must"
                " have a max_episode_steps, but has none."
            )
        if config.updates_per_call != 1:
            raise ValueError(
                f"train.updates_per_call must be 1 for agent {agent_name!r}, which"
                f" trains at the end of each episode, but is {config.updates_per_call}."
            )
        if config.replay_capacity <= limit:
            raise ValueError(
                f"train.replay_capacity must be above {limit}, the steps of an episode,"
                f" for agent {agent_name!r}, but is {config.replay_capacity}."
            )
        return limit

    def _begin_episode(self):
        # Each episode's reset has its own seed, so that a resumed run can replay the
        # episode in progress from its beginning.
        seed = self._streams.seed("environment", self._episode)
        self._stop.waits_for = "the environment's reset"
        self._observation, _ = self._env.reset(seed=seed)
        self._stop.waits_for = "the step of training"
        self._episode_return = 0.0
        self._episode_length = 0

    def _choose_action(self, train):
        arguments = (
            self._observation,
            self._episode_length == 0,
            self._decision.policy_state,
            self.step,
        )
        if not train:
            self._decision = self._compiled.act(*arguments)
        else:
            rows = self._replay.sample(self._sample_size, self._replay_rng)
            episode = None
            if self._episode_limit is not None:
                episode = self._replay.last_episode(self._episode_limit)
            metrics, self._decision = self._compiled.train_and_act(
                rows, *arguments, episode
            )
            if not checked_task.is_finite(metrics):
                self._explain_metrics(metrics)
            self._metric_sums += metrics
            self._metric_count += 1

    def _check_action(self):
        action = self._decision.action
        if not checked_task.is_finite(action):
            place = np.flatnonzero(~np.isfinite(action))[0]
            self._raise_numerical(f"Action[{place}] is {action[place]}")

    def _explain_metrics(self, metrics):
        for name, value in zip(self._compiled.metric_names, metrics, strict=True):
            if not np.isfinite(value):
                self._raise_numerical(f"{name} is {value}")

    def _check_variables(self):
        """Checks weights, targets and optimizer slots.

        A NaN appears in the next step's losses; an infinity may not, because of tanh.
        """
        name = self._checkpointer.not_finite()
        if name is not None:
            self._raise_numerical(f"Variable {name} holds a NaN or infinity")

    def _evaluate(self, rate):
        speed = rate.read(self.step)
        returns = self._evaluator.evaluate(self.step)
        row = {
            "step": self.step,
            "evaluation_return_mean": float(returns.mean()),
            "evaluation_return_std": float(returns.std()),
            "steps_per_second": round(speed, 1),
        }
        if self._finished_returns:
            row["training_return"] = float(np.mean(self._finished_returns))
        if self._metric_count:
            means = np.asarray(self._metric_sums) / self._metric_count
            names = self._compiled.metric_names
            row.update(zip(names, map(float, means), strict=True))
        for name, value in row.items():
            if not np.isfinite(value):
                self._raise_numerical(f"{name} is {value}")
        self._check_variables()
        # A default writer only here: an agent's own summaries cannot be compiled.
        with self._summaries.as_default(self.step):
            try:
                for name, value in row.items():
                    if name != "step":
                        tf.summary.scalar(name, value)
                self._summaries.flush()
            except tf.errors.OpError as error:
                # Otherwise the end of the block would flush again, and fail.
                with contextlib.suppress(tf.errors.OpError):
                    self._summaries.close()
                path = self._directory.path / "tensorboard"
                raise files.failed(path, error) from error
        best_policy.save_if_best(
            self._directory.path,
            self.agent.policy.variables(),
            self.step,
            row["evaluation_return_mean"],
        )
        self._directory.append_metrics(row)
        self.last_row = row
        self._reset_sums()
        rate.restart(self.step)

    def _reset_sums(self):
        self._finished_returns: list[float] = []
        self._metric_sums: Any = 0.0
        self._metric_count = 0

    def _save(self):
        self._stop.waits_for = "the checkpoint"
        self._check_action()
        self._check_variables()
        self._checkpointer.save(
            self.step,
            {
                "step": self.step,
                "episode": self._episode,
                "episode_length": self._episode_length,
                # Exact, as below: every float32 is a float64.
                "observation": self._observation.tolist(),
                "episode_return": float(self._episode_return),
                "replay_rng": self._replay_rng.bit_generator.state,
                "action": self._decision.action.tolist(),
                "info": self._decision.info.tolist(),
                "policy_state": [
                    leaf.numpy().tolist() for leaf in self._decision.policy_state
                ],
                "finished_returns": self._finished_returns,
                "metric_sums": np.asarray(self._metric_sums, np.float64).tolist(),
                "metric_count": self._metric_count,
                "metric_names": list(self._compiled.metric_names),
                "last_row": self.last_row,
                "metrics": self._directory.metrics,
                "evaluation_due": self._evaluation_due,
            },
        )

    def _start_or_resume(self):
        self._stop.waits_for = "the checkpoint to be read"
        state, problems = self._checkpointer.restore()
        for problem in problems:
            print(problem, file=sys.stderr)
        if state is None:
            self._episode = 0
            self._begin_episode()
            self._replay.look_ahead(self._observation)
            initial = self._compiled.initial_policy_state()
            self._decision = compiled_step.Decision(np.zeros(0), np.zeros(0), initial)
            self._choose_action(train=False)
            return
        self.step = state["step"]
        if "metrics" in state:
            self._directory.set_metrics(state["metrics"])
        else:  # Older checkpoints do not hold them.
            self._directory.read_metrics(self.step)
        self._episode = state["episode"]
        self._replay_rng.bit_generator.state = state["replay_rng"]
        self._finished_returns = state["finished_returns"]
        if state["metric_count"]:
            self._metric_sums = np.asarray(state["metric_sums"], np.float32)
        self._metric_count = state["metric_count"]
        self._compiled.metric_names = tuple(state["metric_names"])
        self.last_row = state["last_row"]
        self._evaluation_due = state.get("evaluation_due", False)
        self._play_episode_again(state["episode_length"])
        # Older checkpoints do not hold these.
        here = {
            "observation": self._observation.tolist(),
            "episode_return": self._episode_return,
        }
        if any(state.get(name, value) != value for name, value in here.items()):
            self._raise_not_repeated()
        policy_state = tuple(
            tf.constant(value, like.dtype, like.shape)
            for value, like in zip(
                state["policy_state"],
                self._compiled.initial_policy_state(),
                strict=True,
            )
        )
        self._decision = compiled_step.Decision(
            np.asarray(state["action"], np.float32),
            np.asarray(state["info"], np.float32),
            policy_state,
        )

    def _play_episode_again(self, length):
        if length > self._replay.capacity:
            raise checkpoint.CheckpointError(
                f"{self._directory.path} cannot be resumed exactly: the episode in"
                f" progress has {length} steps, but replay holds only the last"
                f" {self._replay.capacity}."
            )
        self._begin_episode()
        size = len(self._observation)
        actions_end = size + self._env.action_space.shape[0]
        for row in self._replay.rows_since(self._replay.total_rows - length):
            if not np.array_equal(row[:size], self._observation):
                self._raise_not_repeated()
            self._stop.check()
            self._stop.waits_for = "an environment step of the episode in progress"
            self._observation, reward, *_, seen = self._env.step(row[size:actions_end])
            self._episode_return += discretized_reward.original_reward(reward, seen)
        self._episode_length = length
        self._replay.look_ahead(self._observation)

    def _raise_not_repeated(self) -> NoReturn:
        raise checkpoint.CheckpointError(
            f"{self._directory.path} cannot be resumed exactly: the environment does"
            " not repeat an episode from its seed and actions."
        )


class _Rate:
    """Environment steps per second since the last evaluation, or else before it."""

    def __init__(self, step):
        self._last = 0.0
        self.restart(step)

    def restart(self, step):
        self._step, self._time = step, time.monotonic()

    def read(self, step):
        if step > self._step:
            elapsed = max(time.monotonic() - self._time, 1e-9)
            self._last = (step - self._step) / elapsed
        return self._last


def _show(progress, row):
    shown = {"return": f"{row['evaluation_return_mean']:.0f}"}
    if "policy_stddev" in row:
        shown["σ"] = f"{row['policy_stddev']:.3f}"
    progress.set_postfix(shown)
