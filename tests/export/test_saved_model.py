"""Exported policies: the live agent's actions, where nothing of ours is installed."""

import json
import os
import pathlib
import subprocess
import sys

import gin
import gymnasium
import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces
from tf_agents.policies import py_tf_eager_policy
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import StepType, trajectory
from tf_agents.trajectories import time_step as ts

from smoothie_tf.agents import factory
from smoothie_tf.environments import gymnasium_environment, space_descriptions
from smoothie_tf.export import saved_model
from smoothie_tf.networks import (
    critic_network,
    mean_network,
    squashed_gaussian_network,
)
from tests import slow

NUMBER = 128
UNBOUNDED = spaces.Box(-np.inf, np.inf, (5,), np.float64)
NESTED = spaces.Dict(
    {
        # Not in the order of the alphabet, in which TensorFlow sorts keys.
        "wheel": spaces.Box(-2.0, 2.0, (2, 3)),
        "gear": spaces.Discrete(3, start=1),
        "both": spaces.Tuple([spaces.MultiBinary(2), spaces.Box(0, 3, (2,), np.uint8)]),
        "axle": spaces.MultiDiscrete([2, 3], start=[0, 4]),
        # A signature has no such names, and does not tell the two apart.
        "Joint-pos ä": spaces.Box(-1.0, 1.0, (1,)),
        "joint_pos__": spaces.Box(-1.0, 1.0, (1,)),
    }
)


class Task(gymnasium.Env):
    """Has spaces, and keeps the action that arrives."""

    def __init__(self, observation_space, action_space, rescale=True):
        self.observation_space, self.action_space = observation_space, action_space
        self.metadata = {"rescale_action": rescale}

    def step(self, action):
        self.arrived = action
        return self.observation_space.sample(), 0.0, False, False, {}


def box(low, high, dtype=np.float32):
    return spaces.Box(np.array(low, dtype), np.array(high, dtype), dtype=dtype)


TASKS = {
    "smoothie": ("smoothie", Task(UNBOUNDED, box([-1, -1], [1, 1]))),
    # The first as Humanoid's, the second not around zero.
    "ddpg": ("ddpg", Task(UNBOUNDED, box([-0.4, 2], [0.4, 3]))),
    "asymmetric": (
        "smoothie",
        Task(UNBOUNDED, box([-0.4, 0.1, -7], [0.4, 0.7, 0], np.float64)),
    ),
    "own units": ("smoothie", Task(UNBOUNDED, box([-3, 0], [3, 1]), rescale=False)),
    "nested": ("smoothie", Task(NESTED, box([-0.4, 0], [0.4, 2]))),
}
ALL = pytest.mark.parametrize("name", TASKS)
ACTORS = {"sac": squashed_gaussian_network.SquashedGaussianNetwork}


def make_agent(kind, task, seed=0):
    """A small agent whose actions fill the box and reach its borders."""
    env = gymnasium_environment.adapt(task)
    tf.keras.utils.set_random_seed(seed)
    agent = factory.create_agent(
        kind,
        gymnasium_environment.time_step_spec(env),
        gymnasium_environment.action_spec(env),
        seed=seed,
        actor_learning_rate=1e-3,
        critic_learning_rate=1e-3,
        actor_network=lambda *specs: ACTORS.get(kind, mean_network.MeanNetwork)(
            *specs, (8,)
        ),
        critic_network=lambda specs: critic_network.CriticNetwork(specs, (8,), (8,)),
    )
    rng = np.random.default_rng(seed)
    for variable in agent.policy.variables():
        if variable.shape.rank == 2:
            scale = 1.5 / np.sqrt(variable.shape[0])
            variable.assign(rng.normal(0, scale, variable.shape))
    return agent


def observations(space, number=NUMBER):
    space.seed(1)
    return [space.sample() for _ in range(number)]


def live(agent, task, sampled):
    """The agent's own actions, on their way through the environment's adapter."""
    flat = np.stack([spaces.flatten(task.observation_space, o) for o in sampled])
    time_step = ts.restart(flat.astype(np.float32), len(flat))
    env, arrived = gymnasium_environment.adapt(task), []
    for action in agent.policy.action(time_step).action.numpy():
        env.step(action)
        arrived.append(task.arrived)
    return np.stack(arrived)


def inputs(space, sampled):
    """Sampled observations by the names of a signature's inputs."""
    specs = tf.nest.flatten(saved_model.input_spec(space))
    leaves = tf.nest.flatten(saved_model.batch(sampled))
    return {
        spec.name: np.asarray(leaf, spec.dtype.as_numpy_dtype)
        for spec, leaf in zip(specs, leaves, strict=True)
    }


@pytest.fixture(scope="module")
def agents():
    return {name: make_agent(*TASKS[name]) for name in TASKS}


@pytest.fixture(scope="module")
def deployed(agents, tmp_path_factory):
    """Every policy exported, and what it says in a process without anything of ours."""
    folder = tmp_path_factory.mktemp("deployed")
    for name, (_, task) in TASKS.items():
        spaces_of = task.observation_space, task.action_space
        saved_model.save(agents[name].policy, *spaces_of, folder / name / "policy")
        sampled = observations(task.observation_space)
        np.savez(
            folder / name / "inputs.npz", **inputs(task.observation_space, sampled)
        )
    script = pathlib.Path(__file__).with_name("plain_tensorflow.py")
    done = subprocess.run(
        [sys.executable, "-I", str(script), str(folder)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def outputs(deployed):
    return {name: dict(np.load(deployed / name / "outputs.npz")) for name in TASKS}


@ALL
def test_actions_are_the_live_agents(agents, outputs, name):
    _, task = TASKS[name]
    sampled = observations(task.observation_space)
    expected = live(agents[name], task, sampled)
    # Means of all kinds: within the box and close to its borders.
    spread = (expected - task.action_space.low) / np.ptp(
        [task.action_space.low, task.action_space.high], axis=0
    )
    assert spread.min() < 0.1 and spread.max() > 0.9
    for number in (1, NUMBER):
        for signature in ("serving_default", "action"):
            actual = outputs[name][f"{signature} {number}"]
            assert actual.shape == (number, *task.action_space.shape)
            assert actual.dtype == task.action_space.dtype
            np.testing.assert_allclose(actual, expected[:number], rtol=1e-6, atol=1e-6)


@ALL
def test_every_action_is_within_the_bounds(outputs, name):
    _, task = TASKS[name]
    for key, value in outputs[name].items():
        if not key.startswith(("mean", "stddev")):
            assert all(task.action_space.contains(action) for action in value), key


@ALL
def test_samples_are_clipped_draws_from_the_distribution(agents, outputs, name):
    kind, task = TASKS[name]
    said = outputs[name]
    mean, stddev = said[f"mean {NUMBER}"], said[f"stddev {NUMBER}"]
    low, high = task.action_space.low, task.action_space.high
    # In the task's units: the box that the agent acts in is [-1, 1], or the task's.
    scale = 1.0 if name == "own units" else (high - low) / 2
    expected = 0.0 if kind == "ddpg" else np.exp(-0.5) * scale
    np.testing.assert_allclose(stddev, np.broadcast_to(expected, mean.shape), rtol=1e-6)
    draws = {seed: said[f"sample {NUMBER} seed {seed}"] for seed in (3, 4)}
    if kind == "ddpg":
        np.testing.assert_array_equal(draws[3], said[f"action {NUMBER}"])
        return
    assert (draws[3] != draws[4]).any(axis=1).mean() > 0.5
    # Where a mean is not itself at a border, half of the draws are on either side.
    middle = np.minimum(mean - low, high - mean) > 0.05 * (high - low)
    for draw in draws.values():
        assert (draw == low).any() and (draw == high).any()
        below = (draw < mean)[middle].mean()
        assert abs(below - 0.5) < 4 * 0.5 / np.sqrt(middle.sum())
    clipped = np.clip(mean, low, high)
    np.testing.assert_allclose(clipped, said[f"action {NUMBER}"], rtol=1e-5, atol=1e-5)


def test_a_seed_draws_what_the_gaussian_draws(agents, outputs):
    # μ + σ·z with z of the same seed: σ and the unclipped μ from the agent itself.
    _, task = TASKS["asymmetric"]
    flat = np.stack(observations(task.observation_space)).astype(np.float32)
    step = agents["asymmetric"].collect_policy.action(
        ts.restart(flat, NUMBER), seed=tf.constant([0, 3], tf.int64)
    )
    low, high = task.action_space.low, task.action_space.high
    expected = low + (np.clip(step.action, -1, 1) + 1) * (high - low) / 2
    actual = outputs["asymmetric"][f"sample {NUMBER} seed 3"]
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("covariance", ["full", "state_diagonal", "state_full"])
def test_other_covariances_are_drawn_from_as_well(covariance):
    gin.bind_parameter("SmoothieAgent.covariance", covariance)
    gin.bind_parameter("CovarianceNetwork.hidden_units", (8,))
    task = Task(UNBOUNDED, box([-9, -9], [9, 9]), rescale=False)
    agent = make_agent("smoothie", task)
    for variable in agent.covariance.variables:
        variable.assign_add(0.5 * tf.ones_like(variable))
    deployed = saved_model.DeployedPolicy(
        agent.policy, task.observation_space, task.action_space
    )
    flat = np.stack(observations(task.observation_space)).astype(np.float32)
    step = agent.collect_policy.action(
        ts.restart(flat, NUMBER), seed=tf.constant([0, 3], tf.int64)
    )
    drawn = deployed.sample(tf.constant(flat, tf.float64), tf.constant(3, tf.int64))
    expected = np.clip(step.action, -9, 9)
    np.testing.assert_allclose(drawn, expected, rtol=1e-4, atol=1e-4)
    said = deployed.distribution_parameters(tf.constant(flat, tf.float64))["stddev"]
    stddev = np.broadcast_to(agent.policy_stddev(flat), said.shape)
    np.testing.assert_allclose(said, stddev, rtol=1e-5)


@pytest.mark.parametrize("kind", ["td3", "sac"])
@pytest.mark.parametrize(
    "rescale", slow.all_but([True], [True, False]), ids=["rescaled", "own units"]
)
def test_policies_of_two_critics(kind, rescale, tmp_path):
    task = Task(UNBOUNDED, box([-0.4, 2], [0.4, 3]), rescale)
    spaces_of = task.observation_space, task.action_space
    agent = make_agent(kind, task)
    made = saved_model.save(agent.policy, *spaces_of, tmp_path / "policy")
    loaded = tf.saved_model.load(str(tmp_path / "policy"))
    sampled = observations(task.observation_space)
    flat = np.stack(sampled).astype(np.float32)
    action = loaded.action(flat).numpy()
    np.testing.assert_allclose(action, live(agent, task, sampled), rtol=1e-5, atol=1e-6)
    drawn = loaded.sample(flat, tf.constant(3, tf.int64)).numpy()
    assert all(task.action_space.contains(each) for each in (*action, *drawn))
    low, high = task.action_space.low, task.action_space.high
    said = loaded.distribution_parameters(flat)
    np.testing.assert_allclose(said["mean"], action, rtol=1e-5, atol=1e-6)
    if kind == "td3":
        np.testing.assert_array_equal(drawn, action)
        np.testing.assert_array_equal(said["stddev"], np.zeros_like(action))
    else:
        # What the agent draws itself once it has been trained.
        agent.train_step_counter.assign(1)
        batch = ts.restart(flat, NUMBER)
        seed = tf.constant([0, 3], tf.int64)
        expected = agent.collect_policy.action(batch, seed=seed).action.numpy()
        if rescale:
            expected = low + (expected + 1) * (high - low) / 2
        np.testing.assert_allclose(drawn, expected, rtol=1e-5, atol=1e-5)
        before = agent._actor_network(flat)[0].input_distribution
        expected = before.stddev() * (high - low) / 2
        np.testing.assert_allclose(said["stddev"], expected, rtol=1e-5)
    interpreter = tf.lite.Interpreter(model_content=made.tflite())
    interpreter.allocate_tensors()
    (given,), (output,) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    interpreter.set_tensor(given["index"], flat[:1])
    interpreter.invoke()
    actual = interpreter.get_tensor(output["index"])
    np.testing.assert_allclose(actual, action[:1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", slow.all_but(["sac"], ["td3", "sac"]))
def test_tf_agents_loads_policies_of_two_critics(kind, tmp_path):
    task = TASKS["smoothie"][1]
    agent = make_agent(kind, task)
    agent.train_step_counter.assign(1)
    (sampled,) = observations(task.observation_space, 1)
    time_step = ts.restart(np.asarray(sampled, np.float32))
    flat = ts.restart(time_step.observation[np.newaxis], 1)
    mean = agent.policy.action(flat).action[0]
    actions = {}
    for form, policy in (("greedy", agent.policy), ("collect", agent.collect_policy)):
        saved_model.save_for_tf_agents(policy, tmp_path / form, 1)
        loaded = py_tf_eager_policy.SavedModelPyTFEagerPolicy(
            str(tmp_path / form), load_specs_from_pbtxt=True
        )
        state = loaded.get_initial_state(batch_size=1) if form == "collect" else ()
        actions[form] = loaded.action(time_step, state).action
    np.testing.assert_allclose(actions["greedy"], mean, rtol=1e-6, atol=1e-6)
    assert (np.abs(actions["collect"] - mean) > 1e-6).any()
    if kind == "td3":  # Trained: not uniform, but 0.1 around the mean.
        assert (np.abs(actions["collect"] - mean) < 0.6).all()


def test_any_batch_has_the_same_rows(outputs):
    for said in outputs.values():
        for name in ("action", "mean", "stddev"):
            np.testing.assert_allclose(
                said[f"{name} 1"], said[f"{name} {NUMBER}"][:1], rtol=1e-5, atol=1e-6
            )


@pytest.mark.parametrize("name", ["smoothie", "ddpg"])
def test_python_callers_may_pass_float64(outputs, name):
    said = outputs[name]
    for number in (1, NUMBER):
        for kind in ("float32", "float64", "float64 tensor"):
            np.testing.assert_array_equal(
                said[f"from {kind} {number}"], said[f"action {number}"]
            )
        for kind in ("float16", "int64", "int32", "uint8", "bool"):
            np.testing.assert_array_equal(
                said[f"whole {kind} {number}"], said[f"whole float32 {number}"]
            )
        # Python's own, and three of NumPy's.
        for i in range(4):
            np.testing.assert_array_equal(
                said[f"seed {i} {number}"], said[f"sample {number} seed 3"]
            )


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ("nan", "An observation holds a NaN or an infinity."),
        ("nan sample", "An observation holds a NaN or an infinity."),
        ("nan parameters", "An observation holds a NaN or an infinity."),
        ("nan served", "An observation holds a NaN or an infinity."),
        ("infinite", "An observation holds a NaN or an infinity."),
        ("too large for float32", "An observation holds a NaN or an infinity."),
        ("narrow", f"observation [{NUMBER},4] is not compatible with expected"),
        ("wide", f"observation [{NUMBER},10] is not compatible with expected"),
        ("no batch", "observation [5] is not compatible with expected shape [?,5]"),
        ("no batch sample", "observation [5] is not compatible with expected"),
        ("narrow parameters", f"observation [{NUMBER},4] is not compatible with"),
        (
            "narrow served",
            f"observation [{NUMBER},4] is not compatible with expected shape [?,5]",
        ),
        (
            "wide served",
            f"observation [{NUMBER},10] is not compatible with expected shape [?,5]",
        ),
        (
            "no batch served",
            "observation [5] is not compatible with expected shape [?,5]",
        ),
        (
            "float64 served",
            "input #0(zero-based) was expected to be a float tensor but is a double",
        ),
        ("no seed", "seed"),
    ],
)
def test_input_that_is_wrong_is_an_error_and_no_action(deployed, wrong, line):
    for name in ("smoothie", "ddpg"):
        said = json.loads((deployed / name / "errors.json").read_text())[wrong]
        # What docs/deployment.md tells a control loop to catch; two mistakes of whoever
        # writes one cannot become it.
        kind = {"no seed": ("ValueError", "TypeError")}.get(wrong)
        assert said.startswith(kind or "InvalidArgumentError: ")
        assert line in said


def test_a_nest_that_is_wrong_is_an_error_and_no_action(deployed):
    policy = tf.saved_model.load(str(deployed / "nested" / "policy"))
    right = inputs(NESTED, observations(NESTED, 2))
    right = {name: tf.constant(x) for name, x in right.items()}
    signature = policy.signatures["action"]
    assert signature(**right)["action"].shape == (2, 2)
    for name, x, line in (
        # As many numbers, in another order.
        ("observation_wheel", tf.zeros([2, 3, 2]), "expected shape [?,2,3]"),
        ("observation_gear", tf.constant([1, 4], tf.int64), "category"),
        ("observation_gear", tf.constant([0, 1], tf.int64), "category"),
        ("observation_axle", tf.constant([[1, 4], [1, 7]], tf.int64), "category"),
        ("observation_wheel", tf.fill([2, 2, 3], np.nan), "NaN"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            signature(**{**right, name: x})
        assert line in str(caught.value)
    del right["observation_gear"]
    with pytest.raises(TypeError, match="observation_gear"):
        signature(**right)


def test_a_nest_may_be_passed_as_it_is(deployed, outputs):
    policy = tf.saved_model.load(str(deployed / "nested" / "policy"))
    batched = saved_model.batch(observations(NESTED))
    expected = outputs["nested"][f"action {NUMBER}"]
    np.testing.assert_array_equal(policy.action(batched), expected)
    signature = policy.signatures["sample"]
    named = inputs(NESTED, observations(NESTED))
    named = {name: tf.constant(x) for name, x in named.items()}
    drawn = signature(seed=tf.constant(3, tf.int64), **named)["action"]
    for kinds in (("f8", "i4", "i8", "u1"), ("f2", "u1", "f4", "i8"), "f4 f8 f8 f8"):
        wheel, gear, axle, both = kinds if len(kinds) == 4 else kinds.split()
        mixed = {
            **batched,
            "wheel": batched["wheel"].astype(wheel),
            "gear": batched["gear"].astype(gear),
            "axle": batched["axle"].astype(axle),
            "both": tuple(each.astype(both) for each in batched["both"]),
        }
        tolerance = 2e-3 if wheel == "f2" else 1e-6
        np.testing.assert_allclose(policy.action(mixed), expected, 0, tolerance)
        np.testing.assert_allclose(
            policy.sample(mixed, np.int64(3)), drawn, 0, tolerance
        )
    mixed["wheel"] = mixed["wheel"][:, :1]
    with pytest.raises(tf.errors.InvalidArgumentError, match="observation_wheel "):
        policy.action(mixed)
    mixed["wheel"] = batched["wheel"][0]
    with pytest.raises(tf.errors.InvalidArgumentError, match="observation_wheel "):
        policy.sample(mixed, 3)


@pytest.mark.parametrize("name", ["ddpg", "nested"])
def test_tflite_is_the_saved_model(agents, outputs, name):
    _, task = TASKS[name]
    space = task.observation_space
    model = saved_model.DeployedPolicy(agents[name].policy, space, task.action_space)
    interpreter = tf.lite.Interpreter(model_content=model.tflite())
    given = inputs(space, observations(space))
    for number in (1, NUMBER):
        details = interpreter.get_input_details()
        by_name = {
            name: d
            for d in details
            for name in given
            if name in d["name"].split(":")[0]
        }
        for key, x in given.items():
            index = by_name[key]["index"]
            interpreter.resize_tensor_input(index, [number, *x.shape[1:]])
        interpreter.allocate_tensors()
        for key, x in given.items():
            interpreter.set_tensor(by_name[key]["index"], x[:number])
        interpreter.invoke()
        (output,) = interpreter.get_output_details()
        assert output["dtype"] == np.float32
        actual = interpreter.get_tensor(output["index"])
        expected = outputs[name][f"action {number}"]
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", [np.float64, np.float16, np.float32])
def test_tflite_of_other_kinds_of_actions(kind):
    # Neither bound of the first is a float32, nor is any action beyond it allowed.
    task = Task(UNBOUNDED, box([-0.1, -2], [0.1, 3], kind))
    agent = make_agent("smoothie", task)
    spaces_of = task.observation_space, task.action_space
    model = saved_model.DeployedPolicy(agent.policy, *spaces_of)
    interpreter = tf.lite.Interpreter(model_content=model.tflite())
    x = inputs(UNBOUNDED, observations(UNBOUNDED))["observation"]
    place = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(place, x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(place, x)
    interpreter.invoke()
    (output,) = interpreter.get_output_details()
    actual = interpreter.get_tensor(output["index"])
    assert actual.dtype == np.float32
    expected = model.action(x).numpy()
    assert expected.dtype == kind
    assert (np.ptp(expected, axis=0) > [0.15, 4]).all()
    tolerance = 2e-3 if kind == np.float16 else 1e-5
    np.testing.assert_allclose(actual, expected, 0, tolerance)
    low, high = (
        each.astype(np.float64) for each in (spaces_of[1].low, spaces_of[1].high)
    )
    assert (actual.astype(np.float64) >= low).all()
    assert (actual.astype(np.float64) <= high).all()
    assert all(task.action_space.contains(each) for each in actual.astype(kind))


@pytest.mark.parametrize(
    "kind", slow.all_but([np.uint64], [np.uint16, np.uint32, np.uint64])
)
def test_observations_of_long_unsigned_integers(kind, tmp_path):
    space = spaces.Tuple(
        (spaces.Box(0, 200, (3,), kind), spaces.MultiDiscrete([2, 3], kind))
    )
    single = space[0]
    x = np.array([[1, 0, 200]], kind)
    for observed, given in ((space, (x, np.array([[1, 2]], kind))), (single, x)):
        task = Task(observed, box([-1, -1], [1, 1]))
        agent = make_agent("smoothie", task)
        model = saved_model.save(agent.policy, observed, task.action_space, tmp_path)
        loaded = tf.saved_model.load(str(tmp_path))
        action = loaded.action(given)
        tensors = tf.nest.map_structure(tf.constant, given)
        np.testing.assert_array_equal(loaded.action(tensors), action)
        drawn = loaded.sample(tensors, tf.constant(3, tf.int64))
        np.testing.assert_array_equal(loaded.sample(given, 3), drawn)
        interpreter = tf.lite.Interpreter(model_content=model.tflite())
        for place, leaf in zip(
            sorted(interpreter.get_input_details(), key=lambda each: each["name"]),
            tf.nest.flatten(given),
            strict=True,
        ):
            assert place["dtype"] == np.float32
            interpreter.resize_tensor_input(place["index"], leaf.shape)
            interpreter.allocate_tensors()
            interpreter.set_tensor(place["index"], leaf.astype(np.float32))
        interpreter.invoke()
        (output,) = interpreter.get_output_details()
        actual = interpreter.get_tensor(output["index"])
        np.testing.assert_allclose(actual, action, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["smoothie", "ddpg"])
def test_tf_agents_loads_its_own_form(agents, tmp_path, name):
    agent = agents[name]
    _, task = TASKS[name]
    specs = agent.time_step_spec, agent.action_spec
    # These policies take one time step, and make a batch of it themselves.
    (sampled,) = observations(task.observation_space, 1)
    time_step = ts.restart(np.asarray(sampled, np.float32))
    loaded = {}
    for form, policy in (("greedy", agent.policy), ("collect", agent.collect_policy)):
        saved_model.save_for_tf_agents(policy, tmp_path / form, 1234)
        loaded[form] = py_tf_eager_policy.SavedModelPyTFEagerPolicy(
            str(tmp_path / form), load_specs_from_pbtxt=True
        )
        for found, expected in zip(
            (loaded[form].time_step_spec, loaded[form].action_spec), specs, strict=True
        ):
            assert found == tensor_spec.to_array_spec(expected)
        assert loaded[form].get_train_step() == 1234
    mean = loaded["greedy"].action(time_step).action
    flat = ts.restart(time_step.observation[np.newaxis], 1)
    expected = agent.policy.action(flat).action[0]
    np.testing.assert_allclose(mean, expected, rtol=1e-6, atol=1e-6)
    first = loaded["collect"].action(
        time_step, loaded["collect"].get_initial_state(batch_size=1)
    )
    # With noise, and, for Ornstein-Uhlenbeck's, carried on.
    assert (np.abs(first.action - mean) > 1e-6).any()
    if name == "ddpg":
        going = ts.transition(time_step.observation, np.float32(0))
        again = loaded["collect"].action(going, first.state)
        assert np.any(np.asarray(again.state) != np.asarray(first.state))
        assert np.all(np.asarray(first.state) != 0)


def experience(rng):
    """Eight random transitions."""

    def normal(*shape):
        return tf.constant(rng.normal(size=(8, 2, *shape)), tf.float32)

    middle = tf.fill([8, 2], StepType.MID)
    return trajectory.Trajectory(
        middle, normal(5), normal(2), (), middle, normal(), tf.ones([8, 2])
    )


@pytest.mark.parametrize("kind", slow.all_but(["smoothie"], ["smoothie", "ddpg"]))
def test_an_agent_learns_on_as_if_it_had_not_been_exported(kind, tmp_path):
    task = TASKS[kind][1]

    def learned(exported):
        agent = make_agent(kind, task)
        for step in range(2):
            if exported and step == 1:
                spaces_of = task.observation_space, task.action_space
                model = saved_model.save(agent.policy, *spaces_of, tmp_path / "policy")
                model.tflite()
                saved_model.save_for_tf_agents(
                    agent.collect_policy, tmp_path / "c", step
                )
            agent.train(experience(np.random.default_rng(step)))
        return [variable.numpy() for variable in agent.variables]

    for plain, exported in zip(learned(False), learned(True), strict=True):
        np.testing.assert_array_equal(plain, exported)


def test_nothing_of_this_machine_is_in_an_export(deployed):
    here = [str(pathlib.Path(__file__).parents[2]).encode(), sys.prefix.encode()]
    for path in (deployed / "smoothie" / "policy").rglob("*"):
        if path.is_file():
            assert not any(place in path.read_bytes() for place in here), path


def test_an_export_is_small(deployed):
    # 5·8 + 8 + 8·2 + 2 + 2 weights of 4 bytes; the rest is the graphs.
    size = sum(
        path.stat().st_size
        for path in (deployed / "smoothie" / "policy").rglob("*")
        if path.is_file()
    )
    assert size < 250_000


def test_spaces_as_json():
    described = json.loads(json.dumps(space_descriptions.describe(NESTED)))
    assert list(described["spaces"]) == list(NESTED.spaces)
    inner = described["spaces"]
    assert inner["wheel"] == {
        "type": "Box",
        "shape": [2, 3],
        "dtype": "float32",
        "low": -2.0,
        "high": 2.0,
    }
    assert inner["gear"]["n"] == 3 and inner["gear"]["start"] == 1
    assert inner["axle"]["nvec"] == [2, 3] and inner["axle"]["start"] == [0, 4]
    assert [each["type"] for each in inner["both"]["spaces"]] == ["MultiBinary", "Box"]
    assert space_descriptions.describe(UNBOUNDED)["low"] is None
    mixed = space_descriptions.describe(box([0.0, -np.inf], [1.0, 2.0]))
    assert mixed["low"] == [0.0, None] and mixed["high"] == [1.0, 2.0]


def test_observations_as_json():
    (observation,) = observations(NESTED, 1)
    listed = json.loads(json.dumps(saved_model.as_json(observation)))
    assert list(listed) == list(NESTED.spaces)
    assert listed["gear"] == int(observation["gear"])
    np.testing.assert_array_equal(
        np.asarray(listed["wheel"], np.float32), observation["wheel"]
    )


def test_what_does_not_fit_together_is_refused(agents):
    policy, actions = agents["smoothie"].policy, box([-1, -1], [1, 1])
    four = spaces.Box(-1.0, 1.0, (4,))
    with pytest.raises(
        saved_model.ExportError, match=r"shape \(5,\), but .* 4 numbers"
    ):
        saved_model.DeployedPolicy(policy, four, actions)
    with pytest.raises(
        saved_model.ExportError, match=r"actions have shape \(2,\), but"
    ):
        saved_model.DeployedPolicy(policy, UNBOUNDED, box([0], [1]))
    with pytest.raises(saved_model.ExportError, match="only a stateless"):
        saved_model.DeployedPolicy(agents["ddpg"].collect_policy, UNBOUNDED, actions)
    names = {spec.name for spec in tf.nest.flatten(saved_model.input_spec(NESTED))}
    assert {"observation_Joint_pos__", "observation_joint_pos___2"} <= names
    text = spaces.Dict({"a": spaces.Text(5)})
    with pytest.raises(saved_model.ExportError, match="observation_a is a Text, but"):
        saved_model.input_spec(text)
