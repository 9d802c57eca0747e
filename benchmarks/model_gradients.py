"""Compares value gradients through a learned model with those through the task.

    python benchmarks/model_gradients.py
    python benchmarks/model_gradients.py --links 5 --hidden_units 5 5

A model learns the dynamics of a swimmer from episodes of Gaussian noise, as in SVG's
agents. On other episodes, v_a of (9) in Heess et al. (2015) is then computed through
the model's Jacobians, and through finite differences of the simulator. The policy is
held constant. This is done for two representations of the state: the task's own, and
one relative to the first link, with the velocity of the nose.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import gymnasium  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from smoothie_tf import program, quiet  # noqa: E402

quiet.silence_imports()

from tf_agents.specs import tensor_spec  # noqa: E402

import smoothie_tf.environments  # noqa: E402, F401
from smoothie_tf import value_gradients  # noqa: E402
from smoothie_tf.networks import dynamics_network  # noqa: E402

_STDDEV = 0.2  # As in gin/agents/.
_LEARNING_RATE = 1e-3
_BATCH_SIZE = 128
_GAMMA = 0.995
_LENGTH = 300  # T
_STEP = 1e-5  # Half the interval of finite differences.


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a Markdown table with a row for each representation of the state.

    Args:
      arguments: The command's arguments; those of the process if None.

    Returns:
      Exit status: 0 done.
    """
    flags = _parser().parse_args(arguments)
    tf.config.experimental.enable_op_determinism()
    task = gymnasium.make(f"smoothie_tf/Swimmer{flags.links}-v0").unwrapped
    rng = np.random.default_rng(flags.seed)
    learned = [episode(task, rng) for _ in range(flags.episodes)]
    tried = [episode(task, rng) for _ in range(flags.tries)]
    true = [through_the_task(task, *each) for each in tried]
    print("| states | cosine of v_a | ratio of norms |")
    print("|---|---|---|")
    for name, see in (
        ("centre of mass, mean direction", lambda state: _observe(task, state)),
        ("nose, first link", _from_the_first_link),
    ):
        tf.random.set_seed(flags.seed)
        model = learn(see, learned, flags.hidden_units, flags.updates)
        found = [through_the_model(task, see, model, *each) for each in tried]
        cosines = [
            np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b)
            for a, b in zip(true, found, strict=True)
        ]
        ratios = [
            np.linalg.norm(b) / np.linalg.norm(a)
            for a, b in zip(true, found, strict=True)
        ]
        print(f"| {name} | {_summary(cosines)} | {_summary(ratios)} |")
    print(
        f"\nSwimmer{flags.links}-v0; models of {flags.hidden_units} units and"
        f" {flags.updates:,} updates on {flags.episodes} episodes of noise; the mean"
        f" [least, greatest] of {flags.tries} episodes, seed {flags.seed}."
    )
    return 0


def episode(
    task: gymnasium.Env, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Runs an episode whose actions are Gaussian noise.

    Args:
      task: A swimmer.
      rng: Draws the noise and the seed of the reset.

    Returns:
      Positions and velocities of MuJoCo's model, shape [T + 1, S], and actions,
      shape [T, A].
    """
    task.reset(seed=int(rng.integers(2**31)))
    actions = _STDDEV * rng.standard_normal((_LENGTH, task.action_space.shape[0]))
    states = [_state(task)]
    for action in actions:
        task.step(action)
        states.append(_state(task))
    return np.array(states), actions


def learn(
    see: Callable[[np.ndarray], np.ndarray],
    episodes: list[tuple[np.ndarray, np.ndarray]],
    hidden_units: Sequence[int],
    updates: int,
) -> dynamics_network.DynamicsNetwork:
    """Returns a model trained on the episodes, with states mapped by `see`."""
    seen = [np.array([see(state) for state in states]) for states, _ in episodes]
    state, next_state, action = (
        tf.constant(np.concatenate(parts), tf.float32)
        for parts in (
            [each[:-1] for each in seen],
            [each[1:] for each in seen],
            [actions for _, actions in episodes],
        )
    )
    model = dynamics_network.DynamicsNetwork(
        tf.TensorSpec(state.shape[1:]),
        tensor_spec.BoundedTensorSpec(action.shape[1:], tf.float32, -1, 1),
        hidden_units=hidden_units,
    )
    count = len(state)
    model.observe(state, action, next_state, tf.zeros([count]), tf.ones([count]))
    optimizer = tf.keras.optimizers.legacy.Adam(_LEARNING_RATE)
    each = tf.ones([_BATCH_SIZE])

    @tf.function
    def update():
        drawn = tf.random.uniform([_BATCH_SIZE], 0, count, tf.int32)
        batch = (tf.gather(values, drawn) for values in (state, action, next_state))
        with tf.GradientTape() as tape:
            loss = model.loss(*batch, tf.zeros_like(each), each)
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    for _ in range(updates):
        update()
    return model


def through_the_model(
    task: gymnasium.Env,
    see: Callable[[np.ndarray], np.ndarray],
    model: dynamics_network.DynamicsNetwork,
    states: np.ndarray,
    actions: np.ndarray,
) -> np.ndarray:
    """Returns v_a through a learned model's Jacobians, shape [T, A]."""
    seen = tf.constant([see(state) for state in states[:-1]], tf.float32)
    by_state, by_action = model.jacobians(seen, tf.constant(actions, tf.float32))
    # Rewards are differentiated by MuJoCo's state; the chain rule then gives their
    # derivatives by the represented state.
    reward_action, by_next = _reward_gradients(task, states, actions)
    by_seen = [
        np.linalg.solve(_differences(see, state).T, gradient)
        for state, gradient in zip(states[1:], by_next, strict=True)
    ]
    return _recursion(reward_action, by_seen, by_state, by_action)


def through_the_task(
    task: gymnasium.Env, states: np.ndarray, actions: np.ndarray
) -> np.ndarray:
    """Returns v_a through finite differences of the simulator, shape [T, A]."""

    def follow(both):
        task._place(*np.split(both[: states.shape[1]], 2))
        task._simulate(both[states.shape[1] :])
        return _state(task)

    both = np.concatenate([states[:-1], actions], axis=1)
    jacobians = np.array([_differences(follow, each) for each in both])
    by_state, by_action = np.split(jacobians, [states.shape[1]], axis=2)
    rewards = _reward_gradients(task, states, actions)
    return _recursion(*rewards, by_state, by_action)


def _recursion(reward_action, by_next, by_state, by_action):
    length, size = np.shape(by_next)
    number = reward_action.shape[1]
    at = value_gradients.Jacobians(
        reward_state=np.zeros([length, size]),
        reward_action=reward_action,
        reward_next=np.asarray(by_next),
        model_state=np.asarray(by_state, np.float64),
        model_action=np.asarray(by_action, np.float64),
        policy=np.zeros([length, number, size]),
    )
    at = value_gradients.Jacobians(*map(tf.convert_to_tensor, at))
    return value_gradients.backward_recursion(at, _GAMMA, tf.ones([length]))[0].numpy()


def _reward_gradients(task, states, actions):
    """Returns the rewards' gradients by a [T, A] and by MuJoCo's next state [T, S]."""
    seen = tf.constant([_observe(task, state) for state in states[1:]])
    taken = tf.constant(actions)
    with tf.GradientTape() as tape:
        tape.watch((taken, seen))
        rewards = task.reward_fn(None, taken, seen)
    gradients = tape.gradient(rewards, (taken, seen))
    by_action, by_seen = (each.numpy() for each in gradients)
    by_next = [
        gradient @ _differences(lambda at: _observe(task, at), state)
        for state, gradient in zip(states[1:], by_seen, strict=True)
    ]
    return by_action, np.array(by_next)


def _differences(function, point):
    """Returns central differences of a function, shape [N, M], at a point [M]."""
    return np.stack(
        [
            (function(point + way) - function(point - way)) / (2 * _STEP)
            for way in _STEP * np.eye(len(point))
        ],
        axis=-1,
    )


def _state(task):
    return np.concatenate([task.data.qpos, task.data.qvel])


def _observe(task, state):
    task.data.qpos[:], task.data.qvel[:] = np.split(state, 2)
    return task._observation()


def _from_the_first_link(state):
    position, velocity = np.split(state, 2)
    cosine, sine = np.cos(position[2]), np.sin(position[2])
    axes = np.array([[cosine, sine], [-sine, cosine]])
    return np.concatenate(
        [axes @ -position[:2], position[2:], axes @ velocity[:2], velocity[2:]]
    )


def _summary(values):
    return f"{np.mean(values):.2f} [{np.min(values):.2f}, {np.max(values):.2f}]"


def _parser():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--links", type=int, choices=(3, 5, 7), default=3)
    parser.add_argument(
        "--hidden_units", type=int, nargs="+", default=[20, 20], help="of the model"
    )
    parser.add_argument("--updates", type=int, default=30_000, help="of the model")
    parser.add_argument(
        "--episodes", type=int, default=100, help="episodes that the model learns from"
    )
    parser.add_argument("--tries", type=int, default=6, help="episodes to compare on")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers")
    return parser


if __name__ == "__main__":
    sys.exit(program.run(main))
