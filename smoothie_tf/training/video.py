"""Records an episode of a policy as MP4, without a screen where need be."""

import os
import pathlib

import imageio
import numpy as np
from tf_agents.policies import tf_policy
from tf_agents.trajectories import time_step as ts

from smoothie_tf.environments import gymnasium_environment


class RenderingError(RuntimeError):
    """The task cannot be rendered here."""


def record(
    policy: tf_policy.TFPolicy,
    environment_id: str,
    path: str | os.PathLike[str],
    seed: int,
) -> float:
    """Records one episode.

    Args:
      policy: A stateless policy; `TFAgent.policy` for the mean action.
      environment_id: A Gymnasium id.
      path: The MP4 to write.
      seed: Seed of the episode's reset, ≥ 0.

    Returns:
      The episode's undiscounted return.

    Raises:
      RenderingError: If nothing here can render the task.
    """
    env, frame = _start_rendering(environment_id, seed)
    path = pathlib.Path(path)
    fps = round(env.metadata.get("render_fps", 30))
    # The encoder wants even sizes; the default pads to multiples of 16.
    with imageio.get_writer(path, fps=fps, macro_block_size=2) as writer:
        writer.append_data(frame)
        observation, _ = env.reset(seed=seed)
        episode_return, over = 0.0, False
        while not over:
            time_step = ts.restart(observation[np.newaxis], 1)
            action = policy.action(time_step).action[0].numpy()
            observation, reward, terminated, truncated, _ = env.step(action)
            episode_return += float(reward)
            over = terminated or truncated
            writer.append_data(env.render())
    env.close()
    return episode_return


def _start_rendering(environment_id, seed):
    """Returns the task and its first picture, from the first backend that gives one."""
    chosen = os.environ.get("MUJOCO_GL")
    screen = "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    backends = [chosen] if chosen else ["egl", "osmesa", *(["glfw"] if screen else [])]
    reasons = []
    for backend in backends:
        os.environ["MUJOCO_GL"] = backend
        try:
            env = gymnasium_environment.make(environment_id, render_mode="rgb_array")
            env.reset(seed=seed)
            return env, env.render()
        # Missing libraries show as errors of many kinds, AttributeError among them.
        except Exception as error:
            reasons.append(f"{backend}: {str(error).splitlines()[0]}")
    if chosen is None:
        os.environ.pop("MUJOCO_GL", None)
    raise RenderingError(
        f"{environment_id} cannot be rendered here ({'; '.join(reasons)}): install EGL"
        " (libegl1) or OSMesa (libosmesa6), or choose a backend with MUJOCO_GL."
    )
