"""Rewards in steps: which levels, which tasks, and what returns are made of."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils import env_checker

from smoothie_tf.environments import (
    checked_task,
    discretized_reward,
    gymnasium_environment,
)


class Task(gymnasium.Env):
    """Pays what it is told to."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))
    action_space = gymnasium.spaces.Box(-9.0, 9.0, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), float(action[0]), False, False, {"own": 1}


def test_levels_by_hand():
    # −1, 0.5, 2: the borders are −0.25 and 1.25, and belong to the level above.
    env = discretized_reward.DiscretizedReward(Task(), -1.0, 2.0, levels=3)
    rewards = [-7.0, -1.0, -0.26, -0.25, 0.5, 1.24, 1.25, 2.0, 40.0]
    expected = [-1.0, -1.0, -1.0, 0.5, 0.5, 0.5, 2.0, 2.0, 2.0]
    np.testing.assert_array_equal(env.discretize(np.array(rewards)), expected)
    env.reset()
    for reward, level in zip(rewards, expected, strict=True):
        _, paid, _, _, info = env.step(np.array([reward]))
        assert paid == level and isinstance(paid, float)
        assert info == {"own": 1, discretized_reward.ORIGINAL_REWARD: reward}


def test_discretizing_twice_keeps_the_tasks_own_reward():
    env = discretized_reward.DiscretizedReward(Task(), 0.0, 4.0, levels=5)
    env = discretized_reward.DiscretizedReward(env, 0.0, 4.0, levels=2)
    env.reset()
    _, reward, _, _, info = env.step(np.array([1.6]))
    # 1.6 → 2 → 4: the middle counts as above.
    assert (reward, info[discretized_reward.ORIGINAL_REWARD]) == (4.0, 1.6)


def test_original_reward():
    assert discretized_reward.original_reward(2.0, {}) == 2.0
    info = {discretized_reward.ORIGINAL_REWARD: 1.75}
    assert discretized_reward.original_reward(2.0, info) == 1.75


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"low": 1.0, "high": 1.0}, "high must be above low, 1.0, but is 1.0"),
        ({"low": np.inf, "high": 1.0}, "low must be a finite number"),
        ({"levels": 1}, "levels must be at least 2, but is 1"),
        ({"levels": 2.5}, "levels must be a whole number"),
    ],
)
def test_bad_numbers_are_named(arguments, sentence):
    with pytest.raises(ValueError, match=f"DiscretizedReward.{sentence}"):
        discretized_reward.DiscretizedReward(
            Task(), **{"low": 0.0, "high": 1.0, **arguments}
        )


@pytest.mark.parametrize(
    "name", ["Hopper-v5", "HalfCheetah-v5", "Walker2d-v5", "InvertedPendulum-v5"]
)
def test_a_discretized_task_is_the_task_but_for_its_reward(name):
    dense, coarse = (
        gymnasium_environment.make(each)
        for each in (name, f"smoothie_tf/Discretized{name}")
    )
    assert coarse.spec.max_episode_steps == dense.spec.max_episode_steps
    assert coarse.observation_space == dense.observation_space
    rng = np.random.default_rng(0)
    rewards, levels = [], set()
    for env in (dense, coarse):
        env.reset(seed=3)
    for _ in range(60):
        action = rng.uniform(-1, 1, dense.action_space.shape)
        expected, step = dense.step(action), coarse.step(action)
        np.testing.assert_array_equal(step[0], expected[0])
        assert step[2:4] == expected[2:4]
        assert step[4][discretized_reward.ORIGINAL_REWARD] == expected[1]
        rewards.append(expected[1])
        levels.add(step[1])
        if expected[2] or expected[3]:
            dense.reset(seed=4), coarse.reset(seed=4)
    if name == "InvertedPendulum-v5":
        # Its reward is in steps as it is.
        assert levels == {0.0, 1.0} == set(rewards)
    else:
        assert 2 <= len(levels) <= 5 < len(set(rewards))
    dense.close(), coarse.close()


def test_two_gaussians_keep_their_own_actions():
    env = gymnasium_environment.make("smoothie_tf/DiscretizedTwoGaussians-v0")
    assert env.action_space.high == 3.0
    env.reset()
    # 0.506 at the worse mode.
    _, reward, terminated, _, info = env.step(np.array([-0.8]))
    assert (reward, terminated) == (0.5, True)
    assert info[discretized_reward.ORIGINAL_REWARD] == pytest.approx(0.506, abs=1e-3)


def test_any_task_can_be_registered():
    name = discretized_reward.register("MountainCarContinuous-v0", -0.1, 0.1)
    assert name == "smoothie_tf/DiscretizedMountainCarContinuous-v0"
    env = gymnasium.make(name)
    levels = np.unique(env.discretize(np.linspace(-1.0, 1.0, 1001)))
    np.testing.assert_allclose(levels, [-0.1, -0.05, 0.0, 0.05, 0.1], atol=1e-9)
    env_checker.check_env(env, skip_render_check=True)
    # Its spec makes it again.
    assert isinstance(gymnasium.make(env.spec), discretized_reward.DiscretizedReward)
    assert discretized_reward.lineage(name) == ("MountainCarContinuous-v0", name)
    assert discretized_reward.lineage(f"module:{name}")[0] == "MountainCarContinuous-v0"
    assert discretized_reward.lineage("Ant-v5") == ("Ant-v5",)


def test_a_version_is_of_one_task_only(monkeypatch):
    monkeypatch.setattr(gymnasium.envs.registration, "registry", {})
    monkeypatch.setattr(discretized_reward, "_BASES", {})
    for name in ("a/Task-v0", "b/Task-v0"):
        gymnasium.register(name, lambda: Task())
    for high in (1.0, 2.0):  # Its own levels may change.
        name = discretized_reward.register("a/Task-v0", 0.0, high)
    with pytest.raises(ValueError) as error:
        discretized_reward.register("b/Task-v0", 0.0, 1.0)
    assert str(error.value) == (
        "'b/Task-v0' cannot be registered as 'smoothie_tf/DiscretizedTask-v0', which "
        "is the version of 'a/Task-v0'."
    )
    assert discretized_reward.lineage(name) == ("a/Task-v0", name)


def test_importing_needs_no_tensorflow():
    code = "import sys, smoothie_tf.environments; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


@pytest.mark.parametrize("reward", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_not_rounded_to_the_highest_level(reward):
    env = discretized_reward.DiscretizedReward(Task(), -1.0, 2.0, levels=3)
    env.reset()
    _, paid, *_ = env.step(np.array([reward]))
    np.testing.assert_equal(paid, reward)


def test_a_reward_that_is_nan_stops_a_discretized_task():
    task = discretized_reward.DiscretizedReward(Task(), -1.0, 2.0, levels=3)
    env = checked_task.Checked(task)
    env.reset()
    with pytest.raises(checked_task.NotFiniteError, match="Reward is nan"):
        env.step(np.array([np.nan]))
