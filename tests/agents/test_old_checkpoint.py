"""A checkpoint that an earlier commit wrote still restores, and goes on as it did.

`old_checkpoint/` was written by `write` at commit 49c1e7c; it is not to be written anew
unless a release says that checkpoints of before are of no use.
"""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from smoothie_tf.agents import factory
from smoothie_tf.training import compiled_step, config

FOLDER = pathlib.Path(__file__).parent / "old_checkpoint"
OBSERVATION = tensor_spec.TensorSpec([3], tf.float32)
ACTION = tensor_spec.BoundedTensorSpec([2], tf.float32, -1, 1)
EPISODE_LENGTH = 4
SMALL = (
    "train.num_steps=1",
    "MeanNetwork.hidden_units=(3,)",
    "smoothie_tf.CriticNetwork.observation_units=(3,)",
    "smoothie_tf.CriticNetwork.joint_units=(3,)",
    "smoothie_tf.ValueNetwork.hidden_units=(3,)",
    "DynamicsNetwork.hidden_units=(2,)",
    "CovarianceNetwork.hidden_units=(3,)",
    "create_agent.actor_learning_rate=1e-2",
    "create_agent.critic_learning_rate=1e-2",
)
CASES = {
    "smoothie": ("smoothie", ("SmoothieAgent.kl_penalty=0.1",)),
    "expected": (
        "smoothie",
        (
            "SmoothieAgent.kl_penalty=0.1",
            "SmoothieAgent.evaluation='expected'",
            "SmoothieAgent.covariance='state_full'",
        ),
    ),
    "derivatives": (
        "smoothie",
        (
            "create_agent.critic_network=@CompatibleCriticNetwork",
            "CompatibleCriticNetwork.value_units=(3,)",
            "SmoothieAgent.covariance='full'",
            "SmoothieAgent.bellman_error_weights=(1.0, 0.1, 0.01)",
            "SmoothieAgent.importance_weight_clipping=5.0",
        ),
    ),
    **{
        name: (name, ())
        for name in (
            "ddpg",
            "soft_ddpg",
            "svg0",
            "dpg",
            "svg1_er",
            "svg_infinity",
            "td_actor_critic",
        )
    },
}


def make(case, seed):
    name, bindings = CASES[case]
    config.parse(name, "Pendulum-v1", bindings=(*SMALL, *bindings), tuned=False)
    tf.keras.utils.set_random_seed(seed)
    return factory.create_agent(
        name,
        ts.time_step_spec(OBSERVATION),
        ACTION,
        seed=seed,
        max_episode_steps=EPISODE_LENGTH,
    )


def train(agent, seed):
    """Trains once on what a seed says, and returns the scalars that it saw."""
    step = compiled_step.CompiledStep(agent, 2, use_xla=False)
    draw = np.random.default_rng(seed)

    def rows(number):
        drawn = draw.normal(size=[2, number, 3 + 2 + step.info_size + 2])
        drawn[..., -1] = drawn[..., -1] > -1
        return drawn.astype(np.float32)

    replayed = rows(8 * getattr(agent, "minibatches_per_train", 1))
    episode = None
    if getattr(agent, "trains_at_episode_end", False):
        episode = rows(EPISODE_LENGTH), np.ones(EPISODE_LENGTH, np.float32)
    seen, _ = step.train_and_act(
        replayed,
        np.zeros(3, np.float32),
        False,
        step.initial_policy_state(),
        1,
        episode,
    )
    return dict(zip(step.metric_names, seen.tolist(), strict=True))


def write():
    """Writes the checkpoint, and what the next training step sees after it."""
    agents = {case: make(case, seed=1) for case in CASES}
    for agent in agents.values():
        train(agent, 0)
    tf.train.Checkpoint(**agents).write(str(FOLDER / "checkpoint"))
    seen = {case: train(agent, 1) for case, agent in agents.items()}
    (FOLDER / "next_step.json").write_text(json.dumps(seen, indent=1) + "\n")


def test_an_old_checkpoint_restores_and_training_goes_on():
    agents = {case: make(case, seed=3) for case in CASES}
    status = tf.train.Checkpoint(**agents).read(str(FOLDER / "checkpoint"))
    # Nothing is missing here, and nothing is left over there.
    status.assert_existing_objects_matched().assert_consumed()
    expected = json.loads((FOLDER / "next_step.json").read_text())
    for case, agent in agents.items():
        assert agent.train_step_counter == 1
        seen = train(agent, 1)
        assert sorted(seen) == sorted(expected[case])
        for key, value in expected[case].items():
            assert seen[key] == pytest.approx(value, rel=1e-4, abs=1e-6), (case, key)
