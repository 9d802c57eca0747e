"""Times one action of an exported policy on one core.

    python benchmarks/latency.py --policy policy [--actions 5000] [--core 0]

Observations are those of its policy.json, one at a time, as a control loop has them.
Only TensorFlow is needed. With a policy.tflite beside the SavedModel, that is timed as
well, on TensorFlow's own interpreter.
"""

import argparse
import json
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main() -> int:
    """Prints the median and the 99th percentile for each way to call the policy."""
    flags = _parser().parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {flags.core})
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    path = flags.policy / "policy.json"
    if not path.is_file():
        return _refuse(f"--policy {flags.policy} has no policy.json.")
    description = json.loads(path.read_text())
    if description["observation"]["type"] != "Box":
        return _refuse(f"--policy {flags.policy} takes more than one array.")
    times = {
        name: _times(call, description["pairs"], flags.actions)
        for name, call in _calls(tf, flags.policy)
    }
    print(f"{description['environment']['id']}, {description['agent']}, microseconds")
    print(f"{'':24}{'median':>8}{'99th percentile':>17}")
    for name, values in times.items():
        values.sort()
        middle, high = values[len(values) // 2], values[int(0.99 * len(values))]
        print(f"{name:24}{1e6 * middle:8.0f}{1e6 * high:17.0f}")
    return 0


def _refuse(reason):
    print(f"latency.py: {reason}", file=sys.stderr)
    return 2


def _calls(tf, directory):
    """Returns (name, function from one observation to its action as an array)."""
    policy = tf.saved_model.load(str(directory))
    serve = policy.signatures["serving_default"]

    def served(observation):
        batch = tf.constant(observation[None], tf.float32)
        return serve(observation=batch)["action"].numpy()[0]

    def called(observation):
        return policy.action(observation[None]).numpy()[0]

    calls = [("serving_default", served), ("policy.action", called)]
    tflite = directory / "policy.tflite"
    if tflite.exists():
        interpreter = tf.lite.Interpreter(str(tflite), num_threads=1)
        interpreter.allocate_tensors()
        (given,), (said,) = (
            interpreter.get_input_details(),
            interpreter.get_output_details(),
        )

        def interpreted(observation):
            batch = observation[None].astype("float32")
            interpreter.set_tensor(given["index"], batch)
            interpreter.invoke()
            return interpreter.get_tensor(said["index"])[0]

        calls.append(("TFLite", interpreted))
    return calls


def _times(call, pairs, number):
    import numpy as np

    observations = [np.array(pair["observation"]) for pair in pairs]
    for i in range(200):
        call(observations[i % len(observations)])
    times = []
    for i in range(number):
        observation = observations[i % len(observations)]
        start = time.perf_counter()
        call(observation)
        times.append(time.perf_counter() - start)
    return times


def _parser():
    parser = argparse.ArgumentParser(
        prog="latency.py", description="Times one action of an exported policy."
    )
    parser.add_argument("--policy", type=pathlib.Path, required=True, help="an export")
    parser.add_argument("--actions", type=int, default=5000, help="how many (5000)")
    parser.add_argument("--core", type=int, default=0, help="the one to run on")
    return parser


if __name__ == "__main__":
    sys.exit(main())
