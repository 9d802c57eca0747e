"""A NaN or infinity stops the run, which names it, and the last checkpoint stays."""

import json
import re
import sys

import numpy as np
import pytest

from smoothie_tf.environments import checked_task
from smoothie_tf.training import main, train
from tests import slow

TASKS = """
import gymnasium, numpy as np
from gymnasium import spaces

class Task(gymnasium.Env):
    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float64)
    action_space = spaces.Box(-1.0, 1.0, (1,))
    taken = 0
    def look(self):
        return self.np_random.uniform(-1, 1, 2)
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.look(), {}
    def step(self, action):
        self.taken += 1
        reward, observation = float(action[0]), self.look()
        if self.taken == 71:
            reward, observation = self.spoil(reward, observation)
        return observation, reward, False, self.taken % 20 == 0, {}

class NanReward(Task):
    def spoil(self, reward, observation):
        return np.nan, observation

class InfiniteReward(Task):
    def spoil(self, reward, observation):
        return np.float32("-inf"), observation

class HugeReward(Task):
    def spoil(self, reward, observation):
        return 1e39, observation

class NanObservation(Task):
    def spoil(self, reward, observation):
        observation[1] = np.nan
        return reward, observation

class InfiniteObservation(Task):
    def spoil(self, reward, observation):
        observation[0] = np.inf
        return reward, observation

class Sound(Task):
    def spoil(self, reward, observation):
        return reward, observation

for task in (
    NanReward, InfiniteReward, HugeReward, NanObservation, InfiniteObservation, Sound
):
    gymnasium.registry.pop(f"{task.__name__}-v0", None)
    gymnasium.register(f"{task.__name__}-v0", entry_point=task)
"""
BINDINGS = (
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


@pytest.fixture(autouse=True)
def tasks(tmp_path, monkeypatch):
    (tmp_path / "finite_tasks.py").write_text(TASKS)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("finite_tasks", None)


def run(run_dir, task="Sound", agent="smoothie"):
    flags = ["--agent", agent, "--env", f"finite_tasks:{task}-v0", "--quiet"]
    flags += ["--num_steps", "120", "--preset", "quick", "--run_dir", str(run_dir)]
    for binding in BINDINGS:
        flags += ["--gin_bindings", binding]
    return main.main(flags)


def assert_stopped_at(run_dir, what, step, capsys):
    """One sentence with all there is to know, and the checkpoint of step 60."""
    latest = run_dir / "checkpoints" / "ckpt-60"
    assert capsys.readouterr().err.splitlines() == [
        f"train.py: {what}, which is not finite, after step {step}: training stopped;"
        f" the last checkpoint is {latest}."
    ]
    assert json.loads((run_dir / "run.json").read_text())["status"] == "failed"
    kept = sorted(path.name for path in (run_dir / "checkpoints").glob("*.index"))
    assert kept == ["ckpt-30.index", "ckpt-60.index"]


@pytest.mark.parametrize(
    ("task", "what"),
    [
        ("HugeReward", "Reward is 1e+39 (infinite as a float32)"),
        ("NanReward", "Reward is nan"),
        ("InfiniteReward", "Reward is -inf"),
        ("NanObservation", "Observation[1] is nan"),
        ("InfiniteObservation", "Observation[0] is inf"),
    ],
)
def test_what_the_task_gives(task, what, tmp_path, capsys):
    assert run(tmp_path / "run", task) == 1
    assert_stopped_at(tmp_path / "run", what, 70, capsys)


def spoil(monkeypatch, step, assign):
    """Lets `assign` change the agent after a step, as a numerical accident would."""
    take_step = train.Trainer._take_step

    def spoiled(trainer):
        take_step(trainer)
        if trainer.step == step:
            assign(trainer.agent)

    monkeypatch.setattr(train.Trainer, "_take_step", spoiled)


@pytest.mark.parametrize("agent", slow.all_but(["smoothie"], ["smoothie", "ddpg"]))
def test_a_weight_that_is_nan_shows_in_the_next_losses(
    agent, tmp_path, capsys, monkeypatch
):
    def assign(made):
        made.critic_network.trainable_variables[-1].assign([np.nan])

    spoil(monkeypatch, 70, assign)
    assert run(tmp_path / "run", agent=agent) == 1
    line = capsys.readouterr().err
    assert line.startswith("train.py: ") and line.count("\n") == 1
    what = r"train.py: (actor_loss|critic_loss|q) is (nan|inf or nan)"
    assert re.match(rf"{what}, which is not finite, after step 71: training", line)
    kept = sorted(path.stem for path in (tmp_path / "run").rglob("*.index"))
    assert kept == ["ckpt-30", "ckpt-60"]
    # What it went wrong from is whole: in its place all goes well.
    monkeypatch.undo()
    monkeypatch.syspath_prepend(tmp_path)
    assert run(tmp_path / "run", agent=agent) == 0


def test_an_infinity_that_no_loss_shows(tmp_path, capsys, monkeypatch):
    # Behind a tanh, an infinite bias is a constant.
    def assign(agent):
        (bias,) = (
            variable
            for variable in agent.critic_network.trainable_variables
            if variable.shape == [8] and variable.name.endswith("/bias:0")
        )
        bias[0].assign(np.inf)

    spoil(monkeypatch, 70, assign)
    assert run(tmp_path / "run") == 1
    line = capsys.readouterr().err
    assert "holds a NaN or infinity, which is not finite, after step 90" in line


def test_an_optimizer_slot_that_overflowed(tmp_path, capsys, monkeypatch):
    def assign(agent):
        slot = agent._critic_optimizer._velocities[0]
        slot.assign(np.inf * np.ones(slot.shape))

    spoil(monkeypatch, 70, assign)
    assert run(tmp_path / "run") == 1
    # It makes the weights NaN, and those the next loss, before anybody looks at slots.
    said = capsys.readouterr().err
    assert "actor_loss is nan, which is not finite, after step 72" in said
    assert said.rstrip(".\n").endswith("ckpt-60")


def test_large_is_not_infinite():
    # Its square overflows a float32.
    assert checked_task.is_finite(np.array([3e38, -3e38], np.float32))
    assert not checked_task.is_finite(np.array([1, np.nan], np.float32))
    assert not checked_task.is_finite(np.array([np.inf, 1], np.float32))
