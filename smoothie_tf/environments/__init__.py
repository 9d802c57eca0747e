"""Tasks of our own, registered with Gymnasium, and the bridge to TF-Agents.

Importing this package imports no TensorFlow.
"""

import gymnasium

gymnasium.register(
    id="smoothie_tf/TwoGaussians-v0",
    entry_point="smoothie_tf.environments.two_gaussians:TwoGaussiansEnvironment",
)
