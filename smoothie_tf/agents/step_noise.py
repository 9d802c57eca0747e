"""Noise of a training step, reproducible when the step is repeated.

TF-Agents draws from TensorFlow's global stream, which checkpoints do not hold: a
resumed run would get other numbers. Here they are a function of a seed and of the
training step.
"""

import numbers

import tensorflow as tf

from smoothie_tf import gaussian


def seed_variable(seed: int | None, name: str) -> tf.Variable:
    """Returns a seed as a variable, so that a resumed run keeps the one that it drew.

    Args:
      seed: The seed, a 31-bit integer; None for one from TensorFlow's global stream.
      name: Name of the variable.

    Raises:
      ValueError: If it is not a whole number.
    """
    if not isinstance(seed, numbers.Integral | None) or isinstance(seed, bool):
        raise ValueError(f"{name} must be a whole number or None, but is {seed!r}.")
    if seed is None:
        seed = tf.random.uniform([], maxval=tf.int32.max, dtype=tf.int32)
    return tf.Variable(tf.cast(seed, tf.int64), trainable=False, name=name)


def normal(
    shape: tf.types.experimental.TensorLike,
    seed: tf.Variable,
    train_step_counter: tf.Variable,
    draw: int | tf.Tensor = 0,
    draws_a_step: int = 1,
) -> tf.Tensor:
    """Returns the standard normal numbers of one draw of a training step.

    Args:
      shape: Shape of the result.
      seed: As `seed_variable` returns it.
      train_step_counter: The agent's count of its training steps.
      draw: Which of the step's draws, in [0, draws_a_step).
      draws_a_step: Number of draws in a training step, ≥ 1.
    """
    step = tf.cast(train_step_counter, tf.int64)
    return gaussian.stateless_normal(
        shape, tf.stack([seed, draws_a_step * step + draw])
    )


class StepNoise(tf.Module):
    """The noise of a subclass of one of TF-Agents' agents (TD3, SAC), with its seed."""

    def __init__(
        self,
        seed: int | None,
        train_step_counter: tf.Variable,
        draws_a_step: int = 1,
        name: str = "StepNoise",
    ):
        """Creates the noise.

        Args:
          seed: As of `seed_variable`.
          train_step_counter: The agent's count of its training steps.
          draws_a_step: Number of draws in a training step, ≥ 1.
          name: Name of the module.
        """
        super().__init__(name=name)
        self._seed = seed_variable(seed, "noise_seed")
        self._train_step_counter = train_step_counter
        self._draws_a_step = draws_a_step

    def __call__(
        self, shape: tf.types.experimental.TensorLike, draw: int = 0
    ) -> tf.Tensor:
        """Returns standard normal numbers.

        Args:
          shape: Shape of the result.
          draw: Which of the step's draws, in [0, draws_a_step).
        """
        return normal(
            shape, self._seed, self._train_step_counter, draw, self._draws_a_step
        )
