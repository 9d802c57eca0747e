"""The tasks of the SVG family: spaces, rewards in closed form, and their physics."""

import math
from ctypes import util

import gymnasium
import mujoco
import numpy as np
import pytest
import tensorflow as tf
from gymnasium.utils import env_checker

from smoothie_tf.environments import (
    cartpole,
    gymnasium_environment,
    hand,
    monoped,
    reacher,
    swimmer,
)

# Sizes of states and actions, and steps an episode.
TASKS = {
    "Hand": (9, 2, 1000),
    "CartpoleSwingup": (5, 1, 250),
    "Swimmer3": (10, 2, 300),
    "Swimmer5": (14, 4, 300),
    "Swimmer7": (18, 6, 300),
    "FourTargetReacher": (8, 3, 150),
    "MovingTargetReacher": (8, 3, 150),
    "Gripper": (22, 5, 200),
    "Monoped": (14, 4, 200),
    "CheetahWithSprings": (17, 6, 1000),
    "CheetahWithoutSprings": (17, 6, 1000),
    "Walker": (17, 6, 1000),
}
GYMNASIUMS = ("CheetahWithSprings", "CheetahWithoutSprings", "Walker")
OWN = [name for name in TASKS if name not in GYMNASIUMS]


def make(name, **kwargs):
    return gymnasium_environment.make(f"smoothie_tf/{name}-v0", **kwargs)


def episode(env, seed, steps, stddev=0.5):
    """States, actions, rewards and next states of random actions."""
    rng = np.random.default_rng(seed)
    state, rows = env.reset(seed=seed)[0], []
    for _ in range(steps):
        action = stddev * rng.normal(size=env.action_space.shape).astype(np.float32)
        following, reward, terminated, truncated, _ = env.step(action)
        rows.append((state, action, reward, following))
        state = following
        if terminated or truncated:
            break
    return [np.array(column) for column in zip(*rows, strict=True)]


@pytest.mark.parametrize("name", TASKS)
def test_the_checker_is_content_and_sizes_are_as_said(name):
    states, actions, steps = TASKS[name]
    task = gymnasium.make(f"smoothie_tf/{name}-v0")
    env_checker.check_env(task.unwrapped, skip_render_check=True)
    assert task.observation_space.shape == (states,)
    assert task.action_space.shape == (actions,)
    assert task.spec.max_episode_steps == steps
    task.close()


@pytest.mark.parametrize("name", TASKS)
def test_one_seed_is_one_episode(name):
    env = make(name)
    first, again, other = (episode(env, seed, 30) for seed in (3, 3, 4))
    for mine, theirs in zip(first, again, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert not np.array_equal(first[3], other[3])
    # Also within another environment of the same kind.
    for mine, theirs in zip(first, episode(make(name), 3, 30), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("name", OWN)
def test_rewards_in_tensorflow_are_the_tasks_own(name):
    env = make(name)
    known = gymnasium_environment.known_to_agents(env)
    assert known["max_episode_steps"] == TASKS[name][2]
    # Actions far beyond the bounds: they are charged for as they are.
    states, actions, rewards, following = episode(env, 0, 1000, stddev=2.0)
    assert np.abs(actions).max() > 2
    found = known["reward_fn"](
        *(tf.constant(x, tf.float64) for x in (states, actions, following))
    )
    np.testing.assert_allclose(found, rewards, rtol=1e-4, atol=1e-5)
    if name == "Hand":
        assert len(rewards) == 1000 and rewards[-1] < -0.5


@pytest.mark.parametrize("name", GYMNASIUMS)
def test_gymnasiums_rewards_are_to_be_learned(name):
    assert gymnasium_environment.known_to_agents(make(name))["reward_fn"] is None


@pytest.mark.parametrize("name", ["Hand", "CartpoleSwingup"])
def test_pictures_without_mujoco(name):
    env = make(name, render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()
    for _ in range(20):
        env.step(np.ones(env.action_space.shape, np.float32))
    assert before.shape == (320, 320, 3) and before.dtype == np.uint8
    assert (env.render() != before).any()
    assert make(name).unwrapped.render() is None


@pytest.mark.skipif(not util.find_library("EGL"), reason="there is no EGL")
@pytest.mark.parametrize("name", ["Swimmer5", "Gripper", "Monoped"])
def test_pictures_with_mujoco(name, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "egl")
    env = make(name, render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()
    for _ in range(20):
        env.step(np.ones(env.action_space.shape, np.float32))
    assert before.shape == (480, 480, 3) and before.dtype == np.uint8
    assert (env.render() != before).any()
    env.close()


def test_the_hand_by_hand():
    # From rest, with the hand at velocity (1, 0) beyond its bound: h = (0.01, 0); the
    # ball was in balance, so that only the kick moves it.
    task = hand.HandEnvironment()
    task.reset(seed=0)
    (_, reward, over, _, _) = task.step(np.array([3.0, 0.0]))
    assert reward == pytest.approx(-1e-4 * 9) and not over
    np.testing.assert_allclose(task._hand, [0.01, 0.0])
    rng = np.random.default_rng(0)
    rng.integers(2)  # The target.
    kick = hand.NOISE * 0.1 * rng.standard_normal(2)
    np.testing.assert_allclose(task._velocity, kick)
    np.testing.assert_allclose(task._ball, np.array([0.0, -1.0]) + 0.01 * kick)
    # Then the spring pulls by 10 times the stretch of (b − h), less 0.2·v.
    velocity, stretch = task._velocity, task._ball - task._hand
    task.step(np.zeros(2))
    kick = hand.NOISE * 0.1 * rng.standard_normal(2)
    force = -10 * stretch - 0.2 * velocity - [0, 10]
    np.testing.assert_allclose(task._velocity, velocity + 0.01 * force + kick)


def test_the_pole_keeps_its_energy_without_friction(monkeypatch):
    monkeypatch.setattr(cartpole, "CART_FRICTION", 0.0)
    monkeypatch.setattr(cartpole, "POLE_FRICTION", 0.0)

    def energy(state):
        _, angle, speed, turn = state
        half, mass = 0.5 * cartpole.POLE_LENGTH, cartpole.POLE_MASS
        kinetic = 0.5 * (cartpole.CART_MASS + mass) * speed**2
        kinetic += mass * half * speed * turn * math.cos(angle)
        # A uniform rod about its end: m·(2·half)²/3 = 4/3·m·half².
        kinetic += 0.5 * (4 / 3) * mass * half**2 * turn**2
        return kinetic + mass * cartpole.GRAVITY * half * math.cos(angle)

    state = (0.0, 1.0, 0.2, -0.5)
    start = energy(state)
    for _ in range(400):
        state = cartpole._integrated(state, 0.0)
    assert energy(state) == pytest.approx(start, rel=1e-5)


def test_the_cart_stops_at_the_rails_end_and_comes_away():
    task = cartpole.CartpoleEnvironment()
    task.reset(seed=0)
    for _ in range(100):
        observation, *_ = task.step(np.array([1.0]))
    assert observation[0] == pytest.approx(cartpole.RAIL, abs=1e-9)
    assert abs(observation[3]) < 0.5
    for _ in range(20):
        observation, *_ = task.step(np.array([-1.0]))
    assert observation[0] < cartpole.RAIL - 0.2


@pytest.mark.parametrize("links", [3, 5, 7])
def test_the_swimmers_state_is_what_mujoco_says(links):
    task = swimmer.SwimmerEnvironment(links)
    task.reset(seed=links)
    rng = np.random.default_rng(0)
    for _ in range(20):
        task.step(rng.uniform(-1, 1, links - 1))
    assert np.abs(task.data.qvel).max() > 0.3
    mujoco.mj_forward(task.model, task.data)
    mujoco.mj_subtreeVel(task.model, task.data)
    # The links' own directions, averaged.
    turns = [task.data.body(f"link{i}").xmat.reshape(3, 3)[:2, 0] for i in range(links)]
    heading = np.mean(np.unwrap([math.atan2(y, x) for x, y in turns]))
    axes = np.array(
        [
            [math.cos(heading), math.sin(heading)],
            [-math.sin(heading), math.cos(heading)],
        ]
    )
    position, velocity = np.split(task._observation(), 2)
    np.testing.assert_allclose(position[:2], -axes @ task.data.qpos[:2], atol=1e-12)
    assert math.remainder(position[2] - heading, 2 * math.pi) == pytest.approx(0)
    np.testing.assert_allclose(
        velocity[:2], axes @ task.data.subtree_linvel[1][:2], atol=1e-12
    )
    spins = [task.data.body(f"link{i}").cvel[2] for i in range(links)]
    assert velocity[2] == pytest.approx(np.mean(spins), abs=1e-12)


@pytest.mark.parametrize("links", [3, 5])
def test_a_stroke_of_the_swimmer_looks_the_same_from_everywhere(links):
    def swim(heading):
        task = swimmer.SwimmerEnvironment(links)
        task.reset(seed=0)
        size = links + 2
        # The goal is 1 m behind the nose and 0.5 m aside, wherever that is.
        turned = heading + math.atan2(0.5, 1.0)
        way = math.hypot(1.0, 0.5) * np.array([math.cos(turned), math.sin(turned)])
        task._place([*-way, heading, *np.zeros(links - 1)], np.zeros(size))
        rng, rows = np.random.default_rng(0), []
        for _ in range(20):
            observation, reward, *_ = task.step(rng.uniform(-1, 1, links - 1))
            rows.append(np.append(np.delete(observation, 2), reward))
        return np.array(rows)

    here = swim(0.3)
    np.testing.assert_allclose(swim(2.1), here, atol=1e-8)
    assert np.abs(here[:, -1]).max() > 0.1


@pytest.mark.parametrize("links", [3, 5, 7])
def test_a_wave_along_the_body_swims(links):
    # A metre and more in nine seconds: goals are at most 1.5 m away.
    task = swimmer.SwimmerEnvironment(links)
    task.reset(seed=0)
    start = task.data.qpos[:2].copy()
    for step in range(300):
        phase = 2 * math.pi * 0.03 * step - 1.6 * np.arange(links - 1)
        task.step(np.sin(phase))
    assert np.linalg.norm(task.data.qpos[:2] - start) > 1


def test_the_arms_tip_is_where_mujoco_has_it():
    task = reacher.ReacherEnvironment()
    task.reset(seed=1)
    for _ in range(10):
        task.step(np.array([0.4, -0.3, 0.2]))
    body = task.data.body("link2")
    along = body.xmat.reshape(3, 3)[:2, 0]
    np.testing.assert_allclose(
        reacher.tip(task.data.qpos), body.xpos[:2] + reacher.LINK * along, atol=1e-12
    )


def test_walls_hold_the_arm():
    task = reacher.ReacherEnvironment()
    for seed in range(4):
        task.reset(seed=seed)
        for _ in range(150):
            task.step(np.array([1.0, 0.3, 0.1]))
            reached = np.abs(reacher.tip(task.data.qpos)).max()
            assert reached < reacher.BOX + 0.02


def test_targets_are_corners_or_move_and_are_reflected():
    task, seen = reacher.ReacherEnvironment(), set()
    for seed in range(40):
        seen.add(tuple(task.reset(seed=seed)[0][6:8]))
    c = reacher.CORNER / reacher.LINK
    assert seen == {(x, y) for x in (-c, c) for y in (-c, c)}
    task = reacher.ReacherEnvironment(moving=True, shows_target_velocity=True)
    observation, _ = task.reset(seed=5)
    speed = np.linalg.norm(observation[8:])
    slowest, fastest = reacher.TARGET_SPEEDS
    assert slowest <= reacher.LINK * speed <= fastest
    turned = 0
    for _ in range(600):
        before = observation
        observation, *_ = task.step(np.zeros(3))
        assert np.abs(observation[6:8]).max() <= c
        assert np.linalg.norm(observation[8:]) == pytest.approx(speed)
        turned += (observation[8:] != before[8:]).any()
        if (observation[8:] == before[8:]).all():
            moved = observation[6:8] - before[6:8]
            np.testing.assert_allclose(moved, task.dt * before[8:], atol=1e-12)
    assert turned >= 2


def test_the_gripper_starts_clear_of_the_ball_and_can_push_it():
    task = reacher.GripperEnvironment()
    for seed in range(20):
        observation, _ = task.reset(seed=seed)
        assert not task._touches()
        places = reacher.LINK * observation[10:]
        np.testing.assert_allclose(places[:2], task.data.qpos[5:7])
        hand_, ball, target = observation[16:18], observation[10:12], observation[14:16]
        np.testing.assert_allclose(observation[18:20], ball - hand_)
        np.testing.assert_allclose(observation[20:22], target - ball)
    # The ball in the arm's way is pushed along.
    task._place([0, -2.0, 1.5, 0, 0, 0.045, 0.08], np.zeros(7))
    for _ in range(60):
        task.step(np.array([0.5, 0.0, 0.0, 0.0, 0.0]))
    assert np.linalg.norm(task.data.qpos[5:7] - [0.045, 0.08]) > 0.02


def test_the_monoped_falls_stands_high_and_its_torques_are_noisy():
    task = monoped.MonopedEnvironment(torque_noise=0.0)
    observation, _ = task.reset(seed=0)
    assert monoped.HEIGHT < observation[1] < monoped.HEIGHT + monoped.DROP[1] + 1e-9
    # Straight and at rest it touches the ground at its standing height.
    task._place([0, monoped.HEIGHT - 1e-3, 0, 0, 0, 0, 0], np.zeros(7))
    assert task.data.ncon > 0
    task._place([0, monoped.HEIGHT + 1e-3, 0, 0, 0, 0, 0], np.zeros(7))
    assert task.data.ncon == 0
    # It does not stand by itself.
    for _ in range(200):
        observation, reward, *_ = task.step(np.zeros(4))
    assert observation[1] < 0.7 * monoped.HEIGHT
    # Noise of 5 % by default, on top of what the bounds leave.
    quiet, noisy = (monoped.MonopedEnvironment(x) for x in (0.0, 0.05))
    applied = []
    for env in (quiet, noisy):
        env.reset(seed=1)
        controls = []
        for _ in range(100):
            env.step(np.array([3.0, -3.0, 0.0, 0.5]))
            controls.append(env.data.ctrl.copy())
        applied.append(np.array(controls))
    np.testing.assert_array_equal(applied[0][0], [1.0, -1.0, 0.0, 0.5])
    spread = (applied[1] - applied[0]).std()
    assert 0.04 < spread < 0.06
    with pytest.raises(ValueError, match="torque_noise must be a number of at least 0"):
        monoped.MonopedEnvironment(torque_noise=-0.1)


def test_cheetahs_springs():
    with_springs, without = make("CheetahWithSprings"), make("CheetahWithoutSprings")
    assert with_springs.unwrapped.model.jnt_stiffness.max() > 100
    assert without.unwrapped.model.jnt_stiffness.max() == 0
