"""How good the learned models of Hand are, for SVG(∞) and for the planner.

Claim S1 follows from the model's errors: they add up along the planner's trajectories,
but affect SVG(∞) by the model's derivatives alone (Section 6.1 of Heess et al., 2015).
Hand's true model is known. Here trained policies act in new episodes, on which both
models are compared with it:

    derivatives   the root mean square of the entries of (f̂_s, f̂_a) − (f_s, f_a), of
                  hand, ball and velocity by these and the action
    drift         metres between the ball and where the model takes it within 10 s, by
                  the same policy and the same noise
    cosine, …     of v_θ and the true v_θ, each the mean over the episodes: along the
                  real trajectories, as SVG(∞) uses it, and along the model's own
    beyond        the share of actions beyond the bounds, where the hand is no faster

Shapes: E episodes, T transitions of an episode, S state, A action.
"""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from smoothie_tf.environments import hand
from smoothie_tf.experiments.figures import svg as figures
from smoothie_tf.experiments.svg import trained
from smoothie_tf.runs.run import Run

DERIVATIVES = "derivatives"
DRIFT = "drift"
REAL = "cosine, real trajectory"
OWN = "cosine, model's trajectory"
BEYOND = "beyond"
#: Those that learn a model.
ARMS = tuple(
    figures.with_model_updates(arm, updates)
    for arm in (figures.SVG_INFINITY, figures.PLANNER)
    for updates in figures.MODEL_UPDATES
)
_BALL = slice(2, 4)
# What moves. The target is constant, so that derivatives by it are not learned; nothing
# reaches the task through them.
_MOVES = slice(0, 6)
_SEED = 54_321


def measure(
    runs: Sequence[Run],
    out_dir: pathlib.Path,
    episodes: int = trained.EPISODES,
) -> None:
    """Measures the models of finished runs on Hand.

    Args:
        runs: Those of Figure 2; those on Hand that learn a model count.
        out_dir: Where the table, `figures.MODELS`, goes; see `trained.measure`.
        episodes: Episodes of each policy.

    Raises:
        metrics.DamagedRunError: If a run cannot be restored.
    """
    variants = {arm.variant for arm in ARMS}
    chosen = [
        run for run in runs if run.env == figures.HAND and run.variant in variants
    ]
    trained.measure(
        chosen, lambda run, agent: errors(agent, episodes), out_dir / figures.MODELS
    )


def errors(agent: Any, episodes: int) -> dict[str, float]:
    """Holds the model of an agent against Hand's own.

    Args:
        agent: An `SvgInfinityAgent` on Hand.
        episodes: Episodes that its collecting policy acts in.

    Returns:
        Numbers by their names, as above.
    """
    import tensorflow as tf

    from smoothie_tf.networks import hand_dynamics

    learned = agent.dynamics_network
    true = hand_dynamics.HandDynamics(
        agent.time_step_spec.observation, agent.action_spec
    )
    observations, actions, eta = _collect(agent, episodes)
    state, following = observations[:, :-1], observations[:, 1:]
    flat = [tf.reshape(x, [-1, x.shape[-1]]) for x in (state, actions)]
    noise = following - tf.reshape(true(*flat).next_state, following.shape)
    own, own_actions = _follow(agent, learned, observations[:, 0], eta, noise)
    (learned_state, learned_action), (true_state, true_action) = (
        model.jacobians(*flat) for model in (learned, true)
    )
    entries = np.concatenate(
        [
            (learned_state - true_state)[:, _MOVES, _MOVES],
            (learned_action - true_action)[:, _MOVES],
        ],
        axis=-1,
    )
    target = _policy_gradient(agent, true, observations, actions)
    return {
        DERIVATIVES: float(np.sqrt(np.mean(np.square(entries)))),
        DRIFT: float(
            np.linalg.norm((own - observations)[:, -1, _BALL], axis=-1).mean()
        ),
        REAL: _cosine(_policy_gradient(agent, learned, observations, actions), target),
        OWN: _cosine(_policy_gradient(agent, learned, own, own_actions), target),
        BEYOND: float(np.mean(np.abs(actions) > 1)),
    }


def _collect(agent, episodes):
    """Returns observations [E, T + 1, S], actions [E, T, A], and their noise."""
    import tensorflow as tf
    from tf_agents.trajectories import time_step as ts

    rng = np.random.default_rng(_SEED)
    noises = []

    @tf.function
    def policy(observation):
        step = ts.restart(observation, episodes)
        drawn = agent.collect_policy.distribution(step).action
        return drawn.mean(), drawn.stddev()

    def act(observation):
        mean, stddev = policy(observation)
        noises.append(stddev * rng.standard_normal(mean.shape).astype(np.float32))
        return (mean + noises[-1]).numpy()

    observations, actions = trained.roll_out(act, figures.HAND, episodes)
    return observations, actions, np.stack(noises, axis=1)


def _follow(agent, model, start, eta, noise):
    """Returns the model's trajectories, shapes as those of the real ones."""
    import tensorflow as tf

    @tf.function
    def step(state, eta, noise):
        action = agent.actor_network(state)[0] + eta
        return model(state, action).next_state + noise, action

    states, actions = [start], []
    for t in range(eta.shape[1]):
        following, action = step(states[-1], eta[:, t], noise[:, t])
        states.append(following)
        actions.append(action)
    return np.stack(states, axis=1), np.stack(actions, axis=1)


def _policy_gradient(agent, model, observations, actions):
    """Returns the mean of v_θ over trajectories, as one vector; Hand has γ = 1."""
    import tensorflow as tf

    from smoothie_tf import value_gradients

    @tf.function
    def of_one(states, taken):
        at = value_gradients.jacobians(
            lambda state: agent.actor_network(state)[0],
            model,
            hand.HandEnvironment.reward_fn,
            states[:-1],
            taken,
            states[1:],
            model.jacobians,
        )
        by_action, _ = value_gradients.backward_recursion(at, 1.0, tf.ones(len(taken)))
        with tf.GradientTape() as tape:
            mean, _ = agent.actor_network(states[:-1])
            surrogate = tf.reduce_sum(by_action * mean)
        gradients = tape.gradient(surrogate, agent.actor_network.trainable_variables)
        return tf.concat([tf.reshape(each, [-1]) for each in gradients], axis=0)

    each = [
        of_one(tf.constant(states), tf.constant(taken))
        for states, taken in zip(observations, actions, strict=True)
    ]
    return np.mean(each, axis=0)


def _cosine(one, other):
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
