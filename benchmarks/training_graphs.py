"""Records the graph of every agent's training step, and its variables after 40 updates.

    python benchmarks/training_graphs.py record FILE
    python benchmarks/training_graphs.py compare FILE

`record` writes one entry for each agent name of `factory.AGENTS` and for each variant
below. `compare` computes them again, and exits with status 1 if any differs. Use it to
verify that a refactoring changes no number.

An entry has checksums of the traced training step, which includes the next action, of
the losses alone, and of each variable after 40 updates compiled by XLA, by its name in
a checkpoint. It also has the order of the policy's variables. The checksum of a graph
covers its operations with types, inputs and attributes, but neither names nor the order
in which nodes were created. Values are compared bit for bit, so the file is valid only
on the machine and with the version of TensorFlow that recorded it. The values of losses
are not compared: XLA may sum an output that nothing depends on in an order that changes
between processes.
"""

import argparse
import collections
import hashlib
import json
import pathlib
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from smoothie_tf import program, quiet

quiet.silence_imports()

import numpy as np  # noqa: E402  After `silence_imports`.
import tensorflow as tf  # noqa: E402
from tf_agents.specs import tensor_spec  # noqa: E402
from tf_agents.trajectories import time_step as ts  # noqa: E402

from smoothie_tf.agents import factory  # noqa: E402
from smoothie_tf.training import compiled_step, config  # noqa: E402

UPDATES = 40
BATCH_SIZE = 8
EPISODE_LENGTH = 6
OBSERVATION = tensor_spec.TensorSpec([5], tf.float32)
ACTION = tensor_spec.BoundedTensorSpec([2], tf.float32, -1, 1)

# Small networks, and learning rates at which 40 updates change every weight.
COMMON = (
    "train.num_steps=1",
    "MeanNetwork.hidden_units=(8, 6)",
    "smoothie_tf.CriticNetwork.observation_units=(8,)",
    "smoothie_tf.CriticNetwork.joint_units=(6,)",
    "smoothie_tf.ValueNetwork.hidden_units=(6,)",
    "DynamicsNetwork.hidden_units=(4,)",
    "CovarianceNetwork.hidden_units=(6,)",
    "create_agent.actor_learning_rate=1e-2",
    "create_agent.critic_learning_rate=1e-2",
    "create_agent.model_learning_rate=1e-2",
)
KL = "SmoothieAgent.kl_penalty=0.01"
ERRORS = "SmoothieAgent.bellman_error_weights=(1.0, 0.1, 0.01)"
COMPATIBLE = (
    "create_agent.critic_network=@CompatibleCriticNetwork",
    "CompatibleCriticNetwork.value_units=(6,)",
)
#: Variants of agents by name: the agent, and its bindings.
VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "smoothie, no penalty": ("smoothie", ("SmoothieAgent.kl_penalty=0.0",)),
    "smoothie, one minibatch": (
        "smoothie",
        (KL, "SmoothieAgent.independent_minibatches=False"),
    ),
    "smoothie, nested tapes": ("smoothie", (KL, "SmoothieAgent.nested_tapes=True")),
    "smoothie, clipping": (
        "smoothie",
        (
            KL,
            "SmoothieAgent.dqda_clipping=0.01",
            "SmoothieAgent.gradient_clipping=0.1",
            "SmoothieAgent.clip_actions=True",
        ),
    ),
    "smoothie, unclipped": ("smoothie", ("SmoothieAgent.gradient_clipping=None",)),
    "smoothie, covariance held": (
        "smoothie",
        (KL, "SmoothieAgent.covariance_learning_rate_factor=0.0"),
    ),
    "smoothie, covariance slow": (
        "smoothie",
        (KL, "SmoothieAgent.covariance_learning_rate_factor=0.25"),
    ),
    "smoothie, full": ("smoothie", (KL, "SmoothieAgent.covariance='full'")),
    "smoothie, full, nested tapes": (
        "smoothie",
        (KL, "SmoothieAgent.covariance='full'", "SmoothieAgent.nested_tapes=True"),
    ),
    "smoothie, state diagonal": (
        "smoothie",
        (
            KL,
            "SmoothieAgent.covariance='state_diagonal'",
            "SmoothieAgent.covariance_learning_rate_factor=0.25",
        ),
    ),
    "smoothie, state full": ("smoothie", (KL, "SmoothieAgent.covariance='state_full'")),
    "smoothie, weights": (
        "smoothie",
        (KL, "SmoothieAgent.replay_weight_clipping=5.0"),
    ),
    "smoothie, weights, state full": (
        "smoothie",
        (
            KL,
            "SmoothieAgent.replay_weight_clipping=2.0",
            "SmoothieAgent.covariance='state_full'",
        ),
    ),
    "smoothie, expected": (
        "smoothie",
        (
            KL,
            "SmoothieAgent.evaluation='expected'",
            "SmoothieAgent.smoothing_samples=3",
        ),
    ),
    "smoothie, expected, state full": (
        "smoothie",
        (
            KL,
            "SmoothieAgent.evaluation='expected'",
            "SmoothieAgent.covariance='state_full'",
        ),
    ),
    "smoothie, derivatives": ("smoothie", (KL, ERRORS)),
    "smoothie, gradients": (
        "smoothie",
        (KL, "SmoothieAgent.bellman_error_weights=(1.0, 0.1, 0.0)"),
    ),
    "smoothie, baseline": (
        "smoothie",
        (KL, ERRORS, "SmoothieAgent.derivative_baseline=True"),
    ),
    "smoothie, baseline, state full, weights": (
        "smoothie",
        (
            KL,
            "SmoothieAgent.bellman_error_weights=(0.5, 0.1, 0.01)",
            "SmoothieAgent.derivative_baseline=True",
            "SmoothieAgent.covariance='state_full'",
            "SmoothieAgent.replay_weight_clipping=2.0",
        ),
    ),
    "smoothie, compatible": ("smoothie", (KL, ERRORS, *COMPATIBLE)),
    "smoothie, compatible, state full": (
        "smoothie",
        (KL, ERRORS, *COMPATIBLE, "SmoothieAgent.covariance='state_full'"),
    ),
    "ddpg, clipping": (
        "ddpg",
        ("DdpgAgent.dqda_clipping=0.01", "DdpgAgent.gradient_clipping=0.1"),
    ),
    "soft_ddpg, no reduction": (
        "soft_ddpg",
        ("SoftDdpgAgent.variance_reduction='none'",),
    ),
    "soft_ddpg, two minibatches": (
        "soft_ddpg",
        (
            "SoftDdpgAgent.variance_reduction='value'",
            "SoftDdpgAgent.independent_minibatches=True",
        ),
    ),
    "svg0, fresh noise": (
        "svg0",
        ("Svg0Agent.infer_noise=False", "Svg0Agent.target_update_period=3"),
    ),
    "svg0, stored next action": ("svg0", ("Svg0Agent.stored_next_action=True",)),
    "svg0, deterministic": ("svg0", ("Svg0Agent.deterministic=True",)),
    "svg0_episode, stored next action": (
        "svg0_episode",
        (
            "Svg0Agent.stored_next_action=True",
            "Svg0Agent.policy_updates=2",
            "Svg0Agent.critic_updates=3",
            "Svg0Agent.target_update_period=4",
        ),
    ),
    "svg0_episode, fresh noise": (
        "svg0_episode",
        ("Svg0Agent.infer_noise=False", "Svg0Agent.learn_stddev=True"),
    ),
    "svg1_er, each step": (
        "svg1_er",
        ("Svg1Agent.trains_at_episode_end=False", "Svg1Agent.learn_stddev=True"),
    ),
    "svg1_er, no penalty": ("svg1_er", ("Svg1Agent.kl_penalty=0.0",)),
    "svg_infinity, learned stddev": (
        "svg_infinity",
        ("SvgInfinityAgent.learn_stddev=True",),
    ),
    "td_actor_critic, learned stddev": (
        "td_actor_critic",
        ("TdActorCriticAgent.learn_stddev=True", "TdActorCriticAgent.policy_updates=1"),
    ),
}


def cases() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Returns every agent with the bindings of its own file, and the variants."""
    return {**{name: (name, ()) for name in factory.AGENTS}, **VARIANTS}


def entry(name: str, bindings: Sequence[str]) -> dict[str, Any]:
    """Trains an agent, and returns the entry that `compare` compares.

    Args:
      name: One of `factory.AGENTS`.
      bindings: Bindings in addition to the agent's own file.
    """
    config.parse(name, "Pendulum-v1", bindings=(*COMMON, *bindings), tuned=False)
    tf.keras.utils.set_random_seed(0)
    agent = factory.create_agent(
        name,
        ts.time_step_spec(OBSERVATION),
        ACTION,
        seed=1,
        max_episode_steps=EPISODE_LENGTH,
    )
    step = compiled_step.CompiledStep(agent, seed=2)
    draw = np.random.default_rng(0)
    observation, state = np.zeros(5, np.float32), step.initial_policy_state()
    for number in range(UPDATES):
        rows, episode = _data(agent, draw, step.info_size)
        arguments = (rows, observation, False, state, number, episode)
        _, decision = step.train_and_act(*arguments)
        observation, state = rows[0, 0, :5], decision.policy_state
    with tempfile.TemporaryDirectory() as folder:
        path = tf.train.Checkpoint(agent=agent).write(f"{folder}/checkpoint")
        reader = tf.train.load_checkpoint(path)
        values = {
            key: _sum(reader.get_tensor(key))
            for key in sorted(reader.get_variable_to_shape_map())
            if key != "_CHECKPOINTABLE_OBJECT_GRAPH"
        }
    inputs = (rows, observation, np.array((False, UPDATES), np.int64))
    episode = () if episode is None else episode
    graphs = {
        "train": _graph(step._traced_train_and_act, *inputs, *episode, *state),
    }
    if not getattr(agent, "trains_at_episode_end", False):
        transition = step._transition
        try:
            graphs["loss"] = _graph(lambda x: agent.loss(transition(x))[:1], rows)
        except NotImplementedError:
            graphs["loss"] = None
    return {
        "graphs": graphs,
        "variables": values,
        "policy_variables": [_sum(v.numpy()) for v in agent.policy.variables()],
        "metric_names": step.metric_names,
        "info_size": step.info_size,
    }


def _data(agent, draw, info_size):
    number = BATCH_SIZE * getattr(agent, "minibatches_per_train", 1)

    def rows(count):
        drawn = draw.normal(size=[2, count, 5 + 2 + info_size + 2])
        drawn[..., 7:-2] -= 2.0  # Log-probabilities.
        drawn[..., -1] = drawn[..., -1] > -1  # Discounts.
        return drawn.astype(np.float32)

    if not getattr(agent, "trains_at_episode_end", False):
        return rows(number), None
    mask = (np.arange(EPISODE_LENGTH) < 4).astype(np.float32)
    return rows(number), (rows(EPISODE_LENGTH), mask)


def _sum(value):
    value = np.asarray(value)
    text = f"{value.dtype} {value.shape} ".encode()
    return hashlib.sha256(text + value.tobytes()).hexdigest()[:16]


def _graph(function, *arguments):
    """Returns the checksum of a function's graph, and its operations per type."""
    traced = tf.function(function, autograph=False).get_concrete_function(
        *map(tf.constant, arguments)
    )
    by_handle = {id(v.handle): _sum(v.numpy()) for v in traced.graph.variables}
    labels = {}
    for outside, inside in traced.graph.captures:
        label = by_handle.get(id(outside))
        if label is None:  # Not a variable, but a captured constant.
            label = _sum(outside.numpy())
        labels[inside.op.name] = label
    definition = traced.graph.as_graph_def()
    library = {f.signature.name: f for f in definition.library.function}
    counts = collections.Counter()
    outputs = [output.name for output in traced.outputs]
    digest = _nodes_sum(definition.node, outputs, labels, library, counts)
    return {"checksum": digest, "operations": dict(sorted(counts.items()))}


# Attributes that hold names, or follow from the other attributes.
_IGNORED_ATTRIBUTES = {
    "_class",
    "_gradient_op_type",
    "_user_specified_name",
    "_output_shapes",
    "_read_only_resource_inputs",
    "shared_name",
    "container",
    "config_proto",
}


def _nodes_sum(nodes, outputs, labels, library, counts):
    by_name = {node.name: node for node in nodes}
    known = {}

    def of_attribute(value):
        functions = [value.func] if value.HasField("func") else value.list.func
        if functions:
            return [of_function(each.name) for each in functions]
        return value.SerializeToString(deterministic=True).hex()

    def of_function(name):
        function = library[name]
        arguments = {
            each.name: f"argument {place}"
            for place, each in enumerate(function.signature.input_arg)
        }
        returned = [function.ret[each.name] for each in function.signature.output_arg]
        returned += [f"^{name}" for name in function.control_ret.values()]
        body = function.node_def
        return _nodes_sum(body, returned, arguments, library, counts)

    def of_input(name):
        control, name = name.startswith("^"), name.lstrip("^")
        node, _, place = name.partition(":")
        return f"{'^' * control}{of_node(node)}:{place or '0'}"

    def of_node(name):
        if name in known:
            return known[name]
        if name not in by_name:
            return labels[name]
        node = by_name[name]
        plain = [of_input(each) for each in node.input if not each.startswith("^")]
        control = sorted(of_input(each) for each in node.input if each.startswith("^"))
        attributes = {
            key: of_attribute(value)
            for key, value in sorted(node.attr.items())
            if key not in _IGNORED_ATTRIBUTES
        }
        label = labels.get(name, "")
        text = json.dumps([node.op, label, plain, control, attributes])
        known[name] = hashlib.sha256(text.encode()).hexdigest()[:16]
        counts[node.op] += 1
        return known[name]

    everything = sorted(of_node(name) for name in by_name)
    plain = [of_input(each) for each in outputs if not each.startswith("^")]
    control = sorted(of_input(each) for each in outputs if each.startswith("^"))
    text = json.dumps([everything, plain, control])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _differences(before, now, where=""):
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            path = f"{where} {key}".strip()
            yield from _differences(before.get(key), now.get(key), path)
    elif before != now:
        yield f"{where}: {before}, now {now}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Records or compares; returns 0, or 1 if an entry differs or is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("record", "compare"))
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument(
        "--only", default="", help="only cases whose name contains this text"
    )
    flags = parser.parse_args(arguments)
    sys.setrecursionlimit(100_000)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    chosen = {name: case for name, case in cases().items() if flags.only in name}
    recorded = (
        {}
        if flags.command == "record"
        else json.loads(flags.file.read_text(encoding="utf-8"))
    )
    made, differing = {}, 0
    for name, case in chosen.items():
        with quiet.without_known_notices():
            made[name] = json.loads(json.dumps(entry(*case)))
        if flags.command == "record":
            print(f"{name}: {made[name]['graphs']['train']['checksum']}", flush=True)
        elif name not in recorded:
            print(f"{name}: not in {flags.file}", flush=True)
        else:
            differences = list(_differences(recorded[name], made[name]))
            differing += bool(differences)
            print(f"{name}: {'differs' if differences else 'equal'}", flush=True)
            for each in differences[:20]:
                print(f"  {each}")
    gone = [n for n in recorded if flags.only in n and n not in chosen]
    for name in gone:
        print(f"{name}: gone")
    if flags.command == "record":
        flags.file.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
        print(f"{len(made)} cases written to {flags.file}")
        return 0
    print(f"{len(chosen) - differing} of {len(chosen)} cases equal")
    return 1 if differing or gone else 0


if __name__ == "__main__":
    sys.exit(program.run(main))
