"""Whole runs from the command line: repeated, interrupted, resumed, refused."""

import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys

import gymnasium
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import plugin_event_accumulator
from tf_agents.trajectories import time_step as ts

from smoothie_tf.environments import discretized_reward
from smoothie_tf.export import exporting, saved_run
from smoothie_tf.training import (
    config,
    main,
    process,
    provenance,
    replay_buffer,
    run_directory,
    train,
)
from tests import slow

ROOT = pathlib.Path(__file__).parents[2]
STEPS = 120
SMALL = (
    "MeanNetwork.hidden_units=(8,)",
    "smoothie_tf.CriticNetwork.observation_units=(8,)",
    "smoothie_tf.CriticNetwork.joint_units=(8,)",
    "train.batch_size=8",
    "train.initial_collect_steps=40",
    "train.evaluation_interval=50",
    "train.evaluation_episodes=2",
    "train.checkpoint_interval=30",
    "create_agent.actor_learning_rate=1e-3",
    "create_agent.critic_learning_rate=1e-3",
)
# Not compiled for all but one test of each agent: compilation takes seconds.
GRAPH = ("train.use_xla=False",)


def arguments(run_dir, agent="smoothie", env="InvertedPendulum-v5", **changes):
    """The command's arguments; `changes` are seed, steps and bindings."""
    bindings = (*SMALL, *changes.get("bindings", GRAPH))
    return [
        *("--agent", agent, "--env", env, "--seed", str(changes.get("seed", 0))),
        *("--num_steps", str(changes.get("steps", STEPS))),
        *("--run_dir", str(run_dir), "--preset", "quick", "--quiet"),
        *(word for binding in bindings for word in ("--gin_bindings", binding)),
    ]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Runs that were never stopped, made once."""
    made = {}

    def get(agent="smoothie", env="InvertedPendulum-v5", **changes):
        key = (agent, env, *sorted(changes.items()))
        if key not in made:
            made[key] = tmp_path_factory.mktemp("finished")
            assert main.main(arguments(made[key], agent, env, **changes)) == 0
        return made[key]

    return get


@pytest.fixture
def interrupt(monkeypatch):
    """Sends SIGINT while the environment is at one of some steps."""

    def at(*steps):
        take_step = train.Trainer._take_step

        def step(trainer):
            take_step(trainer)
            if trainer.step in steps:
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(train.Trainer, "_take_step", step)

    return at


def metrics(run_dir):
    table = pd.read_csv(run_dir / "metrics.csv", dtype=str)
    assert tuple(table.columns) == run_directory.COLUMNS
    return table.drop(columns="steps_per_second")


def loop_state(run_dir):
    reader = tf.train.load_checkpoint(str(run_dir / "checkpoints"))
    (name,) = (n for n in reader.get_variable_to_dtype_map() if n.startswith("state/"))
    return json.loads(reader.get_tensor(name))["loop"]


def variables(run_dir):
    reader = tf.train.load_checkpoint(str(run_dir / "checkpoints"))
    kinds = reader.get_variable_to_dtype_map()
    return {
        name: reader.get_tensor(name)
        for name, kind in kinds.items()
        # How often a run was saved is not part of what it learned.
        if kind != tf.string and not name.startswith("save_counter")
    }


def assert_same_run(one, other):
    """Holds the curves, all weights and optimizer slots, and replay together."""
    pd.testing.assert_frame_equal(metrics(one), metrics(other))
    mine, theirs = variables(one), variables(other)
    assert mine.keys() == theirs.keys()
    assert len(mine) > 20
    for name, value in mine.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)
    replays = [(d / "checkpoints" / "replay.f32").read_bytes() for d in (one, other)]
    assert replays[0] == replays[1]


AGENTS = "smoothie", "ddpg", "td3", "sac"


@pytest.mark.parametrize("agent", AGENTS)
def test_what_a_run_leaves_behind(finished, agent):
    directory = finished(agent)
    table = pd.read_csv(directory / "metrics.csv")
    assert table["step"].tolist() == [50, 100, 120]
    always = table.drop(
        columns=[] if agent == "smoothie" else ["kl", "training_return"]
    )
    assert np.isfinite(always.dropna(axis=1, how="all")).all(axis=None)
    assert table["kl"].isna().all() == (agent != "smoothie")
    assert (table["evaluation_return_mean"] > 0).all()
    assert (table["steps_per_second"] > 0).all()
    # The first episodes of this task end within a few steps.
    assert table["training_return"].notna().any()

    info = json.loads((directory / "run.json").read_text())
    assert info["status"] == "done"
    assert (info["agent"], info["env"], info["seed"], info["num_steps"]) == (
        agent,
        "InvertedPendulum-v5",
        0,
        STEPS,
    )
    assert info["gin_bindings"] == [*SMALL, *GRAPH]
    assert info["command"].startswith("python reproduce/train.py --agent")
    assert info["wall_seconds"] > 0
    assert "tensorflow" in info["versions"]
    progress = json.loads((directory / "progress.json").read_text())
    assert set(progress) == {
        "step",
        "num_steps",
        "steps_per_second",
        "evaluation_return",
        "policy_stddev",
    }
    operative = (directory / "operative_config.gin").read_text()
    assert "joint_units = (8,)" in operative and "num_steps = 120" in operative
    assert list((directory / "tensorboard").glob("events.*"))
    assert loop_state(directory)["step"] == STEPS


def test_a_row_is_of_what_was_since_the_row_before(finished):
    # Replay of four observations, an action, the reward and the discount: episodes end
    # at the rows whose discount is replaced.
    directory = finished()
    file = directory / "checkpoints" / "replay.f32"
    rows = np.fromfile(file, np.float32).reshape(-1, 4 + 1 + 2)
    ends = np.flatnonzero(rows[:, -1] == replay_buffer.NO_TRANSITION)
    # Environment steps up to each end: every episode has one more row.
    steps = ends - np.arange(len(ends))
    returns = np.diff(np.cumsum(rows[:, -2])[ends], prepend=0.0)
    table = pd.read_csv(directory / "metrics.csv")
    for low, high, said in zip(
        [0, 50, 100], table["step"], table["training_return"], strict=True
    ):
        within = returns[(low < steps) & (steps <= high)]
        assert within.size
        np.testing.assert_allclose(said, within.mean(), rtol=1e-6)


def test_no_room_for_tensorboard_is_told_once(tmp_path, monkeypatch, capsys):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    evaluate = train.Trainer._evaluate

    def without_room(trainer, rate):
        # Every write to a file fails from here on, as on a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        evaluate(trainer, rate)

    monkeypatch.setattr(train.Trainer, "_evaluate", without_room)
    try:
        status = main.main(arguments(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert status == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert "tensorboard cannot be written" in said
    assert "after step 50; the last checkpoint is" in said
    # Nothing of it is left for what else this process does.
    assert not tf.summary.should_record_summaries()


def test_tensorboard_has_the_same_numbers(finished):
    directory = finished()
    read = {}
    for path in (directory / "tensorboard").glob("events.*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                number = tf.make_ndarray(value.tensor)
                read[event.step, value.tag.split("/")[-1]] = float(number)
    table = pd.read_csv(directory / "metrics.csv")
    for _, row in table.iterrows():
        for name in ("evaluation_return_mean", "q", "critic_loss"):
            np.testing.assert_allclose(read[int(row["step"]), name], row[name], 1e-5)


# Of the others, the tests of resumed runs hold two runs of a seed together.
@pytest.mark.parametrize("agent", slow.all_but(["smoothie"], ["smoothie", "sac"]))
def test_one_seed_is_one_run(finished, tmp_path, agent):
    assert main.main(arguments(tmp_path / "again", agent)) == 0
    assert_same_run(finished(agent), tmp_path / "again")


@pytest.mark.parametrize("values", ["paper", "recommended"])
def test_it_says_which_values_it_takes(tmp_path, values, capsys):
    words = [*arguments(tmp_path / "run", steps=20), "--values", values]
    assert main.main([word for word in words if word != "--quiet"]) == 0
    said = capsys.readouterr()
    whose = "the agent's defaults" if values == "paper" else values
    assert f"Values: {whose} (gin/agents/smoothie.gin" in said.err
    assert ("gin/recommended/smoothie.gin" in said.err) == (values == "recommended")
    operative = (tmp_path / "run" / "operative_config.gin").read_text()
    share = "SmoothieAgent.covariance_learning_rate_factor = 0.1"
    assert (share in operative) == (values == "recommended")


def test_values_that_have_changed_since_the_launch(tmp_path, capsys, monkeypatch):
    words = [*arguments(tmp_path / "run"), "--values_digest"]
    assert main.main([*words, "12345678"]) == 2
    assert "have changed since this run was planned: give" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    given = []
    monkeypatch.setattr(process, "run", lambda *_, **named: given.append(named))
    assert main.main([*words, "none"]) == 0
    assert "values_digest" not in given[0]["command"]


def test_recommended_values_are_never_untuned(tmp_path, capsys):
    words = [*arguments(tmp_path / "run"), "--values", "recommended", "--untuned"]
    assert main.main(words) == 2
    assert (
        "--untuned has no effect with --values recommended" in capsys.readouterr().err
    )


def test_another_seed_is_another_run(finished):
    first, other = finished(), finished(seed=1)
    assert not metrics(first).equals(metrics(other))
    mine, theirs = variables(first), variables(other)
    assert any((mine[name] != theirs[name]).any() for name in mine)


@pytest.mark.parametrize(
    ("agent", "steps"),
    [
        ("smoothie", (20, 50, 77)),
        ("ddpg", (77,)),
        # Whose noise, temperature and delayed updates go on where they were.
        ("td3", (78,)),
        ("sac", (77,)),
        # And before training, where TD3 and SAC act at random.
        pytest.param("ddpg", (39, 77), marks=pytest.mark.slow),
        pytest.param("td3", (20, 78), marks=pytest.mark.slow),
        pytest.param("sac", (20, 77), marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(
    finished, interrupt, tmp_path, agent, steps, capsys
):
    whole = finished(agent)
    # While collecting or before the first training step, at a row, and in mid-training.
    interrupt(*steps)
    for step in steps:
        assert main.main(arguments(tmp_path, agent)) == 130
        info = json.loads((tmp_path / "run.json").read_text())
        assert info["status"] == "interrupted"
        assert loop_state(tmp_path)["step"] == step
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == (
        f"Stopped; the same command resumes from the checkpoint in {tmp_path}."
    )
    assert main.main(arguments(tmp_path, agent)) == 0
    assert_same_run(whole, tmp_path)


def test_a_run_says_what_it_was_made_with(
    finished, interrupt, tmp_path, monkeypatch, capsys
):
    whole = finished()  # Before it is interrupted.
    interrupt(50)
    assert main.main(arguments(tmp_path)) == 130
    files = {path: path.read_bytes() for path in tmp_path.glob("*.*")}
    other = tmp_path / "other.gin"
    other.write_text("SmoothieAgent.gamma = 0.9")
    capsys.readouterr()
    assert main.main([*arguments(tmp_path), "--gin_file", str(other)]) == 2
    assert capsys.readouterr().err == (
        f"train.py: --run_dir {tmp_path} holds a run with SmoothieAgent.gamma = 0.995"
        " (operative_config.gin), not 0.9; its run.json has its command.\n"
    )
    assert all(path.read_bytes() == content for path, content in files.items())
    made = provenance.current()
    later = {**made, "commit": "0123456789abcdef"}
    monkeypatch.setattr(provenance, "current", lambda: later)
    assert main.main(arguments(tmp_path)) == 0
    assert capsys.readouterr().err == (
        f"{tmp_path} was made with other versions up to step 50: commit"
        f" {str(made['commit'])[:10]}, now 0123456789.\n"
    )
    info = json.loads((tmp_path / "run.json").read_text())
    assert info["commit"] == later["commit"]
    assert info["earlier"] == [{"to_step": 50, **made}]
    assert_same_run(whole, tmp_path)


# DDPG's noise also has a state within an episode.
@pytest.mark.parametrize("agent", slow.all_but(["ddpg"], AGENTS))
def test_an_episode_in_progress_goes_on(finished, interrupt, tmp_path, agent):
    # Pendulum's episodes have 200 steps: 210 is within the second.
    settings = {
        "env": "Pendulum-v1",
        "steps": 220,
        "bindings": (*GRAPH, "train.evaluation_interval=220"),
    }
    whole = finished(agent, **settings)
    interrupt(210)
    assert main.main(arguments(tmp_path, agent, **settings)) == 130
    assert loop_state(tmp_path)["episode_length"] == 10
    assert main.main(arguments(tmp_path, agent, **settings)) == 0
    assert_same_run(whole, tmp_path)


@pytest.mark.parametrize("agent", slow.all_but(["svg0"], ["soft_ddpg", "svg0"]))
def test_neighbours_go_on_in_the_middle_of_an_episode(
    finished, interrupt, tmp_path, agent
):
    # By a task with a discretized reward, whose returns are the task's own: what an
    # episode had earned is summed up again. Without training until then.
    name = discretized_reward.register("Pendulum-v1", -16.3, 0.0)
    settings = {
        "env": name,
        "steps": 410,
        "bindings": (
            *GRAPH,
            "train.evaluation_interval=410",
            "train.initial_collect_steps=380",
            "DiscretizedReward.levels=2",
        ),
    }
    whole = finished(agent, **settings)
    interrupt(390)
    assert main.main(arguments(tmp_path, agent, **settings)) == 130
    assert loop_state(tmp_path)["episode_length"] == 190
    assert main.main(arguments(tmp_path, agent, **settings)) == 0
    assert_same_run(whole, tmp_path)
    # Two levels, −16.3 and 0: sums of them would be multiples of 16.3.
    table = pd.read_csv(whole / "metrics.csv")
    for column in ("training_return", "evaluation_return_mean"):
        returns = 2 * table[column] / 16.3
        assert (np.abs(returns - returns.round()) > 1e-6).all()
    assert table["kl"].isna().all()


# All that they bind, for a few updates an episode; what is not an agent's is not read.
FEW_UPDATES = (
    "smoothie_tf.ValueNetwork.hidden_units=(8,)",
    "DynamicsNetwork.hidden_units=(4,)",
    *(
        f"{agent}.{what}_updates=3"
        for agent, kinds in (
            ("Svg0Agent", ("critic", "policy")),
            ("Svg1Agent", ("model", "value", "policy")),
            ("SvgInfinityAgent", ("model",)),
            ("TdActorCriticAgent", ("value", "policy")),
        )
        for what in kinds
    ),
    "create_agent.model_learning_rate=1e-2",
    "Svg1Agent.kl_penalty=0.1",
)
# A swing-up whose episodes end after 25 steps.
gymnasium.register(
    id="ShortSwingup-v0",
    entry_point="smoothie_tf.environments.cartpole:CartpoleEnvironment",
    max_episode_steps=25,
)


EPISODIC = (
    *("svg0_episode", "dpg", "svg1", "svg1_er"),
    *("svg_infinity", "planner", "td_actor_critic"),
)


def episodic(run_dir, agent):
    bindings = (*GRAPH, *FEW_UPDATES)
    if agent == "svg0_episode":
        bindings += ("Svg0Agent.stored_next_action=True",)
    return arguments(run_dir, agent, "ShortSwingup-v0", bindings=bindings)


@pytest.fixture(scope="module")
def whole_and_killed(tmp_path_factory):
    """A finished run, made once, and what it had left when it was at step 95."""
    made = {}

    def get(agent):
        if agent not in made:
            made[agent] = [tmp_path_factory.mktemp(agent) / x for x in ("one", "two")]
            whole, killed = made[agent]
            take_step = train.Trainer._take_step

            def copied(trainer):
                take_step(trainer)
                if trainer.step == 95:
                    shutil.copytree(whole, killed)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(train.Trainer, "_take_step", copied)
                assert main.main(episodic(whole, agent)) == 0
        return made[agent]

    return get


@pytest.mark.parametrize("agent", slow.all_but(["svg1_er"], EPISODIC))
def test_agents_that_learn_from_episodes_go_on(whole_and_killed, tmp_path, agent):
    # The last checkpoint is of step 90, where the fourth episode has 15 steps, of which
    # the next training learns.
    whole, killed = whole_and_killed(agent)
    assert loop_state(killed)["step"] == 90
    assert loop_state(killed)["episode_length"] == 15
    shutil.copytree(killed, tmp_path / "run")
    assert main.main(episodic(tmp_path / "run", agent)) == 0
    assert_same_run(whole, tmp_path / "run")
    table = pd.read_csv(whole / "metrics.csv")
    # Nothing is learned between the last episode and the last step.
    seen = table.loc[:1, ["actor_loss", "q", "policy_stddev"]]
    assert np.isfinite(seen).all(axis=None)


@pytest.mark.parametrize("agent", slow.all_but(["svg1_er"], EPISODIC))
def test_agents_that_learn_from_episodes_are_exported(
    whole_and_killed, tmp_path, agent
):
    whole, _ = whole_and_killed(agent)
    out = tmp_path / "policy"
    assert exporting.export_run(whole, out, gif=False, tf_agents=False) == []
    observations = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    live = saved_run.SavedRun(whole).restore(STEPS)
    mean = live.policy.action(ts.restart(observations, 6)).action
    exported = tf.saved_model.load(str(out))
    np.testing.assert_allclose(
        exported.action(observations), np.clip(mean, -1, 1), rtol=1e-5, atol=1e-6
    )


def tensorboard_steps(run_dir):
    """The steps at which TensorBoard shows returns."""
    read = plugin_event_accumulator.EventAccumulator(str(run_dir / "tensorboard"))
    read.Reload()
    return [each.step for each in read.Tensors("evaluation_return_mean")]


def test_a_killed_run_resumes_from_its_last_checkpoint(finished, monkeypatch, tmp_path):
    whole = finished()  # Before it is interrupted.
    # Nothing is saved at step 110: the last checkpoint is of step 90, and the row of
    # step 100 comes again.
    take_step = train.Trainer._take_step

    def killed(trainer):
        take_step(trainer)
        if trainer.step == 110:
            raise MemoryError

    monkeypatch.setattr(train.Trainer, "_take_step", killed)
    with pytest.raises(MemoryError):
        main.main(arguments(tmp_path))
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "failed"
    assert metrics(tmp_path)["step"].tolist() == ["50", "100"]
    assert tensorboard_steps(tmp_path) == [50, 100]
    monkeypatch.undo()
    assert main.main(arguments(tmp_path)) == 0
    assert_same_run(whole, tmp_path)
    # Without a line that goes back.
    assert tensorboard_steps(tmp_path) == [50, 100, 120]


@pytest.mark.parametrize("agent", slow.all_but(["smoothie"], AGENTS))
def test_a_compiled_run_resumes(finished, interrupt, tmp_path, agent):
    whole = finished(agent, bindings=())
    interrupt(77)
    assert main.main(arguments(tmp_path, agent, bindings=())) == 130
    assert main.main(arguments(tmp_path, agent, bindings=())) == 0
    assert_same_run(whole, tmp_path)


def test_compiled_and_uncompiled_runs_agree(finished):
    # The same draws and updates, so within float error for a while.
    graph, xla = finished(), finished(bindings=())
    mine, theirs = (pd.read_csv(d / "metrics.csv") for d in (graph, xla))
    for name in ("q", "critic_loss", "policy_stddev"):
        np.testing.assert_allclose(mine[name], theirs[name], rtol=0.02, atol=1e-4)


def test_a_broken_checkpoint_is_said_and_the_one_before_used(
    finished, interrupt, monkeypatch, tmp_path, capsys
):
    whole = finished()  # Before it is interrupted.
    interrupt(77)
    assert main.main(arguments(tmp_path)) == 130
    monkeypatch.undo()
    for path in (tmp_path / "checkpoints").glob("ckpt-77.data*"):
        path.write_bytes(path.read_bytes()[:200])
    capsys.readouterr()
    # From step 60 on, past 77 again.
    assert main.main(arguments(tmp_path)) == 0
    assert "ckpt-77 cannot be used" in capsys.readouterr().err
    assert_same_run(whole, tmp_path)


def test_no_whole_checkpoint_is_exit_status_2(interrupt, tmp_path, capsys):
    interrupt(77)
    assert main.main(arguments(tmp_path)) == 130
    for path in (tmp_path / "checkpoints").glob("ckpt-*.data*"):
        path.write_bytes(b"")
    before = (tmp_path / "metrics.csv").read_text()
    assert main.main(arguments(tmp_path)) == 2
    assert "ckpt-77 cannot be used" in capsys.readouterr().err
    assert (tmp_path / "metrics.csv").read_text() == before


def snapshot(directory):
    return {p: p.stat().st_mtime_ns for p in directory.rglob("*") if p.name != ".lock"}


def test_a_run_that_is_done_is_left_alone(finished, capsys):
    directory = finished()
    before = snapshot(directory)
    capsys.readouterr()
    assert main.main(arguments(directory)) == 0
    assert capsys.readouterr().out == f"Results are in {directory}.\n"
    assert snapshot(directory) == before


@pytest.mark.parametrize("damage", ["cut", "removed"])
def test_metrics_of_a_finished_run_are_restored(finished, tmp_path, damage):
    shutil.copytree(finished(), tmp_path, dirs_exist_ok=True)
    path = tmp_path / "metrics.csv"
    whole = path.read_bytes()
    path.unlink() if damage == "removed" else path.write_bytes(whole[:-90])
    assert main.main(arguments(tmp_path)) == 0
    assert path.read_bytes() == whole


def test_other_values_are_refused_also_where_the_run_is_done(
    finished, tmp_path, capsys
):
    shutil.copytree(finished(), tmp_path / "run")
    before = snapshot(tmp_path / "run")
    (tmp_path / "other.gin").write_text("SmoothieAgent.kl_penalty = 7.0\n")
    words = [*arguments(tmp_path / "run"), "--gin_file", str(tmp_path / "other.gin")]
    assert main.main(words) == 2
    assert "SmoothieAgent.kl_penalty = 2.5e-05" in capsys.readouterr().err
    assert snapshot(tmp_path / "run") == before


def test_a_run_that_is_done_and_has_no_checkpoints_is_left_alone(
    finished, tmp_path, capsys
):
    # As those of results/runs.
    shutil.copytree(finished(), tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "checkpoints")
    before = metrics(tmp_path)
    for words in (arguments(tmp_path, steps=150), [*arguments(tmp_path), "--video"]):
        capsys.readouterr()
        assert main.main(words) == 2
        assert "holds a finished run without checkpoints" in capsys.readouterr().err
        pd.testing.assert_frame_equal(metrics(tmp_path), before)
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "done"


def test_two_lengths_are_refused(tmp_path, capsys):
    words = [*arguments(tmp_path / "run"), "--gin_bindings", "train.num_steps = 60"]
    assert main.main(words) == 2
    assert capsys.readouterr().err.endswith(
        "--num_steps 120 and --gin_bindings 'train.num_steps = 60' differ: give one of"
        " them.\n"
    )
    assert not (tmp_path / "run").exists()


def test_fewer_steps_than_were_made_are_refused(interrupt, tmp_path, capsys):
    interrupt(60)
    assert main.main(arguments(tmp_path)) == 130
    capsys.readouterr()
    assert main.main(arguments(tmp_path, steps=50)) == 2
    assert "--num_steps must be at least 60, which the run" in capsys.readouterr().err
    assert json.loads((tmp_path / "run.json").read_text())["num_steps"] == STEPS


def test_more_steps_prolong_a_run_that_is_done(finished, tmp_path):
    shutil.copytree(finished(), tmp_path, dirs_exist_ok=True)
    assert main.main(arguments(tmp_path, steps=150)) == 0
    assert metrics(tmp_path)["step"].tolist() == ["50", "100", "120", "150"]
    assert loop_state(tmp_path)["step"] == 150


def test_a_request_for_fewer_steps_says_that_nothing_was_trained(
    finished, tmp_path, capsys
):
    shutil.copytree(finished(), tmp_path, dirs_exist_ok=True)
    assert main.main(arguments(tmp_path, steps=60)) == 0
    said = f"{tmp_path} has a finished run of 120 steps; nothing was trained.\n"
    assert capsys.readouterr().err == said


def test_an_error_leaves_a_finished_run_done(finished, tmp_path, monkeypatch):
    shutil.copytree(finished(), tmp_path, dirs_exist_ok=True)

    def run(*_):
        raise MemoryError

    monkeypatch.setattr(train.Trainer, "run", run)
    with pytest.raises(MemoryError):
        main.main([*arguments(tmp_path, steps=120), "--video"])
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "done"


def test_bindings_that_nothing_reads_are_said(tmp_path, capsys):
    unread = "SquashedGaussianNetwork.hidden_units=(5,)", "DdpgAgent.gamma=0.9"
    words = arguments(tmp_path, steps=30, bindings=(*GRAPH, *unread))
    assert main.main(words) == 0
    names = [binding.partition("=")[0] for binding in unread]
    said = capsys.readouterr().err
    for name in names:
        assert f"{name} has no effect so far, since nothing reads it." in said
    assert said.count("has no effect") == 2
    assert json.loads((tmp_path / "run.json").read_text())["without_effect"] == names
    # What was read before still counts when the run goes on.
    path = tmp_path / "run.json"
    path.write_text(path.read_text().replace(f'"{names[0]}"', '"DdpgAgent.name"'))
    again = arguments(tmp_path, steps=40, bindings=(*GRAPH, *unread))
    assert main.main(again) == 0
    assert json.loads(path.read_text())["without_effect"] == names[1:]


def test_a_run_that_starts_over_keeps_its_evaluations(interrupt, tmp_path, capsys):
    interrupt(77)
    assert main.main(arguments(tmp_path)) == 130
    before = (tmp_path / "metrics.csv").read_text()
    shutil.rmtree(tmp_path / "checkpoints")
    capsys.readouterr()
    assert main.main(arguments(tmp_path)) == 130
    assert "so the run starts over; its evaluations so far" in capsys.readouterr().err
    assert (tmp_path / "metrics-before-1.csv").read_text() == before


def test_rewards_of_another_unit_are_said(tmp_path, capsys):
    """The pendulum's rewards are 1 a step until it falls, and then 0."""
    for scale, found in (
        (9, ""),
        (30, "Rewards have a mean absolute value of 0."),
        (0.006, ""),
        (0.004, "Rewards have absolute values of at most 1 before training"),
    ):
        binding = f"SmoothieAgent.reward_scale_factor={scale}"
        words = arguments(tmp_path / str(scale), steps=60)
        assert main.main([*words, "--gin_bindings", binding]) == 0
        said = capsys.readouterr().err
        assert said.startswith(found) and bool(said) == bool(found)
        assert (f"a reward_scale_factor of {scale};" in said) == bool(found)


def test_more_steps_as_a_binding_and_bindings_in_another_order(finished, tmp_path):
    shutil.copytree(finished(), tmp_path, dirs_exist_ok=True)
    again = ["--agent", "smoothie", "--env", "InvertedPendulum-v5", "--quiet"]
    again += ["--run_dir", str(tmp_path), "--preset", "quick"]
    bindings = ("train.num_steps=150", *reversed(SMALL + GRAPH))
    bindings = [binding.replace("=", " = ") for binding in bindings]
    for binding in bindings:
        again += ["--gin_bindings", binding]
    assert main.main(again) == 0
    assert metrics(tmp_path)["step"].tolist() == ["50", "100", "120", "150"]
    assert tensorboard_steps(tmp_path) == [50, 100, 120, 150]
    info = json.loads((tmp_path / "run.json").read_text())
    assert info["num_steps"] == 150
    assert info["gin_bindings"] == bindings


def test_a_directory_in_use_is_refused(tmp_path, capsys):
    held = run_directory.RunDirectory(tmp_path, {})
    assert main.main(arguments(tmp_path)) == 2
    held.close()
    assert capsys.readouterr().err == (
        f"train.py: --run_dir {tmp_path} is in use by process {os.getpid()}"
        f" on {socket.gethostname()}.\n"
    )


def test_another_runs_directory_is_refused(finished, capsys):
    directory = finished()
    before = snapshot(directory)
    for changes in ({"agent": "ddpg"}, {"seed": 4}, {"env": "Pendulum-v1"}):
        assert main.main(arguments(directory, **changes)) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"train.py: --run_dir {directory} holds a run with ")
    assert snapshot(directory) == before


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"agent": "ppo"}, "'ppo' is unknown"),
        ({"env": "Hoper-v5"}, "'Hoper-v5' cannot be made"),
        ({"env": "CartPole-v1"}, "must be a Box"),
        ({"seed": -1}, "--seed must be 0 or more, but is -1"),
        ({"bindings": ["SmoothieAgent.gama=1"]}, "Did you mean SmoothieAgent.gamma?"),
        ({"bindings": ["SmoothieAgent.gamma=2"]}, "SmoothieAgent.gamma must be"),
        ({"bindings": ["train.batch_size=0"]}, "train.batch_size must be"),
        ({"bindings": ["create_agent.actor_learning_rate=-1"]}, "must be a number"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_bad_input_is_one_sentence_and_exit_status_2(tmp_path, changes, part, capsys):
    assert main.main(arguments(tmp_path / "run", **changes)) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("train.py: ") and part in line
    assert captured.out == ""
    # A directory that never held a run can be used for the command as corrected.
    if (tmp_path / "run").exists():
        run_directory.RunDirectory(tmp_path / "run", {"agent": "other"}).close()


def test_numbers_that_are_not_finite_are_exit_status_1(tmp_path, capsys):
    bindings = (*GRAPH, "SmoothieAgent.reward_scale_factor=1e38")
    assert main.main(arguments(tmp_path, bindings=bindings)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("train.py: ") and "is not finite" in line
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "failed"


def test_observations_as_a_dict_and_actions_out_of_range_train(tmp_path):
    # A task of this file, by Gymnasium's "module:id".
    code = """
import gymnasium, numpy as np
from gymnasium import spaces

class Task(gymnasium.Env):
    observation_space = spaces.Dict({"a": spaces.Box(-1.0, 1.0, (2,)),
                                     "b": spaces.Discrete(2)})
    action_space = spaces.Box(-0.4, 0.4, (3,))
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.look(), {}
    def look(self):
        a = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return {"a": a, "b": self.steps % 2}
    def step(self, action):
        assert self.action_space.contains(action), action
        self.steps += 1
        return self.look(), float(action.sum()), False, self.steps == 7, {}

gymnasium.register("DictTask-v0", entry_point=Task)
"""
    (tmp_path / "dict_task.py").write_text(code)
    sys.path.insert(0, str(tmp_path))
    try:
        run = arguments(tmp_path / "run", env="dict_task:DictTask-v0")
        assert main.main(run) == 0
    finally:
        sys.path.remove(str(tmp_path))
    assert len(metrics(tmp_path / "run")) == 3


def test_the_script_itself(tmp_path):
    command = [sys.executable, str(ROOT / "reproduce" / "train.py")]
    done = subprocess.run(
        [*command, *arguments(tmp_path / "run", steps=60)],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout == f"Results are in {tmp_path / 'run'}.\n"
    # And nothing is left in the folder that the user is in.
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_training_is_not_lost(tmp_path, monkeypatch, number, capsys):
    parse = config.parse

    def signalled(*given, **named):
        signal.raise_signal(number)
        parse(*given, **named)

    monkeypatch.setattr(config, "parse", signalled)
    before = signal.getsignal(number)
    assert main.main(arguments(tmp_path)) == 130
    assert signal.getsignal(number) is before
    assert "resumes from the checkpoint" in capsys.readouterr().err
    assert loop_state(tmp_path)["step"] == 1
