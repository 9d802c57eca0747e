"""Bad input: exit status 2, one sentence that names it, and nothing is changed.

What the figures' commands refuse is in tests/experiments/command_test.py.
"""

import json
import sys

import pytest

from smoothie_tf.training import main, run_directory

SMALL = (
    "MeanNetwork.hidden_units=(8,)",
    "smoothie_tf.CriticNetwork.observation_units=(8,)",
    "smoothie_tf.CriticNetwork.joint_units=(8,)",
    "train.batch_size=8",
    "train.initial_collect_steps=40",
    "train.evaluation_interval=50",
    "train.evaluation_episodes=2",
    "train.checkpoint_interval=30",
    "train.use_xla=False",
)
# Tasks that break one rule each.
TASKS = """
import gymnasium, numpy as np
from gymnasium import spaces

VECTOR = spaces.Box(-1.0, 1.0, (2,))

class Task(gymnasium.Env):
    observation_space, action_space = VECTOR, spaces.Box(-1.0, 1.0, (1,))
    start = after = np.zeros(2, np.float32)
    reward = 1.0
    steps = 0
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.start, {}
    def step(self, action):
        self.steps += 1
        return self.after, self.reward, False, self.steps % 20 == 0, {}

class MadeWrong(Task):
    def __init__(self):
        raise RuntimeError("no licence")

class UnboundedAction(Task):
    action_space = spaces.Box(-np.inf, np.inf, (1,))

class MatrixAction(Task):
    action_space = spaces.Box(-1.0, 1.0, (2, 2))

class NoAction(Task):
    action_space = spaces.Box(-1.0, 1.0, (0,))

class WholeNumberAction(Task):
    action_space = spaces.Box(0, 5, (2,), np.int64)

class Image(Task):
    observation_space = spaces.Box(0, 255, (84, 84, 3), np.uint8)

class NestedImage(Task):
    observation_space = spaces.Dict({"camera": Image.observation_space, "arm": VECTOR})

class Sequence(Task):
    observation_space = spaces.Dict({"arm": VECTOR, "seen": spaces.Sequence(VECTOR)})

class NoObservation(Task):
    observation_space = spaces.Box(-1.0, 1.0, (0,))

class Words(Task):
    start = np.array(["left", "right"])

class WrongShape(Task):
    start = np.zeros(3, np.float32)

class WrongLengthDict(Task):
    observation_space = spaces.Dict({"arm": VECTOR})
    start = {"leg": np.zeros(2)}

class NoInfo(Task):
    def reset(self, *, seed=None, options=None):
        return self.start

class RaisesInReset(Task):
    def reset(self, *, seed=None, options=None):
        raise OSError("the robot is off")

class ShapeInStep(Task):
    after = np.zeros((1, 2), np.float32)

class RaisesInStep(Task):
    def step(self, action):
        if self.steps == 45:
            raise KeyError("joint")
        return super().step(action)

class NoReward(Task):
    reward = None

class FourValues(Task):
    def step(self, action):
        return super().step(action)[:4]

for name, task in list(globals().items()):
    if isinstance(task, type) and issubclass(task, Task):
        gymnasium.registry.pop(f"Bad{name}-v0", None)
        gymnasium.register(f"Bad{name}-v0", entry_point=task)
"""


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "bad_tasks.py").write_text(TASKS)
    monkeypatch.syspath_prepend(tmp_path / "tasks")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    sys.modules.pop("bad_tasks", None)


def arguments(run_dir, *more, env="InvertedPendulum-v5", agent="smoothie", bindings=()):
    """The command's arguments; those in `more` win over the others."""
    return [
        *("--agent", agent, "--env", env, "--run_dir", str(run_dir)),
        *("--num_steps", "120", "--preset", "quick", "--quiet"),
        *(word for each in (*SMALL, *bindings) for word in ("--gin_bindings", each)),
        *more,
    ]


def run(given):
    """Returns the exit status, also where it was argparse that ended the command."""
    try:
        return main.main(given)
    except SystemExit as error:
        return error.code


def snapshot(directory):
    return {
        path.relative_to(directory): path.read_bytes() if path.is_file() else None
        for path in directory.rglob("*")
    }


def assert_refused(given, part, tmp_path, capsys):
    """Status 2, one line that says `part`, and nothing is there that was not."""
    before = snapshot(tmp_path)
    capsys.readouterr()
    assert run(given) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("train.py: ") and part in line
    assert "Traceback" not in line
    assert snapshot(tmp_path) == before


FLAGS = [
    (["--agent", "sac"], "--agent 'sac' is unknown: it must be one of ddpg"),
    (["--agent", "../agents/smoothie"], "is unknown"),
    (["--env", "Hoper-v5"], "'Hoper-v5' cannot be made"),
    (["--env", "Hopper-v99"], "'Hopper-v99' cannot be made"),
    (["--env", "no_module:Task-v0"], "'no_module:Task-v0' cannot be made"),
    (["--env", ""], "Environment '' cannot be made"),
    (["--env", "CartPole-v1"], "must be a Box of rank 1"),
    (["--preset", "huge"], "--preset 'huge' is unknown: it must be one of paper"),
    (["--gin_file", "nowhere.gin"], "--gin_file nowhere.gin does not exist"),
    (["--seed", "-1"], "--seed must be 0 or more, but is -1"),
    (["--seed", "one"], "--seed: invalid int value: 'one'"),
    (["--num_steps", "1e3"], "--num_steps: invalid int value: '1e3'"),
    (["--num_steps", "0"], "train.num_steps must be a whole number of at least 1"),
    (["--num_threads", "0"], "--num_threads must be at least 1, but is 0"),
    (["--num_stpes", "5"], "unrecognized arguments: --num_stpes"),
    (["--run_dir"], "--run_dir: expected one argument"),
]
BINDINGS = [
    ("SmoothieAgent.gama=1", "Did you mean SmoothieAgent.gamma?"),
    ("SmothieAgent.gamma=1", "Did you mean SmoothieAgent?"),
    ("SmoothieAgent.gamma", "--gin_bindings 'SmoothieAgent.gamma'"),
    ("SmoothieAgent.gamma=@nothing()", "nothing"),
    ("SmoothieAgent.gamma=%nothing", "nothing"),
    ("create_agent.actor_learning_rate=0", "actor_learning_rate must be a number ab"),
    ("create_agent.actor_learning_rate=-1e-4", "but is -0.0001"),
    ("create_agent.actor_learning_rate='fast'", "but is 'fast'"),
    ("create_agent.critic_learning_rate=0.0", "critic_learning_rate must be a number"),
    ("create_agent.critic_learning_rate=1e999", "but is inf"),
    ("create_agent.critic_learning_rate=%gin.REQUIRED", "critic_learning_rate"),
    ("create_agent.actor_network=3", "cannot be made"),
    ("SmoothieAgent.gamma=1.01", "SmoothieAgent.gamma must be a number between 0 and"),
    ("SmoothieAgent.gamma=-0.1", "but is -0.1"),
    ("SmoothieAgent.gamma='high'", "but is 'high'"),
    ("SmoothieAgent.target_update_tau=0", "a number above 0 and at most 1, but is 0"),
    ("SmoothieAgent.target_update_tau=1.5", "target_update_tau must be"),
    ("SmoothieAgent.kl_penalty=-1e-9", "kl_penalty must be a number of at least 0"),
    ("SmoothieAgent.kl_penalty=(1, 2)", "but is (1, 2)"),
    ("SmoothieAgent.reward_scale_factor=0", "reward_scale_factor must be"),
    ("SmoothieAgent.reward_scale_factor=True", "but is True"),
    ("SmoothieAgent.gradient_clipping=0", "gradient_clipping must be"),
    ("SmoothieAgent.dqda_clipping=-1", "dqda_clipping must be"),
    ("SmoothieAgent.initial_log_variance=1e999", "initial_log_variance must be"),
    ("SmoothieAgent.independent_minibatches='no'", "must be True or False, but is 'n"),
    ("SmoothieAgent.nested_tapes=1", "nested_tapes must be True or False"),
    ("SmoothieAgent.td_errors_loss_fn=3", "td_errors_loss_fn must be a function"),
    ("train.use_xla='yes'", "train.use_xla must be True or False"),
    ("train.batch_size=0", "train.batch_size must be"),
    ("train.batch_size=2.5", "but is 2.5"),
    ("train.batch_size=" + "9" * 400, "train.batch_size must be"),
    ("train.replay_capacity=59", "must hold what two checkpoint intervals add"),
    ("train.replay_capacity=-5", "train.replay_capacity must be"),
    ("train.initial_collect_steps=0", "train.initial_collect_steps must be"),
    ("train.evaluation_interval=0", "train.evaluation_interval must be"),
    ("train.evaluation_episodes=-1", "train.evaluation_episodes must be"),
    ("train.checkpoint_interval=None", "train.checkpoint_interval must be"),
    ("MeanNetwork.hidden_units=8", "hidden_units must be a sequence of widths"),
    ("MeanNetwork.hidden_units=(8, 0)", "hidden_units must be a whole number of at"),
    ("MeanNetwork.hidden_units='wide'", "hidden_units must be a sequence"),
    ("MeanNetwork.activation='rellu'", "MeanNetwork.activation must be the Keras name"),
    ("MeanNetwork.initial_mean=3.0", "strictly within the action bounds"),
    ("MeanNetwork.initial_mean='left'", "MeanNetwork.initial_mean must be a finite"),
    ("smoothie_tf.CriticNetwork.joint_units=()", "must name at least one layer"),
    ("smoothie_tf.CriticNetwork.joint_units=(-3,)", "joint_units must be a whole"),
    ("smoothie_tf.CriticNetwork.activation=None", "CriticNetwork.activation must be"),
]
DDPG_BINDINGS = [
    ("DdpgAgent.gamma=2", "DdpgAgent.gamma must be"),
    ("DdpgAgent.target_update_tau=0", "DdpgAgent.target_update_tau must be"),
    ("DdpgAgent.reward_scale_factor=-1", "DdpgAgent.reward_scale_factor must be"),
    ("DdpgAgent.ou_stddev=-0.1", "DdpgAgent.ou_stddev must be"),
    ("DdpgAgent.ou_damping=0", "DdpgAgent.ou_damping must be"),
    ("DdpgAgent.ou_damping='some'", "DdpgAgent.ou_damping must be"),
]
# What is refused before anything has begun.
TASK_CASES = [
    ("MadeWrong", "cannot be made: RuntimeError: no licence"),
    ("UnboundedAction", "every action must have a finite lower and upper bound"),
    ("MatrixAction", "must be a Box of rank 1"),
    ("NoAction", "at least one dimension"),
    ("WholeNumberAction", "of floats"),
    ("Image", "an image is not an observation"),
    ("NestedImage", "an image is not an observation"),
    ("Sequence", "does not flatten to a vector"),
    ("NoObservation", "does not flatten to a vector"),
    ("Words", "observation from reset that is not made of numbers"),
    ("WrongShape", "of shape (3,) from reset, but announces (2,)"),
    ("WrongLengthDict", "raised KeyError in reset: 'arm'"),
    ("NoInfo", "of shape () from reset, but announces (2,)"),
    ("RaisesInReset", "raised OSError in reset: the robot is off"),
]
# What shows only in training.
STEP_CASES = [
    ("ShapeInStep", "of shape (1, 2) from step, but announces (2,)", 0),
    ("NoReward", "returned reward None from step, but it must be a number", 0),
    ("FourValues", "raised ValueError in step", 0),
    ("RaisesInStep", "raised KeyError in step: 'joint'", 30),
]


def test_there_are_at_least_forty_cases():
    assert len(FLAGS + BINDINGS + DDPG_BINDINGS + TASK_CASES + STEP_CASES) >= 40


@pytest.mark.parametrize(("flags", "part"), FLAGS, ids=lambda x: " ".join(x)[:40])
def test_flags(flags, part, tmp_path, capsys):
    assert_refused(arguments(tmp_path / "run", *flags), part, tmp_path, capsys)


@pytest.mark.parametrize(("binding", "part"), BINDINGS, ids=lambda x: x[:60])
def test_bindings(binding, part, tmp_path, capsys):
    given = arguments(tmp_path / "run", bindings=[binding])
    assert_refused(given, part, tmp_path, capsys)


@pytest.mark.parametrize(("binding", "part"), DDPG_BINDINGS, ids=lambda x: x[:60])
def test_bindings_of_ddpg(binding, part, tmp_path, capsys):
    given = arguments(tmp_path / "run", agent="ddpg", bindings=[binding])
    assert_refused(given, part, tmp_path, capsys)


def test_a_buffer_smaller_than_a_batch(tmp_path, capsys):
    bindings = ["train.replay_capacity=100", "train.batch_size=101"]
    part = "replay_capacity must be at least train.batch_size, which is 101, but is 100"
    given = arguments(tmp_path / "run", bindings=bindings)
    assert_refused(given, part, tmp_path, capsys)


@pytest.mark.parametrize(("task", "part"), TASK_CASES, ids=[c[0] for c in TASK_CASES])
def test_tasks(task, part, tasks, tmp_path, capsys):
    given = arguments(tmp_path / "run", env=f"bad_tasks:Bad{task}-v0")
    assert_refused(given, part, tmp_path, capsys)


@pytest.mark.parametrize(
    ("task", "part", "last"), STEP_CASES, ids=[case[0] for case in STEP_CASES]
)
def test_tasks_that_show_it_late(task, part, last, tasks, tmp_path, capsys):
    run_dir = tmp_path / "run"
    assert run(arguments(run_dir, env=f"bad_tasks:Bad{task}-v0")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"train.py: Environment 'Bad{task}-v0' ") and part in line
    assert "after step " in line
    if last:
        assert f"the last checkpoint is {run_dir / 'checkpoints' / 'ckpt-30'})" in line
    else:
        assert "no checkpoint yet" in line
    assert json.loads((run_dir / "run.json").read_text())["status"] == "failed"


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"train.batch_sise = 3\n", "Did you mean train.batch_size?"),
        (b"\xff\xfe\x00", "it is not text"),
        (b"train.num_steps = (((\n", "mine.gin: "),
        (None, "cannot be read: Is a directory"),
    ],
)
def test_gin_files(content, part, tmp_path, capsys):
    path = tmp_path / "mine.gin"
    path.mkdir() if content is None else path.write_bytes(content)
    given = arguments(tmp_path / "run", "--gin_file", str(path))
    assert_refused(given, part, tmp_path, capsys)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ({"agent": "ddpg"}, "holds a run with agent 'ddpg', not 'smoothie'"),
        ({"env": "Ant-v5"}, "holds a run with env 'Ant-v5'"),
        ({"seed": 7}, "holds a run with seed 7, not 0"),
        ({"format": 99}, "is of format 99, written by a newer smoothie_tf"),
        ("{", "run.json cannot be read"),
        ([], "run.json cannot be read: it holds no JSON object"),
        ({"wall_seconds": "x"}, "has wall_seconds 'x', which is not a number"),
        (None, "holds a metrics.csv but no run.json"),
    ],
)
def test_run_directories(content, part, tmp_path, capsys):
    directory = tmp_path / "run"
    given = arguments(directory)
    directory.mkdir()
    (directory / "metrics.csv").write_text("step,evalu")
    if isinstance(content, dict):
        bindings = [each for each in given if "=" in each]
        identity = {"agent": "smoothie", "env": "InvertedPendulum-v5", "seed": 0}
        content = {**identity, "gin_bindings": bindings, **content}
    if content is not None:
        text = content if isinstance(content, str) else json.dumps(content)
        (directory / "run.json").write_text(text)
    assert_refused(given, part, tmp_path, capsys)


def test_a_run_directory_that_is_a_file(tmp_path, capsys):
    (tmp_path / "run").write_text("mine")
    assert_refused(arguments(tmp_path / "run"), "run is a file", tmp_path, capsys)
    below = arguments(tmp_path / "run" / "below")
    assert_refused(below, "cannot be written: Not a directory", tmp_path, capsys)


def test_a_run_directory_that_is_read_only(tmp_path, capsys, monkeypatch):
    # Permissions do not bind every user that runs tests.
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(run_directory.RunDirectory, "_take_lock", refuse)
    part = "run cannot be written: Permission denied"
    assert_refused(arguments(tmp_path / "run"), part, tmp_path, capsys)


def test_a_metrics_file_that_was_cut_is_made_whole_again(tmp_path, capsys):
    assert run(arguments(tmp_path)) == 0
    path = tmp_path / "metrics.csv"
    whole = path.read_text()
    path.write_text(whole[:-30])
    # Prolonged, so that there is something to go on with.
    given = arguments(tmp_path, "--num_steps", "150")
    assert run(given) == 0
    assert path.read_text().startswith(whole)


def test_debug_shows_where_it_came_from(tmp_path):
    given = arguments(tmp_path / "run", "--debug", bindings=["train.batch_size=0"])
    with pytest.raises(ValueError, match="train.batch_size must be"):
        run(given)
