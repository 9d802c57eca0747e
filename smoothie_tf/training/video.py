"""Records an episode of a policy as MP4 or GIF, without a screen where need be."""

import contextlib
import os
import pathlib
from collections.abc import Callable
from typing import Any

import gymnasium
import imageio
import numpy as np
from PIL import Image
from tf_agents.policies import tf_policy
from tf_agents.trajectories import time_step as ts

from smoothie_tf.environments import discretized_reward, gymnasium_environment
from smoothie_tf.training import episode_limit, stopping

_GIF_FPS = 10
_GIF_SIZE = 160  # pixels a side, at most
_GIF_COLOURS = 64


class RenderingError(RuntimeError):
    """The task cannot be rendered here."""


def record(
    policy: tf_policy.TFPolicy,
    environment_id: str,
    path: str | os.PathLike[str],
    seed: int,
    max_steps: int = episode_limit.MAX_STEPS,
    stop: stopping.StopRequest | None = None,
) -> float:
    """Records one episode.

    Args:
      policy: A stateless policy; `TFAgent.policy` for the mean action.
      environment_id: A Gymnasium id.
      path: The MP4 to write.
      seed: Seed of the episode's reset, ≥ 0.
      max_steps: Steps at which the episode ends in a task that has no
        max_episode_steps, at least 1.
      stop: Once made, no further step is taken.

    Returns:
      The episode's undiscounted return.

    Raises:
      Interrupted: If somebody asked to stop; there is no video then.
      EnvironmentFault: If the task raised, or broke what it announces.
      NotFiniteError: If an observation or reward is not finite.
      RenderingError: If nothing here can render the task.
    """

    def act(observation):
        time_step = ts.restart(observation[np.newaxis], 1)
        return policy.action(time_step).action[0].numpy()

    make = gymnasium_environment.make
    return record_actions(act, make, environment_id, path, seed, max_steps, stop)


def record_actions(
    act: Callable[[Any], np.ndarray],
    make: Callable[..., gymnasium.Env],
    environment_id: str,
    path: str | os.PathLike[str],
    seed: int,
    max_steps: int = episode_limit.MAX_STEPS,
    stop: stopping.StopRequest | None = None,
) -> float:
    """Records one episode of whatever acts.

    Args:
      act: From one observation of the task to its action.
      make: Makes the task from its id and a `render_mode`.
      environment_id: A Gymnasium id.
      path: The MP4 to write.
      seed: Seed of the episode's reset, ≥ 0.
      max_steps: Steps at which the episode ends in a task that has no
        max_episode_steps, at least 1.
      stop: Once made, no further step is taken.

    Returns:
      The episode's undiscounted return.

    Raises:
      Interrupted: If somebody asked to stop; there is no video then.
      EnvironmentFault: If the task raised, or broke what it announces.
      NotFiniteError: If an observation or reward is not finite.
      RenderingError: If nothing here can render the task.
    """
    env, frame = _start_rendering(make, environment_id, seed)
    fps = round(env.metadata.get("render_fps", 30))
    limit, length = episode_limit.EpisodeLimit(env, max_steps), 0
    stop = stop or stopping.StopRequest()
    path = pathlib.Path(path)
    # A video that is cut off in the middle does not take the place of a whole one.
    aside = path.with_name(f".{path.stem}.tmp{path.suffix}")
    try:
        # The encoder wants even sizes; the default pads to multiples of 16.
        with (
            gymnasium_environment.closing(env),
            # Its own context leaves the encoder at work after an error.
            contextlib.closing(
                imageio.get_writer(aside, fps=fps, macro_block_size=2)
            ) as writer,
        ):
            writer.append_data(frame)
            observation, _ = env.reset(seed=seed)
            episode_return, over = 0.0, False
            while not over:
                stop.check()
                action = act(observation)
                observation, reward, terminated, truncated, info = env.step(action)
                length += 1
                episode_return += discretized_reward.original_reward(reward, info)
                over = terminated or truncated or limit.ends(length)
                writer.append_data(env.render())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return episode_return


def record_gif(
    act: Callable[[Any], np.ndarray],
    make: Callable[..., gymnasium.Env],
    environment_id: str,
    path: str | os.PathLike[str],
    seed: int,
    seconds: float = 4.0,
    stop: stopping.StopRequest | None = None,
) -> None:
    """Records the beginning of an episode as a small GIF.

    Args:
      act: From one observation of the task to its action.
      make: Makes the task from its id and a `render_mode`.
      environment_id: A Gymnasium id.
      path: The GIF to write.
      seed: Seed of the episode's reset, ≥ 0.
      seconds: Its length at most, in the task's own time, > 0.
      stop: Once made, no further step is taken.

    Raises:
      Interrupted: If somebody asked to stop; there is no picture then.
      EnvironmentFault: If the task raised, or broke what it announces.
      NotFiniteError: If an observation or reward is not finite.
      RenderingError: If nothing here can render the task.
    """
    env, frame = _start_rendering(make, environment_id, seed)
    fps = env.metadata.get("render_fps", 30)
    every = max(1, round(fps / _GIF_FPS))
    stop = stop or stopping.StopRequest()
    with gymnasium_environment.closing(env):
        observation, _ = env.reset(seed=seed)
        frames, over = [_reduced(frame)], False
        for step in range(1, round(seconds * fps)):
            stop.check()
            observation, _, terminated, truncated, _ = env.step(act(observation))
            over = terminated or truncated
            if step % every == 0 or over:
                frames.append(_reduced(env.render()))
            if over:
                break
    # One palette for all, and no dithering: noise is what makes a GIF large.
    width, height = frames[0].size
    strip = Image.new("RGB", (width, height * len(frames)))
    for i, each in enumerate(frames):
        strip.paste(each, (0, i * height))
    palette = strip.quantize(_GIF_COLOURS)
    first, *rest = [
        frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames
    ]
    first.save(
        pathlib.Path(path),
        "GIF",
        save_all=True,
        append_images=rest,
        duration=round(1000 * every / fps),
        loop=0,
    )


def _reduced(frame):
    return Image.fromarray(frame).reduce(-(-max(frame.shape[:2]) // _GIF_SIZE))


def _start_rendering(make, environment_id, seed):
    """Returns the task and its first picture, from the first backend that gives one."""
    chosen = os.environ.get("MUJOCO_GL")
    screen = "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    backends = [chosen] if chosen else ["egl", "osmesa", *(["glfw"] if screen else [])]
    reasons = []
    for backend in backends:
        os.environ["MUJOCO_GL"] = backend
        try:
            env = make(environment_id, render_mode="rgb_array")
            env.reset(seed=seed)
            return env, env.render()
        # A fault of the task itself, whatever draws it.
        except (
            gymnasium_environment.EnvironmentFault,
            gymnasium_environment.NotFiniteError,
        ):
            raise
        # Missing libraries show as errors of many kinds, AttributeError among them.
        except Exception as error:
            reasons.append(f"{backend}: {str(error).splitlines()[0]}")
    if chosen is None:
        os.environ.pop("MUJOCO_GL", None)
    raise RenderingError(
        f"{environment_id} cannot be rendered here ({'; '.join(reasons)}): install EGL"
        " (libegl1) or OSMesa (libosmesa6), or choose a backend with MUJOCO_GL."
    )
