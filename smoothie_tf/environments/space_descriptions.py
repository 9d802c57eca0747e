"""Descriptions of spaces that JSON can hold, for run.json and policy.json."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


def describe(space: spaces.Space) -> dict[str, Any]:
    """Describes a space by values that JSON can hold.

    Args:
      space: A space of observations or actions.

    Returns:
      The space's type, and the arguments that define it. Equal bounds are given as one
      number, and a missing bound as None.
    """
    if isinstance(space, spaces.Dict):
        inner = {key: describe(each) for key, each in space.spaces.items()}
        return {"type": "Dict", "spaces": inner}
    if isinstance(space, spaces.Tuple):
        return {"type": "Tuple", "spaces": [describe(s) for s in space.spaces]}
    shape: Any = space.shape  # Not None in the spaces that agents accept.
    description: dict[str, Any] = {
        "type": type(space).__name__,
        "shape": list(shape),
        "dtype": str(space.dtype),
    }
    if isinstance(space, spaces.Box):
        description |= {"low": _bound(space.low), "high": _bound(space.high)}
    elif isinstance(space, spaces.Discrete):
        # Gymnasium's type hints give n and start any type of NumPy, void included.
        description |= {key: int(getattr(space, key)) for key in ("n", "start")}
    elif isinstance(space, spaces.MultiDiscrete):
        description |= {"nvec": space.nvec.tolist(), "start": space.start.tolist()}
    return description


def of_task(task: gymnasium.Env) -> dict[str, Any]:
    """Describes a task's observations and actions, in its own units.

    Args:
      task: A task that is not adapted to agents.
    """
    return {
        "observation": describe(task.observation_space),
        "action": describe(task.action_space),
    }


def difference(before: Any, now: dict[str, Any]) -> str | None:
    """Says how a task's spaces differ from earlier ones.

    Args:
      before: What `of_task` returned then, read from a file; may be of any type.
      now: What `of_task` returns now.

    Returns:
      Such as "observation shape [3], now [4]"; None if nothing that both have differs.
    """
    for which, described in now.items():
        earlier = before.get(which) if isinstance(before, dict) else None
        if isinstance(earlier, dict) and earlier != described:
            for key in dict.fromkeys((*earlier, *described)):
                was, is_now = earlier.get(key), described.get(key)
                if was != is_now:
                    return f"{which} {key} {was}, now {is_now}"
    return None


def _bound(values):
    listed = [float(v) if np.isfinite(v) else None for v in values.ravel()]
    if listed and all(v == listed[0] for v in listed):
        return listed[0]
    return np.array(listed, object).reshape(values.shape).tolist()
