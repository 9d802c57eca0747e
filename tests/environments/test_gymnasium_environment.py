"""What agents see of a Gymnasium task, and the bridge to TF-Agents."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from tf_agents.environments import utils
from tf_agents.trajectories import StepType

from smoothie_tf.environments import checked_task, gymnasium_environment


class Task(gymnasium.Env):
    """Remembers actions, and ends after `length` steps in the way it is told."""

    def __init__(self, action_space, observation_space=None, length=3, terminates=True):
        self.action_space = action_space
        self.observation_space = observation_space or spaces.Box(-1.0, 1.0, (2,))
        self.length, self.terminates = length, terminates
        self.received, self.steps = [], 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        if seed is not None:
            self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        self.received.append(action)
        self.steps += 1
        ended = self.steps == self.length
        return (
            self.observation_space.sample(),
            2.5,
            ended and self.terminates,
            ended and not self.terminates,
            {},
        )


BOX = spaces.Box(-1.0, 1.0, (1,))


def sent(env, action):
    env.reset(seed=0)
    env.step(np.asarray(action, np.float32))
    return env.unwrapped.received[-1]


def test_actions_are_rescaled_and_clipped_by_hand():
    # [−1, 1] to [−3, 1]: −1 + 2·a. And to [0, 10]: 5 + 5·a.
    task = Task(spaces.Box(np.array([-3.0, 0.0]), np.array([1.0, 10.0])))
    env = gymnasium_environment.adapt(task)
    assert env.action_space == spaces.Box(-1.0, 1.0, (2,))
    for action, expected in (
        ([0.0, 0.0], [-1.0, 5.0]),
        ([0.5, -0.5], [0.0, 2.5]),
        ([1.0, -1.0], [1.0, 0.0]),
        ([7.0, -1.5], [1.0, 0.0]),
        ([-1.0001, 9.0], [-3.0, 10.0]),
    ):
        np.testing.assert_allclose(sent(env, action), expected, rtol=1e-6)
        assert sent(env, action).dtype == task.action_space.dtype
        assert task.action_space.contains(sent(env, action))


def test_rounding_leaves_no_bounds():
    # In float64, 299.7 + 0.6·1 is above 300.3.
    low, high = np.float64([299.1, 0.1]), np.float64([300.3, 0.2])
    task = Task(spaces.Box(low, high, dtype=np.float64))
    env = gymnasium_environment.adapt(task)
    for action in ([1.0, 1.0], [-1.0, -1.0]):
        assert task.action_space.contains(sent(env, action))


def test_a_reward_function_is_for_what_it_sees():
    def known(*layers):
        task = gymnasium.make("smoothie_tf/Swimmer3-v0")
        for layer in layers:
            task = layer(task)
        adapted = gymnasium_environment.adapt(task)
        return gymnasium_environment.known_to_agents(adapted)["reward_fn"]

    wrappers = gymnasium.wrappers
    assert known() is not None
    assert known(wrappers.RecordEpisodeStatistics) is not None
    assert known(wrappers.NormalizeReward) is None
    assert known(lambda e: wrappers.TransformReward(e, lambda r: 2 * r)) is None
    space = gymnasium.make("smoothie_tf/Swimmer3-v0").observation_space
    scaled = lambda e: wrappers.TransformObservation(e, lambda o: 10 * o, space)  # noqa: E731
    assert known(scaled) is None


def test_humanoids_actions_end_at_its_bounds():
    env = gymnasium_environment.make("Humanoid-v5")
    env.reset(seed=0)
    for action, expected in ((1.0, 0.4), (-5.0, -0.4), (0.5, 0.2)):
        env.step(np.full(17, action, np.float32))
        np.testing.assert_allclose(env.unwrapped.data.ctrl, expected, rtol=1e-6)
    env.close()


def test_a_task_may_keep_its_own_bounds():
    task = Task(spaces.Box(-2.0, 6.0, (1,)))
    task.metadata = {"rescale_action": False}
    env = gymnasium_environment.adapt(task)
    assert env.action_space == spaces.Box(-2.0, 6.0, (1,))
    for action, expected in ((0.25, 0.25), (7.0, 6.0), (-3.0, -2.0)):
        np.testing.assert_allclose(sent(env, [action]), [expected])


def test_dict_observations_are_flattened():
    space = spaces.Dict(
        {
            "a": spaces.Box(-1.0, 1.0, (2, 2), np.float64),
            "b": spaces.Discrete(3),
            "c": spaces.Tuple((spaces.Box(0, 255, (1,), np.uint8),)),
        }
    )
    env = gymnasium_environment.adapt(Task(BOX, space))
    observation, _ = env.reset(seed=0)
    assert env.observation_space.shape == observation.shape == (2 * 2 + 3 + 1,)
    assert env.observation_space.dtype == observation.dtype == np.float32
    sample = env.unwrapped.observation_space
    sample.seed(0)
    expected = sample.sample()
    np.testing.assert_allclose(observation[:4], expected["a"].ravel(), rtol=1e-6)
    np.testing.assert_array_equal(observation[4:7], np.eye(3)[expected["b"]])
    np.testing.assert_array_equal(observation[7:], expected["c"][0])


def test_observations_become_float32():
    env = gymnasium_environment.make("InvertedPendulum-v5")
    assert env.observation_space.dtype == np.float32
    assert env.reset(seed=0)[0].dtype == np.float32
    assert env.step(np.zeros(1))[0].dtype == np.float32
    env.close()


@pytest.mark.parametrize(
    ("actions", "observations", "sentence"),
    [
        (spaces.Discrete(4), None, r"action space Discrete\(4\), but it must be a Box"),
        (spaces.Box(-1.0, 1.0, (2, 2)), None, "but it must be a Box of rank 1"),
        (spaces.Box(-1.0, np.inf, (2,)), None, "finite lower and upper bound"),
        (BOX, spaces.Sequence(spaces.Box(0.0, 1.0, (2,))), "does not flatten"),
    ],
)
def test_spaces_that_no_agent_can_handle_are_named(actions, observations, sentence):
    with pytest.raises(ValueError, match=f"Environment 'Task' .*{sentence}") as caught:
        gymnasium_environment.adapt(Task(actions, observations))
    assert "\n" not in str(caught.value)


def test_a_real_task_with_discrete_actions_is_named():
    with pytest.raises(ValueError, match="'CartPole-v1' has action space Discrete"):
        gymnasium_environment.make("CartPole-v1")


@pytest.mark.parametrize("name", ["Hoper-v5", "nowhere/Task-v0", "no_module:Task-v0"])
def test_an_unknown_id_is_named(name):
    with pytest.raises(ValueError, match=f"Environment '{name}' cannot be made: "):
        gymnasium_environment.make(name)


def play(env, number):
    steps = [env.reset()]
    for _ in range(number):
        steps.append(env.step(np.zeros(1, np.float32)))
    return steps


@pytest.mark.parametrize(("terminates", "discount"), [(True, 0.0), (False, 1.0)])
def test_only_termination_ends_what_is_to_come(terminates, discount):
    env = gymnasium_environment.GymnasiumEnvironment(Task(BOX, terminates=terminates))
    steps = play(env, 4)
    assert [int(step.step_type) for step in steps] == [
        StepType.FIRST,
        StepType.MID,
        StepType.MID,
        StepType.LAST,
        StepType.FIRST,
    ]
    np.testing.assert_array_equal(
        [step.discount for step in steps], [1.0, 1.0, 1.0, discount, 1.0]
    )
    np.testing.assert_array_equal(
        [step.reward for step in steps], [0.0, 2.5, 2.5, 2.5, 0.0]
    )


def test_a_real_time_limit_is_a_truncation():
    env = gymnasium_environment.GymnasiumEnvironment("Pendulum-v1", seed=0)
    steps = play(env, 200)
    assert steps[-1].is_last() and not any(step.is_last() for step in steps[:-1])
    assert steps[-1].discount == 1.0
    env.close()


def test_a_real_fall_is_a_termination():
    env = gymnasium_environment.GymnasiumEnvironment("InvertedPendulum-v5", seed=0)
    time_step = env.reset()
    for _ in range(100):
        time_step = env.step(np.ones(1, np.float32))
        if time_step.is_last():
            break
    assert time_step.is_last()
    assert time_step.discount == 0.0
    env.close()


def test_tf_agents_accepts_it():
    env = gymnasium_environment.GymnasiumEnvironment("InvertedPendulum-v5", seed=0)
    utils.validate_py_environment(env, episodes=2)
    assert env.observation_spec().shape == (4,)
    spec = env.action_spec()
    np.testing.assert_array_equal(spec.minimum, [-1.0])
    np.testing.assert_array_equal(spec.maximum, [1.0])
    env.close()


def test_the_seed_seeds_all_resets_and_only_the_first_is_set():
    def observations(seed):
        env = gymnasium_environment.GymnasiumEnvironment("Pendulum-v1", seed=seed)
        resets = [env.reset().observation for _ in range(3)]
        env.close()
        return np.stack(resets)

    first = observations(1)
    np.testing.assert_array_equal(first, observations(1))
    assert not np.allclose(first, observations(2))
    assert not np.allclose(first[0], first[1])


class Returns(Task):
    """Returns the observations that it is given, one after the other."""

    def __init__(self, space, *observations):
        super().__init__(BOX, space)
        self.observations = list(observations)

    def reset(self, *, seed=None, options=None):
        return self.observations.pop(0), {}

    def step(self, action):
        return self.observations.pop(0), np.array(1.5), np.bool_(False), False, {}


def test_nothing_that_is_kept_changes_later():
    array, number = np.zeros(2), np.zeros((), np.int64)
    space = spaces.Dict(
        {
            "a": spaces.Box(-9.0, 9.0, (2,), np.float64),
            "b": spaces.Tuple((spaces.Discrete(9),)),
        }
    )
    nest = {"a": array, "b": (number,)}
    for wrap in (checked_task.Checked, gymnasium_environment.adapt):
        env = wrap(Returns(space, nest, nest))
        array[:], number[...] = 1.0, 1
        first, _ = env.reset()
        array[:], number[...] = 2.0, 2
        second, reward, *_ = env.step(np.zeros(1, np.float32))
        array[:], number[...] = 3.0, 3
        assert type(reward) is float
        if wrap is gymnasium_environment.adapt:
            np.testing.assert_array_equal(first, [1, 1, *np.eye(9)[1]])
            np.testing.assert_array_equal(second, [2, 2, *np.eye(9)[2]])
        else:
            np.testing.assert_array_equal(first["a"], [1, 1])
            np.testing.assert_array_equal(second["a"], [2, 2])
            assert (first["b"], second["b"]) == ((1,), (2,))


def test_pictures_that_are_collected_do_not_change_later():
    class Drawn(Task):
        render_mode, picture = "rgb_array", np.zeros((2, 2, 3), np.uint8)

        def render(self):
            self.picture += 1
            return self.picture

    env = gymnasium_environment.GymnasiumEnvironment(Drawn(BOX))
    env.reset()
    first, second = env.render(), env.render()
    assert (first == 1).all() and (second == 2).all()


NEST = spaces.Dict({"a": spaces.Box(-9.0, 9.0, (2,)), "b": spaces.Discrete(3, start=1)})


@pytest.mark.parametrize(
    ("space", "observation", "part"),
    [
        (NEST, [1.0, 2.0], "that is a list, but announces a Dict"),
        (NEST, {"a": np.zeros(2)}, "the keys 'a', but announces 'a', 'b'"),
        (
            NEST,
            {"a": np.zeros((2, 1)), "b": 1},
            "['a'] of shape (2, 1) from reset",
        ),
        (NEST, {"a": np.zeros(2), "b": 0}, "returned 0 in an observation['b'] from"),
        (NEST, {"a": np.zeros(2), "b": 4}, "returned 4 in an observation['b'] from"),
        (NEST, {"a": np.zeros(2), "b": 1.5}, "returned 1.5 in an observation['b']"),
        (
            NEST,
            {"a": ["x", "y"], "b": 1},
            "['a'] from reset that is not made",
        ),
        (
            spaces.Tuple((BOX, BOX)),
            (np.zeros(1),),
            "a tuple of 1, but announces a T",
        ),
        (spaces.Tuple((BOX, BOX)), None, "a NoneType, but announces a Tuple of 2"),
        (spaces.Box(0, 9, (2,), np.int64), [1, 0.5], "returned [1, 0.5] in an observ"),
        (BOX, None, "of shape () from reset, but announces (1,)"),
    ],
)
def test_an_observation_that_its_space_does_not_have(space, observation, part):
    for wrap in (checked_task.Checked, gymnasium_environment.adapt):
        env = wrap(Returns(space, observation))
        with pytest.raises(checked_task.EnvironmentFault) as caught:
            env.reset()
        assert str(caught.value).startswith("Environment 'Returns' returned ")
        assert part in str(caught.value)


def test_where_in_an_observation_a_nan_is():
    bad = {"a": np.array([0.0, np.inf]), "b": 1}
    for wrap in (checked_task.Checked, gymnasium_environment.adapt):
        with pytest.raises(
            checked_task.NotFiniteError,
            match=r"Observation\['a'\]\[1\] is inf",
        ):
            wrap(Returns(NEST, bad)).reset()


def test_spaces_that_an_export_would_not_have_are_refused():
    for space in (spaces.Text(5), spaces.Dict({"a": spaces.Text(5)})):
        with pytest.raises(ValueError, match="must be made of Box, Discrete, Multi"):
            gymnasium_environment.adapt(Task(BOX, space))


def test_spaces_that_are_not_there_are_named():
    task = Task(BOX)
    task.observation_space = "Box(2,)"
    with pytest.raises(ValueError, match="has observation_space 'Box\\(2,\\)', but"):
        gymnasium_environment.adapt(task)
    del task.observation_space
    with pytest.raises(ValueError, match="raised AttributeError where its observ"):
        gymnasium_environment.adapt(task)
