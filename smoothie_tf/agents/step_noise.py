"""Noise of a training step, reproducible when the step is repeated."""

import tensorflow as tf

from smoothie_tf import gaussian


class StepNoise(tf.Module):
    """Standard normal numbers as a function of a seed and of the training step.

    TF-Agents draws from TensorFlow's global stream, which checkpoints do not hold: a
    resumed run would get other numbers.
    """

    def __init__(
        self,
        seed: int | None,
        train_step_counter: tf.Variable,
        draws_a_step: int = 1,
        name: str = "StepNoise",
    ):
        """Creates the noise.

        Args:
          seed: The seed, a 31-bit integer; None for one from TensorFlow's global
            stream.
          train_step_counter: The agent's count of its training steps.
          draws_a_step: Number of draws in a training step, ≥ 1.
          name: Name of the module.
        """
        super().__init__(name=name)
        if seed is None:
            seed = tf.random.uniform([], maxval=tf.int32.max, dtype=tf.int32)
        # A variable, so that a resumed run keeps the seed that it drew.
        self._seed = tf.Variable(
            tf.cast(seed, tf.int64), trainable=False, name="noise_seed"
        )
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
        step = tf.cast(self._train_step_counter, tf.int64)
        return gaussian.stateless_normal(
            shape, tf.stack([self._seed, self._draws_a_step * step + draw])
        )
