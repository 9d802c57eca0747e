"""Stages of a training step: several updates of one network in one call.

The SVG family trains a model, then a value function, then a policy, each by as many
updates as its settings say; so does SVG(0) where it trains after each episode.

Shapes: T transitions of an episode, K updates.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.typing import types

from smoothie_tf.agents import parts


def descend(
    losses: Callable[[], tuple[tf.Tensor, ...]],
    optimizer: types.Optimizer,
    variables: Sequence[tf.Variable],
    clipping: float | None = None,
) -> tuple[tf.Tensor, ...]:
    """Descends the first of some losses once, and returns them all.

    A gradient that is not finite, which a long product of Jacobians can have, moves
    nothing: its direction is lost.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        seen = losses()
    gradients = tape.gradient(seen[0], variables)
    if clipping is not None:
        norm = tf.linalg.global_norm(gradients)
        # As tf.clip_by_global_norm, but for norms that are not finite.
        scale = clipping / tf.maximum(norm, clipping)
        usable = tf.math.is_finite(norm)
        gradients = [
            tf.where(usable, scale * gradient, tf.zeros_like(gradient))
            for gradient in gradients
        ]
    parts.descend(optimizer, gradients, variables)
    return seen


def updates_of(
    config: Any, names: Sequence[str], default: int | None
) -> tuple[int, ...]:
    """Returns numbers of updates a training step.

    Args:
      config: The settings that have them.
      names: Their names there.
      default: What None stands for, where the task says it.

    Raises:
      ValueError: If a number is None, and `default` is None.
    """
    numbers = []
    for name in names:
        number = getattr(config, name)
        number = default if number is None else number
        if number is None:
            raise ValueError(
                f"{config.owner}.{name} must be a whole number of at least 1 for a task"
                " without max_episode_steps, but is None."
            )
        numbers.append(int(number))
    return tuple(numbers)


def check_episode(agent: tf_agent.TFAgent, episode: Any) -> None:
    """Checks that an agent that learns from the last episode was given one.

    Args:
      agent: The agent.
      episode: What it was given.

    Raises:
      ValueError: If it is None.
    """
    if episode is None:
        raise ValueError(
            f"{type(agent).__name__} learns from the last episode, but was trained"
            " without one."
        )


def episode_weights(mask: tf.Tensor) -> tf.Tensor:
    """Returns weights with which means over a padded episode are over its transitions.

    Args:
      mask: 1 for the episode's transitions, 0 for padding, shape [T].
    """
    mask = tf.cast(mask, tf.float32)
    return mask / tf.reduce_mean(mask)


def when_due(done: tf.Tensor, period: int, update: Callable[[], None]) -> tf.Tensor:
    """Updates once in every so many, and returns whether it did.

    Args:
      done: How many have been done.
      period: The period, ≥ 1.
      update: What is due.
    """
    due = done % period == 0

    def updated():
        update()
        return True

    return tf.cond(due, updated, lambda: False)


def total_over(
    update: Callable[[tf.Tensor, Any], tuple[Any, Sequence[tf.Tensor]]],
    number: int,
    batches: Any,
    zeros: Any,
) -> Any:
    """Updates once for each minibatch, and returns the total of what was seen.

    A loop, so that the trace has the update once however often it is done.

    Args:
      update: Takes the update's number and its minibatch, and returns what it saw, and
        what has to be there before the next update.
      number: K.
      batches: The minibatches, a nest of shapes [K, …], or nothing.
      zeros: A nest of zeros of the structure of what is seen.
    """

    def body(i, total):
        seen, before = update(i, tf.nest.map_structure(lambda x: x[i], batches))
        with tf.control_dependencies(before):
            return i + 1, tf.nest.map_structure(lambda t, x: t + x, total, seen)

    _, total = tf.while_loop(
        lambda i, _: i < number, body, (0, zeros), parallel_iterations=1
    )
    return total


def mean_over(
    update: Callable[[tf.Tensor | int, Any], tf.Tensor],
    number: int,
    batches: Any,
    size: int,
) -> tf.Tensor:
    """Updates once for each minibatch, and returns the mean of what was seen.

    Args:
      update: Takes the update's number and its minibatch, and returns a vector.
      number: K.
      batches: The minibatches, shape [K, B, …], or nothing.
      size: Length of the vector.
    """
    if number == 1:
        return update(0, tf.nest.map_structure(lambda x: x[0], batches))
    return (
        total_over(
            lambda i, batch: (update(i, batch), []), number, batches, tf.zeros([size])
        )
        / number
    )
