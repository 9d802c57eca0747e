"""Grids of fake runs, trained by `fake_train.py` in a moment."""

import pathlib
import sys

import pytest

from smoothie_tf.experiments import grid, launch
from smoothie_tf.training import gin_directory

FAKE_TRAIN = pathlib.Path(__file__).with_name("fake_train.py")


@pytest.fixture(autouse=True)
def nothing_tuned(tmp_path, monkeypatch):
    """What searches have found so far must not decide a test."""
    monkeypatch.setattr(gin_directory, "TUNED", tmp_path / "tuned")


@pytest.fixture
def preset() -> grid.Preset:
    return grid.Preset("quick", num_steps=300, num_seeds=2)


@pytest.fixture
def runs(preset, tmp_path) -> tuple[grid.Run, ...]:
    """Two agents and two seeds on Hopper."""
    return grid.grid(grid.FIGURE_3, preset, envs=["Hopper-v5"], root=tmp_path / "runs")


@pytest.fixture
def fake_command():
    """Makes the real command of a run, with the fake script in the real one's place."""

    def command(run: grid.Run) -> list[str]:
        return [sys.executable, str(FAKE_TRAIN), *launch.train_command(run)[2:]]

    return command


@pytest.fixture
def behave():
    """Asks one run for something else than success."""

    def ask(run: grid.Run, behaviour: str) -> None:
        run.directory.mkdir(parents=True, exist_ok=True)
        (run.directory / "behaviour").write_text(behaviour)

    return ask


@pytest.fixture
def starts():
    """Reads from which step each start of a run went on."""

    def read(run: grid.Run) -> list[int]:
        path = run.directory / "starts"
        return [int(step) for step in path.read_text().split()] if path.exists() else []

    return read
