"""Measures Section 3's claims about learned critics, and the limit Σ → 0.

Critics are as in Figure 2: one hidden layer of tanh units that has the action as input,
trained by Adam with Figure 2's learning rate.

Shapes: N stored actions, B batch.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import StepType, trajectory
from tf_agents.trajectories import time_step as ts

from smoothie_tf import gaussian, quiet
from smoothie_tf.agents import ddpg_agent, parts, smoothie_agent
from smoothie_tf.environments import two_gaussians
from smoothie_tf.experiments.theory import figure1, likelihood_ratio
from smoothie_tf.networks import critic_network, mean_network

#: Hyperparameters of Figure 2, from `smoothie_tf_TwoGaussians-v0.gin` in
#: gin/environments and gin/tuned.
HIDDEN_UNITS = 300
LEARNING_RATE = 1e-2
BATCH_SIZE = 128

#: Targets to which a critic is fitted.
REWARD, SMOOTHED, SAMPLED = "reward", "smoothed", "smoothed, from samples"
TARGETS = (REWARD, SMOOTHED, SAMPLED)
#: Distributions of stored actions.
REPLAYS = ("on-policy", "uniform")

_MIXTURE = two_gaussians.MIXTURE
_BOUND = two_gaussians.ACTION_BOUND
#: Initial policy of Figure 2.
START_MEAN = two_gaussians.START_MEAN
START_STDDEV = figure1.INITIAL_STDDEV
_STORED = 2**15


class Regression:
    """Fits a critic of one action in one state to stored targets by minibatches."""

    def __init__(self, hidden_units: int, stored: int):
        """Makes the critic. Its update is compiled once for all fits.

        Args:
            hidden_units: Number of units of the critic's hidden layer.
            stored: N, the number of stored actions.
        """
        self._specs = (
            tensor_spec.TensorSpec([1], tf.float32),
            tensor_spec.TensorSpec([1], tf.float32),
        )
        self._hidden_units, self._stored = hidden_units, stored
        self._critic = self._new_critic()
        self._optimizer = tf.keras.optimizers.Adam(LEARNING_RATE, jit_compile=False)
        self._optimizer.build(self._critic.trainable_variables)
        self._fresh = [variable.numpy() for variable in self._optimizer.variables]
        self._updates = tf.Variable(0, dtype=tf.int64)
        self._seed = tf.Variable(0, dtype=tf.int64)

    def restart(self, seed: int) -> None:
        """Draws new weights and resets the optimizer.

        Args:
            seed: Seed of the weights and of the minibatches and noise of the next fit.
        """
        tf.keras.utils.set_random_seed(seed)
        source = self._new_critic()
        for mine, new in zip(self._critic.variables, source.variables, strict=True):
            mine.assign(new)
        for mine, new in zip(self._optimizer.variables, self._fresh, strict=True):
            mine.assign(new)
        self._updates.assign(0)
        self._seed.assign(seed)

    def fit(
        self,
        actions: np.ndarray,
        targets: np.ndarray,
        updates: int,
        stddev: float = 0.0,
        first_stored: int | None = None,
    ) -> None:
        """Updates the critic on minibatches of stored actions.

        Args:
            actions: Stored actions ã, shape [N].
            targets: Their targets, shape [N].
            updates: Number of updates.
            stddev: σ of the phantom actions around the stored ones, equation (18), at
                least 0; with 0 the critic is fitted at the stored actions.
            first_stored: Number of actions that the first update draws from; every
                later update draws from one more, up to N. None for all N from the
                first update on.
        """
        growing = first_stored is not None
        with quiet.without_known_notices():
            self._several(
                tf.constant(actions, tf.float32),
                tf.constant(targets, tf.float32),
                tf.constant(updates),
                tf.constant(stddev, tf.float32),
                tf.constant(first_stored if growing else self._stored),
            )

    def values(self, actions: np.ndarray) -> np.ndarray:
        """Returns the critic's values, shape [B], at actions, shape [B]."""
        column = tf.constant(actions[:, np.newaxis], tf.float32)
        return self._critic((tf.zeros_like(column), column))[0].numpy()

    def update_at(self, mean: float, stddev: float) -> dict[str, float]:
        """Returns Smoothie's updates of μ and σ by parameter, equations (13), (15)."""
        action = tf.constant([[mean]], tf.float32)
        _, gradient, hessian = self._critic.action_derivatives(tf.zeros([1, 1]), action)
        directions = float(gradient[0, 0]), stddev * float(hessian[0, 0])
        return dict(zip(likelihood_ratio.PARAMETERS, directions, strict=True))

    def _new_critic(self):
        critic = critic_network.CriticNetwork(self._specs, (), (self._hidden_units,))
        critic.create_variables()
        return critic

    @tf.function(jit_compile=True, autograph=False)
    def _several(self, actions, targets, updates, stddev, first_stored):
        variables = self._critic.trainable_variables
        zeros = tf.zeros([BATCH_SIZE, 1])

        def update(i):
            step = self._updates.read_value()
            stored = tf.minimum(first_stored + tf.cast(step, tf.int32), self._stored)
            # A uniform share selects the row, because the bound of stateless random
            # integers must be constant here.
            share = tf.random.stateless_uniform(
                [BATCH_SIZE], tf.stack([2 * self._seed, step])
            )
            rows = tf.cast(share * tf.cast(stored, tf.float32), tf.int32)
            rows = tf.minimum(rows, stored - 1)
            noise = gaussian.stateless_normal(
                [BATCH_SIZE, 1], tf.stack([2 * self._seed + 1, step])
            )
            stored_action = tf.gather(actions, rows)[:, tf.newaxis]
            action = stored_action + stddev * noise
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(variables)
                value, _ = self._critic((zeros, action), training=True)
                error = tf.gather(targets, rows) - value
                loss = 0.5 * tf.reduce_mean(tf.square(error))
            gradients = tape.gradient(loss, variables)
            parts.apply_gradients(self._optimizer, gradients, variables)
            with tf.control_dependencies(gradients):
                self._updates.assign_add(1)
            return (i + 1,)

        tf.while_loop(lambda i: i < updates, update, (tf.constant(0),))


def learn_updates(
    replay: str, seeds: Sequence[int], counts: Sequence[int]
) -> pd.DataFrame:
    """Learns Q̃ of Figure 2's initial policy, with one update per stored action.

    Args:
        replay: One of `REPLAYS`; "uniform" is uniform between the action bounds.
        seeds: Seeds of the runs: of initial weights, stored actions and minibatches.
        counts: Numbers of actions after which the update is recorded, increasing, the
            first at least `BATCH_SIZE`.

    Returns:
        Columns replay, seed, actions, parameter, and update: the update of μ or σ that
        follows from the critic.
    """
    regression = Regression(HIDDEN_UNITS, counts[-1])
    rows = []
    for seed in seeds:
        rng = np.random.default_rng([seed, REPLAYS.index(replay)])
        if replay == "uniform":
            actions = rng.uniform(-_BOUND, _BOUND, counts[-1])
        else:
            actions = rng.normal(START_MEAN, START_STDDEV, counts[-1])
        rewards = _MIXTURE.reward(actions)
        regression.restart(seed)
        done = BATCH_SIZE  # A minibatch is stored before the first update.
        for count in counts:
            regression.fit(actions, rewards, count - done, START_STDDEV, BATCH_SIZE)
            done = count
            for parameter, update in regression.update_at(
                START_MEAN, START_STDDEV
            ).items():
                rows.append(
                    {
                        "replay": replay,
                        "seed": seed,
                        "actions": count,
                        "parameter": parameter,
                        "update": update,
                    }
                )
    return pd.DataFrame(rows)


def fit_targets(
    hidden_units: int, seeds: Sequence[int], counts: Sequence[int]
) -> pd.DataFrame:
    """Fits critics to the reward and to the smoothed reward, with equal updates.

    Args:
        hidden_units: Number of units of the critic's hidden layer.
        seeds: Seeds of the fits: of initial weights, actions and minibatches.
        counts: Numbers of updates after which the error is recorded, increasing.

    Returns:
        Columns hidden_units, target (one of `TARGETS`), seed, updates, error (root mean
        square over actions between the bounds) and relative_error (error divided by the
        standard deviation of the exact target over the same actions).
    """
    regression = Regression(hidden_units, _STORED)
    grid = np.linspace(-_BOUND, _BOUND, 1201)
    rows = []
    for target in TARGETS:
        stddev = 0.0 if target == REWARD else START_STDDEV
        truth = _MIXTURE.smoothed_reward(grid, stddev)
        for seed in seeds:
            rng = np.random.default_rng(seed)
            actions = rng.uniform(-_BOUND, _BOUND, _STORED)
            if target == SAMPLED:
                # Equation (12): the reward of a sample from N(a, σ²).
                drawn = actions + stddev * rng.standard_normal(_STORED)
                targets = _MIXTURE.reward(drawn)
            else:
                targets = _MIXTURE.smoothed_reward(actions, stddev)
            regression.restart(seed)
            done = 0
            for count in counts:
                regression.fit(actions, targets, count - done)
                done = count
                error = np.sqrt(((regression.values(grid) - truth) ** 2).mean())
                rows.append(
                    {
                        "hidden_units": hidden_units,
                        "target": target,
                        "seed": seed,
                        "updates": count,
                        "error": error,
                        "relative_error": error / truth.std(),
                    }
                )
    return pd.DataFrame(rows)


def ddpg_limit(stddevs: Sequence[float]) -> pd.DataFrame:
    """Compares Smoothie's updates for small Σ with DDPG's, from the same weights.

    Both agents make one step of plain gradient descent with learning rate 1, which is
    the gradient, on the same minibatch, which includes terminations.

    Args:
        stddevs: Values of σ, in action units, above 0.

    Returns:
        Columns stddev, critic_loss, critic_gradient and policy_gradient. The last three
        are differences relative to DDPG; those of gradients are relative norms.
    """
    experience = _experience(np.random.default_rng(0))
    ddpg_critic, ddpg_loss, start = _step("ddpg", experience, (0.0, 1.0))
    # The gradient of TF-Agents' actor loss is 2/A times that of −Q: see `DdpgInfo`.
    ddpg_policy, *_ = _step("ddpg", experience, (0.5 * _ACTIONS, 0.0))
    rows = []
    for stddev in stddevs:
        after, loss, _ = _step("smoothie", experience, (1.0, 1.0), stddev)
        rows.append(
            {
                "stddev": stddev,
                "critic_loss": abs(loss - ddpg_loss) / abs(ddpg_loss),
                "critic_gradient": _difference(
                    after.critic, ddpg_critic.critic, start.critic
                ),
                "policy_gradient": _difference(
                    after.policy, ddpg_policy.policy, start.policy
                ),
            }
        )
    return pd.DataFrame(rows)


_STATES, _ACTIONS, _TRANSITIONS = 5, 3, 256


class _Weights:
    """Flat copies of the weights of an agent's policy and critic."""

    def __init__(self, policy, critic):
        self.policy, self.critic = (
            np.concatenate([v.numpy().ravel() for v in net.trainable_variables])
            for net in (policy, critic)
        )


def _difference(ours, theirs, start):
    """Returns the difference of two steps from `start`, relative to the second."""
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs - start))


def _step(kind, experience, rates, stddev=None):
    """Makes one step with two learning rates, for policy and critic.

    Returns:
        The weights after the step, the critic's loss, and the weights before the step.
    """
    tf.keras.utils.set_random_seed(0)
    observation = tensor_spec.TensorSpec([_STATES], tf.float32)
    action = tensor_spec.BoundedTensorSpec([_ACTIONS], tf.float32, -1, 1)
    policy = mean_network.MeanNetwork(observation, action, (32, 32))
    critic = critic_network.CriticNetwork((observation, action), (32,), (32,))
    # New networks have tiny last layers, so that values hardly depend on the action.
    # Larger weights avoid this.
    for network in (policy, critic):
        network.create_variables()
        for variable in network.trainable_variables:
            variable.assign_add(0.3 * tf.random.normal(variable.shape))
    start = _Weights(policy, critic)
    SGD = tf.keras.optimizers.legacy.SGD
    arguments = {
        "actor_network": policy,
        "critic_network": critic,
        "actor_optimizer": SGD(rates[0]),
        "critic_optimizer": SGD(rates[1]),
        "gamma": 0.99,
        "target_update_tau": 0.01,
        "gradient_clipping": None,
        "seed": 0,
        "train_step_counter": tf.Variable(0, dtype=tf.int64),
    }
    if kind == "ddpg":
        agent = ddpg_agent.DdpgAgent(
            ts.time_step_spec(observation),
            action,
            **arguments,
        )
    else:
        agent = smoothie_agent.SmoothieAgent(
            ts.time_step_spec(observation),
            action,
            initial_log_variance=2 * float(np.log(stddev)),
            covariance_learning_rate_factor=0.0,  # Keeps σ constant.
            independent_minibatches=False,
            **arguments,
        )
    agent.initialize()
    loss = float(agent.train(experience).extra.critic_loss)
    return _Weights(policy, critic), loss, start


def _experience(rng):
    """Draws a minibatch of transitions, a quarter of which are terminations."""

    def normal(*shape):
        return tf.constant(rng.normal(size=(_TRANSITIONS, 2, *shape)), tf.float32)

    middle = tf.fill([_TRANSITIONS, 2], StepType.MID)
    discount = np.ones((_TRANSITIONS, 2), np.float32)
    discount[::4, 0] = 0.0
    return trajectory.Trajectory(
        step_type=middle,
        observation=normal(_STATES),
        action=tf.clip_by_value(normal(_ACTIONS), -1.0, 1.0),
        policy_info=(),
        next_step_type=middle,
        reward=normal(),
        discount=tf.constant(discount),
    )
