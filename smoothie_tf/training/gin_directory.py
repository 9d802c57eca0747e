"""Where the gin files are: in `gin/` of a checkout, or inside the installed package.

Importing this module imports no TensorFlow.
"""

import importlib.resources
import pathlib
import re

_PACKAGE = pathlib.Path(str(importlib.resources.files("smoothie_tf"))).resolve()
# What setup.py calls the checkout's gin/ in what it builds.
_INSTALLED = _PACKAGE / "gin_files"
#: agents/, environments/, tuned/, recommended/, presets/ and search/.
ROOT = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent / "gin"
#: Lengths of runs and numbers of seeds.
PRESETS = ROOT / "presets"
#: What searches find goes here as <agent>/<environment>.gin: into the checkout, or,
#: where the package is installed, below the working folder.
TUNED = pathlib.Path("gin", "tuned") if ROOT == _INSTALLED else ROOT / "tuned"
# What came with an installed package is read after it.
_SHIPPED = (ROOT / "tuned",) if ROOT == _INSTALLED else ()
#: What agents take on any task where asked to, <agent>.gin.
RECOMMENDED = ROOT / "recommended"
#: What `--values` takes: the agent's paper's, or its tuned ones where a search has
#: found some; or those of `RECOMMENDED`.
VALUES = ("paper", "recommended")
#: Task whose values one without a search of its own takes: that of the two with a
#: search which ends, as it does, where the body falls, or goes on, as it does.
NEAREST = {
    "Walker2d-v5": "Hopper-v5",
    "Ant-v5": "Hopper-v5",
    "Humanoid-v5": "Hopper-v5",
    "Swimmer-v5": "HalfCheetah-v5",
}


def agents() -> list[str]:
    """Returns the names that `--agent` takes."""
    return _names("agents")


def presets() -> list[str]:
    """Returns the names that `--preset` takes."""
    return _names("presets")


def recommended() -> list[str]:
    """Returns the agents with recommended values."""
    return _names(RECOMMENDED.name)


def _names(folder):
    return sorted(path.stem for path in (ROOT / folder).glob("*.gin"))


def file_name(env: str) -> str:
    """Turns an id such as `module:Task-v0` or `namespace/Task-v0` into one name."""
    return re.sub(r"[/:]", "_", env)


def paper_path(agent: str, env: str) -> pathlib.Path:
    """Returns where an agent's paper's own values for a task are, or would be."""
    return ROOT / "agents" / agent / f"{file_name(env)}.gin"


def recommended_path(agent: str) -> pathlib.Path:
    """Returns where the recommended values of an agent are, or would be."""
    return RECOMMENDED / f"{agent}.gin"


def tuned_path(agent: str, env: str) -> pathlib.Path:
    """Returns where the values found for an agent on a task are, or would be."""
    return TUNED / agent / f"{file_name(env)}.gin"


def find_tuned(agent: str, env: str) -> pathlib.Path | None:
    """Returns the tuned values that an agent takes on a task, if there are any.

    Args:
        agent: Name of the agent.
        env: A Gymnasium id.

    Returns:
        The file of the task itself, or else of the one in `NEAREST`.
    """
    for name in (env, NEAREST.get(env, env)):
        for directory in (TUNED, *_SHIPPED):
            path = directory / agent / f"{file_name(name)}.gin"
            if path.is_file():
                return path
    return None
