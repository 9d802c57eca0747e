"""The values in gin/tuned or gin/recommended for an agent on a task, and digests.

The digests name the directories of runs. Importing this module imports no TensorFlow.
"""

import hashlib
from typing import Any

from smoothie_tf.environments import discretized_reward
from smoothie_tf.training import gin_directory
from smoothie_tf.training.gin_text import bound_values

#: The digest of no values, in a command.
NONE = "none"


def tuned_values(agent: str, env: str) -> dict[str, Any]:
    """Returns the tuned values of an agent on a task, by the names of parameters.

    A task with a discretized reward has the values of the original task, overridden by
    its own. The dict is empty if there are none.
    """
    values: dict[str, Any] = {}
    for name in discretized_reward.lineage(env):
        if path := gin_directory.find_tuned(agent, name):
            values |= bound_values(path)
    return values


def tuned_digest(agent: str, env: str) -> str:
    """Returns a digest of the tuned values of an agent on a task; empty without any.

    The digest depends only on values, so a change of a comment does not change it.
    """
    return digest(tuned_values(agent, env))


def recommended_digest(agent: str) -> str:
    """Returns a digest of the recommended values of an agent; empty without any."""
    path = gin_directory.recommended_path(agent)
    return digest(bound_values(path)) if path.is_file() else ""


def digest(values: dict[str, Any]) -> str:
    """Returns eight hexadecimal digits for bound values; empty without any."""
    if not values:
        return ""
    return hashlib.sha1(repr(sorted(values.items())).encode()).hexdigest()[:8]


def digest_of_run(agent: str, env: str, values: str, tuned: bool) -> str:
    """Returns the digest of what a run reads now, or `NONE`.

    Args:
        agent: Name of the agent.
        env: Gymnasium id of the task.
        values: One of `gin_directory.VALUES`.
        tuned: Whether the run uses tuned values.
    """
    if values == "recommended":
        return recommended_digest(agent)
    return (tuned_digest(agent, env) if tuned else "") or NONE
