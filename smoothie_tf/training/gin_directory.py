"""Paths of the gin files: in `gin/` of a checkout, or in the installed package.

Importing this module imports no TensorFlow.
"""

import functools
import importlib.resources
import pathlib
import re
from collections.abc import Iterable

from smoothie_tf.environments import discretized_reward
from smoothie_tf.training import gin_text

_PACKAGE = pathlib.Path(str(importlib.resources.files("smoothie_tf"))).resolve()
# setup.py installs the checkout's gin/ under this name.
_INSTALLED = _PACKAGE / "gin_files"
#: agents/, environments/, tuned/, recommended/, presets/ and search/.
ROOT = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent / "gin"
#: Lengths of runs and numbers of seeds.
PRESETS = ROOT / "presets"
#: Searches write <agent>/<environment>.gin here: into the checkout, or, if the package
#: is installed, below the working directory.
TUNED = pathlib.Path("gin", "tuned") if ROOT == _INSTALLED else ROOT / "tuned"
# An installed package's own tuned values; `TUNED` has precedence.
_SHIPPED = (ROOT / "tuned",) if ROOT == _INSTALLED else ()
#: Recommended values of agents for any task, <agent>.gin.
RECOMMENDED = ROOT / "recommended"
#: Choices of `--values`: the values of the agent's paper, or its tuned ones if they
#: exist; or those of `RECOMMENDED`.
VALUES = ("paper", "recommended")
#: The task whose tuned values are used for an agent that has none on the task itself:
#: Hopper if the task's episodes end when the robot falls, HalfCheetah if they do not.
NEAREST = {
    "Walker2d-v5": "Hopper-v5",
    "Ant-v5": "Hopper-v5",
    "Humanoid-v5": "Hopper-v5",
    "Swimmer-v5": "HalfCheetah-v5",
}


def agents() -> list[str]:
    """Returns the choices of `--agent`."""
    return _names("agents")


def presets() -> list[str]:
    """Returns the choices of `--preset`."""
    return _names("presets")


def recommended() -> list[str]:
    """Returns the agents with recommended values."""
    return _names(RECOMMENDED.name)


def _names(folder):
    return sorted(path.stem for path in (ROOT / folder).glob("*.gin"))


def of_other_agents(agent: str, names: Iterable[str]) -> list[str]:
    """Returns the classes of other agents among the names of bound parameters.

    Args:
        agent: Name of the agent.
        names: Names such as "SmoothieAgent.kl_penalty".
    """
    classes = _agent_classes()
    others = set().union(*classes.values()) - classes[agent]
    return sorted({name.partition(".")[0] for name in names} & others)


@functools.cache
def _agent_classes():
    """Returns the classes that each agent's gin file binds, by the agent's name."""
    return {
        each: {
            name.partition(".")[0]
            for name in gin_text.bound_values(ROOT / "agents" / f"{each}.gin")
            if name.partition(".")[0].endswith("Agent")
        }
        for each in agents()
    }


def file_name(env: str) -> str:
    """Returns a file name for an id such as `module:Task-v0` or `namespace/Task-v0`."""
    return re.sub(r"[/:]", "_", env)


def paper_path(agent: str, env: str) -> pathlib.Path:
    """Returns the path of a paper's values for a task; it may not exist."""
    return ROOT / "agents" / agent / f"{file_name(env)}.gin"


def recommended_path(agent: str) -> pathlib.Path:
    """Returns the path of an agent's recommended values; it may not exist."""
    return RECOMMENDED / f"{agent}.gin"


def tuned_path(
    agent: str, env: str, directory: pathlib.Path | None = None
) -> pathlib.Path:
    """Returns the path of an agent's tuned values for a task; it may not exist.

    Args:
        agent: Name of the agent, or of an arm of the search.
        env: A Gymnasium id.
        directory: Where tuned values are; `TUNED` if None.
    """
    return (directory or TUNED) / agent / f"{file_name(env)}.gin"


def is_searched(agent: str) -> bool:
    """Says whether there are tuned values of an agent, for any task."""
    return any((directory / agent).is_dir() for directory in (TUNED, *_SHIPPED))


def value_files(
    agent: str, env: str, tuned: bool = True, values: str = "paper"
) -> list[pathlib.Path]:
    """Returns the files with an agent's hyperparameters on a task.

    Args:
        agent: Name of the agent.
        env: A Gymnasium id.
        tuned: Whether to use tuned values; ignored for recommended ones.
        values: One of `VALUES`.

    Returns:
        The files, later over earlier: the agent's; its recommended values if selected;
        the task's own, and the agent's paper's and tuned values for the task, if these
        exist. For a task with a discretized reward, the files of the original task come
        before its own. Tuned values may be those of the nearest task with a search.
    """
    files = [ROOT / "agents" / f"{agent}.gin"]
    if values == "recommended":
        files.append(recommended_path(agent))
    for name in discretized_reward.lineage(env):
        files += [
            path
            for path in (
                ROOT / "environments" / f"{file_name(name)}.gin",
                paper_path(agent, name),
            )
            if path.is_file()
        ]
        if tuned and values == "paper" and (found := find_tuned(agent, name)):
            files.append(found)
    return files


def find_tuned(agent: str, env: str) -> pathlib.Path | None:
    """Returns the file of tuned values of an agent for a task, or None.

    Args:
        agent: Name of the agent.
        env: A Gymnasium id.

    Returns:
        The file of the task itself, or else of its `NEAREST` task.
    """
    for name in (env, NEAREST.get(env, env)):
        for directory in (TUNED, *_SHIPPED):
            path = tuned_path(agent, name, directory)
            if path.is_file():
                return path
    return None
