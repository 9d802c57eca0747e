"""Initial weights of policies and critics.

The paper does not give them. These are DDPG's (Lillicrap et al., 2016, Section 7),
which TF-Agents' own DDPG networks use as well: uniform within ±1/√inputs, and small
in the last layer, so that initial actions and values are near zero.
"""

import tensorflow as tf

OUTPUT_RANGE = 3e-3


def hidden(inputs: int | None = None) -> tf.keras.initializers.Initializer:
    """Returns uniform weights in ±1/√inputs.

    Args:
      inputs: Number of the layer's inputs, if the kernel has only some of their rows;
        None for the kernel's number of rows.
    """
    if inputs is not None:
        return tf.keras.initializers.RandomUniform(-(inputs**-0.5), inputs**-0.5)
    return tf.keras.initializers.VarianceScaling(
        scale=1.0 / 3.0, mode="fan_in", distribution="uniform"
    )


def output() -> tf.keras.initializers.Initializer:
    """Returns uniform weights in ±0.003."""
    return tf.keras.initializers.RandomUniform(-OUTPUT_RANGE, OUTPUT_RANGE)
