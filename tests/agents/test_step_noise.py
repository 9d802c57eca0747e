"""Noise that is the same whenever a training step is repeated."""

import numpy as np
import tensorflow as tf

from smoothie_tf import gaussian
from smoothie_tf.agents import step_noise


def test_draws_are_numbered_by_step_and_draw():
    counter = tf.Variable(0, dtype=tf.int64)
    noise = step_noise.StepNoise(5, counter, draws_a_step=3)
    seen = []
    for step in range(2):
        counter.assign(step)
        for draw in range(3):
            seen.append(noise([4], draw).numpy())
            np.testing.assert_array_equal(
                seen[-1], gaussian.stateless_normal([4], [5, 3 * step + draw])
            )
    assert len({tuple(each) for each in seen}) == 6


def test_a_seed_that_nobody_named_is_kept_with_a_checkpoint(tmp_path):
    first, other = (
        step_noise.StepNoise(None, tf.Variable(0, dtype=tf.int64)) for _ in range(2)
    )
    assert (first([4]).numpy() != other([4]).numpy()).any()
    path = tf.train.Checkpoint(noise=first).write(str(tmp_path / "ckpt"))
    tf.train.Checkpoint(noise=other).read(path).assert_consumed()
    np.testing.assert_array_equal(first([4]), other([4]))
