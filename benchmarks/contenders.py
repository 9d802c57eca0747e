"""The loops that take part in `throughput.py`: ours, and TF-Agents' as it comes.

    python benchmarks/contenders.py ours smoothie HalfCheetah-v5
    python benchmarks/contenders.py stock HalfCheetah-v5

Each trains at batch 128 with the paper's networks, one update an environment step,
after 1,000 steps without updates.
"""

import sys
import tempfile

import contest

from smoothie_tf import quiet
from smoothie_tf.training import huge_pages

if __name__ == "__main__" and sys.argv[1] == "ours":
    # As `reproduce/train.py` does.
    huge_pages.restart()

quiet.silence_imports()

import tensorflow as tf  # noqa: E402

WARM_UP = 1200
ENDLESS = 10_000_000


def ours(agent: str, environment_id: str, *bindings: str) -> None:
    """Our own training loop, as `reproduce/train.py` runs it."""
    from smoothie_tf.training import config, train

    config.parse(
        agent,
        environment_id,
        bindings=[
            f"train.num_steps = {ENDLESS}",
            f"train.evaluation_interval = {ENDLESS}",
            f"train.checkpoint_interval = {ENDLESS // 20}",
            *bindings,
        ],
    )
    turns = contest.Turns(WARM_UP)
    with tempfile.TemporaryDirectory() as folder:
        train.run(
            agent,
            environment_id,
            seed=0,
            run_dir=folder,
            quiet=True,
            on_step=lambda _: turns.step(),
        )


def stock(environment_id: str) -> None:
    """TF-Agents' DDPG with its own driver, replay buffer and environment wrapper."""
    import gin
    from tf_agents.agents.ddpg import actor_network, critic_network, ddpg_agent
    from tf_agents.drivers import dynamic_step_driver
    from tf_agents.environments import tf_py_environment
    from tf_agents.replay_buffers import tf_uniform_replay_buffer
    from tf_agents.utils import common

    gin.clear_config()
    env = tf_py_environment.TFPyEnvironment(_GymnasiumAsPyEnvironment(environment_id))
    agent = ddpg_agent.DdpgAgent(
        env.time_step_spec(),
        env.action_spec(),
        actor_network=actor_network.ActorNetwork(
            env.observation_spec(), env.action_spec(), fc_layer_params=(400, 300)
        ),
        critic_network=critic_network.CriticNetwork(
            (env.observation_spec(), env.action_spec()),
            observation_fc_layer_params=(400,),
            joint_fc_layer_params=(300,),
        ),
        actor_optimizer=tf.keras.optimizers.Adam(2e-5),
        critic_optimizer=tf.keras.optimizers.Adam(4.6e-4),
        target_update_tau=0.01,
        gamma=0.995,
        td_errors_loss_fn=common.element_wise_huber_loss,
        gradient_clipping=4.0,
    )
    agent.initialize()
    replay = tf_uniform_replay_buffer.TFUniformReplayBuffer(
        agent.collect_data_spec, batch_size=1, max_length=100_000
    )
    driver = dynamic_step_driver.DynamicStepDriver(
        env, agent.collect_policy, observers=[replay.add_batch], num_steps=1
    )
    run = common.function(driver.run)
    train = common.function(agent.train)
    dataset = replay.as_dataset(
        sample_batch_size=128, num_steps=2, single_deterministic_pass=False
    )
    time_step, policy_state = env.reset(), agent.collect_policy.get_initial_state(1)
    for _ in range(1000):
        time_step, policy_state = run(time_step, policy_state)
    batches = iter(dataset)
    turns = contest.Turns(WARM_UP - 1000)
    while True:
        time_step, policy_state = run(time_step, policy_state)
        experience, _ = next(batches)
        train(experience)
        turns.step()


def update(agent: str, environment_id: str, *bindings: str) -> None:
    """The compiled update and next action alone, on one batch that is ready."""
    step = _compiled_update(agent, environment_id, bindings)
    turns = contest.Turns(50)
    while True:
        step()
        turns.step()


def product() -> None:
    """One large float32 product, 2048³."""
    left, right = tf.random.normal([2, 2048, 2048])

    @tf.function
    def multiply():
        return tf.matmul(left, right)

    turns = contest.Turns(3)
    while True:
        multiply()
        turns.step()


def _compiled_update(agent_name, environment_id, bindings):
    import numpy as np

    from smoothie_tf.agents import factory
    from smoothie_tf.environments import gymnasium_environment
    from smoothie_tf.training import compiled_step, config

    config.parse(
        agent_name, environment_id, bindings=[f"train.num_steps={ENDLESS}", *bindings]
    )
    env = gymnasium_environment.make(environment_id)
    agent = factory.create_agent(
        agent_name,
        gymnasium_environment.time_step_spec(env),
        gymnasium_environment.action_spec(env),
        seed=1,
    )
    compiled = compiled_step.CompiledStep(agent, seed=2)
    size = env.observation_space.shape[0]
    rng = np.random.default_rng(0)
    width = size + env.action_space.shape[0] + compiled.info_size + 2
    shape = [2, 128 * agent.minibatches_per_train, width]
    rows = rng.normal(size=shape).astype(np.float32)
    rows[..., -1] = 1.0
    observation = rows[0, 0, :size]
    state = compiled.initial_policy_state()
    return lambda: compiled.train_and_act(rows, observation, False, state, 0)


def _GymnasiumAsPyEnvironment(environment_id):  # noqa: N802  Makes one.
    """Returns a PyEnvironment: TF-Agents 0.19 has no wrapper for Gymnasium."""
    import gymnasium
    import numpy as np
    from tf_agents.environments import py_environment
    from tf_agents.specs import array_spec
    from tf_agents.trajectories import time_step as ts

    class Wrapper(py_environment.PyEnvironment):
        def __init__(self):
            super().__init__()
            self._env = gymnasium.make(environment_id)
            self._ended = True

        def action_spec(self):
            space = self._env.action_space
            return array_spec.BoundedArraySpec(
                space.shape, np.float32, space.low, space.high, name="action"
            )

        def observation_spec(self):
            shape = self._env.observation_space.shape
            return array_spec.ArraySpec(shape, np.float32, name="observation")

        def _reset(self):
            self._ended = False
            return ts.restart(np.asarray(self._env.reset()[0], np.float32))

        def _step(self, action):
            if self._ended:
                return self.reset()
            observation, reward, terminated, truncated, _ = self._env.step(action)
            observation = np.asarray(observation, np.float32)
            self._ended = terminated or truncated
            if terminated:
                return ts.termination(observation, reward)
            if truncated:
                return ts.truncation(observation, reward)
            return ts.transition(observation, reward)

    return Wrapper()


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    globals()[sys.argv[1]](*sys.argv[2:])
