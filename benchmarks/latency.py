"""Measures the latency of one action of an exported policy, on one core.

python benchmarks/latency.py --policy policy
"""

import argparse
import json
import os
import pathlib
import sys
import time
from collections.abc import Callable, Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

_DESCRIPTION = "Measures the latency of one action of an exported policy, on one core."
_WARM_UP_CALLS = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures each way to call a policy and prints a Markdown table.

    Args:
      arguments: The command's arguments; those of the process if None.

    Returns:
      Exit status: 0 done, 2 bad input.
    """
    flags = _parser().parse_args(arguments)
    # All of TensorFlow's threads share one core, as on a small computer.
    core = min(os.sched_getaffinity(0)) if flags.core is None else flags.core
    os.sched_setaffinity(0, {core})
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    try:
        ways = _ways(flags.policy)
    except (OSError, LookupError, ValueError) as error:
        line = str(error).splitlines()[0]
        print(f"latency.py: --policy {flags.policy}: {line}", file=sys.stderr)
        return 2
    print("| one action by | median µs | 99th percentile µs | CPU µs |")
    print("|---|---:|---:|---:|")
    for name, act in ways.items():
        wall, processor = measure(act, flags.calls)
        median, high = np.percentile(wall, [50, 99])
        print(f"| `{name}` | {median:.0f} | {high:.0f} | {processor:.0f} |")
    busy = os.getloadavg()[0]
    print(
        f"\n{flags.calls:,} calls each on one of {os.cpu_count()} cores of"
        f" {_processor()}; load average {busy:.1f}; TensorFlow {tf.__version__}."
    )
    return 0


def measure(act: Callable[[], object], calls: int) -> tuple[np.ndarray, float]:
    """Measures the wall time of each call, and the mean processor time of a call.

    Args:
      act: The function to call.
      calls: The number of calls, at least 1.

    Returns:
      Wall times, shape [calls], and the mean processor time, all in microseconds.
    """
    for _ in range(_WARM_UP_CALLS):
        act()
    wall = np.empty(calls)
    processor = time.process_time()
    for i in range(calls):
        started = time.perf_counter()
        act()
        wall[i] = time.perf_counter() - started
    return wall * 1e6, (time.process_time() - processor) / calls * 1e6


def _ways(directory: pathlib.Path) -> dict[str, Callable[[], object]]:
    """Returns functions that compute a NumPy action from a NumPy observation."""
    description = json.loads((directory / "policy.json").read_text(encoding="utf-8"))
    if description["observation"]["type"] != "Box":
        raise ValueError(
            "its observations are nested, but only policies of arrays can be measured."
        )
    observation = np.array(description["pairs"][0]["observation"], np.float32)
    observation = observation[np.newaxis]
    policy = tf.saved_model.load(os.fspath(directory))
    signature = policy.signatures["serving_default"]
    (name,) = signature.structured_input_signature[1]
    # A signature holds no reference to the loaded model: the second function holds one.
    ways = {
        "policy.action": lambda: policy.action(observation).numpy(),
        "serving_default": lambda: (
            policy and signature(**{name: tf.constant(observation)})["action"].numpy()
        ),
    }
    lite = directory / "policy.tflite"
    if lite.exists():
        interpreter = tf.lite.Interpreter(os.fspath(lite), num_threads=1)
        interpreter.allocate_tensors()
        source = interpreter.get_input_details()[0]["index"]
        result = interpreter.get_output_details()[0]["index"]

        def invoke():
            interpreter.set_tensor(source, observation)
            interpreter.invoke()
            return interpreter.get_tensor(result)

        ways["policy.tflite"] = invoke
    return ways


def _processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "this machine"
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return names[0] if names else "this machine"


def _parser():
    parser = argparse.ArgumentParser(prog="latency.py", description=_DESCRIPTION)
    parser.add_argument(
        "--policy",
        type=pathlib.Path,
        required=True,
        help="a directory that export.py wrote",
    )
    parser.add_argument(
        "--calls",
        type=int,
        default=10_000,
        help="number of calls of each kind; default 10,000",
    )
    parser.add_argument("--core", type=int, help="core to run on; default: the first")
    return parser


if __name__ == "__main__":
    # Without `program.run`, which this script does not import, a µ that the terminal
    # lacks would raise.
    sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(main())
