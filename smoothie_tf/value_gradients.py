"""Value gradients of stochastic policies in stochastic tasks, as pure functions.

A policy a = μ(s) + σ·η and a model s' = f̂(s, a) + σ̂·ξ with standard normal η and ξ are
differentiated along observed trajectories: the noise is inferred from stored actions
and states and then held constant, so that the *values* are the stored ones, and only
the derivatives come from the policy and the model.

Equation and line numbers are those of Heess et al. (2015), "Learning Continuous
Control Policies by Stochastic Value Gradients". Any float dtype.

Shapes: B batch, T transitions of an episode, S state, A action.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

#: (s [B, S], a [B, A], s' [B, S]) to rewards [B].
RewardFunction = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
#: (s [B, S], a [B, A]) to the next state's mean [B, S] and standard deviation.
ModelFunction = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def infer_noise(sample: tf.Tensor, mean: tf.Tensor, stddev: tf.Tensor) -> tf.Tensor:
    """Returns the noise with which a Gaussian gives a sample, Appendix B; a constant.

    Args:
      sample: The sample, shape [B, N].
      mean: The Gaussian's mean, shape [B, N].
      stddev: Its standard deviations, positive, shape [N] or [B, N].

    Returns:
      (sample − mean)/stddev, through which no gradient flows, shape [B, N].
    """
    return tf.stop_gradient((sample - mean) / stddev)


def reproduce(sample: tf.Tensor, mean: tf.Tensor, stddev: tf.Tensor) -> tf.Tensor:
    """Returns mean + stddev·noise at the inferred noise.

    Arguments as for `infer_noise`. The value is that of the sample; gradients flow
    through the mean and the standard deviation, at this noise.
    """
    return mean + stddev * infer_noise(sample, mean, stddev)


def importance_weights(
    log_probability: tf.Tensor, stored: tf.Tensor, clipping: float | None
) -> tf.Tensor:
    """Returns w = min(p(a|s; θ)/p(a|s; θᵏ), clipping) of (13) and Appendix D.

    Args:
      log_probability: log p(a|s; θ) of the current policy, in nats, shape [B].
      stored: log p(a|s; θᵏ) of the policy that acted, in nats, shape [B].
      clipping: Largest weight, > 0; None for no limit.

    Returns:
      The weights, through which no gradient flows, shape [B].
    """
    log_ratio = log_probability - stored
    if clipping is not None:
        # The smaller logarithm: a ratio may be too large for a float.
        log_ratio = tf.minimum(log_ratio, math.log(clipping))
    return tf.stop_gradient(tf.exp(log_ratio))


def bootstrap_target(
    reward: tf.Tensor, discount: tf.Tensor, next_value: tf.Tensor, gamma: float
) -> tf.Tensor:
    """Returns y = r + γ·d·V̂(s'; ν), Algorithm 4, line 6; a constant.

    Args:
      reward: r, shape [B].
      discount: d, 0 where the episode terminated, else 1, shape [B].
      next_value: V̂(s'; ν) or Q̂(s', a'; ν), shape [B].
      gamma: γ, in [0, 1].

    Returns:
      The targets, shape [B].
    """
    return tf.stop_gradient(reward + gamma * discount * next_value)


def fitted_evaluation_loss(
    value: tf.Tensor, target: tf.Tensor, importance: tf.Tensor, weights: tf.Tensor
) -> tf.Tensor:
    """Returns the mean of ½·w·(y − V̂)², Algorithm 4, line 8; a scalar.

    Args:
      value: V̂(s; ν_new), shape [B].
      target: y, shape [B].
      importance: w, shape [B].
      weights: Weight of each transition in the mean, shape [B].
    """
    return tf.reduce_mean(0.5 * weights * importance * tf.square(target - value))


class Jacobians(NamedTuple):
    """Derivatives at each transition of an episode, with the noise held constant.

    Attributes:
      reward_state: r_s, shape [T, S].
      reward_action: r_a, shape [T, A].
      reward_next: r_{s'}, shape [T, S].
      model_state: f̂_s, shape [T, S, S]: the first S is the next state's.
      model_action: f̂_a, shape [T, S, A].
      policy: π_s, shape [T, A, S].
    """

    reward_state: tf.Tensor
    reward_action: tf.Tensor
    reward_next: tf.Tensor
    model_state: tf.Tensor
    model_action: tf.Tensor
    policy: tf.Tensor


def jacobians(
    policy_mean: Callable[[tf.Tensor], tf.Tensor],
    model_jacobians: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
    reward: RewardFunction,
    state: tf.Tensor,
    action: tf.Tensor,
    next_state: tf.Tensor,
) -> Jacobians:
    """Returns all derivatives that the backward recursion needs, batched over time.

    Args:
      policy_mean: μ, from states [T, S] to means [T, A].
      model_jacobians: f̂_s and f̂_a of states and actions, as `taped_model_jacobians`
        makes for any model.
      reward: r of states, actions and next states.
      state: s, shape [T, S].
      action: a, shape [T, A].
      next_state: s', shape [T, S].

    Returns:
      The derivatives at the observed transitions.
    """
    state, action, next_state = map(tf.convert_to_tensor, (state, action, next_state))
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch((state, action, next_state))
        rewards = reward(state, action, next_state)
    by_reward = tape.gradient(
        rewards,
        (state, action, next_state),
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    (by_policy,) = _jacobian(policy_mean, state)
    return Jacobians._make((*by_reward, *model_jacobians(state, action), by_policy))


def taped_model_jacobians(
    model: ModelFunction, next_state: tf.Tensor
) -> Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """Returns the function `model_jacobians` of any model, by S backward passes.

    Args:
      model: f̂ and σ̂ of states and actions. If σ̂ depends on them, the Jacobians depend
        on the inferred ξ.
      next_state: s', shape [T, S].
    """
    return lambda state, action: _jacobian(
        lambda s, a: reproduce(next_state, *model(s, a)), state, action
    )


def backward_recursion(
    at: Jacobians,
    gamma: float,
    mask: tf.Tensor,
    final: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns v_s of (9), and v_a, the factor of π_θ in (10), along an episode.

    With u = r_{s'} + γ·v'_{s'}, the derivative with respect to the next state,

        v_a = r_a + u·f̂_a,
        v_s = r_s + u·f̂_s + v_a·π_s,       v_s = `final` after the last transition.

    This is Algorithm 1. The products of Jacobians are computed for all times in one
    batch; the recursion needs only one matrix-vector product per step.

    Args:
      at: The derivatives at each transition.
      gamma: γ, in [0, 1].
      mask: 1 for the episode's transitions, 0 for padding, shape [T].
      final: v_s after the last transition, shape [S]; 0 if None.

    Returns:
      v_a, zero where padded, shape [T, A], and v_s, shape [T, S].
    """
    closed_loop, constant = _closed_loop(at)
    length, size = at.reward_state.shape
    # After the episode's end v_s stays constant: I instead of γ·F, 0 instead of c.
    mask = tf.cast(mask, constant.dtype)[:, tf.newaxis]
    constant *= mask
    identity = tf.eye(size, dtype=constant.dtype)
    kept = mask[..., tf.newaxis]
    transition = gamma * kept * closed_loop + (1 - kept) * identity
    if final is None:
        final = tf.zeros([size], constant.dtype)

    following = tf.TensorArray(
        constant.dtype, length, element_shape=[size], clear_after_read=False
    )

    def step(t, v, following):
        following = following.write(t, v)
        v = constant[t] + tf.linalg.matvec(transition[t], v, transpose_a=True)
        return t - 1, v, following

    _, first, following = tf.while_loop(
        lambda t, *_: t >= 0,
        step,
        (length - 1, final, following),
        parallel_iterations=1,
    )
    following = following.stack()
    following.set_shape([length, size])
    by_next = at.reward_next + gamma * following
    by_action = mask * (at.reward_action + _times(by_next, at.model_action))
    by_state = tf.concat([first[tf.newaxis], following[:-1]], axis=0)
    return by_action, by_state


def truncated_recursion(
    at: Jacobians,
    gamma: float,
    mask: tf.Tensor,
    horizon: int,
    by_next_state: tf.Tensor,
) -> tf.Tensor:
    """Returns the value gradients of k steps and a value function after them, SVG(k).

    The recursion of `backward_recursion`, started k steps after each transition with a
    value function's gradient instead of 0: with w⁰ = V̂_{s'} and

        wʲ_t = r_s + r_{s'}·F + r_a·π_s + γ·wʲ⁻¹_{t+1}·F  at t + 1, F = f̂_s + f̂_a·π_s,

    v_a = r_a + (r_{s'} + γ·wᵏ⁻¹)·f̂_a. With k = 1 this is (13); with k equal to the
    episode's length it is (9), with V̂ at the end. If fewer than k steps follow, V̂ is
    that of the last state.

    Args:
      at: The derivatives at each transition.
      gamma: γ, in [0, 1].
      mask: 1 for the episode's transitions, 0 for padding, shape [T].
      horizon: k, at least 1.
      by_next_state: V̂_{s'} of each transition's next state, 0 where the episode
        terminated, shape [T, S].

    Returns:
      v_a, zero where padded, shape [T, A].
    """
    closed_loop, constant = _closed_loop(at)
    mask = tf.cast(mask, constant.dtype)[:, tf.newaxis]
    # Whether another transition of the episode follows.
    follows = tf.concat([mask[1:], tf.zeros_like(mask[:1])], axis=0)

    def following(x):
        return tf.concat([x[1:], tf.zeros_like(x[:1])], axis=0)

    constant, transition = following(constant), gamma * following(closed_loop)

    def step(i, w):
        stepped = constant + _times(following(w), transition)
        return i + 1, tf.where(follows > 0, stepped, by_next_state)

    # At most T − 1 transitions follow the episode's first.
    steps = min(horizon, at.reward_state.shape[0]) - 1
    _, w = tf.while_loop(
        lambda i, _: i < steps, step, (0, by_next_state), parallel_iterations=1
    )
    by_next = at.reward_next + gamma * w
    return mask * (at.reward_action + _times(by_next, at.model_action))


def _closed_loop(at):
    """Returns F = f̂_s + f̂_a·π_s and r_s + r_a·π_s + r_{s'}·F for all times."""
    closed_loop = at.model_state + tf.matmul(at.model_action, at.policy)
    constant = (
        at.reward_state
        + _times(at.reward_action, at.policy)
        + _times(at.reward_next, closed_loop)
    )
    return closed_loop, constant


def _times(row, matrix):
    """Multiplies rows [T, N] with matrices [T, N, M]."""
    return tf.linalg.matvec(matrix, row, transpose_a=True)


def _jacobian(function, *inputs):
    """Returns the Jacobians [T, N, M] of outputs [T, N] by each input [T, M]."""
    with tf.GradientTape(watch_accessed_variables=False, persistent=True) as tape:
        tape.watch(inputs)
        outputs = tf.unstack(function(*inputs), axis=-1)
    rows = [
        tape.gradient(
            output, inputs, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        for output in outputs
    ]
    return tuple(tf.stack(each, axis=1) for each in zip(*rows, strict=True))
