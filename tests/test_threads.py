import subprocess
import sys

import pytest

RUN = """
import sys
import tensorflow as tf
from smoothie_tf.training import main

tf.config.threading.set_intra_op_parallelism_threads(2)
tf.matmul([[1.0]], [[1.0]])
arguments = ["--agent", "ddpg", "--env", "InvertedPendulum-v5", "--quiet"]
arguments += ["--run_dir", sys.argv[1], "--num_steps", "10"]
for binding in ("train.use_xla=False", "train.evaluation_episodes=1"):
    arguments += ["--gin_bindings", binding]
assert main.main(arguments) == 0
"""


@pytest.mark.slow
def test_a_process_that_has_used_tensorflow_trains_with_the_threads_it_has(tmp_path):
    # As in a notebook; it has another number of threads than a run has by default.
    done = subprocess.run(
        [sys.executable, "-c", RUN, tmp_path / "run"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (tmp_path / "run" / "metrics.csv").read_text().count("\n") == 2
    assert done.stdout == f"Results are in {tmp_path / 'run'}.\n"
    said = [line for line in done.stderr.splitlines() if "in this process" in line]
    assert said == [
        "TensorFlow has been used in this process before, with 2 threads in place of"
        " 1: the numbers may differ in their last digits from those of a process of"
        " its own."
    ]
