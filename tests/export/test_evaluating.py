"""From a run to an export to its return, as the commands do it."""

import json
import pathlib
import re
import shutil
import subprocess
import sys

import gymnasium
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from smoothie_tf import rounding
from smoothie_tf.environments import checked_task, discretized_reward
from smoothie_tf.export import evaluating, export_command, saved_model
from smoothie_tf.training import best_policy, random_streams, video

ROOT = pathlib.Path(__file__).parents[2]
TASK = "InvertedPendulum-v5"


@pytest.fixture(scope="module")
def exports(small_run, tmp_path_factory):
    """Exports made by the command: the last step with all there is, and the best."""
    folder = tmp_path_factory.mktemp("exports")
    for name, arguments in (
        ("smoothie", ["--tflite", "--no_gif"]),
        ("best", ["--best", "--no_gif", "--no_tf_agents"]),
        ("ddpg", ["--checkpoint", "80", "--no_gif", "--no_tf_agents"]),
    ):
        run_dir = small_run("ddpg" if name == "ddpg" else "smoothie")
        where = ["--run_dir", str(run_dir), "--out", str(folder / name)]
        assert export_command.export_main([*where, *arguments]) == 0
    return folder


@pytest.fixture
def copy(exports, tmp_path):
    shutil.copytree(exports / "smoothie", tmp_path / "policy")
    return tmp_path / "policy"


def make():
    return checked_task.make_task(TASK)


def description(directory):
    return json.loads((directory / "policy.json").read_text())


def test_what_an_export_holds(exports):
    names = {path.name for path in (exports / "smoothie").iterdir()}
    of_saved_model = {"saved_model.pb", "variables", "assets", "fingerprint.pb"}
    assert names - of_saved_model == {
        *("policy.json", "README.md", "operative_config.gin"),
        *("policy.tflite", "tf_agents"),
    }
    assert not (exports / "best" / "tf_agents").exists()
    described = description(exports / "smoothie")
    assert described["environment"]["id"] == TASK
    assert described["environment"]["version"] == 5
    assert described["observation"]["shape"] == [4]
    assert (described["action"]["low"], described["action"]["high"]) == (-3.0, 3.0)
    assert described["agent"] == "smoothie" and not described["deterministic"]
    training = described["training"]
    assert training["step"] == 100 and training["selected"] == "last"
    assert training["evaluation"]["episodes"] == 3
    assert training["versions"]["tensorflow"] == tf.__version__
    # The run's folder is of no use, and none of the business of, anybody else.
    assert "--run_dir run " in training["command"]
    ddpg = description(exports / "ddpg")
    assert ddpg["training"]["step"] == 80
    assert ddpg["training"]["selected"] == "checkpoint" and ddpg["deterministic"]


@pytest.mark.parametrize("name", ["smoothie", "best", "ddpg"])
def test_pairs_are_what_the_policy_does(exports, name):
    policy = tf.saved_model.load(str(exports / name))
    pairs = description(exports / name)["pairs"]
    observations = np.array([pair["observation"] for pair in pairs])
    actions = np.array([pair["action"] for pair in pairs])
    assert observations.shape == (5, 4) and len(np.unique(observations, axis=0)) == 5
    np.testing.assert_allclose(
        policy.action(observations), actions, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", ["smoothie", "best", "ddpg"])
def test_the_return_is_that_of_the_runs_own_evaluation(exports, small_run, name):
    run_dir = small_run("ddpg" if name == "ddpg" else "smoothie")
    table = pd.read_csv(run_dir / "metrics.csv").set_index("step")
    step = {"smoothie": 100, "ddpg": 80, "best": best_policy.saved_step(run_dir)}[name]
    training = description(exports / name)["training"]
    assert training["step"] == step
    # The resets that the run had, from its seed, 0, and the step.
    streams = random_streams.RandomStreams(0)
    seeds = [streams.seed("evaluation", step, i) for i in range(3)]
    policy = evaluating.ExportedPolicy(exports / name, make())
    returns = evaluating.evaluate(policy.act, make, seeds).returns
    assert returns.mean() == table["evaluation_return_mean"][step]
    assert returns.std() == pytest.approx(table["evaluation_return_std"][step])
    assert training["evaluation"]["return_mean"] == returns.mean()


def test_returns_do_not_depend_on_how_many_run_side_by_side():
    class Policy:
        def act(self, observations):
            return np.full([len(observations), 1], 0.1)

    seeds = list(range(7))
    all_at_once = evaluating.evaluate(Policy().act, make, seeds)
    in_threes = evaluating.evaluate(Policy().act, make, seeds, side_by_side=3)
    np.testing.assert_array_equal(all_at_once, in_threes)
    assert len(set(all_at_once.returns)) > 1


def evaluate(*arguments, capsys):
    status = export_command.evaluate_main([str(a) for a in arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_a_seed_repeats_an_evaluation(capsys):
    # A policy whose returns differ from reset to reset.
    def line(seed, *more):
        policy = ROOT / "results" / "policies" / "Hopper-v5" / "ddpg"
        flags = ("--policy", policy, "--episodes", 3, "--seed", seed)
        status, out, err = evaluate(*flags, *more, capsys=capsys)
        assert (status, err) == (0, "")
        return out

    first = line(0)
    assert first.startswith("Hopper-v5: return ")
    assert re.search(r" over 3 episodes of [\d, to]+ steps \(seed 0\)\.\n$", first)
    assert line(0, "--env", "Hopper-v5") == first
    assert line(1).split(" over")[0] != first.split(" over")[0]


def test_small_returns_have_decimals(tmp_path, monkeypatch, capsys):
    model = Foreign()
    tf.saved_model.save(model, str(tmp_path), {"serving_default": model.act})
    played = np.array([0.001, 0.002]), np.array([5, 5])
    monkeypatch.setattr(evaluating, "evaluate", lambda *_, **__: played)
    arguments = ("--policy", tmp_path, "--env", TASK, "--episodes", 2)
    status, out, _ = evaluate(*arguments, capsys=capsys)
    assert status == 0
    assert f"{TASK}: return 0.00150 ± 0.00050 over 2 episodes of 5 steps" in out


def test_a_record_goes_into_the_card(copy, capsys):
    arguments = ("--policy", copy, "--episodes", 2, "--record")
    for _ in range(2):
        status, out, _ = evaluate(*arguments, capsys=capsys)
        line, where = out.splitlines()
        assert status == 0 and where == f"Recorded in {copy / 'README.md'}."
    (recorded,) = description(copy)["evaluations"]
    assert recorded["output"] == line and recorded["episodes"] == 2
    card = (copy / "README.md").read_text()
    command = f"python reproduce/evaluate.py --policy {copy} --episodes 2 --record"
    assert f"$ {command}\n{line}\n" in card
    # And the policy is one as before.
    assert tf.saved_model.load(str(copy)).action(np.zeros((1, 4))).shape == (1, 1)
    # The card is of one task.
    status, _, err = evaluate(*arguments, "--env", "Pendulum-v1", capsys=capsys)
    assert status == 2 and "--record needs the task of the policy" in err
    assert (copy / "README.md").read_text() == card


def test_the_card_says_what_is_there(exports):
    card = (exports / "smoothie" / "README.md").read_text()
    training = description(exports / "smoothie")["training"]["evaluation"]
    mean, std = rounding.beside(
        training["return_mean"], training["return_std"], least=1
    )
    assert f"{mean} ± {std}" in card
    assert "policy.tflite" in card and "tf_agents" in card and ".gif" not in card
    best = (exports / "best" / "README.md").read_text()
    assert "best of 5 evaluations" in best and "policy.tflite" not in best
    assert "deterministic" in (exports / "ddpg" / "README.md").read_text()


def test_the_cards_python_runs(exports, monkeypatch):
    card = (exports / "smoothie" / "README.md").read_text()
    monkeypatch.chdir(exports)
    names = {}
    exec(card.split("```python\n")[1].split("```")[0], names)
    assert names["action"].shape == (1, 1)


class Foreign(tf.Module):
    """Somebody else's policy: other names, float64, and a torque of a tenth."""

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float64, "x")])
    def act(self, x):
        return {"torque": tf.fill([tf.shape(x)[0], 1], tf.constant(0.1))}

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float64, "x")])
    def narrow(self, x):
        return {"torque": x[:, :1]}

    @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float64, "x")])
    def one_by_one(self, x):
        return {"torque": x[:, :1]}

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float64, "x")])
    def wide(self, x):
        return {"torque": x}


def test_a_policy_of_others_runs(tmp_path, capsys):
    model = Foreign()
    tf.saved_model.save(model, str(tmp_path), {"serving_default": model.act})
    arguments = ("--policy", tmp_path, "--env", TASK, "--episodes", 4)
    status, out, _ = evaluate(*arguments, capsys=capsys)
    streams = random_streams.RandomStreams(0)
    seeds = [streams.seed("evaluation of an export", i) for i in range(4)]
    returns, lengths = evaluating.evaluate(
        lambda o: np.full([len(o), 1], 0.1), make, seeds
    )
    mean, std = rounding.beside(returns.mean(), returns.std(), least=1)
    line = f"return {mean} ± {std} over 4 episodes of"
    line += f" {lengths.min()} to {lengths.max()} steps"
    assert status == 0 and line in out
    status, _, err = evaluate("--policy", tmp_path, "--episodes", 1, capsys=capsys)
    assert status == 2 and "has no policy.json: give --env." in err
    for text in ("[]", "{}", '{"environment": {"id": 5}, "evaluations": []}'):
        (tmp_path / "policy.json").write_text(text)
        assert evaluate(*arguments, capsys=capsys)[0] == 0
        for flags in ((), ("--env", TASK, "--record")):
            flags = ("--policy", tmp_path, "--episodes", 1, *flags)
            status, _, err = evaluate(*flags, capsys=capsys)
            assert status == 2 and "that is not as `smoothie export` writes it" in err


@pytest.mark.parametrize("size", [0, 1000])
def test_variables_that_were_truncated_are_one_sentence(copy, capsys, size):
    (path,) = copy.glob("variables/variables.data-*")
    path.write_bytes(path.read_bytes()[:size])
    status, out, err = evaluate("--policy", copy, "--episodes", 1, capsys=capsys)
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert f"--policy {copy} cannot be loaded as a SavedModel: " in line


@pytest.mark.parametrize(
    "damage",
    [
        lambda described: described.pop("training"),
        lambda described: described.pop("action"),
        lambda described: described["training"].pop("versions"),
        lambda described: described.update(agent=[]),
        lambda described: described["training"].update(step="many"),
        lambda described: described.update(evaluations=[{"output": "1"}]),
        lambda described: described.update(evaluations=[5]),
        lambda described: described["environment"].update(bindings=[5]),
    ],
)
def test_a_card_that_cannot_be_made_is_said_before_the_evaluation(copy, capsys, damage):
    described = description(copy)
    damage(described)
    (copy / "policy.json").write_text(json.dumps(described))
    before = (copy / "README.md").read_text()
    flags = ("--policy", copy, "--episodes", 1, "--record")
    status, out, err = evaluate(*flags, capsys=capsys)
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert "has a policy.json that is not as `smoothie export` writes it" in line
    assert (copy / "README.md").read_text() == before


def test_json_that_is_nested_too_deep_is_one_sentence(copy, capsys):
    (copy / "policy.json").write_text("[" * 100_000)
    status, out, err = evaluate("--policy", copy, "--record", capsys=capsys)
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert "policy.json cannot be read: " in line


def test_an_empty_task_is_not_that_of_the_export(exports, capsys):
    flags = ("--policy", exports / "ddpg", "--env", "", "--episodes", 1)
    status, _, err = evaluate(*flags, capsys=capsys)
    assert status == 2 and "Environment '' cannot be made" in err


@pytest.mark.parametrize(
    ("function", "part"),
    [
        ("narrow", "takes {'x': [None, 3]}, but the task's observations are"),
        ("one_by_one", "takes {'x': [1, 4]}, but"),
        ("wide", "returns {'torque': [None, 4]}, but the task's actions are"),
        (None, "has no signature 'serving_default'"),
    ],
)
def test_a_policy_that_does_not_fit_says_why(tmp_path, capsys, function, part):
    model = Foreign()
    signatures = {"serving_default": getattr(model, function)} if function else None
    tf.saved_model.save(model, str(tmp_path), signatures)
    status, out, err = evaluate("--policy", tmp_path, "--env", TASK, capsys=capsys)
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith(f"evaluate.py: --policy {tmp_path} ") and part in line


def test_bad_input_is_one_sentence(exports, tmp_path, capsys):
    policy = ("--policy", exports / "smoothie")
    (tmp_path / "empty").mkdir()
    for arguments, part in (
        (("--policy", tmp_path / "none"), "is not a directory"),
        (("--policy", tmp_path / "empty", "--env", TASK), "as a SavedModel"),
        ((*policy, "--env", "Hoper-v5"), "'Hoper-v5' cannot be made"),
        ((*policy, "--env", "CartPole-v1"), "the task's actions are Discrete(2)"),
        ((*policy, "--env", "Hopper-v5"), "[None, 11]"),
        ((*policy, "--seed", -1), "--seed must be 0 or more"),
    ):
        status, out, err = evaluate(*arguments, capsys=capsys)
        assert (status, out) == (2, "")
        (line,) = err.splitlines()
        assert line.startswith("evaluate.py: ") and part in line
    for flag in ("--episodes", "--max_steps"):
        with pytest.raises(SystemExit, match="2"):
            evaluate(*policy, flag, 0, capsys=capsys)
        said = capsys.readouterr().err
        assert said == f"evaluate.py: {flag} must be at least 1, but is 0.\n"


def test_export_says_what_is_wrong_in_one_sentence(tmp_path, capsys):
    where = ["--run_dir", str(tmp_path), "--out", str(tmp_path / "out")]
    assert export_command.export_main(where) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"export.py: --run_dir {tmp_path} is empty.\n"
    with pytest.raises(SystemExit) as caught:
        export_command.export_main([*where, "--best", "--checkpoint", "3"])
    assert caught.value.code == 2


class Drawn(gymnasium.Env):
    """Draws its step's number as a shade of grey, and ends after 30."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}
    observation_space = gymnasium.spaces.Box(0, 100, (1,))
    action_space = gymnasium.spaces.Box(0, 1, (1,))
    render_mode = "rgb_array"

    def reset(self, *, seed=None, options=None):
        self.number = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.number += 1
        observation = np.full(1, self.number, np.float32)
        return observation, float(action[0]), self.number == 30, False, {}

    def render(self):
        return np.full((330, 500, 3), 8 * self.number, np.uint8)


def test_a_gif_is_small_and_in_the_tasks_own_time(tmp_path):
    from PIL import Image

    for seconds, frames in ((1.0, 10), (60.0, 16)):
        path = tmp_path / f"{frames}.gif"
        video.record_gif(
            lambda observation: np.ones(1),
            lambda *_, **__: Drawn(),
            "-",
            path,
            0,
            seconds,
        )
        with Image.open(path) as picture:
            # 500 pixels by 330, in squares of 4.
            assert picture.size == (125, 83)
            # Ten a second of twenty steps a second: every other one, from 0 on.
            assert picture.n_frames == frames
            assert picture.info["duration"] == 100
            for i in range(picture.n_frames):
                picture.seek(i)
                shade = picture.convert("RGB").getpixel((60, 40))[0]
                assert abs(shade - 16 * i) <= 8


def test_nested_observations_and_actions_of_a_run_of_ones_own(
    small_run, tmp_path, monkeypatch, capsys
):
    code = """
import gymnasium, numpy as np
from gymnasium import spaces

class Task(gymnasium.Env):
    observation_space = spaces.Dict({"b": spaces.Box(-1.0, 1.0, (2,)),
                                     "a": spaces.Discrete(3)})
    action_space = spaces.Box(np.float32([-0.4, 0]), np.float32([0.4, 2]))
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.look(), {}
    def look(self):
        b = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return {"b": b, "a": self.steps % 3}
    def step(self, action):
        assert self.action_space.contains(action), action
        self.steps += 1
        return self.look(), float(action.sum()), False, self.steps == 7, {}

gymnasium.register("NestedTask-v0", entry_point=Task)
"""
    (tmp_path / "nested_task.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    name = "nested_task:NestedTask-v0"
    run_dir, out = small_run(env=name), tmp_path / "policy"
    where = ["--run_dir", str(run_dir), "--out", str(out), "--no_tf_agents"]
    assert export_command.export_main(where) == 0
    # The task cannot be rendered: that is said, and no more.
    (notice,) = capsys.readouterr().err.splitlines()
    assert notice.startswith(f"The card has no picture: {name} cannot be rendered")
    assert "gif" not in (out / "README.md").read_text()
    streams = random_streams.RandomStreams(0)
    seeds = [streams.seed("evaluation", 100, i) for i in range(3)]

    def make_nested():
        return checked_task.make_task(name)

    policy = evaluating.ExportedPolicy(out, make_nested())
    returns = evaluating.evaluate(policy.act, make_nested, seeds).returns
    expected = pd.read_csv(run_dir / "metrics.csv")["evaluation_return_mean"].iloc[-1]
    assert returns.mean() == pytest.approx(expected, rel=1e-6)
    model = tf.saved_model.load(str(out))
    for pair in description(out)["pairs"]:
        nest = {k: np.array(v) for k, v in pair["observation"].items()}
        action = model.action(saved_model.batch([nest]))[0]
        np.testing.assert_allclose(action, pair["action"], rtol=1e-5, atol=1e-6)


def test_the_scripts_parse_flags_and_call():
    for name in ("export", "evaluate"):
        done = subprocess.run(
            [sys.executable, str(ROOT / "reproduce" / f"{name}.py"), "--help"],
            capture_output=True,
            text=True,
            env={"PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == 0 and f"usage: {name}.py" in done.stdout


def test_returns_are_in_the_tasks_own_reward():
    # Of 0 and 20 as its levels, Pendulum's rewards below 0 are all 0.
    name = discretized_reward.register("Pendulum-v1", 0.0, 20.0)

    def returns(task):
        return evaluating.evaluate(
            lambda observations: np.zeros([len(observations), 1]),
            lambda: checked_task.make_task(task),
            [0, 1],
        ).returns

    np.testing.assert_array_equal(returns(name), returns("Pendulum-v1"))
    assert (returns(name) < 0).all()
    del gymnasium.registry[name]
