"""Quiet imports, one thread, and no gin binding that outlives its test."""

from smoothie_tf import quiet

quiet.silence_imports()

import pathlib  # noqa: E402
import sys  # noqa: E402

import gin  # noqa: E402  What these import is to be quiet.
import pytest  # noqa: E402
import tensorflow as tf  # noqa: E402

from smoothie_tf.experiments.figures.continuous_control import FIGURE_3  # noqa: E402
from smoothie_tf.experiments.figures.grids import grid  # noqa: E402
from smoothie_tf.runs import launch  # noqa: E402
from smoothie_tf.runs.run import Preset, Run  # noqa: E402
from smoothie_tf.training import gin_directory, main  # noqa: E402
from tests import small  # noqa: E402
from tests.skips import (  # noqa: E402, F401  Hooks of pytest.
    pytest_addoption,
    pytest_make_collect_report,
    pytest_runtest_makereport,
)

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)


@pytest.fixture(autouse=True)
def _no_bindings_left():
    yield
    gin.clear_config()


SMALL = (
    *small.SMALL,
    "train.evaluation_episodes=3",
    "train.checkpoint_interval=40",
    "create_agent.actor_learning_rate=1e-3",
    "create_agent.critic_learning_rate=1e-3",
)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """Finished runs, made once; copy what is to be changed.

    Evaluations are at every 20th step and checkpoints at every 40th, of which the last
    two are kept: of 100 steps those of 80 and 100.
    """
    made = {}

    def get(agent="smoothie", env="InvertedPendulum-v5", num_steps=100):
        if (agent, env, num_steps) not in made:
            run_dir = tmp_path_factory.mktemp(agent) / "run"
            arguments = ["--agent", agent, "--env", env, "--run_dir", str(run_dir)]
            arguments += ["--num_steps", str(num_steps)]
            arguments += ["--preset", "quick", "--quiet"]
            for binding in SMALL:
                arguments += ["--gin_bindings", binding]
            assert main.main(arguments) == 0
            made[agent, env, num_steps] = run_dir
        return made[agent, env, num_steps]

    return get


FAKE_TRAIN = pathlib.Path(__file__).parent / "runs" / "fake_train.py"


@pytest.fixture
def nothing_tuned(tmp_path, monkeypatch):
    """What searches have found so far must not decide a test."""
    monkeypatch.setattr(gin_directory, "TUNED", tmp_path / "tuned")


@pytest.fixture
def preset() -> Preset:
    return Preset("quick", num_steps=300, num_seeds=2)


@pytest.fixture
def runs(preset, tmp_path) -> tuple[Run, ...]:
    """Two agents and two seeds on Hopper."""
    return grid(FIGURE_3, preset, envs=["Hopper-v5"], root=tmp_path / "runs")


@pytest.fixture
def fake_command(monkeypatch):
    """Puts the fake script in the place of the real one in commands of runs."""
    monkeypatch.setattr(launch, "TRAIN", (sys.executable, str(FAKE_TRAIN)))


@pytest.fixture
def behave():
    """Asks one run for something else than success."""

    def ask(run: Run, behaviour: str) -> None:
        run.directory.mkdir(parents=True, exist_ok=True)
        (run.directory / "behaviour").write_text(behaviour)

    return ask


@pytest.fixture
def starts():
    """Reads from which step each start of a run went on."""

    def read(run: Run) -> list[int]:
        path = run.directory / "starts"
        return [int(step) for step in path.read_text().split()] if path.exists() else []

    return read
