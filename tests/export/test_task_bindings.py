"""An export is of the task with the parameters that the run bound by Gin."""

import json
import shutil

import gin
import numpy as np
import pytest
import tensorflow as tf
from tf_agents.trajectories import time_step

from smoothie_tf.environments import checked_task
from smoothie_tf.export import evaluating, export_command, saved_run
from smoothie_tf.training import main, random_streams
from tests.small import SMALL


def description(folder):
    return json.loads((folder / "policy" / "policy.json").read_text())


def evaluate(*arguments, capsys):
    status = export_command.evaluate_main([str(a) for a in arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


@pytest.fixture(scope="module")
def bound(tmp_path_factory):
    """An export, and its run, in a task whose parameters the run has bound."""
    folder = tmp_path_factory.mktemp("bound")
    run_dir, name = folder / "run", "LinearQuadraticEnvironment"
    (folder / "task.gin").write_text(f"bound = 5.0\n{name}.action_bound = %bound\n")
    arguments = ["--env", "smoothie_tf/LinearQuadratic-v0", "--run_dir", str(run_dir)]
    arguments += ["--agent", "ddpg", "--num_steps", "40", "--preset", "quick"]
    arguments += ["--quiet", "--gin_file", str(folder / "task.gin")]
    bindings = (f"{name}.system_seed=3", f"{name}.noise_stddev=2.0")
    for binding in (*SMALL, *bindings):
        arguments += ["--gin_bindings", binding]
    assert main.main(arguments) == 0
    gin.clear_config()
    where = ["--run_dir", str(run_dir), "--out", str(folder / "policy"), "--no_gif"]
    assert export_command.export_main([*where, "--no_tf_agents"]) == 0
    return folder


def test_an_export_is_of_the_task_that_the_run_bound(bound):
    described = description(bound)
    spaces_then = json.loads((bound / "run" / "run.json").read_text())["spaces"]
    assert described["action"] == spaces_then["action"]
    assert described["action"]["high"] == 5.0
    assert described["environment"]["bindings"] == {
        "smoothie_tf.LinearQuadraticEnvironment.action_bound": "5.0",
        "smoothie_tf.LinearQuadraticEnvironment.noise_stddev": "2.0",
        "smoothie_tf.LinearQuadraticEnvironment.system_seed": "3",
    }
    observations = np.array([[1, -2], [0.3, 0.1]], np.float32)
    agent = saved_run.SavedRun(bound / "run").restore(40)
    live = agent.policy.action(time_step.restart(observations, 2)).action
    policy = tf.saved_model.load(str(bound / "policy"))
    np.testing.assert_allclose(policy.action(observations), live, rtol=1e-5)
    card = (bound / "policy" / "README.md").read_text()
    assert "`smoothie_tf.LinearQuadraticEnvironment.action_bound = 5.0`" in card


def test_an_evaluation_on_another_task_says_what_is_not_bound(bound, capsys):
    other = "smoothie_tf.environments:smoothie_tf/LinearQuadratic-v0"
    policy = ("--policy", bound / "policy", "--env", other, "--episodes", 1)
    _, _, err = evaluate(*policy, capsys=capsys)
    assert f"{other} has its default parameters: those of --policy" in err
    assert "(smoothie_tf.LinearQuadraticEnvironment.action_bound = 5.0, " in err


def test_an_evaluation_is_in_the_task_that_the_run_bound(bound, capsys):
    policy = ("--policy", bound / "policy", "--episodes", 3)
    status, out, err = evaluate(*policy, capsys=capsys)
    assert (status, err) == (0, "")

    def make_bound():
        return checked_task.make_task(
            "smoothie_tf/LinearQuadratic-v0",
            system_seed=3,
            noise_stddev=2.0,
            action_bound=5.0,
        )

    streams = random_streams.RandomStreams(0)
    seeds = [streams.seed("evaluation of an export", i) for i in range(3)]
    act = evaluating.ExportedPolicy(bound / "policy", make_bound()).act
    returns = evaluating.evaluate(act, make_bound, seeds).returns
    assert f"return {returns.mean():.1f} ± {returns.std():.1f} over" in out
    # They are of this evaluation alone.
    assert not gin.config._CONFIG


@pytest.mark.parametrize(
    ("bindings", "part"),
    [
        (["action_bound"], "they are ['action_bound']"),
        ({"LinearQuadraticEnvironment.size": "3"}, "there is no Linear"),
        ({"Nothing.size": "3"}, "there is no Nothing.size"),
        ({"size": "3"}, "there is no size"),
        ({"LinearQuadraticEnvironment.A": "@print()"}, "'@print()', which is no lit"),
        ({"LinearQuadraticEnvironment.A": 3}, "is 3, which is no literal"),
    ],
)
def test_bindings_that_were_damaged_are_one_sentence(
    bound, tmp_path, capsys, bindings, part
):
    shutil.copytree(bound / "policy", tmp_path / "policy")
    damaged = description(tmp_path)
    damaged["environment"]["bindings"] = bindings
    (tmp_path / "policy" / "policy.json").write_text(json.dumps(damaged))
    status, out, err = evaluate("--policy", tmp_path / "policy", capsys=capsys)
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert "with parameters that cannot be bound: " in line and part in line
