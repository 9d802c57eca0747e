"""Records an episode of a policy as MP4 or GIF, also without a screen.

No results depend on videos. If one cannot be recorded, a `RenderingError` says why in
one sentence. Importing this module imports no TensorFlow.
"""

import contextlib
import ctypes.util
import gc
import os
import pathlib
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import imageio
import numpy as np
from PIL import Image

from smoothie_tf import quiet
from smoothie_tf.environments import checked_task
from smoothie_tf.training import episode_limit, files, rollout, stopping

_GIF_FPS = 10
_GIF_SIZE = 160  # pixels a side, at most
_GIF_COLOURS = 64


# Default frames per second.
_FPS = 30
# MuJoCo's renderers, the library that each needs, and its Debian package.
_RENDERERS = {"egl": ("EGL", "libegl1"), "osmesa": ("OSMesa", "libosmesa6")}
# Modules whose errors come from a renderer and not from the task.
_OF_RENDERERS = ("mujoco", "OpenGL", "glfw", "gymnasium.envs.mujoco.mujoco_rendering")


class RenderingError(RuntimeError):
    """The task cannot be rendered; the message says why, in one sentence."""


def missing(path: pathlib.Path, why: RenderingError | str) -> str:
    """Returns the sentence about a video that was asked for and is not there.

    Args:
      path: Where it was to be. A file there is of an earlier policy, or episode.
      why: In a sentence.
    """
    if path.exists():
        return f"There is no new video, and {path} is an earlier one: {why}"
    return f"There is no video: {why}"


def record_actions(
    act: Callable[[Any], np.ndarray],
    make: Callable[..., gymnasium.Env],
    environment_id: str,
    path: str | os.PathLike[str],
    seed: int,
    max_steps: int = episode_limit.MAX_STEPS,
    stop: stopping.StopRequest | None = None,
) -> None:
    """Records one episode of a function that acts.

    Args:
      act: From one observation of the task to its action.
      make: Creates the task from its id and a `render_mode`.
      environment_id: A Gymnasium id.
      path: The MP4 to write.
      seed: Seed of the episode's reset, ≥ 0.
      max_steps: Steps after which the episode ends in a task without
        max_episode_steps, at least 1.
      stop: Once set, no further step is taken.

    Raises:
      Interrupted: If a stop was requested; there is no video then.
      RenderingError: If there is no video for another reason.
    """
    stop = stop or stopping.StopRequest()
    path = pathlib.Path(path)
    with _rendering(make, environment_id, seed) as (env, frame):
        limit = episode_limit.EpisodeLimit(env, max_steps)
        fps = max(1, round(_frames_a_second(env)))
        # An incomplete video must not replace a complete one.
        with files.replacing(path.parent) as folder:
            # The writer's own context manager leaves the encoder running after errors.
            with contextlib.closing(
                imageio.get_writer(folder / path.name, fps=fps, macro_block_size=1)
            ) as writer:
                writer.append_data(_even(frame))
                rollout.play_episodes(
                    lambda observations: act(observations[0])[np.newaxis],
                    [env],
                    [env.reset(seed=seed)[0]],
                    limit,
                    stop,
                    lambda _: writer.append_data(_even(_picture(env))),
                )


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
      make: Creates the task from its id and a `render_mode`.
      environment_id: A Gymnasium id.
      path: The GIF to write.
      seed: Seed of the episode's reset, ≥ 0.
      seconds: Its maximal length, in the task's time, > 0.
      stop: Once set, no further step is taken.

    Raises:
      Interrupted: If a stop was requested; there is no GIF then.
      RenderingError: If there is no GIF for another reason.
    """
    stop = stop or stopping.StopRequest()
    with _rendering(make, environment_id, seed) as (env, frame):
        fps = _frames_a_second(env)
        every = max(1, round(fps / _GIF_FPS))
        observation, _ = env.reset(seed=seed)
        frames, over = [_reduced(frame)], False
        for step in range(1, round(seconds * fps)):
            stop.check()
            observation, _, terminated, truncated, _ = env.step(act(observation))
            over = terminated or truncated
            if step % every == 0 or over:
                frames.append(_reduced(_picture(env)))
            if over:
                break
        _write_gif(frames, pathlib.Path(path), round(1000 * every / fps))


def _write_gif(frames, path, milliseconds):
    # One palette for all frames, and no dithering: noise makes a GIF large.
    width, height = frames[0].size
    strip = Image.new("RGB", (width, height * len(frames)))
    for i, each in enumerate(frames):
        strip.paste(each, (0, i * height))
    palette = strip.quantize(_GIF_COLOURS)
    first, *rest = [
        frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames
    ]
    with files.replacing(path.parent) as folder:
        first.save(
            folder / path.name,
            "GIF",
            save_all=True,
            append_images=rest,
            duration=milliseconds,
            loop=0,
        )


def _reduced(frame):
    return Image.fromarray(frame).reduce(-(-max(frame.shape[:2]) // _GIF_SIZE))


def _even(frame):
    """Pads a picture to even width and height, which the encoder needs."""
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), "edge")


def _frames_a_second(env):
    fps = env.metadata.get("render_fps")
    known = isinstance(fps, int | float | np.number) and np.isfinite(fps) and fps > 0
    return float(fps) if known else float(_FPS)


def _picture(env):
    """Returns the task's current picture, uint8, shape [H, W, 3]."""
    picture = env.render()
    # Some tasks return all pictures since the last call.
    several = isinstance(picture, list | tuple) and len(picture)
    if several and np.ndim(picture[-1]) == 3:
        picture = picture[-1]
    array = None if picture is None else np.asarray(picture)
    shades = array is not None and array.dtype.kind in "biuf"
    if shades and array.ndim == 2:
        array = np.repeat(array[:, :, np.newaxis], 3, 2)
    if not shades or array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        what = "None" if picture is None else f"a {type(picture).__name__}"
        if array is not None and array.ndim:
            what = f"an array of shape {array.shape}"
        raise _NoPictureError(f"its render returns {what} instead of a picture")
    if array.shape[2] == 1:
        array = np.repeat(array, 3, 2)
    if array.dtype.kind == "f":
        # Most float pictures are in [0, 1].
        array = np.nan_to_num(array) * (255 if np.nanmax(array, initial=0) <= 1 else 1)
    elif array.dtype.kind == "b":
        array = array * 255
    return np.ascontiguousarray(array[:, :, :3].clip(0, 255).astype(np.uint8))


class _NoPictureError(Exception):
    """A task's `render` returned no picture."""


@contextlib.contextmanager
def _rendering(make, environment_id, seed) -> Iterator[tuple[gymnasium.Env, Any]]:
    """Yields the task and its first picture; turns errors into `RenderingError`s."""
    chosen = os.environ.get("MUJOCO_GL", "").strip().lower()
    if chosen in ("1", "enable", "enabled", "on", "true"):
        chosen = ""
    renderer = chosen or _renderer()
    screen = _has_screen()
    with contextlib.ExitStack() as stack:
        # No sound, and no window if there is no screen.
        stack.enter_context(
            _environment(
                MUJOCO_GL=renderer,
                SDL_AUDIODRIVER=os.environ.get("SDL_AUDIODRIVER", "dummy"),
                SDL_VIDEODRIVER=os.environ.get(
                    "SDL_VIDEODRIVER", None if screen else "dummy"
                ),
                PYGAME_HIDE_SUPPORT_PROMPT="1",
                # MuJoCo sets it to its renderer; restored afterwards.
                PYOPENGL_PLATFORM=os.environ.get("PYOPENGL_PLATFORM"),
            )
        )
        try:
            with quiet.silent():
                env = make(environment_id, render_mode="rgb_array")
                stack.enter_context(checked_task.closing(env))
                env.reset(seed=seed)
                frame = _picture(env)
            yield env, frame
        except stopping.Interrupted:
            raise
        # Missing libraries cause errors of many kinds, such as AttributeError, and a
        # task may call sys.exit.
        except (Exception, SystemExit) as error:
            if isinstance(error, checked_task.EnvironmentFault):
                raise RenderingError(f"{error}.") from error
            if isinstance(error, checked_task.NotFiniteError):
                raise RenderingError(f"{error}, which is not finite.") from error
            why = _why_not(error, chosen, renderer)
            _collect(error)
            raise RenderingError(
                f"{environment_id} cannot be rendered here: {why}."
            ) from error


@contextlib.contextmanager
def _environment(**values):
    """Sets environment variables in this context; None leaves one as it is."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update({k: value for k, value in values.items() if value is not None})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _has_screen():
    named = "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    return named or sys.platform == "darwin"


def _renderer():
    """Returns the renderer for MuJoCo."""
    for name, (library, _) in _RENDERERS.items():
        if ctypes.util.find_library(library):
            return name
    return "glfw" if _has_screen() else "egl"


def _why_not(error, chosen, renderer):
    """Returns why there is no picture, as a sentence without a full stop."""
    if isinstance(error, _NoPictureError):
        return str(error)
    if isinstance(error, NotImplementedError) and not str(error):
        return "it has no render method"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename} cannot be written ({error.strerror})"
    if "unexpected keyword argument 'render_mode'" in str(error):
        return "it takes no render_mode"
    try:
        reason = f"{type(error).__name__}: {checked_task.reason(error)}"
    except Exception:  # Some errors of PyOpenGL have no text.
        reason = type(error).__name__
    if not _is_renderers(error):
        return reason
    where = f"MUJOCO_GL is {chosen!r}, but " if chosen else ""
    if renderer not in (*_RENDERERS, "glfw"):
        return f"{where}must be one of {', '.join(_RENDERERS)} and glfw"
    if renderer == "glfw" and not _has_screen():
        return f"{where}GLFW needs a screen, which EGL and OSMesa do not"
    library, package = _RENDERERS.get(renderer, ("GLFW", "libglfw3"))
    # MuJoCo's package includes GLFW.
    if renderer == "glfw" or ctypes.util.find_library(library):
        return f"{where}{library} gives no picture ({reason})"
    if chosen:
        return f"{where}{library} ({package}) is not installed"
    known = [f"{name} ({package})" for name, package in _RENDERERS.values()]
    return f"neither {' nor '.join(known)} is installed"


def _collect(error):
    """Frees objects that an error refers to: incomplete viewers print warnings."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        with quiet.silent():
            while error is not None:
                traceback.clear_frames(error.__traceback__)
                error = error.__cause__ or error.__context__
            gc.collect()
    finally:
        sys.unraisablehook = hook


def _is_renderers(error):
    """Whether an error comes from a renderer, and not from the task's own code."""
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            name = frame.f_globals.get("__name__", "")
            if any(f"{name}.".startswith(f"{each}.") for each in _OF_RENDERERS):
                return True
        error = error.__cause__ or error.__context__
    return False
