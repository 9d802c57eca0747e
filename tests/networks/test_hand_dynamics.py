"""Hand's true model against the task itself."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec

from smoothie_tf.agents import factory
from smoothie_tf.environments import gymnasium_environment, hand
from smoothie_tf.networks import hand_dynamics
from smoothie_tf.training import compiled_step, config

STATE = tensor_spec.TensorSpec([9], tf.float64)
ACTION = tensor_spec.BoundedTensorSpec([2], tf.float64, -1, 1)


def test_it_is_what_the_task_does_without_noise(monkeypatch):
    monkeypatch.setattr(hand, "NOISE", 0.0)
    task, model = hand.HandEnvironment(), hand_dynamics.HandDynamics(STATE, ACTION)
    rng = np.random.default_rng(0)
    state, _ = task.reset(seed=0)
    for _ in range(100):
        action = 1.5 * rng.normal(size=2)  # Often beyond the bounds.
        following, *_ = task.step(action)
        found = model(tf.constant([state]), tf.constant([action])).next_state
        np.testing.assert_allclose(found[0], following, atol=1e-14)
        state = following


def test_its_noise_is_the_tasks():
    task, model = hand.HandEnvironment(), hand_dynamics.HandDynamics(STATE, ACTION)
    state, _ = task.reset(seed=0)
    errors = []
    for _ in range(900):
        following, *_ = task.step(np.zeros(2))
        expected = model(tf.constant([state]), tf.zeros([1, 2], tf.float64)).next_state
        errors.append(following - expected[0])
        state = following
    found = np.std(errors, axis=0)[2:6]
    np.testing.assert_allclose(found, model.stddev[2:6], rtol=0.1)


def test_its_jacobians_are_those_of_a_tape():
    model = hand_dynamics.HandDynamics(STATE, ACTION)
    rng = np.random.default_rng(0)
    state, action = (tf.constant(rng.normal(size=(20, n))) for n in (9, 2))
    assert np.abs(action).max() > 1
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((state, action))
        following = model(state, action).next_state
    for mine, inputs in zip(
        model.jacobians(state, action), (state, action), strict=True
    ):
        np.testing.assert_allclose(mine, tape.batch_jacobian(following, inputs))


def test_the_planner_takes_it_by_a_binding():
    config.parse(
        "planner",
        "smoothie_tf/Hand-v0",
        bindings=[
            "train.num_steps = 1",
            "create_agent.dynamics_network = @HandDynamics",
            "SvgInfinityAgent.model_updates = 1",
        ],
    )
    env = gymnasium_environment.make("smoothie_tf/Hand-v0", max_episode_steps=6)
    agent = factory.create_agent(
        "planner",
        gymnasium_environment.time_step_spec(env),
        gymnasium_environment.action_spec(env),
        seed=0,
        **gymnasium_environment.known_to_agents(env),
    )
    assert isinstance(agent.dynamics_network, hand_dynamics.HandDynamics)
    step = compiled_step.CompiledStep(agent, 0, use_xla=False)
    # Rows s (9), a (2), log p, r, d.
    rows = np.random.default_rng(0).normal(size=(2, 10, 14)).astype(np.float32)
    before = [variable.numpy() for variable in agent.actor_network.variables]
    step.train_and_act(
        rows[:, :4],
        np.zeros(9, np.float32),
        True,
        step.initial_policy_state(),
        0,
        (rows[:, 4:], np.ones(6, np.float32)),
    )
    after = [variable.numpy() for variable in agent.actor_network.variables]
    assert any((a != b).any() for a, b in zip(after, before, strict=True))
    assert all(np.isfinite(a).all() for a in after)


def test_other_tasks_are_refused():
    other = tensor_spec.TensorSpec([5], tf.float64)
    with pytest.raises(ValueError, match="model of smoothie_tf/Hand-v0 only, but"):
        hand_dynamics.HandDynamics(other, ACTION)
