"""The wheel, installed where there is no checkout: all of it works from any folder."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig

import pytest

from tests.small import SMALL

ROOT = pathlib.Path(__file__).parents[1]


def _run(command, folder):
    """Runs a command that sees neither the checkout nor anything of its folder."""
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH"
    }
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The `bin` of an environment with the wheel, and the tested one's libraries."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    for name in ("smoothie_tf", "gin"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    wheels = folder / "wheels"
    alone = ["--no-deps", "--no-index"]
    _run([*pip, "wheel", *alone, "--no-build-isolation", "-w", wheels, source], folder)
    shutil.rmtree(source)
    (wheel,) = wheels.iterdir()
    environment = folder / "environment"
    _run([sys.executable, "-m", "venv", "--without-pip", environment], folder)
    python = environment / "bin" / "python"
    # Paths in a .pth file come last, and .pth files in them count for nothing: an
    # editable install of the checkout is not seen.
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    _run([*pip, "--python", python, "install", *alone, wheel], folder)
    return environment / "bin"


def _files(folder):
    return sorted(folder.rglob("*"))


def test_trains_draws_exports_and_evaluates_from_an_empty_folder(installed, tmp_path):
    (package,) = installed.parent.glob("lib/python*/site-packages/smoothie_tf")
    shipped = _files(package)
    smoothie = installed / "smoothie"
    bindings = [word for each in SMALL for word in ("--gin_bindings", each)]

    flags = ["--agent", "smoothie", "--env", "InvertedPendulum-v5", "--quiet"]
    flags += ["--preset", "quick", "--num_steps", "60", "--run_dir", "runs/one"]
    said = _run([smoothie, "train", *flags, *bindings], tmp_path)
    assert said == "Results are in runs/one.\n"
    record = json.loads((tmp_path / "runs/one/run.json").read_text())
    assert record["status"] == "done"
    assert record["command"].startswith("smoothie train --agent smoothie --env")

    flags = ["--envs", "InvertedPendulum-v5", "--seeds", "1", *bindings]
    flags += ["--gin_bindings", "train.num_steps=40", "--out_dir", "results/figure"]
    said = _run([smoothie, "figure3", *flags], tmp_path)
    assert "Figure 3 is in results/figure/figure3.png" in said
    assert (tmp_path / "results/figure/figure3_final.csv").exists()
    records = [path.read_text() for path in tmp_path.glob("runs/quick*/*/*/*/run.json")]
    assert {json.loads(text)["agent"] for text in records} == {"smoothie", "ddpg"}

    _run([smoothie, "export", "--run_dir", "runs/one", "--out", "policy"], tmp_path)
    python = installed / "python"
    evaluate = [python, "-m", "smoothie_tf", "evaluate", "--policy", "policy"]
    said = _run([*evaluate, "--episodes", "1", "--record"], tmp_path)
    assert "return" in said
    assert (
        "smoothie evaluate --policy policy"
        in (tmp_path / "policy/README.md").read_text()
    )

    assert _files(package) == shipped
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "results", "policy"}


def test_what_a_search_finds_goes_below_the_working_folder(installed, tmp_path):
    code = """
from smoothie_tf.training import gin_directory
print(gin_directory.TUNED, gin_directory.find_tuned("smoothie", "Hopper-v5"))
"""
    tuned, found = _run([installed / "python", "-c", code], tmp_path).split()
    assert tuned == os.path.join("gin", "tuned")
    shipped = pathlib.Path(found)
    assert installed.parent in shipped.parents
    ours = ROOT / "gin" / "tuned" / "smoothie" / "Hopper-v5.gin"
    assert shipped.read_text() == ours.read_text()
    own = tmp_path / tuned / "smoothie" / "Hopper-v5.gin"
    own.parent.mkdir(parents=True)
    own.write_text("SmoothieAgent.gamma = 0.9\n")
    assert _run([installed / "python", "-c", code], tmp_path).split() == [
        tuned,
        os.path.join(tuned, "smoothie", "Hopper-v5.gin"),
    ]


def test_all_gin_files_are_installed(installed):
    (folder,) = installed.parent.glob("lib/python*/site-packages/smoothie_tf/gin_files")
    ours = {
        path.relative_to(ROOT / "gin"): path.read_bytes()
        for path in (ROOT / "gin").rglob("*.gin")
    }
    assert len(ours) > 30
    assert ours == {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.gin")
    }
