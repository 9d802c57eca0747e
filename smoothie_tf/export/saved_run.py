"""Reads a run directory, and restores the run's agent."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import tempfile

import gin
import gymnasium
import numpy as np
import pandas as pd
import tensorflow as tf
from tf_agents.agents import tf_agent

from smoothie_tf import rounding, validation
from smoothie_tf.agents import factory
from smoothie_tf.environments import (
    checked_task,
    gymnasium_environment,
    space_descriptions,
    task_names,
)
from smoothie_tf.training import best_policy, checkpoint, config, files

# Attempts to copy a checkpoint, which training may remove during the copy.
_COPY_ATTEMPTS = 5


class SavedRunError(ValueError):
    """A directory does not hold a run, or not the requested step of it."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One row of metrics.csv.

    Attributes:
      step: Environment steps so far.
      return_mean: Mean undiscounted return of the evaluation's episodes.
      return_std: Standard deviation of these returns.
    """

    step: int
    return_mean: float
    return_std: float


class SavedRun:
    """A run, read from its directory; the directory is not changed."""

    def __init__(self, run_dir: str | os.PathLike[str]):
        """Reads the run's run.json and metrics.csv.

        Args:
          run_dir: The run's directory.

        Raises:
          SavedRunError: If it does not hold a run, or a file of it cannot be read.
        """
        self.path = pathlib.Path(run_dir)
        self.info = self._read_info()
        self.evaluations = self._read_evaluations()

    def checkpoint_steps(self) -> list[int]:
        """Returns the steps of the existing checkpoints, in ascending order."""
        return files.finished_checkpoints(self.path / "checkpoints")

    def best(self) -> Evaluation:
        """Returns the evaluation of highest mean return, the first of equals.

        Raises:
          SavedRunError: If the run has not been evaluated.
        """
        if not self.evaluations:
            raise SavedRunError(f"--run_dir {self.path} has not been evaluated yet.")
        return max(self.evaluations, key=lambda row: row.return_mean)

    def evaluation_at(self, step: int) -> Evaluation | None:
        """Returns the evaluation at a step, or None if there is none."""
        return next((row for row in self.evaluations if row.step == step), None)

    def evaluation_episodes(self) -> int:
        """Returns the number of episodes of each evaluation of the run.

        Raises:
          ConfigError: If the run's configuration cannot be used.
        """
        config.parse_operative(self._config_path())
        return gin.query_parameter("train.evaluation_episodes")

    def choose(self, checkpoint: int | None = None, best: bool = False) -> int:
        """Returns the step whose policy is to be exported.

        Args:
          checkpoint: The requested step; None for the last one.
          best: Whether to choose the step of the best evaluation instead.

        Raises:
          SavedRunError: If the run is not finished and no step is requested, or if
            the weights of the step do not exist.
        """
        kept = self.checkpoint_steps()
        if not kept:
            raise SavedRunError(
                f"--run_dir {self.path} has no checkpoint; a run writes its first one"
                " after train.checkpoint_interval steps, or when it is stopped."
            )
        if checkpoint is None and self.info["status"] != "done":
            raise SavedRunError(
                f"--run_dir {self.path} is not finished: its status is"
                f" {self.info['status']!r}, its last checkpoint of step {kept[-1]} of"
                f" {self.info['num_steps']}. --checkpoint {kept[-1]} exports it."
            )
        takes = f"--checkpoint takes {_listed(self._kept_steps())}."
        if best:
            row = self.best()
            best_policy.saved_step(self.path)  # Raises if the file is damaged.
            if row.step not in self._kept_steps():
                (value,) = rounding.beside(row.return_mean, least=1)
                raise SavedRunError(
                    f"The best evaluation in --run_dir {self.path} is that of step"
                    f" {row.step} (mean return {value}), whose weights"
                    f" are not kept. {takes}"
                )
            return row.step
        if checkpoint is None:
            if kept[-1] < self.info["num_steps"]:
                raise SavedRunError(
                    f"--run_dir {self.path} is done after step"
                    f" {self.info['num_steps']}, but that step's checkpoint is missing."
                    f" {takes}"
                )
            return kept[-1]
        if checkpoint not in self._kept_steps():
            raise SavedRunError(
                f"--checkpoint {checkpoint} is not kept in {self.path}: {takes}"
            )
        return checkpoint

    def make_task(self) -> gymnasium.Env:
        """Makes the run's task, without conversion of observations and actions.

        Its parameters are those that the run bound: Gin's operative configuration is
        then that of the task alone.

        Raises:
          ValueError: If the task cannot be made, or has other spaces now.
        """
        path = self._config_path()
        task_names.import_code(self.info["env"])
        config.parse_operative(path)
        task = checked_task.make_task(self.info["env"])
        try:
            self._check_spaces(space_descriptions.of_task(task))
        except SavedRunError:
            checked_task.close(task)
            raise
        return task

    def restore(self, step: int) -> tf_agent.TFAgent:
        """Restores the agent at a step, with the run's configuration.

        If only the policy of that step exists, other variables have their initial
        values, but for the number of training steps.

        Args:
          step: A step that `choose` returned.

        Raises:
          SavedRunError: If the checkpoint or the configuration cannot be used, if the
            task has other spaces now, or if the weights of the step do not exist (any
            more).
        """
        # Copied before the slow construction of the agent: a running process removes
        # old checkpoints, and replaces its best policy.
        with tempfile.TemporaryDirectory() as folder:
            copied = self._copy_checkpoint(step, pathlib.Path(folder))
            best = None if copied else self._best_policy_at(step)
            agent = self._new_agent()
            if best is None:
                self._restore_checkpoint(agent, step, copied)
            else:
                best.restore(agent.policy.variables())
                # Before its first training step, an agent may act uniformly.
                untrained = gin.query_parameter("train.initial_collect_steps")
                agent.train_step_counter.assign(max(0, step - untrained + 1))
        for variable in agent.policy.variables():
            if not np.isfinite(variable.numpy()).all():
                raise SavedRunError(
                    f"The policy of step {step} in --run_dir {self.path} has weights"
                    " that are not finite."
                )
        return agent

    def _copy_checkpoint(self, step, folder):
        """Copies a checkpoint to a directory; returns its path, None if not found."""
        for _ in range(_COPY_ATTEMPTS):
            if step not in self.checkpoint_steps():
                return None
            with contextlib.suppress(FileNotFoundError):
                for file in (self.path / "checkpoints").glob(f"ckpt-{step}.*"):
                    shutil.copyfile(file, folder / file.name)
                checked = (folder / f"ckpt-{step}.json").exists()
                try:
                    if checked:
                        checkpoint.check_files(folder, step)
                except ValueError as error:
                    # The run may have removed or rewritten it meanwhile.
                    if step not in self.checkpoint_steps():
                        continue
                    raise self._cannot_be_used(step, error) from error
                if checked or step in self.checkpoint_steps():
                    return folder / f"ckpt-{step}"
        return None

    def _best_policy_at(self, step):
        """Returns the saved best policy; raises if it is not that of the step."""
        with contextlib.suppress(FileNotFoundError):
            if (self.path / best_policy.FILE_NAME).exists():
                best = best_policy.BestPolicy(self.path)
                if best.step == step:
                    return best
        kept = self._kept_steps()
        hint = f" --checkpoint takes {_listed(kept)}." if kept else ""
        raise SavedRunError(
            f"The weights of step {step} are no longer kept in --run_dir {self.path}:"
            f" the run has continued since.{hint}"
        )

    def _kept_steps(self):
        steps = set(self.checkpoint_steps())
        # A broken file is an error only if its own step is asked for.
        with contextlib.suppress(best_policy.BestPolicyError):
            steps.add(best_policy.saved_step(self.path))
        return sorted(steps - {None})

    def _read_info(self):
        where = f"--run_dir {self.path}"
        if not self.path.is_dir():
            kind = "is not a directory" if self.path.exists() else "does not exist"
            raise SavedRunError(f"{where} {kind}.")
        if not any(self.path.iterdir()):
            raise SavedRunError(f"{where} is empty.")
        path = self.path / "run.json"
        if not path.exists():
            raise SavedRunError(f"{where} does not hold a run: it has no run.json.")
        try:
            info = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SavedRunError(f"{path} cannot be read: {error}.") from error
        kinds = {"agent": str, "env": str, "seed": int, "num_steps": int, "status": str}
        for key, kind in kinds.items():
            if not isinstance(info, dict) or not isinstance(info.get(key), kind):
                raise SavedRunError(
                    f"{path} was not written by smoothie_tf: its {key!r} is missing, or"
                    f" is not of type {kind.__name__}."
                )
        if info["agent"] not in factory.AGENTS:
            raise SavedRunError(
                f"{path} names the agent {info['agent']!r}, but it must be one of"
                f" {', '.join(sorted(factory.AGENTS))}."
            )
        return info

    def _read_evaluations(self) -> list[Evaluation]:
        path = self.path / "metrics.csv"
        columns = ["step", "evaluation_return_mean", "evaluation_return_std"]
        try:
            table = pd.read_csv(path, usecols=columns)[columns]
            return [Evaluation(int(s), float(m), float(d)) for s, m, d in table.values]
        except (OSError, ValueError) as error:
            reason = validation.first_line(error).rstrip(".")
            raise SavedRunError(f"{path} cannot be read: {reason}.") from error

    def _config_path(self):
        path = self.path / "operative_config.gin"
        if not path.exists():
            raise SavedRunError(
                f"--run_dir {self.path} has no operative_config.gin, which a run"
                " writes when it stops."
            )
        return path

    def _new_agent(self) -> tf_agent.TFAgent:
        path = self._config_path()
        config.parse_operative(path)
        env = gymnasium_environment.make(self.info["env"])
        try:
            self._check_spaces(gymnasium_environment.own_spaces(env))
            return factory.create_agent(
                self.info["agent"],
                gymnasium_environment.time_step_spec(env),
                gymnasium_environment.action_spec(env),
                seed=0,
                **gymnasium_environment.known_to_agents(env),
            )
        # A wrong binding may raise any of these, which Gin passes on.
        except (TypeError, ValueError, RuntimeError) as error:
            reason = validation.first_line(error).rstrip(".")
            raise SavedRunError(f"{path} cannot be used: {reason}.") from error
        finally:
            checked_task.close(env)

    def _check_spaces(self, now):
        changed = space_descriptions.difference(self.info.get("spaces"), now)
        if changed:
            raise SavedRunError(
                f"{self.info['env']} has other spaces than when {self.path} was"
                f" trained: {changed}."
            )

    def _restore_checkpoint(self, agent, step, copied):
        try:
            restored = tf.train.Checkpoint(agent=agent)
            with files.literal(copied.parent) as readable:
                status = restored.read(str(readable / copied.name))
                status.assert_existing_objects_matched().expect_partial()
        except checkpoint.UNREADABLE as error:
            raise self._cannot_be_used(step, error) from error

    def _cannot_be_used(self, step, error):
        path = self.path / "checkpoints" / f"ckpt-{step}"
        reason = validation.first_line(error).rstrip(".")
        others = [each for each in self._kept_steps() if each != step]
        hint = f" --checkpoint takes {_listed(others)}, too." if others else ""
        return SavedRunError(f"Checkpoint {path} cannot be used: {reason}.{hint}")


def _listed(steps):
    *others, last = map(str, steps)
    return f"{', '.join(others)} or {last}" if others else last
