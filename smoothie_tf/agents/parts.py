"""Helper functions that the agents share.

Shapes: B batch.
"""

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.networks import network
from tf_agents.specs import array_spec, tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types
from tf_agents.utils import eager_utils

from smoothie_tf import validation
from smoothie_tf.action_derivatives import ActionDerivatives


def apply_gradients(
    optimizer: types.Optimizer,
    gradients: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    clipping: float | None = None,
    summary_step: tf.Variable | None = None,
) -> None:
    """Takes one optimizer step after all gradients have been computed.

    A `tf.function` orders each read of a variable before the writes that follow, but
    TensorFlow 2.15's graph optimizer can drop this order if it is implied by an
    operation that is removed later: some products then read weights that have been
    updated already. A control dependency on the gradients, as here, is kept.

    Args:
      optimizer: The optimizer.
      gradients: Gradients of the loss, in the order of `variables`; None for a variable
        that the loss does not depend on.
      variables: The variables to update.
      clipping: Largest global norm of the gradients, > 0; None does not clip.
      summary_step: Step of TensorBoard summaries of variables and clipped gradients;
        None writes none.
    """
    if clipping is not None:
        gradients, _ = tf.clip_by_global_norm(gradients, clipping)
    if summary_step is not None:
        pairs = list(zip(gradients, variables, strict=True))
        eager_utils.add_variables_summaries(pairs, summary_step)
        eager_utils.add_gradients_summaries(pairs, summary_step)
    # A variable that the loss does not depend on has no gradient.
    with tf.control_dependencies([each for each in gradients if each is not None]):
        optimizer.apply_gradients(zip(gradients, variables, strict=True))


def descend(
    losses: Callable[[], tuple[tf.Tensor, ...]],
    optimizer: types.Optimizer,
    variables: Sequence[tf.Variable],
    clipping: float | None = None,
    only_if_finite: bool = False,
) -> tuple[tf.Tensor, ...]:
    """Takes one optimizer step down the first loss, and returns all of them.

    Args:
      losses: Returns the losses, scalars.
      optimizer: The optimizer.
      variables: The variables to update.
      clipping: Largest global norm of the gradients, > 0; None does not clip.
      only_if_finite: Whether to leave the variables and the optimizer's moments as they
        are if a gradient is not finite: a long product of Jacobians may overflow.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        outputs = losses()
    gradients = tape.gradient(outputs[0], variables)
    if not only_if_finite:
        apply_gradients(optimizer, gradients, variables, clipping)
        return outputs
    norm = tf.linalg.global_norm(gradients)
    if clipping is not None:
        scale = clipping / tf.maximum(norm, clipping)
        gradients = [scale * gradient for gradient in gradients]

    def step():
        apply_gradients(optimizer, gradients, variables)
        return True

    tf.cond(tf.math.is_finite(norm), step, lambda: False)
    return outputs


def in_order(
    gradients: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    wanted: Sequence[tf.Variable],
) -> tuple[list[tf.Tensor], Sequence[tf.Variable]]:
    """Returns gradients and their variables in another order.

    Args:
      gradients: Gradients of the loss, in the order of `variables`.
      variables: The variables.
      wanted: The same variables in the wanted order.
    """
    by_variable = {
        variable.ref(): gradient
        for gradient, variable in zip(gradients, variables, strict=True)
    }
    return [by_variable[variable.ref()] for variable in wanted], wanted


@contextlib.contextmanager
def share_of_step(variables: Sequence[tf.Variable], share: float) -> Iterator[None]:
    """Scales the optimizer step that some variables take inside this context.

    Scaling the gradient would have no effect: Adam's step does not grow with it.

    Args:
      variables: Some of the variables that the optimizer updates.
      share: Factor of each step, ≥ 0; 1 changes nothing.
    """
    if share == 1:
        yield
        return
    starts = [tf.identity(each) for each in variables]
    with tf.control_dependencies(starts):
        yield
    for variable, start in zip(variables, starts, strict=True):
        variable.assign(start + share * (variable - start))


def clip_stddev(
    variables: Sequence[tf.Variable], smallest: float | None, largest: float | None
) -> None:
    """Clips the standard deviations of log-variances φ, σ = e^(φ/2).

    Args:
      variables: The log-variances.
      smallest: Lower bound of each σ, > 0; None for no bound.
      largest: Upper bound of each σ, at least `smallest`; None for no bound.
    """
    for variable in variables:
        if smallest is not None:
            variable.assign(tf.maximum(variable, 2 * math.log(smallest)))
        if largest is not None:
            variable.assign(tf.minimum(variable, 2 * math.log(largest)))


def boundary_weights(
    time_steps: ts.TimeStep, weights: tf.Tensor | None = None
) -> tf.Tensor:
    """Returns weights that exclude pairs of steps across an episode's end.

    A replay buffer of TF-Agents also holds the pair of an episode's last step and the
    next episode's first step, which is no transition.

    Args:
      time_steps: The first step of each pair, shape [B].
      weights: Weights of the pairs, scalar or shape [B]; None for weights of 1.

    Returns:
      Weights, shape [B]. The mean of the weighted losses is the mean over true
      transitions.

    Raises:
      ValueError: If the weights have more dimensions.
    """
    valid = tf.cast(~time_steps.is_last(), tf.float32)
    share = tf.math.divide_no_nan(valid, tf.reduce_mean(valid))
    return share if weights is None else share * as_weights(weights, share)


def as_weights(
    weights: types.TensorOrArray | float | None, each: tf.Tensor
) -> tf.Tensor:
    """Returns the weights of transitions, float32.

    Args:
      weights: The weights, a scalar or shape [B]; None for weights of 1.
      each: A number for each transition, shape [B].

    Returns:
      The weights, shape [B].

    Raises:
      ValueError: If they have another shape.
    """
    ones = tf.ones_like(each, tf.float32)
    if weights is None:
        return ones
    weights = tf.cast(tf.convert_to_tensor(weights), tf.float32)
    if weights.shape.rank != 0 and not weights.shape.is_compatible_with(each.shape):
        raise ValueError(
            "Weights must be a scalar or one number for each transition, shape"
            f" {tuple(each.shape)}, but have the shape {tuple(weights.shape)}."
        )
    return weights * ones


def build_optimizer(
    optimizer: types.Optimizer, variables: Sequence[tf.Variable]
) -> None:
    """Creates an optimizer's slots, so that a checkpoint can be restored into them.

    Args:
      optimizer: The optimizer; one without `build` is not changed.
      variables: The variables that it will update, in this order.

    Raises:
      ValueError: If it holds the slots of other variables, such as another agent's.
    """
    if not hasattr(optimizer, "build"):
        return
    if getattr(optimizer, "_built", False):
        known = {optimizer._var_key(variable) for variable in variables}
        if not known <= set(optimizer._index_dict):
            raise ValueError(
                f"The optimizer {optimizer.name!r} already updates other variables;"
                " each network needs its own."
            )
        return
    optimizer.build(variables)


def check_action_spec(owner: str, spec: types.NestedTensorSpec) -> None:
    """Checks that actions are one vector of single precision, within finite bounds.

    Args:
      owner: Name of the agent, for messages.
      spec: Spec of the actions.

    Raises:
      ValueError: If they are not.
    """
    fits = isinstance(spec, tensor_spec.BoundedTensorSpec | array_spec.BoundedArraySpec)
    if (
        not fits
        or len(spec.shape) != 1
        or not spec.shape[0]
        or spec.dtype != tf.float32
    ):
        raise ValueError(
            f"{owner}'s action_spec must be one BoundedTensorSpec of float32 and shape"
            f" [A], but is {spec}."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        width = np.float32(spec.maximum) - np.float32(spec.minimum)
    if not (np.isfinite(width) & (width >= 0)).all():
        raise ValueError(
            f"{owner}'s action_spec must have finite bounds, the upper not below the"
            f" lower, but has {np.array(spec.minimum).tolist()} and"
            f" {np.array(spec.maximum).tolist()}."
        )


def warn_if_flat(
    derivatives: Callable[[tf.Tensor, tf.Tensor], ActionDerivatives],
    observation_spec: types.NestedTensorSpec,
    action_shape: tf.TensorShape,
) -> None:
    """Warns if a critic has no curvature in the action, so that Σ would never change.

    Args:
      derivatives: Returns the critic's derivatives at observations and actions.
      observation_spec: Spec of the observations.
      action_shape: Shape of an action, [A].
    """
    if not tf.executing_eagerly():
        return

    def draw(shape, dtype=tf.float32):
        drawn = tf.random.stateless_uniform([16, *shape], [0, 0], -1.0, 1.0)
        return tf.cast(drawn, dtype)

    observation = tf.nest.map_structure(
        lambda spec: draw(spec.shape, spec.dtype), observation_spec
    )
    _, gradient, hessian = derivatives(observation, draw(action_shape))
    # A critic that is 0 everywhere at the start may have any curvature later.
    if np.any(gradient) and not np.any(hessian):
        warnings.warn(
            "The critic's Hessian in the action is 0 at 16 random points. Where it"
            " stays 0, as with relu, Σ does not change.",
            stacklevel=4,
        )


def check_output(
    net: network.Network, input_spec: types.NestedTensorSpec, shape: tuple[int, ...]
) -> None:
    """Creates a network's variables, and checks the shape of its output.

    Args:
      net: The network.
      input_spec: Spec of its input.
      shape: Shape of its output for one input.

    Raises:
      ValueError: If the output has another shape, or the network has a state.
    """
    if net.state_spec:
        raise ValueError(f"{net.name} must have no state, but is a recurrent network.")
    output = net.create_variables(input_spec)
    if tuple(output.shape) != tuple(shape):
        raise ValueError(
            f"{net.name} must return shape [B, {', '.join(map(str, shape))}] for a"
            f" batch of B, but returns [B, {', '.join(map(str, output.shape))}]."
        )


def check_common(owner: str, agent: tf_agent.TFAgent) -> None:
    """Checks numbers that TF-Agents' DDPG, TD3 and SAC share and do not check.

    Args:
      owner: Name of the agent, for messages.
      agent: The agent.

    Raises:
      ValueError: If γ is not in [0, 1], τ not in (0, 1], or the reward's scale or the
        largest norm of gradients, if there is one, not above 0; or if the policy has a
        state, which `collect_policy` would not keep.
    """
    if agent.policy.policy_state_spec:
        raise ValueError(f"{owner}'s actor_network must have no state, but has one.")
    validation.check(owner, "probability", gamma=agent._gamma)
    validation.check(owner, "share", target_update_tau=agent._target_update_tau)
    validation.check(owner, "positive", reward_scale_factor=agent._reward_scale_factor)
    validation.check(
        owner, "positive", optional=True, gradient_clipping=agent._gradient_clipping
    )


def check_optimizers(owner: str, **optimizers: types.Optimizer | None) -> None:
    """Checks that each is an optimizer, and none has two uses.

    Args:
      owner: Name of the agent.
      **optimizers: Optimizers by the names of their arguments.

    Raises:
      ValueError: If one is no optimizer, or two are the same: an optimizer holds the
        slots of one set of variables.
    """
    for name, optimizer in optimizers.items():
        if not hasattr(optimizer, "apply_gradients"):
            raise ValueError(
                f"{owner}.{name} must be an optimizer, but is {optimizer!r}."
            )
    if len({id(optimizer) for optimizer in optimizers.values()}) < len(optimizers):
        raise ValueError(
            f"{owner}'s {' and '.join(optimizers)} must not be the same optimizer."
        )
