"""A run as a process: its directory, its record, and how it stops and ends."""

import contextlib
import itertools
import os
import sys
import time
from collections.abc import Callable

import gin
import numpy as np
from tf_agents.trajectories import time_step as ts

from smoothie_tf import progress_bar, validation
from smoothie_tf.environments import gymnasium_environment, task_names
from smoothie_tf.training import config as gin_config
from smoothie_tf.training import (
    files,
    provenance,
    run_directory,
    settings,
    stopping,
    train,
    video,
)

# Errors during setup whose messages are already clear, and a request to stop.
_SAID_ALREADY = (
    ValueError,
    files.StorageError,
    train.NumericalError,
    stopping.Interrupted,
)


def run(
    agent_name: str,
    environment_id: str,
    seed: int,
    run_dir: str | os.PathLike[str],
    command: str = "",
    gin_bindings: tuple[str, ...] = (),
    quiet: bool = False,
    record_video: bool = False,
    on_step: Callable[[train.Trainer], None] | None = None,
    stop: stopping.StopRequest | None = None,
) -> run_directory.RunDirectory:
    """Starts or resumes the training of an agent in a run directory.

    Args:
      agent_name: One of `factory.AGENTS`.
      environment_id: A Gymnasium id.
      seed: Seed of all random streams, ≥ 0.
      run_dir: The run's directory; a finished run in it is not changed.
      command: Command that reproduces the run, for run.json.
      gin_bindings: Bindings of the command, for run.json.
      quiet: Whether to show no progress bar.
      record_video: Whether to record an episode of the final policy as video.mp4; if
        that fails, standard error says why.
      on_step: Called with the trainer after every step; it must change nothing.
      stop: Once set, the run stops before its next environment step; if None, SIGINT
        and SIGTERM request a stop.

    Returns:
      The run's directory.

    Raises:
      ValueError: If an argument or a binding is not allowed, or if there are
        checkpoints, but none can be used.
      Interrupted: If the run was asked to stop.
      NumericalError: If a number was not finite.
      StorageError: If a file could not be written, for example on a full disk.
    """
    # Gin binds num_steps.
    config = settings.Settings()  # type: ignore[call-arg]
    directory = run_directory.RunDirectory(
        run_dir,
        {
            "agent": agent_name,
            "env": environment_id,
            "seed": seed,
            "gin_bindings": list(gin_bindings),
        },
    )
    with contextlib.ExitStack() as stack:
        stack.callback(directory.close)
        was_done = directory.info.get("status") == "done"
        made = directory.info.get("num_steps", 0)
        done = was_done and made >= config.num_steps
        if done or directory.has_checkpoints:
            # Of an unfinished run, all values are compared when it goes on.
            default = gin_config.default if done else lambda name: None
            directory.check_config(gin.config_str(), default)
        if (
            done
            and not record_video
            and run_directory.is_evaluated(directory.path, made)
        ):
            if made > config.num_steps:
                print(
                    f"{run_dir} has a finished run of {made:,} steps; nothing was"
                    " trained.",
                    file=sys.stderr,
                )
            return directory
        started = time.monotonic()
        if stop is None:
            stop = stack.enter_context(stopping.signals())
        trainer = _begin(agent_name, environment_id, seed, directory, config, stop)
        stack.callback(trainer.close)
        if was_done and not trainer.step:
            raise run_directory.RunDirectoryError(
                f"--run_dir {run_dir} holds a finished run without checkpoints, which"
                " can neither be extended nor recorded, nor its metrics.csv completed;"
                " nothing was changed."
            )
        if trainer.step > config.num_steps and not done:
            raise run_directory.RunDirectoryError(
                f"--num_steps must be at least {trainer.step}, which the run in"
                f" {run_dir} has made already, but is {config.num_steps}."
            )
        if not done:
            if not trainer.step:
                _keep_metrics(directory)
            _record_start(directory, trainer, config, command)
        progress = progress_bar.create(
            f"{agent_name} {environment_id} seed {seed}",
            "step",
            config.num_steps,
            initial=trainer.step,
            disable=quiet,
            mininterval=0.5,
        )
        with _outcome(directory, started, done), progress:
            trainer.run(progress, on_step)
        if record_video:
            _record_video(trainer, environment_id, seed, directory, config, stop)
    return directory


def _record_video(trainer, environment_id, seed, directory, config, stop):
    """Records an episode of the mean action; says why if that is not possible."""

    def act(observation):
        time_step = ts.restart(observation[np.newaxis], 1)
        return trainer.agent.policy.action(time_step).action[0].numpy()

    stop.waits_for = "an environment step of the video"
    path = directory.path / "video.mp4"
    max_steps = config.evaluation_max_steps
    try:
        video.record_actions(
            act, gymnasium_environment.make, environment_id, path, seed, max_steps, stop
        )
    except video.RenderingError as error:
        print(video.missing(path, error), file=sys.stderr)


def _keep_metrics(directory):
    """Keeps the evaluations of a run that starts over, since it has no checkpoint."""
    path = directory.path / "metrics.csv"
    content = path.read_bytes() if path.is_file() else b""
    if content.count(b"\n") > 1:  # More than the names of the columns.
        names = (f"metrics-before-{number}.csv" for number in itertools.count(1))
        kept = next(each for each in map(path.with_name, names) if not each.exists())
        files.replace(kept, content)
        print(
            f"{directory.path} has no checkpoint, so the run starts over; its"
            f" evaluations so far are in {kept.name}.",
            file=sys.stderr,
        )


def _begin(agent_name, environment_id, seed, directory, config, stop):
    """Returns the trainer; if this fails, the directory is not changed."""
    try:
        return train.Trainer(agent_name, environment_id, seed, directory, config, stop)
    except BaseException as error:
        directory.abandon()
        if isinstance(error, _SAID_ALREADY) or not isinstance(error, Exception):
            raise
        # A library's error, caused by a binding of the wrong type.
        reason = validation.first_line(error).rstrip(".")
        raise ValueError(
            f"Agent {agent_name!r} cannot be made for {environment_id!r} with these"
            f" bindings ({type(error).__name__}: {reason})."
        ) from error


def _record_start(directory, trainer, config, command):
    operative = gin.operative_config_str()
    _take_up(directory, trainer.step, operative)
    # A resumed run may read less before it goes on.
    for name in () if trainer.step else _without_effect(directory):
        print(
            f"--gin_bindings: {name} has no effect so far, since nothing reads it.",
            file=sys.stderr,
        )
    directory.write_info(
        status="running",
        num_steps=config.num_steps,
        command=command,
        # operative_config.gin does not say which values are defaults.
        bound=gin_config.bound_parameters(),
        spaces=trainer.spaces,
    )
    if config.num_steps < config.initial_collect_steps:
        print(
            f"train.num_steps is {config.num_steps:,}, less than"
            f" train.initial_collect_steps, {config.initial_collect_steps:,}: the agent"
            " is not trained.",
            file=sys.stderr,
        )
    directory.write_text("operative_config.gin", operative)


@contextlib.contextmanager
def _outcome(directory, started, done):
    """Records how the training in this context ends, unless the run was done before."""
    earlier_seconds = directory.info.get("wall_seconds", 0.0)

    def finish(status):
        if done:
            return
        seconds = round(earlier_seconds + time.monotonic() - started, 1)
        directory.write_info(
            status=status,
            wall_seconds=seconds,
            without_effect=_without_effect(directory),
        )

    try:
        yield
    except stopping.Interrupted:
        finish("interrupted")
        raise
    except BaseException:
        # A full disk, which has been reported, has no room for this either.
        with contextlib.suppress(files.StorageError):
            finish("failed")
        raise
    finish("done")


def _without_effect(directory):
    """Returns the bound parameters that no process of the run has read."""
    unread = gin_config.without_effect(directory.info["gin_bindings"])
    earlier = directory.info.get("without_effect", unread)
    return [name for name in unread if name in earlier]


def _take_up(directory, step, operative_config):
    current = provenance.current()
    current["versions"] |= task_names.code(directory.info["env"])
    earlier = directory.take_up(step, operative_config, current)
    if earlier is not None:
        was, now = (
            {"commit": (made["commit"] or "none")[:10], **(made["versions"] or {})}
            for made in (earlier, current)
        )
        changes = [
            f"{name} {was.get(name)}, now {now.get(name)}"
            for name in sorted({*was, *now})
            if was.get(name) != now.get(name)
        ]
        print(
            f"{directory.path} was made with other versions up to step {step:,}:"
            f" {'; '.join(changes)}.",
            file=sys.stderr,
        )
