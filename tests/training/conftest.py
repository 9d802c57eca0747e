"""Small runs from the command line, shared by the tests of what is done with them."""

import pytest

from smoothie_tf.training import main

SMALL = (
    "MeanNetwork.hidden_units=(8,)",
    "smoothie_tf.CriticNetwork.observation_units=(8,)",
    "smoothie_tf.CriticNetwork.joint_units=(8,)",
    "train.batch_size=8",
    "train.initial_collect_steps=20",
    "train.evaluation_interval=20",
    "train.evaluation_episodes=3",
    "train.checkpoint_interval=40",
    "create_agent.actor_learning_rate=1e-3",
    "create_agent.critic_learning_rate=1e-3",
    "train.use_xla=False",
)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """Finished runs of 100 steps, made once; copy what is to be changed.

    Checkpoints are kept of steps 80 and 100, evaluations are at every 20th.
    """
    made = {}

    def get(agent="smoothie", env="InvertedPendulum-v5"):
        if (agent, env) not in made:
            run_dir = tmp_path_factory.mktemp(agent) / "run"
            arguments = ["--agent", agent, "--env", env, "--run_dir", str(run_dir)]
            arguments += ["--num_steps", "100", "--preset", "quick", "--quiet"]
            for binding in SMALL:
                arguments += ["--gin_bindings", binding]
            assert main.main(arguments) == 0
            made[agent, env] = run_dir
        return made[agent, env]

    return get
