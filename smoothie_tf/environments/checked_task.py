"""Gymnasium tasks whose return values are checked and copied.

Shapes: S state.
"""

import contextlib
import copy
import math
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from smoothie_tf.environments import task_names

#: Supported kinds of observation spaces, besides Dict and Tuple of them.
LEAVES = (spaces.Box, spaces.Discrete, spaces.MultiBinary, spaces.MultiDiscrete)
#: Those whose elements are categories, one-hot encoded for agents.
CATEGORIES = (spaces.Discrete, spaces.MultiDiscrete)
# Replay and networks hold float32.
_LARGEST = float(np.finfo(np.float32).max)


class EnvironmentFault(ValueError):
    """A task raised an error or violated its specs; the message has no full stop."""


class NotFiniteError(ArithmeticError):
    """An observation, reward, action or return is NaN or infinite.

    The message is such as "Reward is nan".
    """


def is_finite(values: np.ndarray) -> bool:
    """Returns whether no element of a vector of floats is NaN or infinite.

    It takes a third of a microsecond, a quarter of the time of a check per element.
    """
    # The square of a large number may overflow where the number itself is finite.
    return math.isfinite(values.dot(values)) or bool(np.isfinite(values).all())


class Checked(gymnasium.Wrapper):
    """A task whose return values are checked and copied.

    Observations are copied, since a task may reuse one array in every step. They have
    the structure of their space or, if `flat`, are float32 of shape [S]. Rewards are
    floats. The task's errors and violations of its specs become `EnvironmentFault`s.
    """

    def __init__(self, env: gymnasium.Env, flat: bool = False):
        """Wraps a Gymnasium task.

        Args:
          env: The task.
          flat: Whether to flatten observations to vectors, if the space allows it.
        """
        super().__init__(env)
        self._name = name_of(env)
        self._space = env.observation_space
        self._flat = flat
        # The most common kind of space has a faster path.
        self._plain = (
            flat
            and isinstance(self._space, spaces.Box)
            and np.issubdtype(self._space.dtype, np.floating)
            and len(self._space.shape) == 1
        )
        if flat:
            # A Box for all spaces made of `LEAVES`.
            space: Any = spaces.flatten_space(self._space)
            self.observation_space = spaces.Box(
                space.low.astype(np.float32), space.high.astype(np.float32)
            )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begins an episode.

        Args:
          seed: Passed to the task.
          options: Passed to the task.

        Returns:
          The observation, and the task's info.

        Raises:
          EnvironmentFault: If the task raised an error or violated its specs.
          NotFiniteError: If the observation holds a NaN or infinity.
        """
        try:
            values = self.env.reset(seed=seed, options=options)
        except (Exception, SystemExit) as error:
            raise self._raised("reset", error) from error
        if not isinstance(values, tuple | list) or len(values) != 2:
            raise self._returned(
                values, "reset", "two values, the observation and an info"
            )
        observation, info = values
        self._check_info(info, "reset")
        return self._observation(observation, "reset"), info

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Takes a step.

        Args:
          action: In the task's units.

        Returns:
          The observation, the reward, whether the episode terminated, whether it was
          truncated, and the task's info.

        Raises:
          EnvironmentFault: If the task raised an error or violated its specs.
          NotFiniteError: If the observation or the reward has a NaN or infinity, or the
            reward is too large for a float32.
        """
        try:
            values = self.env.step(action)
        except (Exception, SystemExit) as error:
            raise self._raised("step", error) from error
        if not isinstance(values, tuple | list) or len(values) != 5:
            raise self._returned(
                values,
                "step",
                "five values: observation, reward, terminated, truncated and info",
            )
        observation, reward, terminated, truncated, info = values
        try:
            finite = math.isfinite(reward)
        except (TypeError, ValueError, OverflowError):
            raise self._broken(
                f"returned reward {reward!r} from step, but it must be a number"
            ) from None
        if not finite:
            raise NotFiniteError(f"Reward is {reward}")
        number = float(reward)
        if abs(number) > _LARGEST:
            raise NotFiniteError(f"Reward is {reward} (infinite as a float32)")
        if terminated is not True and terminated is not False:
            terminated = self._flag("terminated", terminated)
        if truncated is not True and truncated is not False:
            truncated = self._flag("truncated", truncated)
        self._check_info(info, "step")
        observation = self._observation(observation, "step")
        return observation, number, terminated, truncated, info

    def close(self) -> None:
        """Closes the task.

        Raises:
          EnvironmentFault: If the task raised an error.
        """
        try:
            self.env.close()
        except (Exception, SystemExit) as error:
            raise self._raised("close", error) from error

    def _observation(self, value, method):
        if self._plain:
            observation = self._numbers(value, np.float32, method, "")
            if observation.shape != self._space.shape:
                raise self._shaped(observation, self._space, method, "")
            if not is_finite(observation):
                _check_finite(observation, "")  # Names the element.
            return observation
        nest = self._copy(self._space, value, method, "")
        if not self._flat:
            _check_finite(nest, "")
            return nest
        observation = np.asarray(spaces.flatten(self._space, nest), np.float32)
        if not is_finite(observation):
            _check_finite(nest, "")
        return observation

    def _copy(self, space, value, method, where):
        """Returns a checked copy of an observation, or of a part of one.

        Args:
          space: Space of the part.
          value: The task's value for the part.
          method: The task's method that returned it.
          where: Position of the part, for messages: follows "an observation".
        """
        if isinstance(space, spaces.Dict):
            if type(value) is not dict and not isinstance(value, Mapping):
                raise self._broken(
                    f"returned an observation{where} from {method} that is a"
                    f" {type(value).__name__}, but announces a Dict"
                )
            if value.keys() != space.spaces.keys():
                raise self._broken(
                    f"returned an observation{where} from {method} with the keys"
                    f" {_listed(value)}, but announces {_listed(space.spaces)}"
                )
            return {
                key: self._copy(each, value[key], method, _inner(where, key))
                for key, each in space.spaces.items()
            }
        if isinstance(space, spaces.Tuple):
            known = isinstance(value, tuple | list | np.ndarray)
            if not known or len(value) != len(space.spaces):
                size = f" of {len(value)}" if known else ""
                raise self._broken(
                    f"returned an observation{where} from {method} that is a"
                    f" {type(value).__name__}{size}, but announces a Tuple of"
                    f" {len(space.spaces)}"
                )
            pairs = enumerate(zip(space.spaces, value, strict=True))
            return tuple(
                self._copy(each, part, method, _inner(where, i))
                for i, (each, part) in pairs
            )
        if not isinstance(space, LEAVES):
            return copy.deepcopy(value)
        array = self._numbers(value, None, method, where)
        if array.shape != space.shape:
            raise self._shaped(array, space, method, where)
        if space.dtype.kind != "f":
            with np.errstate(invalid="ignore"):  # It is compared below.
                whole = array.astype(space.dtype)
            if (whole != array).any():
                raise self._broken(
                    f"returned {value!r} in an observation{where} from {method}, but"
                    f" announces {space.dtype}"
                )
            array = whole
        elif array.dtype.kind != "f":
            array = array.astype(space.dtype)
        if isinstance(space, CATEGORIES):
            number = space.n if isinstance(space, spaces.Discrete) else space.nvec
            if (array < space.start).any() or (array >= space.start + number).any():
                raise self._broken(
                    f"returned {value!r} in an observation{where} from {method}, but"
                    f" announces {space}"
                )
        return array

    def _numbers(self, value, dtype, method, where):
        """Returns numbers as a new array, of their own dtype if `dtype` is None."""
        try:
            array = np.array(value, dtype)
            if array.dtype.kind not in "biuf":
                array = array.astype(np.float32)
        except (TypeError, ValueError, OverflowError):
            raise self._broken(
                f"returned an observation{where} from {method} that is not made of"
                " numbers"
            ) from None
        return array

    def _flag(self, name, value):
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.item()
        if not isinstance(value, bool | np.bool_ | int | np.integer):
            raise self._broken(
                f"returned {name} {value!r} from step, but it must be True or False"
            )
        return bool(value)

    def _check_info(self, info, method):
        if type(info) is not dict and not isinstance(info, Mapping):
            raise self._broken(
                f"returned info {abbreviated(info)} from {method}, but it must be a"
                " dict"
            )

    def _returned(self, values, method, expected):
        if isinstance(values, tuple | list):
            what = f"{len(values)} values"
        else:
            what = f"a {type(values).__name__}"
        return self._broken(
            f"returned {what} from {method}, but must return {expected}"
        )

    def _shaped(self, array, space, method, where):
        return self._broken(
            f"returned an observation{where} of shape {array.shape} from {method}, but"
            f" announces {space.shape}"
        )

    def _broken(self, what):
        return EnvironmentFault(f"Environment {self._name!r} {what}")

    def _raised(self, method, error):
        # An inner `Checked` has already explained the error.
        if isinstance(error, EnvironmentFault | NotFiniteError):
            return error
        return self._broken(
            f"raised {type(error).__name__} in {method}: {reason(error)}"
        )


def reason(error: BaseException) -> str:
    """Returns the first line of an error's message, without its full stop.

    If the message is empty, returns where the error was raised.
    """
    lines = str(error).strip().splitlines()
    if lines:
        return lines[0].rstrip(".")
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "it gives no reason"
    last = frames[-1]
    return f"it gives no reason ({os.path.basename(last.filename)}, line {last.lineno})"


def name_of(env: gymnasium.Env) -> str:
    """Returns a task's name for messages: its id, or else its class."""
    return env.spec.id if env.spec else type(env).__name__


def normalizers(env: gymnasium.Env) -> list[str]:
    """Returns the names of wrappers that normalize by running statistics."""
    found = []
    while isinstance(env, gymnasium.Wrapper):
        name = type(env).__name__
        if name.startswith("Normalize"):
            found.append(name)
        env = env.env
    return found


def make_several(make: Callable[[], gymnasium.Env], number: int) -> list[gymnasium.Env]:
    """Makes tasks; if one cannot be made, closes those before it.

    Args:
      make: Makes a task.
      number: How many, at least 1.
    """
    tasks: list[gymnasium.Env] = []
    try:
        while len(tasks) < number:
            tasks.append(make())
    except BaseException:
        close(*tasks)
        raise
    return tasks


def close(*tasks: gymnasium.Env) -> None:
    """Closes tasks; if one raises an error, prints it and closes the others.

    An error while closing must not lose a result.
    """
    said = set()
    for task in tasks:
        try:
            task.close()
        except EnvironmentFault as fault:
            if str(fault) not in said:
                print(f"{fault}.", file=sys.stderr)
            said.add(str(fault))


@contextlib.contextmanager
def closing(*tasks: gymnasium.Env) -> Iterator[None]:
    """Closes tasks as `close` does when the context ends, also after errors."""
    try:
        yield
    finally:
        close(*tasks)


def _check_finite(observation, where):
    """Raises `NotFiniteError` if a number in an observation is not finite."""
    if isinstance(observation, dict):
        for key, each in observation.items():
            _check_finite(each, _inner(where, key))
    elif isinstance(observation, tuple):
        for i, each in enumerate(observation):
            _check_finite(each, _inner(where, i))
    elif isinstance(observation, np.ndarray) and observation.dtype.kind == "f":
        # As float32, where larger numbers are infinite.
        flat = observation.astype(np.float32, copy=False).ravel()
        if not is_finite(flat):
            place = np.flatnonzero(~np.isfinite(flat))[0]
            raise NotFiniteError(f"Observation{where}[{place}] is {flat[place]}")


def _inner(where, key):
    return f"{where or ''}[{key!r}]"


def _listed(keys):
    return ", ".join(repr(key) for key in keys) or "none"


def abbreviated(value: Any) -> str:
    """Returns a value for a message, or its type if the value is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"of type {type(value).__name__}"


def make_task(environment_id: str, **kwargs: Any) -> gymnasium.Env:
    """Creates a Gymnasium task with its own observations and actions.

    Args:
      environment_id: As for `create`.
      **kwargs: Arguments of `gymnasium.make`.

    Returns:
      The task, as a `Checked`.

    Raises:
      ValueError: If the id is unknown.
    """
    return Checked(create(environment_id, **kwargs))


def create(environment_id: str, **kwargs: Any) -> gymnasium.Env:
    """Creates a Gymnasium task that is not checked.

    Args:
      environment_id: A registered id, such as "Hopper-v5". A "module:id" imports the
        module first, as everywhere in Gymnasium.
      **kwargs: Arguments of `gymnasium.make`.

    Raises:
      ValueError: If the id is unknown, or the task cannot be made.
    """
    try:
        task_names.find(environment_id)
        return gymnasium.make(environment_id, disable_env_checker=True, **kwargs)
    # A task's code may raise any exception, and may call sys.exit.
    except (Exception, SystemExit) as error:
        known = isinstance(error, gymnasium.error.Error | task_names.UnknownTaskError)
        why = reason(error) if known else f"{type(error).__name__}: {reason(error)}"
        raise ValueError(
            f"Environment {environment_id!r} cannot be made: {why}."
        ) from error
