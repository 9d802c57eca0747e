"""Runs exported policies, and other SavedModels with their signature, in a task.

Shapes: E episodes.
"""

import contextlib
import fcntl
import json
import math
import os
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf
from gymnasium import spaces

from smoothie_tf import progress_bar, rounding, validation
from smoothie_tf.environments import checked_task, space_descriptions
from smoothie_tf.export import exporting, model_card, saved_model, task_bindings
from smoothie_tf.training import (
    checkpoint,
    episode_limit,
    files,
    random_streams,
    rollout,
    stopping,
    video,
)


class ExportedPolicyError(ValueError):
    """A directory does not hold a policy for the given task."""


class ExportedPolicy:
    """A SavedModel whose signature `serving_default` maps observations to actions."""

    def __init__(self, directory: str | os.PathLike[str], task: gymnasium.Env):
        """Loads a policy and checks that it fits a task.

        Args:
          directory: The SavedModel.
          task: A task as Gymnasium makes it.

        Raises:
          ExportedPolicyError: If it is not a policy, or does not fit this task.
        """
        self.path = pathlib.Path(directory)
        self._space = task.observation_space
        try:
            with files.literal(self.path) as readable:
                self._model = tf.saved_model.load(os.fspath(readable))
        except checkpoint.UNREADABLE as error:
            raise ExportedPolicyError(
                f"--policy {self.path} cannot be loaded as a SavedModel:"
                f" {validation.first_line(error)}"
            ) from error
        if "serving_default" not in self._model.signatures:
            raise ExportedPolicyError(
                f"--policy {self.path} has no signature 'serving_default'; it has"
                f" {sorted(self._model.signatures)}."
            )
        self._signature = self._model.signatures["serving_default"]
        self._specs = self._fitting_inputs()
        self._output = self._fitting_output(task)

    def act(self, observations: Sequence[Any]) -> np.ndarray:
        """Returns the actions, shape [E, A], of a list of E observations."""
        leaves = tf.nest.flatten(saved_model.batch(observations))
        inputs = {
            name: tf.constant(np.asarray(leaf), spec.dtype)
            for (name, spec), leaf in zip(self._specs, leaves, strict=True)
        }
        return self._signature(**inputs)[self._output].numpy()

    def _fitting_inputs(self):
        """Returns (name, spec) of each input, in the order of observation leaves."""
        expected = tf.nest.flatten(saved_model.input_spec(self._space))
        actual = dict(self._signature.structured_input_signature[1])
        names = [spec.name for spec in expected]
        if len(expected) == 1 and len(actual) == 1:
            names = list(actual)
        fits = set(names) == set(actual) and all(
            actual[name].shape.is_compatible_with([None, *spec.shape[1:]])
            and actual[name].shape[:1].as_list() == [None]
            for name, spec in zip(names, expected, strict=True)
        )
        if not fits:
            wanted = {spec.name: [None, *spec.shape[1:]] for spec in expected}
            found = {name: spec.shape.as_list() for name, spec in actual.items()}
            raise ExportedPolicyError(
                f"--policy {self.path} takes {found}, but the task's observations are"
                f" {wanted}; None is a batch of any size."
            )
        return [(name, actual[name]) for name in names]

    def _fitting_output(self, task):
        if not isinstance(task.action_space, spaces.Box):
            raise ExportedPolicyError(
                f"--policy {self.path} returns numbers, but the task's actions are"
                f" {task.action_space}."
            )
        outputs = self._signature.structured_outputs
        shape = [None, *task.action_space.shape]
        fitting = [
            name
            for name, spec in outputs.items()
            if spec.shape.is_compatible_with(shape)
            and (len(outputs) == 1 or name == "action")
        ]
        if not fitting:
            found = {name: spec.shape.as_list() for name, spec in outputs.items()}
            raise ExportedPolicyError(
                f"--policy {self.path} returns {found}, but the task's actions are"
                f" {{'action': {shape}}}."
            )
        return fitting[0]


def read_description(directory: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Returns the contents of an export's policy.json, or None if it has none.

    Args:
      directory: The directory of the export.

    Raises:
      ExportedPolicyError: If there is no such directory, or the file cannot be read.
    """
    path = pathlib.Path(directory) / "policy.json"
    if not path.parent.is_dir():
        raise ExportedPolicyError(f"--policy {directory} is not a directory.")
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError) as error:
        raise ExportedPolicyError(f"{path} cannot be read: {error}.") from error


def _check_is_ours(description, directory, records):
    """Raises `ExportedPolicyError` unless `smoothie export` wrote the policy.json."""
    try:
        if not isinstance(description["environment"]["id"], str):
            raise TypeError("environment.id is no text")
        if records:
            model_card.render(description, set(), directory.name)
            for each in description["evaluations"]:
                each["command"]
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ExportedPolicyError(
            f"--policy {directory} has a policy.json that is not as `smoothie export`"
            f" writes it ({type(error).__name__}: {validation.first_line(error)})."
        ) from error


def _bindings(description, environment_id=None):
    """Returns the parameters of the export's own task, or none if it is another one."""
    try:
        environment = description["environment"]
        is_own = environment_id in (None, environment["id"])
        return environment.get("bindings", {}) if is_own else {}
    except (AttributeError, LookupError, TypeError):
        return {}


def evaluate(
    act: Callable[[Sequence[Any]], np.ndarray],
    make: Callable[[], gymnasium.Env],
    reset_seeds: Sequence[int],
    side_by_side: int = 20,
    max_steps: int = episode_limit.MAX_STEPS,
    stop: stopping.StopRequest | None = None,
) -> rollout.Episodes:
    """Runs complete episodes, several at a time.

    Args:
      act: Maps a list of observations to their actions, shape [E, A].
      make: Makes the task, with the checks of `checked_task.make_task`.
      reset_seeds: The seed of each episode's reset.
      side_by_side: The number of episodes at a time, at least 1.
      max_steps: The length of an episode in a task without max_episode_steps, at
        least 1.
      stop: No environment step is taken once it is set.

    Returns:
      The episodes, in the order of the seeds.

    Raises:
      Interrupted: If a stop was requested.
      EnvironmentFault: If the task raised an exception, or returned a value that does
        not fit its spaces.
      NotFiniteError: If an observation, action, reward or return is not finite.
    """
    played: list[rollout.Episodes] = []
    tasks = checked_task.make_several(make, min(side_by_side, len(reset_seeds)))
    limit = episode_limit.EpisodeLimit(tasks[0], max_steps, "--max_steps")
    stop = stop or stopping.StopRequest()
    own = tasks[0].spec.max_episode_steps if tasks[0].spec else None
    progress = progress_bar.create(
        "",
        "step",
        # An upper limit: an episode may end before its time limit.
        own * len(reset_seeds) if own else None,
        leave=False,
        delay=2,
        # No bar unless standard error is a terminal.
        disable=None,
    )
    with progress, checked_task.closing(*tasks):
        for first in range(0, len(reset_seeds), side_by_side):
            seeds = reset_seeds[first : first + side_by_side]
            observations = []
            for task, seed in zip(tasks, seeds, strict=False):
                stop.check()
                observations.append(task.reset(seed=seed)[0])
            played.append(
                rollout.play_episodes(
                    act, tasks, observations, limit, stop, progress.update
                )
            )
    episodes = rollout.Episodes(*map(np.concatenate, zip(*played, strict=True)))
    # The sum of finite rewards may overflow.
    for each in episodes.returns:
        if not math.isfinite(each):
            raise checked_task.NotFiniteError(f"The return of an episode is {each}")
    return episodes


@contextlib.contextmanager
def _faults_explained(environment_id):
    """Converts faults of task or policy to errors with a message of one sentence."""
    try:
        yield
    except checked_task.NotFiniteError as error:
        raise checked_task.NotFiniteError(
            f"{error}, which is not finite, in {environment_id}: there is no result."
        ) from error
    except tf.errors.OpError as error:
        raise ExportedPolicyError(
            f"The policy raised {type(error).__name__} in {environment_id}:"
            f" {checked_task.reason(error)}."
        ) from error


def _record(directory, result):
    """Adds the result of an evaluation to an export's card."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        # Another process may have added its own since this one read the card.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        description = read_description(directory)
        others = (
            each
            for each in description["evaluations"]
            if each["command"] != result["command"]
        )
        description["evaluations"] = [*others, result]
        exporting.write_description(directory, description, directory.resolve().name)
    finally:
        os.close(descriptor)


def evaluate_command(
    directory: str | os.PathLike[str],
    environment_id: str | None,
    episodes: int,
    seed: int,
    video_path: pathlib.Path | None = None,
    command: str | None = None,
    max_steps: int = episode_limit.MAX_STEPS,
    stop: stopping.StopRequest | None = None,
) -> Iterator[str]:
    """Evaluates an exported policy: the command `smoothie evaluate`.

    Args:
      directory: The SavedModel.
      environment_id: A Gymnasium id; None for the one in the SavedModel's policy.json.
      episodes: E, at least 1.
      seed: The seed from which the seeds of the resets are derived, ≥ 0.
      video_path: The file for a video of the first episode; None for no video.
      command: The command to record in the export's card, with its result; None
        records nothing.
      max_steps: The length of an episode in a task without max_episode_steps, at
        least 1.
      stop: No environment step is taken once it is set.

    Yields:
      The result in one sentence, as soon as it is known; then a sentence for each
      file written. If no video can be made, standard error says why.

    Raises:
      ValueError: If the policy, the task or a number cannot be used.
      Interrupted: If a stop was requested; no file has been written.
      NotFiniteError: If an observation, action, reward or return is not finite.
      StorageError: If the result cannot be recorded.
    """
    directory = pathlib.Path(directory)
    validation.check("evaluate", "count", episodes=episodes, max_steps=max_steps)
    streams = random_streams.RandomStreams(seed)
    description = read_description(directory)
    records = command is not None
    environment_id = _task_of(description, directory, environment_id, records)
    bindings = _bindings(description, environment_id)
    own = _bindings(description)
    if not bindings and own and isinstance(own, dict):
        texts = ", ".join(f"{name} = {value}" for name, value in sorted(own.items()))
        print(
            f"{environment_id} has its default parameters: those of --policy"
            f" {directory}'s own task ({texts}) are not bound.",
            file=sys.stderr,
        )

    def make(name=environment_id, **kwargs):
        try:
            with task_bindings.applied(bindings, name):
                return checked_task.make_task(name, **kwargs)
        except task_bindings.BindingError as error:
            raise ExportedPolicyError(
                f"--policy {directory} is of {name} with parameters that cannot be"
                f" bound: {error}."
            ) from error

    stop = stop or stopping.StopRequest()
    task = make()
    with checked_task.closing(task):
        policy = ExportedPolicy(directory, task)
        spaces_now = space_descriptions.of_task(task)
    changed = space_descriptions.difference(description, spaces_now)
    if changed:
        print(
            f"{environment_id} has other spaces than the task that --policy {directory}"
            f" was exported for: {changed}.",
            file=sys.stderr,
        )
    # A separate stream: training has not selected the policy by any of these resets.
    seeds = [streams.seed("evaluation of an export", i) for i in range(episodes)]
    stop.waits_for = "an environment step of the evaluation"
    with _faults_explained(environment_id):
        played = evaluate(policy.act, make, seeds, max_steps=max_steps, stop=stop)
    returns, lengths = played
    steps = " to ".join(f"{n:,}" for n in sorted({lengths.min(), lengths.max()}))
    mean, std = rounding.beside(returns.mean(), returns.std(), least=1)
    line = (
        f"{environment_id}: return {mean} ± {std} over"
        f" {episodes} episode{'s' * (episodes > 1)} of {steps} steps (seed {seed})."
    )
    yield line
    if command is not None:
        result = {
            "command": command,
            "output": line,
            "environment": environment_id,
            "episodes": episodes,
            "seed": seed,
            "return_mean": float(returns.mean()),
            "return_std": float(returns.std()),
        }
        _record(directory, result)
        yield f"Recorded in {directory / 'README.md'}."
    if video_path is None:
        return
    # Last, because a fault in the renderer may end the process.
    stop.waits_for = "an environment step of the video"
    try:
        video.record_actions(
            lambda observation: policy.act([observation])[0],
            make,
            environment_id,
            video_path,
            seeds[0],
            max_steps,
            stop,
        )
    except video.RenderingError as error:
        print(video.missing(video_path, error), file=sys.stderr)
    except stopping.Interrupted:
        print(video.missing(video_path, "a stop was requested."), file=sys.stderr)
    else:
        yield f"The first episode is in {video_path}."


def _task_of(description, directory, environment_id, records) -> str:
    """Returns the id of the task to evaluate on.

    Raises `ExportedPolicyError` if the policy's description is needed and cannot be
    used, or if a return of another task would be recorded in its card.
    """
    if environment_id is not None and not records:
        return environment_id
    if description is None:
        advice = "--record needs an export's card" if records else "give --env"
        raise ExportedPolicyError(f"--policy {directory} has no policy.json: {advice}.")
    _check_is_ours(description, directory, records)
    own = description["environment"]["id"]
    if environment_id not in (None, own):
        raise ExportedPolicyError(
            f"--record needs the task of the policy, {own}, not {environment_id}:"
            " its card would show returns of another task."
        )
    return own
