"""Stages of a training step: several updates of one network in one call.

The SVG family trains a model, then a value function, then a policy, each by a
configured number of updates; so does SVG(0) if it trains after each episode.

Shapes: T transitions of an episode, K updates.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from tf_agents.agents import tf_agent


def updates_of(
    config: Any, names: Sequence[str], default: int | None
) -> tuple[int, ...]:
    """Returns the numbers of updates in a training step.

    Args:
      config: The hyperparameters that hold them.
      names: Their names in `config`.
      default: Replaces None, if the task gives a default.

    Raises:
      ValueError: If a number is None and `default` is None.
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
    """Checks that an agent that learns from the last episode received it.

    Args:
      agent: The agent.
      episode: The episode.

    Raises:
      ValueError: If `episode` is None.
    """
    if episode is None:
        raise ValueError(
            f"{type(agent).__name__} learns from the last episode, but was trained"
            " without one."
        )


def episode_weights(mask: tf.Tensor) -> tf.Tensor:
    """Returns weights that exclude padding from means over an episode, shape [T].

    Args:
      mask: 1 for the episode's transitions, 0 for padding, shape [T].
    """
    mask = tf.cast(mask, tf.float32)
    return mask / tf.reduce_mean(mask)


def when_due(done: tf.Tensor, period: int, update: Callable[[], None]) -> tf.Tensor:
    """Calls `update` if `done` is a multiple of `period`, and returns whether it did.

    Args:
      done: Number of training updates done so far.
      period: The period, ≥ 1.
      update: The function to call.
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
    """Updates once for each minibatch, and returns the sum of the metrics.

    It uses a loop, so that the trace holds the update once for any K.

    Args:
      update: Takes the update's number and its minibatch, and returns its metrics and
        the tensors that the next update must wait for.
      number: K.
      batches: The minibatches, a nest of shapes [K, …], or an empty nest.
      zeros: A nest of zeros with the structure of the metrics.
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
    """Updates once for each minibatch, and returns the mean of the metrics.

    Args:
      update: Takes the update's number and its minibatch, and returns a vector.
      number: K.
      batches: The minibatches, shape [K, B, …], or an empty nest.
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
