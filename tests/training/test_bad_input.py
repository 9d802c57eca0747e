"""What cannot be used gets one sentence and exit status 2, and changes nothing."""

import json
import os

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from smoothie_tf.training import main, run_directory

SMALL = (
    "MeanNetwork.hidden_units=(4,)",
    "smoothie_tf.CriticNetwork.observation_units=(4,)",
    "smoothie_tf.CriticNetwork.joint_units=(4,)",
    "train.use_xla=False",
    "train.initial_collect_steps=10",
    "train.evaluation_interval=10",
    "train.evaluation_episodes=1",
    "train.checkpoint_interval=10",
)


class Task(gymnasium.Env):
    """Two numbers to see and one to choose; breaks its word where it is told to."""

    def __init__(self, actions=None, observations=None, fault=None, after=0):
        self.action_space = actions or spaces.Box(-1.0, 1.0, (1,))
        self.observation_space = observations or spaces.Box(-1.0, 1.0, (2,))
        self._fault, self._after = fault, after

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._steps = 0
        return self._look("reset"), {}

    def step(self, action):
        self._steps += 1
        due = self._steps > self._after
        reward = "much" if self._fault == "reward" and due else 0.5
        return self._look("step"), reward, False, self._steps == 7, {}

    def _look(self, method):
        if self._steps >= self._after and self._fault:
            if self._fault == f"raise in {method}":
                raise RuntimeError("The robot fell off the table.\nTwice.")
            if self._fault == f"shape in {method}":
                return np.zeros(3, np.float32)
            if self._fault == f"words in {method}":
                return ["left", "right"]
        return np.zeros(2, np.float32)


def broken():
    raise OSError("no display here")


IMAGE = spaces.Box(0, 255, (84, 84, 3), np.uint8)
TASKS = {
    "BadDiscreteActions": {"actions": spaces.Discrete(4)},
    "BadUnboundedActions": {"actions": spaces.Box(-np.inf, np.inf, (2,))},
    "BadActionMatrix": {"actions": spaces.Box(-1.0, 1.0, (2, 2))},
    "BadNoActions": {"actions": spaces.Box(-1.0, 1.0, (0,))},
    "BadWholeActions": {"actions": spaces.Box(0, 5, (2,), np.int32)},
    "BadActionDict": {"actions": spaces.Dict({"a": spaces.Box(-1.0, 1.0, (1,))})},
    "BadImage": {"observations": IMAGE},
    "BadNestedImage": {"observations": spaces.Dict({"see": IMAGE})},
    "BadSequence": {"observations": spaces.Sequence(spaces.Discrete(3))},
    "BadText": {"observations": spaces.Text(5)},
    "BadResetShape": {"fault": "shape in reset"},
    "BadResetRaises": {"fault": "raise in reset"},
    "BadResetWords": {"fault": "words in reset"},
    "BadStepShape": {"fault": "shape in step", "after": 5},
    "BadStepRaises": {"fault": "raise in step", "after": 5},
    "BadStepWords": {"fault": "words in step", "after": 5},
    "BadReward": {"fault": "reward", "after": 5},
}


@pytest.fixture(scope="module", autouse=True)
def _tasks():
    for name, arguments in TASKS.items():
        gymnasium.register(f"{name}-v0", entry_point=Task, kwargs=arguments)
    gymnasium.register("BadConstructor-v0", entry_point=broken)
    yield
    for name in (*TASKS, "BadConstructor"):
        del gymnasium.registry[f"{name}-v0"]


@pytest.fixture
def place(tmp_path):
    """A directory with files of every kind that a case needs."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "bytes.gin").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "syntax.gin").write_text("train.batch_size = = 3\n")
    (tmp_path / "typo.gin").write_text("train.batch_sise = 3\n")
    (tmp_path / "imports.gin").write_text("import not_a_module\n")
    (tmp_path / "includes.gin").write_text("include 'not_there.gin'\n")
    identity = {
        "agent": "smoothie",
        "env": "InvertedPendulum-v5",
        "seed": 0,
        "gin_bindings": list(SMALL),
    }
    record = {**identity, "num_steps": 20, "status": "interrupted"}
    for name, changes in {
        "other_agent": {"agent": "ddpg"},
        "other_env": {"env": "Hopper-v5"},
        "other_seed": {"seed": 7},
        "other_bindings": {"gin_bindings": []},
        "newer": {"format": run_directory.FORMAT + 1},
        "long": {"num_steps": "many"},
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps({**record, **changes}))
    for name, text in {
        "cut": '{"agent": "smoo',
        "list": "[]",
        "deep": "[" * 100_000,
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(text)
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "metrics.csv").write_text("mine\n")
    return tmp_path


def arguments(place, flags=(), bindings=(), **changes):
    """The command's arguments; `{place}` in them stands for the directory."""
    values = {
        "agent": "smoothie",
        "env": "InvertedPendulum-v5",
        "seed": "0",
        "num_steps": "20",
        "preset": "quick",
        "run_dir": "{place}/run",
        **changes,
    }
    words = [word for key, value in values.items() for word in (f"--{key}", value)]
    for binding in (*SMALL, *bindings):
        words += ["--gin_bindings", binding]
    return [word.replace("{place}", str(place)) for word in (*words, *flags, "--quiet")]


def snapshot(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes() if path.is_file() else None
        for path in sorted(directory.rglob("*"))
    }


def ends(words):
    """The exit status, however the command gives it."""
    try:
        return main.main(words)
    except SystemExit as ending:
        return ending.code


def one_sentence(capsys):
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("train.py: ")
    return line.removeprefix("train.py: ")


def binding(text, part, agent="smoothie"):
    return {"bindings": [text], "agent": agent}, part


#: What is asked for; and what the sentence must hold: the value, what is allowed, and
#: where it came from.
CASES = {
    "agent": ({"agent": "ppo"}, "--agent 'ppo' is unknown: it must be one of ddpg, dp"),
    "agent, a path": ({"agent": "../presets/quick"}, "--agent '../presets/quick' is u"),
    "agent, none": ({"agent": ""}, "--agent '' is unknown: it must be one of ddpg, dp"),
    "env": ({"env": "Hoper-v5"}, "Environment 'Hoper-v5' cannot be made"),
    "env, none": ({"env": ""}, "Environment '' cannot be made"),
    "env, module": ({"env": "no_module:Task-v0"}, "'no_module:Task-v0' cannot be made"),
    "env, version": ({"env": "Hopper-v99"}, "Environment 'Hopper-v99' cannot be made"),
    "preset": ({"preset": "huge"}, "--preset 'huge' is unknown: it must be one of pap"),
    "preset, a path": ({"preset": "../agents/ddpg"}, "'../agents/ddpg' is unknown"),
    "gin file": ({"flags": ["--gin_file", "no.gin"]}, "--gin_file no.gin does not exi"),
    "gin file, folder": ({"flags": ["--gin_file", "{place}/folder"]}, "cannot be read"),
    "gin file, bytes": ({"flags": ["--gin_file", "{place}/bytes.gin"]}, "it is not te"),
    "gin file, syntax": ({"flags": ["--gin_file", "{place}/syntax.gin"]}, "syntax.gin"),
    "gin file, typo": (
        {"flags": ["--gin_file", "{place}/typo.gin"]},
        "Did you mean train.batch_size?",
    ),
    "gin file, import": (
        {"flags": ["--gin_file", "{place}/imports.gin"]},
        "imports.gin: No module named 'not_a_module'",
    ),
    "gin file, include": (
        {"flags": ["--gin_file", "{place}/includes.gin"]},
        "not_there.gin",
    ),
    "binding, parameter": binding(
        "SmoothieAgent.gama=1", "Did you mean SmoothieAgent.gamma?"
    ),
    "binding, owner": binding("Smoothy.gamma=1", "--gin_bindings 'Smoothy.gamma=1'"),
    "binding, no value": binding("SmoothieAgent.gamma=", "'SmoothieAgent.gamma='"),
    "binding, no equals": binding("SmoothieAgent.gamma", "'SmoothieAgent.gamma'"),
    "binding, bracket": binding("train.batch_size=(3", "'train.batch_size=(3'"),
    "binding, code": binding("train.batch_size=open('x')", "train.batch_size=open"),
    "actor rate, sign": binding(
        "create_agent.actor_learning_rate=-1e-3",
        "create_agent.actor_learning_rate must be a number above 0, but is -0.001",
    ),
    "actor rate, zero": binding(
        "create_agent.actor_learning_rate=0.0", "must be a number above 0, but is 0.0"
    ),
    "critic rate, type": binding(
        "create_agent.critic_learning_rate='fast'",
        "create_agent.critic_learning_rate must be a number above 0, but is 'fast'",
    ),
    "critic rate, infinite": binding(
        "create_agent.critic_learning_rate=1e999", "a number above 0, but is inf"
    ),
    "critic rate, ddpg": binding(
        "create_agent.critic_learning_rate=-1.0", "but is -1.0", agent="ddpg"
    ),
    "gamma, range": binding(
        "SmoothieAgent.gamma=1.5",
        "SmoothieAgent.gamma must be a number between 0 and 1, but is 1.5",
    ),
    "gamma, sign": binding("SmoothieAgent.gamma=-0.1", "between 0 and 1, but is -0.1"),
    "gamma, type": binding("SmoothieAgent.gamma='0.9'", "between 0 and 1, but is '0.9"),
    "gamma, flag": binding("SmoothieAgent.gamma=True", "between 0 and 1, but is True"),
    "gamma, ddpg": binding("DdpgAgent.gamma=2", "DdpgAgent.gamma must be", "ddpg"),
    "gamma, ddpg, type": binding("DdpgAgent.gamma='x'", "gamma must be a nu", "ddpg"),
    "tau, zero": binding(
        "SmoothieAgent.target_update_tau=0",
        "SmoothieAgent.target_update_tau must be a number above 0 and at most 1",
    ),
    "tau, range": binding("SmoothieAgent.target_update_tau=1.1", "but is 1.1"),
    "tau, ddpg": binding("DdpgAgent.target_update_tau=0", "DdpgAgent.targ", "ddpg"),
    "batch, zero": binding(
        "train.batch_size=0", "train.batch_size must be a whole number of at least 1"
    ),
    "batch, fraction": binding("train.batch_size=1.5", "at least 1, but is 1.5"),
    "batch, type": binding("train.batch_size='all'", "at least 1, but is 'all'"),
    "kl penalty, sign": binding(
        "SmoothieAgent.kl_penalty=-0.1",
        "SmoothieAgent.kl_penalty must be a number of at least 0, but is -0.1",
    ),
    "kl penalty, type": binding("SmoothieAgent.kl_penalty=(1,)", "but is (1,)"),
    "reward scale, zero": binding(
        "SmoothieAgent.reward_scale_factor=0",
        "SmoothieAgent.reward_scale_factor must be a number above 0, but is 0",
    ),
    "reward scale, sign": binding("SmoothieAgent.reward_scale_factor=-1", "but is -1"),
    "reward scale, ddpg": binding(
        "DdpgAgent.reward_scale_factor=0", "above 0, but is 0", agent="ddpg"
    ),
    "clipping, zero": binding("SmoothieAgent.gradient_clipping=0", "None, but is 0"),
    "covariance": binding(
        "SmoothieAgent.covariance='round'",
        "SmoothieAgent.covariance must be one of 'diagonal', 'full', 'state_diagonal',",
    ),
    "evaluation, name": binding("SmoothieAgent.evaluation=1", "'expected', but is 1."),
    "smoothing samples": binding(
        "SmoothieAgent.smoothing_samples=0", "SmoothieAgent.smoothing_samples must be"
    ),
    "weights, small": binding(
        "SmoothieAgent.importance_weight_clipping=0.5", "must be at least 1, the mean"
    ),
    "error weights": binding(
        "SmoothieAgent.bellman_error_weights=(1.0,)", "must be three numbers, such as"
    ),
    "error weights, sign": binding(
        "SmoothieAgent.bellman_error_weights=(1, -1, 0)", "at least 0, but is -1"
    ),
    "both": binding(
        "SmoothieAgent.evaluation='expected'\n"
        "SmoothieAgent.importance_weight_clipping=5",
        "SmoothieAgent.evaluation must be 'smoothed' where",
    ),
    "widths, covariance": binding(
        "SmoothieAgent.covariance='state_full'\nCovarianceNetwork.hidden_units=8",
        "CovarianceNetwork.hidden_units must be a sequence of widths",
    ),
    "bound, covariance": binding(
        "SmoothieAgent.covariance='state_full'\nCovarianceNetwork.largest_change=0",
        "CovarianceNetwork.largest_change must be",
    ),
    "matrix": (
        {
            "env": "smoothie_tf/LinearQuadratic-v0",
            "flags": ["--gin_bindings", "LinearQuadraticEnvironment.A=((1.0,),)"],
        },
        "LinearQuadraticEnvironment.A and LinearQuadraticEnvironment.B must be given",
    ),
    "updates": binding(
        "Svg1Agent.value_updates=0",
        "Svg1Agent.value_updates must be a whole number of at least 1, or None, but is",
        "svg1",
    ),
    "updates, svg0": binding(
        "Svg0Agent.critic_updates=0.5", "Svg0Agent.critic_updates must be", "dpg"
    ),
    "stddev": binding("SvgInfinityAgent.stddev=0", "must be a nu", "svg_infinity"),
    "plans": binding("SvgInfinityAgent.plans='yes'", "True or False", "planner"),
    "gamma, actor-critic": binding(
        "TdActorCriticAgent.gamma=2", "TdActorCriticAgent.gamma", "td_actor_critic"
    ),
    "model rate": binding(
        "create_agent.model_learning_rate=0", "create_agent.model_learning_r", "svg1"
    ),
    "widths, value": binding(
        "smoothie_tf.ValueNetwork.hidden_units=(0,)", "ValueNetwork.hidden_u", "svg1"
    ),
    "widths, model": binding("DynamicsNetwork.hidden_units=()", "one layer", "svg1_er"),
    "updates a call": binding(
        "train.updates_per_call=2", "must be 1 for agent 'svg1_er', which", "svg1_er"
    ),
    "buffer below an episode": binding(
        "train.replay_capacity=1000", "must be above 1000, the steps of an", "svg1_er"
    ),
    "no time limit": (
        {"agent": "svg1_er", "env": "BadReward-v0"},
        "for a task without max_episode_steps, but is None",
    ),
    "log variance": binding("SmoothieAgent.initial_log_variance=1e999", "-80 and 80"),
    "noise, sign": binding("DdpgAgent.ou_stddev=-1", "DdpgAgent.ou_stddev", "ddpg"),
    "damping": binding("DdpgAgent.ou_damping=1.5", "DdpgAgent.ou_damping", "ddpg"),
    "minibatches": binding("SmoothieAgent.independent_minibatches='no'", "True or Fal"),
    "rate, none": binding(
        "create_agent.actor_learning_rate=None", "number above 0, but is None"
    ),
    "gamma, none": binding("SmoothieAgent.gamma=None", "between 0 and 1, but is None"),
    "damping, none": binding("DdpgAgent.ou_damping=None", "1, but is None", "ddpg"),
    "interval, none": binding("train.evaluation_interval=None", "1, but is None"),
    "clipping, sign": binding(
        "SmoothieAgent.dqda_clipping=-1", "a number above 0, or None, but is -1"
    ),
    "xla": binding("train.use_xla='yes'", "train.use_xla must be True or False"),
    "widths, zero": binding("MeanNetwork.hidden_units=(0,)", "at least 1, but is 0"),
    "widths, number": binding("MeanNetwork.hidden_units=64", "sequence of widths"),
    "widths, critic": binding(
        "smoothie_tf.CriticNetwork.joint_units=('a',)", "CriticNetwork.joint_units mus"
    ),
    "widths, none": binding("smoothie_tf.CriticNetwork.joint_units=()", "joint_units"),
    "activation": binding(
        "MeanNetwork.activation='rleu'", "'squareplus', but is 'rleu'"
    ),
    "start of the mean": binding("MeanNetwork.initial_mean=9.0", "initial_mean"),
    "buffer below a batch": binding(
        "train.replay_capacity=50", "train.replay_capacity must be at least train.bat"
    ),
    "buffer below two saves": binding(
        "train.replay_capacity=10", "train.replay_capacity is 10, but must hold what"
    ),
    "collect, sign": binding(
        "train.initial_collect_steps=-1", "train.initial_collect_steps must be"
    ),
    "evaluation": binding("train.evaluation_interval=0", "train.evaluation_interval m"),
    "episodes": binding("train.evaluation_episodes=0", "train.evaluation_episodes mus"),
    "checkpoints": binding("train.checkpoint_interval=0", "train.checkpoint_interval"),
    "steps, zero": ({"num_steps": "0"}, "--num_steps must be at least 1, but is 0."),
    "steps, sign": ({"num_steps": "-5"}, "at least 1, but is -5"),
    "steps, words": (
        {"num_steps": "many"},
        "--num_steps must be a whole number, but is 'many'",
    ),
    "seed, sign": ({"seed": "-1"}, "--seed must be 0 or more, but is -1"),
    "seed, fraction": ({"seed": "0.5"}, "--seed: invalid int value: '0.5'"),
    "threads": ({"flags": ["--num_threads", "0"]}, "--num_threads must be at least 1"),
    "flag": ({"flags": ["--sead", "1"]}, "unrecognized arguments: --sead 1"),
    "run_dir, a file": ({"run_dir": "{place}/file"}, "/file is a file."),
    "run_dir, in a file": ({"run_dir": "{place}/file/run"}, "/file/run cannot be writ"),
    "run_dir, no such place": ({"run_dir": "/proc/no/run"}, "/proc/no/run cannot be w"),
    "run_dir, agent": (
        {"run_dir": "{place}/other_agent"},
        "/other_agent holds a run with agent 'ddpg', not 'smoothie'; its run.json has",
    ),
    "run_dir, env": ({"run_dir": "{place}/other_env"}, "env 'Hopper-v5', not 'Inv"),
    "run_dir, seed": ({"run_dir": "{place}/other_seed"}, "with seed 7, not 0;"),
    "run_dir, bindings": ({"run_dir": "{place}/other_bindings"}, "gin_bindings [], no"),
    "run_dir, newer": ({"run_dir": "{place}/newer"}, "written by a newer smoothie_tf"),
    "run_dir, steps": ({"run_dir": "{place}/long"}, "num_steps 'many', which is not a"),
    "run_dir, cut": ({"run_dir": "{place}/cut"}, "run.json cannot be read"),
    "run_dir, list": ({"run_dir": "{place}/list"}, "run.json cannot be read"),
    "run_dir, deep": ({"run_dir": "{place}/deep"}, "run.json cannot be read"),
    "run_dir, no run": ({"run_dir": "{place}/csv"}, "holds a metrics.csv but no run.j"),
    "actions, discrete": (
        {"env": "BadDiscreteActions-v0"},
        "'BadDiscreteActions-v0' has action space Discrete(4), but it must be a Box",
    ),
    "actions, unbounded": ({"env": "BadUnboundedActions-v0"}, "finite lower and upper"),
    "actions, matrix": ({"env": "BadActionMatrix-v0"}, "it must be a Box of rank 1."),
    "actions, none": ({"env": "BadNoActions-v0"}, "at least one dimension"),
    "actions, whole": ({"env": "BadWholeActions-v0"}, "one dimension, of floats."),
    "actions, dict": ({"env": "BadActionDict-v0"}, "it must be a Box of rank 1."),
    "observations, image": ({"env": "BadImage-v0"}, "an image is not an observation"),
    "observations, in it": ({"env": "BadNestedImage-v0"}, "an image is not an observa"),
    "observations, length": ({"env": "BadSequence-v0"}, "does not flatten to a vector"),
    "observations, text": ({"env": "BadText-v0"}, "Environment 'BadText-v0' "),
    "constructor": (
        {"env": "BadConstructor-v0"},
        "'BadConstructor-v0' cannot be made: OSError: no display here.",
    ),
    "reset, shape": (
        {"env": "BadResetShape-v0"},
        "an observation of shape (3,) from reset, but announces (2,)",
    ),
    "reset, raises": (
        {"env": "BadResetRaises-v0"},
        "raised RuntimeError in reset: The robot fell off the table (after step 0;",
    ),
    "reset, words": ({"env": "BadResetWords-v0"}, "from reset that is not made of num"),
}


@pytest.mark.parametrize(("changes", "part"), CASES.values(), ids=CASES)
def test_one_sentence_and_nothing_changed(place, changes, part, capsys):
    before = snapshot(place)
    assert ends(arguments(place, **changes)) == 2
    assert part in one_sentence(capsys)
    after = snapshot(place)
    # The one file that a look at a directory in use needs may stay in it.
    assert {k: v for k, v in after.items() if not k.endswith(".lock")} == before


@pytest.mark.parametrize(
    ("env", "part"),
    [
        ("BadStepShape-v0", "observation of shape (3,) from step, but announces (2,)"),
        ("BadStepRaises-v0", "raised RuntimeError in step: The robot fell off the tab"),
        ("BadStepWords-v0", "an observation from step that is not made of numbers"),
        ("BadReward-v0", "returned reward 'much' from step, but it must be a number"),
    ],
)
def test_a_task_that_breaks_its_word_on_the_way_stops_the_run(place, env, part, capsys):
    assert ends(arguments(place, env=env)) == 2
    line = one_sentence(capsys)
    assert line.startswith(f"Environment '{env}' ") and part in line
    assert "after step " in line and "checkpoint" in line
    assert json.loads((place / "run" / "run.json").read_text())["status"] == "failed"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"agent": "ppo"}, ValueError),
        ({"env": "BadImage-v0"}, ValueError),
        ({"env": "BadResetRaises-v0"}, ValueError),
        ({"run_dir": "{place}/newer"}, run_directory.RunDirectoryError),
    ],
)
def test_debug_shows_the_traceback(place, changes, error):
    with pytest.raises(error):
        main.main([*arguments(place, **changes), "--debug"])


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_directory_that_is_read_only(place, capsys):
    (place / "folder").chmod(0o500)
    assert ends(arguments(place, run_dir="{place}/folder/run")) == 2
    assert "/folder/run cannot be written: Permission denied." in one_sentence(capsys)


def test_forty_cases_at_least():
    assert len(CASES) >= 40
