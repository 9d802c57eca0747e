"""The programs that `throughput.py` times: our loop, TF-Agents' stock loop, and parts.

    python benchmarks/contenders.py ours smoothie HalfCheetah-v5
    python benchmarks/contenders.py stock HalfCheetah-v5
    python benchmarks/contenders.py stock HalfCheetah-v5 sac

Each loop trains with the batch size and networks of its agent's paper, one update per
environment step, after 1,000 steps without updates.
"""

import collections
import itertools
import math
import os
import resource
import statistics
import sys
import tempfile
import time

import contest
import numpy as np
import products

from smoothie_tf import quiet
from smoothie_tf.training import huge_pages

if __name__ == "__main__" and sys.argv[1] in ("ours", "parts", "run_memory"):
    # As `reproduce/train.py` does.
    huge_pages.restart()

quiet.silence_imports()

import tensorflow as tf  # noqa: E402

WARM_UP = 1200
ENDLESS = 10_000_000


def ours(agent: str, environment_id: str, *bindings: str) -> None:
    """Runs our training loop, as `reproduce/train.py` does."""
    from smoothie_tf.training import config, process

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
        process.run(
            agent,
            environment_id,
            seed=0,
            run_dir=folder,
            quiet=True,
            on_step=lambda _: turns.step(),
        )


def stock(environment_id: str, agent_name: str = "ddpg") -> None:
    """Runs an agent of TF-Agents with TF-Agents' driver and replay buffer."""
    import gin
    from tf_agents.drivers import dynamic_step_driver
    from tf_agents.environments import tf_py_environment
    from tf_agents.replay_buffers import tf_uniform_replay_buffer
    from tf_agents.utils import common

    gin.clear_config()
    env = tf_py_environment.TFPyEnvironment(_GymnasiumAsPyEnvironment(environment_id))
    agent, batch_size = _STOCK_AGENTS[agent_name](env)
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
        sample_batch_size=batch_size, num_steps=2, single_deterministic_pass=False
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


def _stock_critic(env, observation_units, joint_units):
    from tf_agents.agents.ddpg import critic_network

    return critic_network.CriticNetwork(
        (env.observation_spec(), env.action_spec()),
        observation_fc_layer_params=observation_units,
        joint_fc_layer_params=joint_units,
    )


def _stock_actor(env):
    from tf_agents.agents.ddpg import actor_network

    return actor_network.ActorNetwork(
        env.observation_spec(), env.action_spec(), fc_layer_params=(400, 300)
    )


def _stock_ddpg(env):
    from tf_agents.agents.ddpg import ddpg_agent
    from tf_agents.utils import common

    agent = ddpg_agent.DdpgAgent(
        env.time_step_spec(),
        env.action_spec(),
        actor_network=_stock_actor(env),
        critic_network=_stock_critic(env, (400,), (300,)),
        actor_optimizer=tf.keras.optimizers.Adam(2e-5),
        critic_optimizer=tf.keras.optimizers.Adam(4.6e-4),
        target_update_tau=0.01,
        gamma=0.995,
        td_errors_loss_fn=common.element_wise_huber_loss,
        gradient_clipping=4.0,
    )
    return agent, 128


def _stock_td3(env):
    from tf_agents.agents.td3 import td3_agent

    agent = td3_agent.Td3Agent(
        env.time_step_spec(),
        env.action_spec(),
        actor_network=_stock_actor(env),
        critic_network=_stock_critic(env, None, (400, 300)),
        actor_optimizer=tf.keras.optimizers.Adam(1e-3),
        critic_optimizer=tf.keras.optimizers.Adam(1e-3),
        target_update_tau=0.005,
        target_update_period=2,
        actor_update_period=2,
        gamma=0.99,
        td_errors_loss_fn=tf.math.squared_difference,
    )
    return agent, 100


def _stock_sac(env):
    from tf_agents.agents.sac import sac_agent, tanh_normal_projection_network
    from tf_agents.networks import actor_distribution_network

    projection = tanh_normal_projection_network.TanhNormalProjectionNetwork
    agent = sac_agent.SacAgent(
        env.time_step_spec(),
        env.action_spec(),
        actor_network=actor_distribution_network.ActorDistributionNetwork(
            env.observation_spec(),
            env.action_spec(),
            fc_layer_params=(256, 256),
            continuous_projection_net=lambda spec: projection(
                spec, std_transform=sac_agent.std_clip_transform
            ),
        ),
        critic_network=_stock_critic(env, None, (256, 256)),
        actor_optimizer=tf.keras.optimizers.Adam(3e-4),
        critic_optimizer=tf.keras.optimizers.Adam(3e-4),
        alpha_optimizer=tf.keras.optimizers.Adam(3e-4),
        target_update_tau=0.005,
        gamma=0.99,
    )
    return agent, 256


_STOCK_AGENTS = {"ddpg": _stock_ddpg, "td3": _stock_td3, "sac": _stock_sac}


def update(agent: str, environment_id: str, *bindings: str) -> None:
    """Runs only the compiled update and next action, always on the same batch."""
    compiled, arguments = _update_arguments(*_agent(agent, environment_id, bindings))
    _repeat(lambda: compiled.train_and_act(*arguments), 50)


def derivatives(environment_id: str, *bindings: str) -> None:
    """Runs only the critic's value, gradient and Hessian diagonal, compiled."""
    agent, env = _agent("smoothie", environment_id, bindings)
    observation = tf.random.normal([128, *env.observation_space.shape])
    action = tf.random.uniform([128, *env.action_space.shape], -1.0, 1.0)
    _repeat(_compiled(lambda: agent.critic_derivatives(observation, action)), 50)


def svg_infinity(environment_id: str, length: str) -> None:
    """Runs only SVG(∞)'s update of the policy, on an episode of `length` steps."""
    from smoothie_tf.agents import value_gradient_agent

    agent, _ = _agent(
        "svg_infinity", environment_id, ["SvgInfinityAgent.model_updates=1"]
    )
    number = int(length)
    state, following = tf.random.normal(
        [2, number, *agent.time_step_spec.observation.shape]
    )
    action = tf.random.normal([number, *agent.action_spec.shape])
    each = tf.ones([number])
    episode = value_gradient_agent.Batch(
        state, action, each, each, each, following, each
    )
    _repeat(_compiled(lambda: agent._train_policy(episode)), 20)


def _repeat(function, warm_up):
    """Calls a function again and again, each time as one step."""
    turns = contest.Turns(warm_up)
    while True:
        function()
        turns.step()


def _compiled(function, *arguments):
    compiled = tf.function(function, jit_compile=True, autograph=False)
    compiled = compiled.get_concrete_function(*arguments)
    with quiet.without_known_notices():
        compiled(*arguments)
    return compiled


def product() -> None:
    """Multiplies two float32 matrices of 2048×2048."""
    left, right = tf.random.normal([2, 2048, 2048])
    _repeat(tf.function(lambda: tf.matmul(left, right)), 3)


def update_products(observation_size: str, action_size: str) -> None:
    """Runs only the matrix products of a Smoothie update, compiled in the same way."""
    updates = 10  # Per call, so that the overhead of a call hardly counts.
    shapes = collections.Counter(
        products.of_update(int(observation_size), int(action_size))
    )
    pairs = []
    for (rows, inner, columns), count in shapes.items():
        # All pairs differ; XLA would compute equal products only once.
        number = math.ceil(math.sqrt(updates * count))
        left = [tf.Variable(tf.random.normal([rows, inner])) for _ in range(number)]
        right = [tf.Variable(tf.random.normal([inner, columns])) for _ in range(number)]
        pairs += list(itertools.product(left, right))[: updates * count]

    def multiply(place):
        # `place` is unknown at compile time, so XLA must compute the whole products.
        return tf.add_n([tf.matmul(*pair)[place, 0] for pair in pairs])

    place = tf.constant(0)
    multiply = _compiled(multiply, place)
    turns = contest.Turns(50)
    while True:
        multiply(place)
        for _ in range(updates):
            turns.step()


def first_step(agent: str, environment_id: str) -> None:
    """Runs our loop, which reports after its first environment step."""
    global WARM_UP
    WARM_UP = 1
    ours(agent, environment_id)


def replay_memory() -> None:
    """Prints the memory of a million transitions of Humanoid."""
    from smoothie_tf.training import replay_buffer

    before = _resident()
    replay = replay_buffer.ReplayBuffer(1_000_000, 348, 17)
    rows = np.ones((100_000, replay.row_size), np.float32)
    for end in range(100_000, 1_000_001, 100_000):
        replay.load(rows, end)
    del rows
    print(f"| replay of 1M Humanoid transitions | {_resident() - before:.2f} GB |")


def run_memory() -> None:
    """Prints the peak memory of a Hopper run with a million transitions in replay."""
    from smoothie_tf.training import config, process

    config.parse(
        "smoothie",
        "Hopper-v5",
        bindings=[
            "train.num_steps = 1_000_000",
            "train.evaluation_interval = 1000",
            "train.checkpoint_interval = 1500",
        ],
    )

    def fill(trainer):
        if trainer.step == 1:
            replay = trainer.replay
            rows = replay.rows_since(0)[:1]
            for end in range(100_000, 1_000_001, 100_000):
                replay.load(np.repeat(rows, 100_000, axis=0), end)
        if trainer.step == 3200:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
            print(f"| peak of a Hopper run with 1M rows of replay | {peak:.2f} GB |")
            sys.stdout.flush()
            os._exit(0)

    with tempfile.TemporaryDirectory() as folder:
        process.run("smoothie", "Hopper-v5", 0, folder, quiet=True, on_step=fill)


def parts(environment_id: str) -> None:
    """Prints the time of each part of a step, and of each part of an update alone."""
    from smoothie_tf.environments import gymnasium_environment
    from smoothie_tf.training import compiled_step, replay_buffer, train

    seconds = collections.defaultdict(list)

    def timed(owner, name, label):
        function = getattr(owner, name)

        def wrapper(*arguments):
            started = time.perf_counter()
            result = function(*arguments)
            seconds[label].append(time.perf_counter() - started)
            return result

        setattr(owner, name, wrapper)

    timed(gymnasium_environment._ClippedActions, "step", "environment")
    timed(replay_buffer.ReplayBuffer, "add", "adding to replay")
    timed(replay_buffer.ReplayBuffer, "sample", "sampling replay")
    timed(compiled_step.CompiledStep, "train_and_act", "compiled call")
    timed(train.Trainer, "_take_step", "whole step")

    class Count:
        def __init__(self, warm_up):
            self.left = warm_up

        def step(self):
            self.left -= 1
            if self.left == 0:
                seconds.clear()
            if self.left == -3000:
                means = {k: 1e3 * statistics.fmean(v) for k, v in seconds.items()}
                for label, mean in sorted(means.items(), key=lambda item: -item[1]):
                    share = 100 * mean / means["whole step"]
                    print(f"| {label} | {mean:.2f} ms, {share:.0f} % |")
                _pieces(environment_id)
                sys.stdout.flush()
                os._exit(0)

    contest.Turns = Count
    ours("smoothie", environment_id, "SmoothieAgent.kl_penalty=0.01")


def _pieces(environment_id):
    agent, env = _agent("smoothie", environment_id, ["SmoothieAgent.kl_penalty=0.01"])
    compiled, arguments = _update_arguments(agent, env)
    policy_batch, critic_batch = agent._minibatches(
        compiled._transition(tf.constant(arguments[0])), None
    )
    policy_variables = agent._policy_variables
    critic_variables = agent.critic_network.trainable_variables

    def gradients(loss, batch, variables):
        with tf.GradientTape() as tape:
            value = loss(*batch)
            value = value[0] if isinstance(value, tuple) else value
        return tape.gradient(value, variables)

    def apply():
        for optimizer, variables in (
            (agent._actor_optimizer, policy_variables),
            (agent._critic_optimizer, critic_variables),
        ):
            optimizer.apply_gradients([(v * 1e-9, v) for v in variables])

    pieces = {
        "call with nothing in it": lambda: tf.zeros([]),
        "policy loss and gradient": lambda: gradients(
            agent.policy_loss, policy_batch, policy_variables
        ),
        "critic loss and gradient": lambda: gradients(
            agent.critic_loss, critic_batch, critic_variables
        ),
        "optimizers": apply,
        "targets": lambda: agent._update_targets(0.01),
    }
    functions = {
        name: tf.function(piece, jit_compile=True).get_concrete_function()
        for name, piece in pieces.items()
    }
    act = (*arguments[1:],)
    functions["acting"] = lambda: compiled.act(*act)
    functions["whole compiled call"] = lambda: compiled.train_and_act(*arguments)
    taken = {name: [] for name in functions}
    for _ in range(300):
        for name, function in functions.items():
            started = time.perf_counter()
            function()
            taken[name].append(time.perf_counter() - started)
    for name, values in taken.items():
        print(f"| alone: {name} | {1e3 * statistics.median(values):.2f} ms |")


def _resident():
    with open("/proc/self/statm", encoding="utf-8") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e9


def _agent(agent_name, environment_id, bindings):
    from smoothie_tf.agents import factory
    from smoothie_tf.environments import gymnasium_environment
    from smoothie_tf.training import config

    config.parse(
        agent_name, environment_id, bindings=[f"train.num_steps={ENDLESS}", *bindings]
    )
    env = gymnasium_environment.make(environment_id)
    agent = factory.create_agent(
        agent_name,
        gymnasium_environment.time_step_spec(env),
        gymnasium_environment.action_spec(env),
        seed=1,
        **gymnasium_environment.known_to_agents(env),
    )
    return agent, env


def _update_arguments(agent, env):
    from smoothie_tf.agents import protocol
    from smoothie_tf.training import compiled_step, settings

    bound = settings.Settings()
    updates = bound.updates_per_call
    compiled = compiled_step.CompiledStep(agent, 2, updates_per_call=updates)
    size = env.observation_space.shape[0]
    width = size + env.action_space.shape[0] + compiled.info_size + 2
    minibatches = protocol.contract(agent).minibatches_per_train
    number = updates * bound.batch_size * minibatches
    rows = np.random.default_rng(0).normal(size=[2, number, width]).astype(np.float32)
    rows[..., -1] = 1.0
    return compiled, (
        rows,
        rows[0, 0, :size],
        False,
        compiled.initial_policy_state(),
        0,
    )


def _GymnasiumAsPyEnvironment(environment_id):  # noqa: N802  Makes one.
    """Returns a PyEnvironment: TF-Agents 0.19 has no wrapper for Gymnasium."""
    import gymnasium
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
