"""The commit in run.json is this package's own, or there is none."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import smoothie_tf
from smoothie_tf.training import provenance as provenances

PACKAGE = pathlib.Path(smoothie_tf.__file__).parent
ASK = "import json; from smoothie_tf.training import provenance as p;"
ASK += "print(json.dumps(p.current()))"


def git(folder, *arguments):
    names = ["-c", "user.name=me", "-c", "user.email=me@example.com"]
    command = ["git", "-C", str(folder), *names, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path):
    """Somebody's project with a commit of its own."""
    git(tmp_path, "init", "-q")
    (tmp_path / "theirs.py").write_text("")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "theirs")
    return tmp_path


def provenance(where, **variables):
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        capture_output=True,
        text=True,
        # Python looks there first.
        cwd=where,
        env={**os.environ, **variables},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def copy(to):
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, to / "smoothie_tf", ignore=ignore)
    return to


def test_installed_within_another_projects_checkout(project):
    site = project / "venv" / "lib" / "site-packages"
    site.mkdir(parents=True)
    made = provenance(copy(site))
    assert made["commit"] is None
    assert made["versions"]["smoothie_tf"] == smoothie_tf.__version__
    # Nor where it lies in that project's own folder, kept by it or not.
    copy(project)
    assert provenance(project)["commit"] is None
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "a copy")
    assert provenance(project)["commit"] is None


def test_a_checkout_of_this_package(project, tmp_path_factory):
    ours = copy(tmp_path_factory.mktemp("ours"))
    shutil.copy(PACKAGE.parent / "setup.cfg", ours)
    values = [ours / "gin" / each / "smoothie.gin" for each in ("agents", "tuned")]
    for path in values:
        path.parent.mkdir(parents=True)
        path.write_text("a.b = 1\n")
    git(ours, "init", "-q")
    git(ours, "add", ".")
    git(ours, "commit", "-q", "-m", "ours")
    head = git(ours, "rev-parse", "HEAD")
    assert provenance(ours)["commit"] == head
    # A hook of the other project runs it.
    theirs = str(project / ".git")
    assert provenance(ours, GIT_DIR=theirs)["commit"] == head
    # Hyperparameters are part of the commit, but for those that searches write.
    values[1].write_text("a.b = 2\n")
    assert provenance(ours)["commit"] == head
    values[0].write_text("a.b = 2\n")
    assert provenance(ours)["commit"] == f"{head}-dirty"
    values[0].write_text("a.b = 1\n")
    with open(ours / "smoothie_tf" / "__init__.py", "a") as file:
        file.write("\n# changed\n")
    assert provenance(ours)["commit"] == f"{head}-dirty"
    # Git names a file in letters that the locale does not have.
    named = ours / "smoothie_tf" / "état.py"
    named.write_text("")
    git(ours, "config", "core.quotepath", "false")
    git(ours, "add", ".")
    without_utf8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert provenance(ours, **without_utf8)["commit"] == f"{head}-dirty"
    # Somebody has unpacked it into the folder of another project.
    shutil.rmtree(ours / ".git")
    assert provenance(ours)["commit"] is None


def test_here():
    if (PACKAGE.parent / ".git").exists():
        head = git(PACKAGE, "rev-parse", "HEAD")
        assert provenances.current()["commit"].removesuffix("-dirty") == head
