"""What a result was made with: the package's commit and all versions."""

import configparser
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
from typing import Any

import smoothie_tf

_PACKAGES = ("tensorflow", "tf-agents", "gymnasium", "mujoco", "numpy")


def current() -> dict[str, Any]:
    """Returns this package's commit and all versions, for run.json.

    The commit is that of the package's checkout, with "-dirty" if files of the package
    differ from it; or, if it was installed from a git address, the installed commit;
    else None. The versions are always given.
    """
    versions = {"smoothie_tf": smoothie_tf.__version__}
    versions.update((name, importlib.metadata.version(name)) for name in _PACKAGES)
    versions["python"] = platform.python_version()
    return {"commit": _checked_out() or _installed_from(), "versions": versions}


def _checked_out():
    """Returns the commit of the checkout that this package is imported from."""
    package = pathlib.Path(smoothie_tf.__file__).resolve().parent
    # A hook of another repository, for example, sets variables that name that one.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}

    def git(*arguments):
        return subprocess.run(
            ["git", "-C", os.fspath(package), *arguments],
            capture_output=True,
            # Git prints names of files in UTF-8, whatever the locale.
            encoding="utf-8",
            errors="surrogateescape",
            check=True,
            env=environment,
        ).stdout.rstrip("\n")

    try:
        # If it is installed below another project, this is that project's checkout.
        if pathlib.Path(git("rev-parse", "--show-toplevel")) != package.parent:
            return None
        if not _is_ours(package.parent):
            return None
        git("ls-files", "--error-unmatch", "__init__.py")
        # What a search writes to gin/tuned is part of the name of a run's directory.
        ours = (".", ":(top)gin", ":(top,exclude)gin/tuned")
        changed = git("status", "--porcelain", "--untracked-files=no", "--", *ours)
        return git("rev-parse", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _is_ours(root):
    """Returns whether the project in a directory is this one."""
    parser = configparser.ConfigParser()
    try:
        parser.read(root / "setup.cfg", encoding="utf-8")
        return parser.get("metadata", "name", fallback=None) == "smoothie_tf"
    except (configparser.Error, UnicodeDecodeError):
        return False


def _installed_from():
    """Returns the commit that pip recorded if it installed from a git address."""
    try:
        distribution = importlib.metadata.distribution("smoothie_tf")
        here = distribution.locate_file("smoothie_tf/__init__.py")
        if not os.path.samefile(here, smoothie_tf.__file__):
            return None
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        return origin.get("vcs_info", {}).get("commit_id")
    except (
        OSError,
        ValueError,
        AttributeError,
        importlib.metadata.PackageNotFoundError,
    ):
        return None
