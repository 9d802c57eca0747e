"""Measures the learned models of Hand, for SVG(∞) and for the planner.

Heess et al. (2015, Section 6.1) explain claim S1 by the model's errors. These
accumulate along the planner's trajectories, but affect SVG(∞) only through the model's
derivatives. Here trained policies act in new episodes, on which each learned model f̂ is
compared with the known true model f:

    derivatives   root mean square of the entries of (f̂_s, f̂_a) − (f_s, f_a), which are
                  derivatives of hand, ball and velocity by these and by the action
    drift         distance in m between the ball and its prediction after 10 s, with the
                  same policy and the same noise
    cosine, …     cosine similarity of the policy gradients v_θ of f̂ and f, each the
                  mean over the episodes: that of f̂ along the real trajectories, as in
                  SVG(∞), or along the model's own trajectories
    beyond        share of actions outside the bounds, where the hand gets no faster

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
#: Arms that learn a model.
ARMS = tuple(
    figures.with_model_updates(arm, updates)
    for arm in (figures.SVG_INFINITY, figures.PLANNER)
    for updates in figures.MODEL_UPDATES
)
_BALL = slice(2, 4)
# Hand, ball and velocity. The target is constant, so derivatives by it are not learned;
# they do not affect the policy gradient.
_MOVES = slice(0, 6)
_SEED = 54_321


def measure(
    runs: Sequence[Run],
    out_dir: pathlib.Path,
    episodes: int = trained.EPISODES,
) -> None:
    """Measures the models of finished runs on Hand.

    Args:
        runs: Runs of Figure 2; only those of `ARMS` on Hand are measured.
        out_dir: Directory of the table `figures.MODELS`; see `trained.measure`.
        episodes: Number of episodes per policy.

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
    """Compares the learned model of an agent with the true model of Hand.

    Args:
        agent: An `SvgInfinityAgent` on Hand.
        episodes: Number of episodes in which its collect policy acts.

    Returns:
        Measures by name, as described in the module's docstring.
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
    """Returns observations [E, T + 1, S], and actions and their noise [E, T, A]."""
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
    """Returns states and actions of the model's trajectories, shaped as the real ones.

    They have the initial states, the action noise and the state noise of the real ones.
    """
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
            model.jacobians,
            hand.HandEnvironment.reward_fn,
            states[:-1],
            taken,
            states[1:],
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
