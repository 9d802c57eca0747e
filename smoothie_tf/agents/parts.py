"""What the agents have in common below the level of their algorithms.

Shapes: B batch.
"""

import contextlib
from collections.abc import Iterator, Sequence

import tensorflow as tf
from tf_agents.networks import network
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types


def descend(
    optimizer: types.Optimizer,
    gradients: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    clipping: float | None = None,
) -> None:
    """Takes one step of an optimizer, once all gradients are there.

    A `tf.function` orders each read of a variable before the writes that follow, but
    TensorFlow 2.15's graph optimizer can lose that order where it finds it implied by
    an operation that it removes later: now and then a product then sees weights that
    have moved on. An order between values, as here, is not lost.

    Args:
      optimizer: The optimizer.
      gradients: Of the loss, in the order of `variables`.
      variables: What it updates.
      clipping: Largest global norm of the gradients, > 0; None leaves them alone.
    """
    if clipping is not None:
        gradients, _ = tf.clip_by_global_norm(gradients, clipping)
    with tf.control_dependencies(gradients):
        optimizer.apply_gradients(zip(gradients, variables, strict=True))


def in_order(
    gradients: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    wanted: Sequence[tf.Variable],
) -> tuple[list[tf.Tensor], Sequence[tf.Variable]]:
    """Returns gradients, and the variables they are for, in another order.

    Args:
      gradients: Of the loss, in the order of `variables`.
      variables: The variables.
      wanted: The same in the order that they are to have.
    """
    by_variable = {
        variable.ref(): gradient
        for gradient, variable in zip(gradients, variables, strict=True)
    }
    return [by_variable[variable.ref()] for variable in wanted], wanted


@contextlib.contextmanager
def share_of_step(variables: Sequence[tf.Variable], share: float) -> Iterator[None]:
    """Lets variables take but a share of the step that an optimizer takes inside.

    Adam's step does not grow with the gradient: to scale that would change nothing.

    Args:
      variables: Some of those that the optimizer updates.
      share: Of each step, ≥ 0; at 1 nothing is done.
    """
    if share == 1:
        yield
        return
    starts = [tf.identity(each) for each in variables]
    with tf.control_dependencies(starts):
        yield
    for variable, start in zip(variables, starts, strict=True):
        variable.assign(start + share * (variable - start))


def boundary_weights(
    time_steps: ts.TimeStep, weights: tf.Tensor | None = None
) -> tf.Tensor:
    """Returns weights that leave out pairs which cross an episode's end.

    A replay buffer of TF-Agents also holds the pair of an episode's last step with
    the first of the next one, between which nothing was done.

    Args:
      time_steps: The first step of each pair, shape [B].
      weights: Weights of the pairs, scalar or shape [B]; None for one each.

    Returns:
      Weights whose mean against losses is the mean over true transitions, shape [B].
    """
    valid = tf.cast(~time_steps.is_last(), tf.float32)
    share = tf.math.divide_no_nan(valid, tf.reduce_mean(valid))
    return share if weights is None else share * weights


def build_optimizer(
    optimizer: types.Optimizer, variables: Sequence[tf.Variable]
) -> None:
    """Makes an optimizer's slots, so that a checkpoint finds them when restored.

    Args:
      optimizer: The optimizer; one that makes its slots as it goes is left alone.
      variables: What it will update, in that order.
    """
    if hasattr(optimizer, "build"):
        optimizer.build(variables)


def check_output(
    net: network.Network, input_spec: types.NestedTensorSpec, shape: tuple[int, ...]
) -> None:
    """Makes a network's variables, and checks what it returns.

    Args:
      net: The network.
      input_spec: Spec of its input.
      shape: Of its output for one input.

    Raises:
      ValueError: If it returns something of another shape.
    """
    output = net.create_variables(input_spec)
    if tuple(output.shape) != tuple(shape):
        raise ValueError(
            f"{net.name} must return shape [B, {', '.join(map(str, shape))}] for a"
            f" batch of B, but returns [B, {', '.join(map(str, output.shape))}]."
        )


def check_optimizers(owner: str, **optimizers: types.Optimizer | None) -> None:
    """Checks that optimizers are there.

    Args:
      owner: Name of the agent.
      **optimizers: Optimizers by their arguments' names.

    Raises:
      ValueError: If one is None.
    """
    for name, optimizer in optimizers.items():
        if optimizer is None:
            raise ValueError(f"{owner}.{name} must be an optimizer, but is None.")
