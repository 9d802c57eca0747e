"""Reads a run directory, and restores the agent in it."""

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

from smoothie_tf.agents import factory
from smoothie_tf.environments import gymnasium_environment
from smoothie_tf.training import best_policy, checkpoint, config, files

# Attempts to copy a checkpoint, which training may remove during the copy.
_TRIES = 5


class SavedRunError(ValueError):
    """A directory does not hold the run, or the step of it, that was asked for."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One row of metrics.csv.

    Attributes:
      step: Environment steps so far.
      return_mean: Mean undiscounted return of the evaluation's episodes.
      return_std: Its standard deviation over the episodes.
    """

    step: int
    return_mean: float
    return_std: float


class SavedRun:
    """A run, read from its directory; no file is changed."""

    def __init__(self, run_dir: str | os.PathLike[str]):
        """Reads the run's record and evaluations.

        Args:
          run_dir: The run's directory.

        Raises:
          SavedRunError: If it does not hold a run, or one that cannot be read.
        """
        self.path = pathlib.Path(run_dir)
        self.info = self._read_info()
        self.evaluations = self._read_evaluations()

    def checkpoint_steps(self) -> list[int]:
        """Returns the steps whose checkpoints are kept, in order."""
        directory = self.path / "checkpoints"
        names = [p.stem for p in directory.glob("ckpt-*.index")]
        steps = [name.removeprefix("ckpt-") for name in names]
        found = sorted(int(step) for step in steps if step.isdigit())
        # A checkpoint that a killed process began to write is left out; runs of older
        # versions have no list of checksums at all.
        whole = [s for s in found if (directory / f"ckpt-{s}.json").exists()]
        return whole or found

    def best(self) -> Evaluation:
        """Returns the evaluation of greatest mean return, the first of equals.

        Raises:
          SavedRunError: If the run has not been evaluated.
        """
        if not self.evaluations:
            raise SavedRunError(f"--run_dir {self.path} has not been evaluated yet.")
        return max(self.evaluations, key=lambda row: row.return_mean)

    def evaluation_at(self, step: int) -> Evaluation | None:
        """Returns the evaluation of the policy as it was at `step`, if there is one."""
        return next((row for row in self.evaluations if row.step == step), None)

    def evaluation_episodes(self) -> int:
        """Returns how many episodes each of the run's evaluations had.

        Raises:
          ConfigError: If the run's configuration cannot be used.
        """
        config.parse_operative(self._config_path())
        return gin.query_parameter("train.evaluation_episodes")

    def choose(self, checkpoint: int | None = None, best: bool = False) -> int:
        """Returns the step to take the policy from.

        Args:
          checkpoint: A step; None for the last one that is kept.
          best: Whether to take the best evaluation's instead.

        Raises:
          SavedRunError: If the run is not finished and no step was named, or if
            that step's weights are not kept.
        """
        kept = self.checkpoint_steps()
        if not kept:
            raise SavedRunError(
                f"--run_dir {self.path} has no checkpoint; a run has its first one"
                " after train.checkpoint_interval steps, or when it is stopped."
            )
        if checkpoint is None and self.info["status"] != "done":
            raise SavedRunError(
                f"--run_dir {self.path} is not finished: its status is"
                f" {self.info['status']!r}, its last checkpoint of step {kept[-1]} of"
                f" {self.info['num_steps']}. --checkpoint {kept[-1]} exports that one"
                " all the same."
            )
        takes = f"--checkpoint takes {_listed(self._kept_steps())}."
        if checkpoint is None and not best:
            if kept[-1] < self.info["num_steps"]:
                raise SavedRunError(
                    f"--run_dir {self.path} is done after step"
                    f" {self.info['num_steps']}, but that step's checkpoint is missing."
                    f" {takes}"
                )
            return kept[-1]
        if best:
            row = self.best()
            best_policy.saved_step(self.path)  # If it is there, it must be whole.
            if row.step not in self._kept_steps():
                raise SavedRunError(
                    f"The best evaluation in --run_dir {self.path} was that of step"
                    f" {row.step} (mean return {row.return_mean:.1f}), whose weights"
                    f" are not kept. {takes}"
                )
            return row.step
        if checkpoint not in self._kept_steps():
            raise SavedRunError(
                f"--checkpoint {checkpoint} is not kept in {self.path}: {takes}"
            )
        return checkpoint

    def make_task(self) -> gymnasium.Env:
        """Makes the run's task, with its own observations and actions.

        Raises:
          ValueError: If it cannot be made here.
        """
        return gymnasium_environment.make_task(self.info["env"])

    def restore(self, step: int) -> tf_agent.TFAgent:
        """Restores the agent of a step, with the run's configuration.

        If only the policy of that step is kept, all else has its initial values.

        Args:
          step: As `choose` returns it.

        Raises:
          SavedRunError: If the checkpoint or the configuration cannot be used, or if
            the step's weights are not kept, or no longer.
        """
        # The checkpoint is copied before anything slow: a running process removes its
        # checkpoints, and replaces its best policy.
        with tempfile.TemporaryDirectory() as folder:
            held = self._hold(step, pathlib.Path(folder))
            best = None if held else self._best_of(step)
            agent = self._new_agent()
            if held:
                self._restore_checkpoint(agent, step, held)
            else:
                best.restore(agent.policy.variables())
        for variable in agent.policy.variables():
            if not np.isfinite(variable.numpy()).all():
                raise SavedRunError(
                    f"The policy of step {step} in --run_dir {self.path} has weights"
                    " that are not finite."
                )
        return agent

    def _hold(self, step, folder):
        """Copies a checkpoint to a directory; returns its path, or None if not kept."""
        for _ in range(_TRIES):
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
                    # It may have been removed meanwhile, or written once more.
                    if step not in self.checkpoint_steps():
                        continue
                    raise self._cannot_be_used(step, error) from error
                if checked or step in self.checkpoint_steps():
                    return folder / f"ckpt-{step}"
        return None

    def _best_of(self, step):
        """Returns the best policy that is kept, if it is the one of a step."""
        with contextlib.suppress(FileNotFoundError):
            if (self.path / best_policy.FILE_NAME).exists():
                best = best_policy.BestPolicy(self.path)
                if best.step == step:
                    return best
        kept = self._kept_steps()
        hint = f" --checkpoint takes {_listed(kept)}." if kept else ""
        raise SavedRunError(
            f"The weights of step {step} are no longer kept in --run_dir {self.path}:"
            f" the run has gone on since.{hint}"
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
            raise SavedRunError(
                f"{where} does not hold a run: there is no run.json in it."
            )
        try:
            info = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SavedRunError(f"{path} cannot be read: {error}.") from error
        kinds = {"agent": str, "env": str, "seed": int, "num_steps": int, "status": str}
        for key, kind in kinds.items():
            if not isinstance(info, dict) or not isinstance(info.get(key), kind):
                raise SavedRunError(
                    f"{path} is not that of a run of reproduce/train.py: it has no"
                    f" {key!r}."
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
            reason = _line(error).rstrip(".")
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
            return factory.create_agent(
                self.info["agent"],
                gymnasium_environment.time_step_spec(env),
                gymnasium_environment.action_spec(env),
                seed=0,
                **gymnasium_environment.known_to_agents(env),
            )
        # Gin passes on whatever kind a wrong binding leads to.
        except (TypeError, ValueError, RuntimeError) as error:
            reason = _line(error).rstrip(".")
            raise SavedRunError(f"{path} cannot be used: {reason}.") from error
        finally:
            gymnasium_environment.close(env)

    def _restore_checkpoint(self, agent, step, held):
        try:
            restored = tf.train.Checkpoint(agent=agent)
            with files.literal(held.parent) as readable:
                status = restored.read(str(readable / held.name))
                status.assert_existing_objects_matched().expect_partial()
        # A file that was cut off gives an IndexError, for one.
        except (
            tf.errors.OpError,
            AssertionError,
            LookupError,
            OSError,
            TypeError,
            ValueError,
        ) as error:
            raise self._cannot_be_used(step, error) from error

    def _cannot_be_used(self, step, error):
        path = self.path / "checkpoints" / f"ckpt-{step}"
        others = [each for each in self._kept_steps() if each != step]
        hint = f" --checkpoint takes {_listed(others)}, too." if others else ""
        return SavedRunError(
            f"Checkpoint {path} cannot be used: {_line(error).rstrip('.')}.{hint}"
        )


def _listed(steps):
    *others, last = map(str, steps)
    return f"{', '.join(others)} or {last}" if others else last


def _line(error):
    return str(error).splitlines()[0] if str(error) else repr(error)
