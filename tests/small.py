"""Bindings of runs that take seconds."""

SMALL = (
    "MeanNetwork.hidden_units=(8,)",
    "smoothie_tf.CriticNetwork.observation_units=(8,)",
    "smoothie_tf.CriticNetwork.joint_units=(8,)",
    "train.batch_size=8",
    "train.initial_collect_steps=20",
    "train.evaluation_interval=20",
    "train.evaluation_episodes=1",
    "train.use_xla=False",
)
