"""The training loop: collect, learn, evaluate, checkpoint.

Each environment step runs, in this order: environment, replay, minibatch, and one
compiled call (train, then choose the next action). The loop uses agents through
`TFAgent` and the attributes in `agents.protocol.Contract`.
"""

import contextlib
import re
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf
import tqdm

from smoothie_tf import progress_bar, rounding
from smoothie_tf.agents import factory, protocol
from smoothie_tf.environments import checked_task, gymnasium_environment
from smoothie_tf.training import (
    best_policy,
    checkpoint,
    compiled_step,
    episode,
    evaluation,
    files,
    random_streams,
    replay_buffer,
    run_directory,
    settings,
    stopping,
    summaries,
)

# Environment steps between updates of the progress file.
_PROGRESS_STEPS = 100
# Environment steps between checks of all variables: 1 ms for a million numbers.
_VARIABLES_STEPS = 1000
# A run says so if its scaled rewards have a mean absolute value above the first, or a
# largest one below the second. MuJoCo's tasks are between them.
_LARGE_REWARD = 10
_SMALL_REWARD = 0.005


class NumericalError(ArithmeticError):
    """The task or training produced a number that is not finite."""


class Trainer:
    """A run in progress, with all the state that a checkpoint holds."""

    def __init__(
        self,
        agent_name: str,
        environment_id: str,
        seed: int,
        directory: run_directory.RunDirectory,
        config: settings.Settings,
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
        self._evaluator: evaluation.Evaluator | None = None
        self._summaries: tf.summary.SummaryWriter | None = None
        try:
            self._set_up(agent_name, environment_id)
        except BaseException:
            # A task may hold threads that keep the process alive.
            self.close()
            raise

    def _set_up(self, agent_name, environment_id):
        config, stop, directory = self._config, self._stop, self._directory
        #: The task's own spaces, for run.json.
        self.spaces = gymnasium_environment.own_spaces(self._env)
        if directory.has_checkpoints:
            directory.check_spaces(self.spaces)
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
        self._episode_limit = None
        if protocol.contract(self.agent).trains_at_episode_end:
            spec = self._env.spec
            self._episode_limit = spec and spec.max_episode_steps
            config.check_episodic(agent_name, self._episode_limit)
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
        self._episode = episode.Episode(self._env, self._streams, stop)
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
                self._summaries_path,
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
            if self.step == config.initial_collect_steps:
                self._report_units_of_rewards()
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
                    is_last=self.step == config.num_steps,
                    step=self.step,
                    num_steps=config.num_steps,
                    steps_per_second=round(rate.read(self.step), 1),
                    evaluation_return=self.last_row.get("evaluation_return_mean"),
                    policy_stddev=self.last_row.get("policy_stddev"),
                )
            if self.step % _VARIABLES_STEPS == 0:
                self._check_variables()
            if stop.is_set() and self.step < config.num_steps:
                raise self._interrupted()

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
            raise self._interrupted() from None
        self._evaluation_due = False
        _show(progress, self.last_row)

    def _interrupted(self):
        """Returns the exception that ends a stopped run, which has a checkpoint."""
        if self._is_too_long_to_resume:
            return stopping.Interrupted(self._resume_point())
        return stopping.Interrupted()

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

    @property
    def _summaries_path(self):
        return self._directory.path / "tensorboard"

    @property
    def _is_too_long_to_resume(self):
        return self._episode.length > self._replay.capacity

    def _resume_point(self):
        latest = self._checkpointer.latest
        if latest is None:
            return "there is no checkpoint yet, so the same command starts over"
        if self._is_too_long_to_resume:
            return "the run cannot be resumed: replay does not hold its whole episode"
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
        # Collect experience, by the action that was chosen after the last update.
        before = self._episode.observation
        reward, terminated, truncated = self._episode.step(action)
        self._replay.add(
            before,
            action,
            info,
            reward,
            self._episode.observation,
            terminated,
            truncated,
        )
        self.step += 1
        if self._episode.length == self._replay.capacity + 1:
            progress_bar.say(
                f"The episode in progress has more steps than {self._replay.capacity}"
                " (train.replay_capacity): until it ends, a run that stops cannot be"
                " resumed."
            )
        if terminated or truncated:
            self._finished_returns.append(self._episode.total_return)
            self._episode.begin(self._episode.number + 1)
        config = self._config
        if self._episode_limit is None:
            due = self.step % config.updates_per_call == 0
        else:
            due = terminated or truncated
        # Train μ, Σ and Q̃, and choose the next action, in one compiled call.
        self._train_and_act(train=due and self.step >= config.initial_collect_steps)

    def _train_and_act(self, train):
        arguments = (
            self._episode.observation,
            self._episode.length == 0,
            self._decision.policy_state,
            self.step,
        )
        if not train:
            self._decision = self._compiled.act(*arguments)
        else:
            rows = self._replay.sample(self._sample_size, self._replay_rng)
            last_episode = None
            if self._episode_limit is not None:
                last_episode = self._replay.last_episode(self._episode_limit)
            metrics, self._decision = self._compiled.train_and_act(
                rows, *arguments, last_episode
            )
            if not checked_task.is_finite(metrics):
                self._explain_metrics(metrics)
            self._metric_sums += metrics
            self._metric_count += 1

    def _report_units_of_rewards(self):
        """Reports rewards for which no agent here has hyperparameters.

        Losses, clipped gradients and penalties do not adapt to the unit of the reward.
        """
        rewards = np.abs(self._replay.rewards())
        if not rewards.any():  # Rewards may be sparse.
            return
        scale = protocol.reward_scale(self.agent)
        mean, largest = rewards.mean(), rewards.max()
        if scale * mean > _LARGE_REWARD:
            found, kind = f"a mean absolute value of {mean:.3g}", "larger"
        elif scale * largest < _SMALL_REWARD:
            found, kind = f"absolute values of at most {largest:.3g}", "smaller"
        else:
            return
        progress_bar.say(
            f"Rewards have {found} before training, with a reward_scale_factor of"
            f" {scale:g}; hyperparameters here are for scaled rewards from 0.01 to 1,"
            f" and agents may learn nothing from much {kind} ones."
        )

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
        summaries.write_row(self._summaries, self._summaries_path, row)
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
                **self._episode.state,
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
            if warning := self._evaluator.warning():
                print(warning, file=sys.stderr)
            self._episode.begin(0)
            self._replay.look_ahead(self._episode.observation)
            initial = self._compiled.initial_policy_state()
            self._decision = compiled_step.Decision(np.zeros(0), np.zeros(0), initial)
            self._train_and_act(train=False)
            return
        self.step = state["step"]
        self._directory.set_metrics(state["metrics"])
        self._replay_rng.bit_generator.state = state["replay_rng"]
        self._finished_returns = state["finished_returns"]
        if state["metric_count"]:
            self._metric_sums = np.asarray(state["metric_sums"], np.float32)
        self._metric_count = state["metric_count"]
        self._compiled.metric_names = tuple(state["metric_names"])
        self.last_row = state["last_row"]
        self._evaluation_due = state.get("evaluation_due", False)
        self._play_episode_again(state)
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

    def _play_episode_again(self, state):
        length, capacity = state["episode_length"], self._replay.capacity
        if length > capacity:
            raise checkpoint.CheckpointError(
                f"{self._directory.path} cannot be resumed exactly: the episode in"
                f" progress has {length} steps, but replay holds only the last"
                f" {capacity} (train.replay_capacity)."
            )
        rows = self._replay.rows_since(self._replay.total_rows - length)
        try:
            self._episode.play_again(state, rows)
        except episode.NotRepeatedError as error:
            raise checkpoint.CheckpointError(
                f"{self._directory.path} cannot be resumed exactly: the environment"
                " does not repeat an episode from its seed and actions."
            ) from error
        self._replay.look_ahead(self._episode.observation)


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
    shown = {"return": rounding.beside(row["evaluation_return_mean"])[0]}
    if "policy_stddev" in row:
        shown["σ"] = f"{row['policy_stddev']:.3f}"
    progress.set_postfix(shown)
