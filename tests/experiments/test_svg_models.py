"""Hand's learned models against the true one, and the table in the report."""

import pandas as pd
import pytest
import tensorflow as tf

from smoothie_tf.agents import factory
from smoothie_tf.environments import gymnasium_environment, hand
from smoothie_tf.experiments.figures import svg as figures
from smoothie_tf.experiments.figures.grids import grid
from smoothie_tf.experiments.report import report
from smoothie_tf.experiments.svg import models
from smoothie_tf.runs.run import read_preset
from smoothie_tf.training import config, main
from tests.experiments import test_svg_figures


@pytest.fixture
def agent_with_stiffness(monkeypatch):
    """Makes SVG(∞) with the task's model, but for the spring."""

    def make(stiffness):
        tf.keras.utils.set_random_seed(0)
        config.parse(
            "svg_infinity",
            figures.HAND,
            bindings=[
                "train.num_steps = 1",
                "create_agent.dynamics_network = @HandDynamics",
            ],
        )
        env = gymnasium_environment.make(figures.HAND)
        with monkeypatch.context() as patch:
            patch.setattr(hand, "STIFFNESS", stiffness)
            return factory.create_agent(
                "svg_infinity",
                gymnasium_environment.time_step_spec(env),
                gymnasium_environment.action_spec(env),
                seed=0,
                **gymnasium_environment.known_to_agents(env),
            )

    return make


def test_the_true_model_has_no_errors(agent_with_stiffness):
    found = models.errors(agent_with_stiffness(hand.STIFFNESS), 3)
    assert found[models.DERIVATIVES] == 0
    # Rounding, over 1,000 steps.
    assert found[models.DRIFT] < 1e-3
    assert found[models.REAL] == pytest.approx(1)
    assert found[models.OWN] == pytest.approx(1, abs=1e-4)
    # A policy that has not learned, with σ = 0.2.
    assert found[models.BEYOND] < 0.001


def test_errors_of_a_stiffer_spring(agent_with_stiffness):
    found = models.errors(agent_with_stiffness(hand.STIFFNESS + 2), 3)
    # In each dimension: velocity by hand and ball, 2·dt; ball by both, 2·dt².
    square = 4 * (0.02**2 + 0.0002**2) / (6 * 8)
    assert found[models.DERIVATIVES] == pytest.approx(square**0.5, rel=1e-3)
    # The stiffer spring lets the ball hang 1/6 m higher, and swing about there.
    assert 0.1 < found[models.DRIFT] < 0.5
    # Another frequency, for 10 s. How far v_θ turns depends on the policy's weights;
    # it turns further along trajectories that are wrong, too.
    assert found[models.OWN] < found[models.REAL] < 1 - 1e-6


def test_the_reports_table(tmp_path):
    values = {
        models.DERIVATIVES: (0.0041, 0.0043, 0.0042),
        models.DRIFT: (0.1, 0.3, 0.2),
        models.REAL: (0.993, 0.995, 0.994),
        models.OWN: (0.9, 0.98, 0.94),
        models.BEYOND: (0.0, 0.2, 0.1),
    }
    rows = [
        (figures.HAND, "planner", seed, name, value)
        for name, each in values.items()
        for seed, value in enumerate(each)
    ]
    folder = tmp_path / "svg_figure_2-svg"
    folder.mkdir()
    columns = ["env", "variant", "seed", "measure", "value"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / figures.MODELS, index=False)
    test_svg_figures.fill(tmp_path, figures.HAND, svg_infinity=-1.0, planner=-3.0)
    text = report.report(tmp_path).read_text()
    assert "| agent, updates of the model | derivatives | drift |" in text
    # Student's interval of three: the deviation times 4.303/√3.
    cells = "0.0042 [0.0040, 0.0044] | 0.20 [−0.05, 0.45] | 0.994 [0.992, 0.996] | "
    cells += "0.940 [0.841, 1.039] | 0.10 [−0.15, 0.35]"
    assert f"| planner, 1000 | {cells} | 3 |" in text


@pytest.mark.slow
def test_the_models_of_a_real_run(tmp_path):
    # One episode; what is left out is not done, or learns no model.
    preset = read_preset("svg", ["train.num_steps = 1001"])
    runs = grid(
        figures.SVG_FIGURE_2, preset, [figures.HAND], [0], root=tmp_path / "runs"
    )
    (run,) = (run for run in runs if run.variant == "planner-model-updates-10")
    bindings = [
        *run.gin_bindings,
        "train.initial_collect_steps = 1",
        "train.evaluation_interval = 1001",
        "train.evaluation_episodes = 1",
        "train.batch_size = 8",
        "train.use_xla = False",
    ]
    line = ["--agent", run.agent, "--env", run.env, "--num_steps", "1001", "--quiet"]
    line += ["--run_dir", str(run.directory)]
    assert main.main([*line, *(f"--gin_bindings={each}" for each in bindings)]) == 0
    models.measure(runs, tmp_path, episodes=2)
    table = pd.read_csv(tmp_path / figures.MODELS).set_index("measure")
    assert set(table["variant"]) == {run.variant}
    assert len(table) == 5
    # Nothing has been learned: the model's ball stays where the task's wanders off.
    assert table["value"][models.DRIFT] > 0.05
