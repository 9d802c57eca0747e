"""Exports the policy of a run directory to a directory for deployment."""

import contextlib
import importlib.metadata
import json
import os
import pathlib
import shlex
import shutil
import sys
import tempfile
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf
from gymnasium import spaces

from smoothie_tf.environments import checked_task, space_descriptions
from smoothie_tf.export import model_card, saved_model, saved_run, task_bindings
from smoothie_tf.training import files, stopping, video

#: Steps of an episode whose observations go into policy.json.
_PAIR_STEPS = (0, 1, 5, 20, 50)


def export_run(
    run_dir: str | os.PathLike[str],
    out: str | os.PathLike[str],
    checkpoint: int | None = None,
    best: bool = False,
    tflite: bool = False,
    tf_agents: bool = True,
    gif: bool = True,
    stop: stopping.StopRequest | None = None,
) -> list[str]:
    """Exports the policy of a run; a failed export leaves no files.

    Args:
      run_dir: The run's directory; it is not changed.
      out: The directory of the export; it must not exist yet, or be empty.
      checkpoint: The environment step whose policy is exported; None for the last.
      best: Whether to export the policy of the best evaluation.
      tflite: Whether to write a TFLite model, too.
      tf_agents: Whether to write the policies in the format of TF-Agents, too.
      gif: Whether to record an animation, if the task can be rendered.
      stop: No environment step is taken once it is set.

    Returns:
      Sentences about optional parts that could not be written.

    Raises:
      ValueError: If the run, its task or the directory cannot be used.
      NotFiniteError: If the task returned a NaN or infinity.
      Interrupted: If a stop was requested.
      StorageError: If a file cannot be written.
    """
    stop = stop or stopping.StopRequest()
    # A link's target, since a link cannot be replaced by a directory.
    out = pathlib.Path(os.path.realpath(out))
    _check_is_free(out)
    run = saved_run.SavedRun(run_dir)
    step = run.choose(checkpoint, best)
    task = run.make_task()
    bindings = task_bindings.used()
    with (
        checked_task.closing(task),
        _aside(out) as directory,
        _faults_explained(out),
    ):
        agent = run.restore(step)
        assert isinstance(task.action_space, spaces.Box)  # As in every run.
        deployed = saved_model.save(
            agent.policy, task.observation_space, task.action_space, directory
        )
        if tf_agents:
            for name, policy in (
                ("greedy", agent.policy),
                ("collect", agent.collect_policy),
            ):
                saved_model.save_for_tf_agents(
                    policy,
                    directory / "tf_agents" / name,
                    int(agent.train_step_counter),
                )
        if tflite:
            (directory / "policy.tflite").write_bytes(deployed.tflite())
        shutil.copyfile(
            run.path / "operative_config.gin", directory / "operative_config.gin"
        )
        selected = "best" if best else "last" if checkpoint is None else "checkpoint"
        description = _describe(run, step, selected, task, bindings, deployed, stop)
        write_description(directory, description, out.resolve().name)
    # Last, because a fault in the renderer may end the process.
    notices = (
        _picture(deployed, run.info["env"], out / "policy.gif", stop) if gif else []
    )
    if gif and not notices:
        write_description(out, description, out.resolve().name)
    return notices


def write_description(
    directory: pathlib.Path, description: dict[str, Any], name: str
) -> None:
    """Writes policy.json, and the card made from it.

    Args:
      directory: The export.
      description: The contents of policy.json.
      name: The directory's name in the card.

    Raises:
      StorageError: If a file cannot be written; it is unchanged then.
    """
    names = {path.name for path in directory.iterdir()} | {"policy.json"}
    for file_name, text in (
        ("policy.json", json.dumps(description, indent=2) + "\n"),
        ("README.md", model_card.render(description, names, name)),
    ):
        files.replace(directory / file_name, text)


def _check_is_free(out):
    """Raises if something exists there, besides an empty directory."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ValueError(
            f"--out {out} exists already: choose another directory, or remove it."
        )


@contextlib.contextmanager
def _aside(out):
    """Yields a directory that becomes `out` on success, and is removed otherwise."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        directory = pathlib.Path(tempfile.mkdtemp(prefix=".export-", dir=out.parent))
    except OSError as error:
        raise ValueError(f"--out {out} cannot be written: {error.strerror}.") from error
    try:
        yield directory
        # Only its owner can read a temporary directory.
        directory.chmod(0o755)
        try:
            directory.replace(out)
        except OSError:  # A working directory or a mount point cannot be replaced.
            _check_is_free(out)
            for path in directory.iterdir():
                shutil.move(path, out / path.name)
            directory.rmdir()
    except OSError as error:
        shutil.rmtree(directory, ignore_errors=True)
        raise files.failed(out, error) from error
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise


@contextlib.contextmanager
def _faults_explained(out):
    """Converts faults of task and disk to errors with a message of one sentence."""
    try:
        yield
    except tf.errors.OpError as error:
        raise files.failed(out, error) from error
    except checked_task.NotFiniteError as error:
        raise checked_task.NotFiniteError(
            f"{error}, which is not finite: nothing was exported."
        ) from error


def _act(deployed, observation):
    return deployed.action(saved_model.batch([observation]))[0].numpy()


def _picture(deployed, environment_id, path, stop):
    stop.waits_for = "an environment step of the animation"
    try:
        video.record_gif(
            lambda observation: _act(deployed, observation),
            checked_task.make_task,
            environment_id,
            path,
            seed=0,
            stop=stop,
        )
    except video.RenderingError as error:
        return [f"The card has no picture: {error}"]
    except stopping.Interrupted:
        return ["The card has no picture: a stop was requested."]
    return []


def _describe(run, step, selected, task, bindings, deployed, stop):
    evaluation = run.evaluation_at(step)
    pairs, deterministic = _pairs(task, deployed, stop)
    environment = {
        "id": run.info["env"],
        "version": task.spec.version,
        "max_episode_steps": task.spec.max_episode_steps,
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("gymnasium", *(["mujoco"] if _is_of_mujoco(task) else []))
        },
    }
    if bindings:
        environment["bindings"] = bindings
    structure = _observation_structure(task)
    if structure is not None:
        environment["observation_structure"] = structure
    return {
        "environment": environment,
        **space_descriptions.of_task(task),
        "agent": run.info["agent"],
        "deterministic": deterministic,
        "training": {
            "step": step,
            "num_steps": run.info["num_steps"],
            "selected": selected,
            "evaluation": evaluation
            and {
                "return_mean": evaluation.return_mean,
                "return_std": evaluation.return_std,
                "episodes": run.evaluation_episodes(),
            },
            "num_evaluations": len(run.evaluations),
            "seed": run.info["seed"],
            "command": _command(run.info.get("command", "")),
            "commit": run.info.get("commit"),
            "versions": run.info.get("versions", {}),
        },
        "evaluations": [],
        "pairs": pairs,
    }


def _is_of_mujoco(task):
    module = sys.modules.get("mujoco")
    model = getattr(task.unwrapped, "model", None)
    return module is not None and isinstance(model, module.MjModel)


def _observation_structure(task):
    """Returns a task's `observation_structure`, as MuJoCo's tasks have it, or None.

    In another task an attribute of this name may be anything, even a value that JSON
    cannot hold.
    """
    try:
        structure = task.unwrapped.observation_structure
        if not isinstance(structure, dict):
            return None
        numbers = json.dumps(structure, default=lambda each: np.asarray(each).tolist())
        return json.loads(numbers)
    except Exception:
        return None


def _pairs(task: gymnasium.Env, deployed, stop):
    """Returns pairs of observation and action, and whether every σ was 0."""
    stop.waits_for = "an environment step"
    pairs, stddev = [], 0.0
    observation, _ = task.reset(seed=0)
    for step in range(_PAIR_STEPS[-1] + 1):
        stop.check()
        action = _act(deployed, observation)
        if step in _PAIR_STEPS:
            listed = saved_model.as_json(observation)
            pairs.append({"observation": listed, "action": action.tolist()})
            parameters = deployed.distribution_parameters(
                saved_model.batch([observation])
            )
            stddev = max(stddev, float(np.max(parameters["stddev"])))
        observation, _, terminated, truncated, _ = task.step(action)
        if terminated or truncated:
            observation, _ = task.reset()
    return pairs, stddev == 0.0


def _command(command):
    """Replaces absolute paths in a command by their last part."""
    words = [
        pathlib.PurePath(word).name if pathlib.PurePath(word).is_absolute() else word
        for word in shlex.split(command)
    ]
    return shlex.join(words)
