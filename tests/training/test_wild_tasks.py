"""Tasks in the wild: every way into one checks it, and copies what it gives."""

import json
import pathlib
import shutil

import numpy as np
import pandas as pd
import pytest
from tf_agents.drivers import py_driver
from tf_agents.policies import random_py_policy

from smoothie_tf.environments import checked_task, gymnasium_environment
from smoothie_tf.export import export_command, saved_run
from smoothie_tf.training import config, main, process, stopping, train
from tests import slow

HERE = pathlib.Path(__file__).parents[1]
SOUND = "wild_tasks:Wild-v0"
BINDINGS = (
    "MeanNetwork.hidden_units=(4,)",
    "smoothie_tf.CriticNetwork.observation_units=(4,)",
    "smoothie_tf.CriticNetwork.joint_units=(4,)",
    "train.batch_size=8",
    "train.use_xla=False",
    "train.initial_collect_steps=10",
    "train.evaluation_interval=50",
    "train.evaluation_episodes=2",
    "train.checkpoint_interval=20",
)


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(HERE)


def arguments(run_dir, env, *flags, steps=50, bindings=()):
    words = ["--agent", "smoothie", "--env", env, "--run_dir", str(run_dir)]
    words += ["--num_steps", str(steps), "--preset", "quick", "--quiet", *flags]
    for binding in (*BINDINGS, *bindings):
        words += ["--gin_bindings", binding]
    return words


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A finished run on the sound task, to be copied before it is changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE)
        made = tmp_path_factory.mktemp("wild") / "run"
        assert main.main(arguments(made, SOUND)) == 0
    return made


@pytest.fixture(scope="module")
def policy(run_dir):
    out = run_dir.parent / "policy"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE)
        where = ["--run_dir", str(run_dir), "--out", str(out)]
        assert export_command.export_main([*where, "--no_gif", "--no_tf_agents"]) == 0
    return out


#: Kind, exit status, and what the one sentence holds.
FAULTS = {
    "Raises": (2, "raised RuntimeError in step: The robot fell off the table"),
    "SaysNothing": (2, "raised AssertionError in step: it gives no reason (wild_tasks"),
    "Exits": (2, "raised SystemExit in step: 0"),
    "NanReward": (1, "Reward is nan, which is not finite"),
    "NoReward": (2, "returned reward None from step, but it must be a number"),
    "NanObservation": (1, "Observation[1] is nan, which is not finite"),
    "WrongShape": (2, "an observation of shape (3,) from step, but announces (2,)"),
    "FourValues": (2, "returned 4 values from step, but must return five values:"),
    "NoInfo": (2, "returned info None from step, but it must be a dict"),
    "NoneAsFlag": (2, "returned terminated None from step, but it must be True or"),
    "ResetWithoutInfo": (2, "returned a ndarray from reset, but must return two val"),
    "ResetRaises": (2, "raised RuntimeError in reset: The robot is not there"),
}


@pytest.mark.parametrize(
    "kind",
    slow.all_but(["Exits", "NanReward", "ResetRaises"], FAULTS),
)
def test_a_fault_is_one_sentence_on_every_way_in(
    kind, run_dir, policy, tmp_path, capsys
):
    env, (status, part) = f"wild_tasks:Wild{kind}-v0", FAULTS[kind]

    def says(program, ending):
        said = capsys.readouterr()
        assert ending == status and said.out == ""
        (line,) = said.err.splitlines()
        assert line.startswith(f"{program}.py: ") and part in line
        assert line.endswith(".")

    says("train", main.main(arguments(tmp_path / "run", env)))
    flags = ["--policy", str(policy), "--env", env, "--episodes", "2"]
    says("evaluate", export_command.evaluate_main(flags))
    # As if the task had gone wrong since it was trained on.
    copy = tmp_path / "copy"
    shutil.copytree(run_dir, copy)
    info = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps({**info, "env": env}))
    flags = ["--run_dir", str(copy), "--out", str(tmp_path / "out"), "--no_tf_agents"]
    says("export", export_command.export_main([*flags, "--no_gif"]))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "kind", slow.all_but(["Raises"], ["Raises", "NanReward", "FourValues"])
)
def test_a_fault_while_it_is_drawn(kind, run_dir, policy, tmp_path, capsys):
    env, (_, part) = f"wild_tasks:Wild{kind}Drawn-v0", FAULTS[kind]
    assert main.main([*arguments(tmp_path / "run", env), "--video"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("There is no video: ") and part in line
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "done"
    assert not list((tmp_path / "run").glob("*video*"))
    flags = ["--policy", str(policy), "--env", env, "--episodes", "2"]
    video = ["--video", str(tmp_path / "video.mp4")]
    assert export_command.evaluate_main([*flags, *video]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"{env}: return ") and said.out.count("\n") == 1
    (line,) = said.err.splitlines()
    assert line.startswith("There is no video: ") and part in line
    assert not list(tmp_path.glob("*video*"))
    # The card does without its picture.
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "run", copy)
    flags = ["--run_dir", str(copy), "--out", str(tmp_path / "out"), "--no_tf_agents"]
    assert export_command.export_main(flags) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("The card has no picture: ")
    assert FAULTS[kind][1].split(", which")[0] in line


def test_a_close_that_raises_costs_no_result(policy, tmp_path, capsys):
    env = "wild_tasks:WildCloseRaises-v0"
    sentence = "Environment 'WildCloseRaises-v0' raised RuntimeError in close: "
    sentence += "The window is gone.\n"
    assert main.main(arguments(tmp_path / "run", env)) == 0
    said = capsys.readouterr()
    assert said.err == sentence and said.out.startswith("Results are in ")
    flags = ["--policy", str(policy), "--env", env, "--episodes", "2"]
    assert export_command.evaluate_main(flags) == 0
    said = capsys.readouterr()
    assert "return" in said.out and set(said.err.splitlines(True)) == {sentence}
    out = str(tmp_path / "out")
    flags = ["--run_dir", str(tmp_path / "run"), "--out", out, "--no_tf_agents"]
    assert export_command.export_main([*flags, "--no_gif"]) == 0
    assert set(capsys.readouterr().err.splitlines(True)) == {sentence}


def test_a_task_that_is_not_the_one_it_says_it_is(policy, tmp_path, capsys):
    env = "wild_tasks:WildDetached-v0"
    part = f"Environment {env!r} cannot be made: AssertionError: it gives no reason ("
    assert main.main(arguments(tmp_path / "run", env)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert part in line
    assert export_command.evaluate_main(["--policy", str(policy), "--env", env]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert part in line


@pytest.mark.parametrize("task", ["WildOneArray-v0", "WildOneDict-v0"])
def test_replay_holds_each_observation(task, tmp_path, monkeypatch):
    # The first number of an observation is the step within its episode of 20.
    rows = []
    save = train.Trainer._save

    def look(trainer):
        rows[:] = [trainer.replay.rows_since(0)]
        save(trainer)

    monkeypatch.setattr(train.Trainer, "_save", look)
    env = f"wild_tasks:{task}"
    assert main.main(arguments(tmp_path, env)) == 0
    (rows,) = rows
    np.testing.assert_array_equal(rows[:42, 0], [*range(21), *range(21)])
    # And so it is exported and evaluated as it is trained on.
    table = pd.read_csv(tmp_path / "metrics.csv")
    assert np.isfinite(table["evaluation_return_mean"]).all()


def test_one_array_trains_as_a_new_one_each_step(tmp_path, run_dir):
    # The same task in all but that: the same curve, and the same weights.
    assert main.main(arguments(tmp_path, "wild_tasks:WildOneArray-v0")) == 0
    one, other = (
        pd.read_csv(d / "metrics.csv").drop(columns="steps_per_second")
        for d in (tmp_path, run_dir)
    )
    pd.testing.assert_frame_equal(one, other)
    replays = [
        (d / "checkpoints" / "replay.f32").read_bytes() for d in (tmp_path, run_dir)
    ]
    assert replays[0] == replays[1]


@pytest.mark.parametrize("task", ["WildOneArray-v0", "WildOneDict-v0"])
def test_tf_agents_own_driver_sees_each_observation(task):
    env = gymnasium_environment.GymnasiumEnvironment(f"wild_tasks:{task}", seed=0)
    seen = []
    driver = py_driver.PyDriver(
        env,
        random_py_policy.RandomPyPolicy(env.time_step_spec(), env.action_spec()),
        [seen.append],
        max_steps=15,
    )
    driver.run(env.reset())
    assert [int(each.observation[0]) for each in seen] == list(range(15))


def test_what_is_trained_on_is_exported_and_evaluated(tmp_path, capsys):
    env = "wild_tasks:WildListed-v0"
    assert main.main(arguments(tmp_path / "run", env)) == 0
    out = tmp_path / "policy"
    flags = ["--run_dir", str(tmp_path / "run"), "--out", str(out), "--no_tf_agents"]
    assert export_command.export_main([*flags, "--no_gif"]) == 0
    capsys.readouterr()
    assert export_command.evaluate_main(["--policy", str(out)]) == 0
    assert f"{env}: return " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("Unseeded", "does not repeat an episode from the same seed and actions: "),
        ("Curriculum", "does not repeat an episode from the same seed and actions: "),
        ("Normalized", "seed and actions (NormalizeObservation): evaluations and"),
        ("NormalizedReward", "by what it has seen (NormalizeReward): evaluations and"),
        ("", None),
    ],
)
def test_a_task_that_its_own_past_changes_is_reported(kind, part, tmp_path, capsys):
    env = f"wild_tasks:Wild{kind}-v0"
    assert main.main(arguments(tmp_path / "run", env, steps=9)) == 0
    *said, untrained = capsys.readouterr().err.splitlines()
    assert untrained == (
        "train.num_steps is 9, less than train.initial_collect_steps, 10: the agent is"
        " not trained."
    )
    assert len(said) == bool(part) and all(part in line for line in said)


def test_a_task_whose_bounds_have_changed(run_dir, policy, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(run_dir, copy)
    info = json.loads((copy / "run.json").read_text())
    assert info["spaces"]["action"]["high"] == 1.0
    info["spaces"]["action"]["high"] = 3.0
    (copy / "run.json").write_text(json.dumps(info))
    assert main.main(arguments(copy, SOUND, steps=60)) == 2
    line = "holds a run of wild_tasks:Wild-v0 with other spaces: action high 3.0, now 1"
    assert line in capsys.readouterr().err
    exported = tmp_path / "policy"
    shutil.copytree(policy, exported)
    description = json.loads((exported / "policy.json").read_text())
    description["observation"]["low"] = 0.0
    (exported / "policy.json").write_text(json.dumps(description))
    flags = ["--policy", str(exported), "--episodes", "1"]
    assert export_command.evaluate_main(flags) == 0
    assert "observation low 0.0, now -1000000.0" in capsys.readouterr().err


def test_a_value_that_is_no_longer_bound(run_dir, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(run_dir, copy)
    assert main.main(arguments(copy, SOUND)) == 0
    config = copy / "operative_config.gin"
    before = "train.updates_per_call = 1"
    assert before in config.read_text()
    config.write_text(config.read_text().replace(before, "train.updates_per_call = 2"))
    assert main.main(arguments(copy, SOUND)) == 2
    line = "with train.updates_per_call = 2 (operative_config.gin), not 1;"
    assert line in capsys.readouterr().err


def test_another_network_costs_no_checkpoint(run_dir, tmp_path, capsys):
    copy, mine = tmp_path / "copy", tmp_path / "mine.gin"
    shutil.copytree(run_dir, copy)
    mine.write_text("SmoothieAgent.covariance = 'state_diagonal'\n")
    flags = ("--gin_file", str(mine))
    assert main.main(arguments(copy, SOUND, *flags, steps=60)) == 2
    said = capsys.readouterr().err
    assert "holds a run with SmoothieAgent.covariance = 'diagonal'" in said
    # As a change of the package would.
    config = copy / "operative_config.gin"
    text = config.read_text().replace(
        "covariance = 'diagonal'", "covariance = 'state_diagonal'"
    )
    config.write_text(text)
    assert main.main(arguments(copy, SOUND, *flags, steps=60)) == 2
    said = capsys.readouterr().err
    assert "Its files are as they were written" in said and "Remove" not in said


def test_what_is_not_announced_is_refused_at_the_start(tmp_path, capsys):
    assert main.main(arguments(tmp_path, "wild_tasks:WildMoreKeys-v0")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "an observation from reset with the keys 'a', 'more', but announces 'a'" in (
        line
    )


def test_an_episode_of_an_evaluation_has_a_limit(policy, tmp_path, capsys):
    env = "wild_tasks:WildEndless-v0"
    bindings = ("train.evaluation_max_steps=7", "train.evaluation_interval=25")
    assert main.main(arguments(tmp_path / "run", env, bindings=bindings)) == 0
    # Two evaluations of two episodes; it is said once.
    assert capsys.readouterr().err == (
        "WildEndless-v0 did not end an episode within 7 steps"
        " (train.evaluation_max_steps): it counts as ended there.\n"
    )
    returns = pd.read_csv(tmp_path / "run" / "metrics.csv")["evaluation_return_mean"]
    assert returns.tolist() == [7.0, 7.0]
    flags = ["--policy", str(policy), "--env", env, "--episodes", "25"]
    assert export_command.evaluate_main([*flags, "--max_steps", "9"]) == 0
    said = capsys.readouterr()
    assert "return 9.00 ± 0.00 over 25 episodes" in said.out
    assert said.err == (
        "WildEndless-v0 did not end an episode within 9 steps (--max_steps): it counts"
        " as ended there.\n"
    )


@pytest.mark.parametrize(
    "task", slow.all_but(["Wild-v0"], ["WildEndless-v0", "Wild-v0"])
)
def test_an_evaluation_that_is_stopped_comes_again(task, tmp_path, monkeypatch):
    """At the last step and before it, in the middle of an evaluation."""
    env = f"wild_tasks:{task}"
    bindings = ("train.evaluation_max_steps=15", "train.evaluation_interval=30")
    words = [arguments(tmp_path / d, env, bindings=bindings) for d in ("one", "two")]
    assert main.main(words[0]) == 0
    step, taken = checked_task.Checked.step, []

    def stopped(checked, action):
        taken.append(1)
        if len(taken) in (45, 100):
            stops[-1].set()
        return step(checked, action)

    made, stops = stopping.StopRequest.__init__, []

    def remember(stop):
        made(stop)
        stops.append(stop)

    monkeypatch.setattr(stopping.StopRequest, "__init__", remember)
    monkeypatch.setattr(checked_task.Checked, "step", stopped)
    # 30 steps, the 15th of the evaluation; then 20 and an evaluation of 30 or 40.
    statuses = [main.main(words[1]) for _ in range(3)]
    assert statuses == [130, 130, 0]
    tables = [
        pd.read_csv(tmp_path / d / "metrics.csv").drop(columns="steps_per_second")
        for d in ("one", "two")
    ]
    assert tables[0]["step"].tolist() == [30, 50]
    pd.testing.assert_frame_equal(*tables)
    ones, others = (
        [
            v.numpy()
            for v in saved_run.SavedRun(tmp_path / d).restore(50).policy.variables()
        ]
        for d in ("one", "two")
    )
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one, other)
    # Longer runs go on from there with both rows.
    for each in words:
        each[each.index("--num_steps") + 1] = "60"
        assert main.main(each) == 0
    tables = [
        pd.read_csv(tmp_path / d / "metrics.csv").drop(columns="steps_per_second")
        for d in ("one", "two")
    ]
    assert tables[0]["step"].tolist() == [30, 50, 60]
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize("during", ["_take_step", "_evaluate"])
def test_an_episode_that_replay_does_not_hold(during, tmp_path, monkeypatch, capsys):
    bindings = ("train.replay_capacity=30", "train.checkpoint_interval=15")
    bindings += ("train.evaluation_max_steps=5", "train.evaluation_interval=40")
    words = arguments(tmp_path, "wild_tasks:WildEndless-v0", bindings=bindings)
    go_on = getattr(train.Trainer, during)

    def stopped(trainer, *arguments):
        if trainer.step == 40 - (during == "_take_step"):
            trainer._stop.set()
        go_on(trainer, *arguments)

    monkeypatch.setattr(train.Trainer, during, stopped)
    assert main.main(words) == 130
    said = capsys.readouterr().err.splitlines()
    assert said[0] == (
        "The episode in progress has more steps than 30 (train.replay_capacity): until"
        " it ends, a run that stops cannot be resumed."
    )
    assert said[-1] == (
        "Stopped; the run cannot be resumed: replay does not hold its whole episode."
    )
    assert main.main(words) == 2
    assert "cannot be resumed exactly: the episode" in capsys.readouterr().err


def test_a_run_that_is_stopped_while_it_plays_an_episode_again(tmp_path, monkeypatch):
    bindings = ("train.checkpoint_interval=35",)
    words = arguments(tmp_path, SOUND, steps=45, bindings=bindings)
    take_step = train.Trainer._take_step

    def killed(trainer):
        take_step(trainer)
        if trainer.step == 40:
            raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(train.Trainer, "_take_step", killed)
        with pytest.raises(MemoryError):
            main.main(words)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    stop = stopping.StopRequest()
    stop.set()
    config.parse(
        "smoothie", SOUND, "quick", [], [*BINDINGS, *bindings, "train.num_steps=45"]
    )
    with pytest.raises(stopping.Interrupted):
        process.run(
            "smoothie",
            SOUND,
            0,
            tmp_path,
            gin_bindings=(*BINDINGS, *bindings),
            quiet=True,
            stop=stop,
        )
    after = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert {p.name for p in before if before[p] != after[p]} <= {".lock"}


@pytest.mark.parametrize(
    ("structure", "kept"),
    [
        ({"qpos": np.int64(2), "of": (np.zeros(2),)}, {"qpos": 2, "of": [[0.0, 0.0]]}),
        ({("a", "b"): 1}, None),
        ({"object": object}, None),
        ("two numbers", None),
    ],
)
def test_parts_of_an_observation_that_a_task_names_in_its_own_way(
    structure, kept, run_dir, tmp_path, monkeypatch
):
    env = checked_task.make_task(SOUND).unwrapped
    monkeypatch.setattr(type(env), "observation_structure", structure, raising=False)
    flags = ["--run_dir", str(run_dir), "--out", str(tmp_path / "out")]
    assert export_command.export_main([*flags, "--no_gif", "--no_tf_agents"]) == 0
    described = json.loads((tmp_path / "out" / "policy.json").read_text())
    assert described["environment"].get("observation_structure") == kept
