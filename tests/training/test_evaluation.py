"""Evaluations: a function of seed and step, of whole episodes."""

import gymnasium
import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces
from tf_agents.policies import actor_policy
from tf_agents.trajectories import time_step as ts

from smoothie_tf.environments import (
    checked_task,
    discretized_reward,
    gymnasium_environment,
)
from smoothie_tf.networks import keras_network
from smoothie_tf.training import evaluation, random_streams


class Walk(gymnasium.Env):
    """Starts at a random whole number, and pays 1 + a for every step down to zero."""

    observation_space = spaces.Box(0.0, 20.0, (1,))
    action_space = spaces.Box(-1.0, 1.0, (1,))
    starts: tuple[int, ...] = ()

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = self.np_random.integers(1, 9)
        Walk.starts += (int(self.left),)
        return np.array([self.left], np.float32), {}

    def step(self, action):
        assert self.left > 0, "stepped after its end"
        self.left -= 1
        observation = np.array([self.left], np.float32)
        return observation, 1.0 + float(action[0]), self.left == 0, False, {}


def evaluator(make, seed=0, episodes=6, bias=0.5, xla=False):
    env = make()
    observation = gymnasium_environment.time_step_spec(env).observation
    action = gymnasium_environment.action_spec(env)
    layer = tf.keras.layers.Dense(
        action.shape[0],
        kernel_initializer=tf.zeros_initializer(),
        bias_initializer=tf.constant_initializer(bias),
    )
    network = keras_network.KerasNetwork(observation, tf.keras.Sequential([layer]))
    network.create_variables()
    policy = actor_policy.ActorPolicy(ts.time_step_spec(observation), action, network)
    streams = random_streams.RandomStreams(seed)
    return evaluation.Evaluator(make, policy, episodes, streams, use_xla=xla)


def test_environments_before_one_that_cannot_be_made_are_closed():
    made, closed = [], []

    class Closing(Walk):
        def close(self):
            closed.append(self)

    def make():
        if len(made) == 3:
            raise gymnasium_environment.checked_task.EnvironmentFault("No more")
        made.append(Closing())
        return gymnasium_environment.adapt(made[-1])

    with pytest.raises(ValueError, match="No more"):
        evaluator(make)
    assert len(made) == 3 and closed == made[1:]  # The first is the test's own.


def walk():
    return gymnasium_environment.adapt(Walk())


@pytest.mark.parametrize("xla", [False, True], ids=["graph", "xla"])
def test_returns_are_those_of_whole_episodes(xla):
    Walk.starts = ()
    returns = evaluator(walk, xla=xla).evaluate(0)
    assert returns.shape == (6,)
    # 1.5 a step, as many steps as the start is high.
    np.testing.assert_allclose(returns, 1.5 * np.array(Walk.starts))
    assert len(set(returns)) > 1


def test_returns_are_in_the_tasks_own_reward():
    # What is paid rounds 1.5 to 0 or 3; what is reported does not.
    def make():
        coarse = discretized_reward.DiscretizedReward(Walk(), 0.0, 3.0, levels=2)
        return gymnasium_environment.adapt(coarse)

    def make_dense():
        return gymnasium_environment.adapt(Walk())

    np.testing.assert_array_equal(
        evaluator(make).evaluate(7), evaluator(make_dense).evaluate(7)
    )


def test_returns_are_a_function_of_seed_and_step():
    first, again = evaluator(walk), evaluator(walk)
    at_0 = first.evaluate(0)
    at_100 = first.evaluate(100)
    np.testing.assert_array_equal(again.evaluate(100), at_100)
    np.testing.assert_array_equal(again.evaluate(0), at_0)
    assert (at_0 != at_100).any()
    assert (evaluator(walk, seed=1).evaluate(0) != at_0).any()


def test_a_real_task_repeats():
    def returns():
        made = evaluator(
            lambda: gymnasium_environment.make("InvertedPendulum-v5"), episodes=3
        )
        values = made.evaluate(7)
        checked_task.close(*made.environments)
        return values

    np.testing.assert_array_equal(returns(), returns())
