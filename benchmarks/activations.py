"""Compares the time of a critic's activations with that of tanh, compiled by XLA.

python benchmarks/activations.py --rounds 9
"""

import sys
import time
from collections.abc import Sequence

import numpy as np

from smoothie_tf import command_line, program, quiet

_NAMES = "tanh", "squareplus", "softplus", "relu"
# A minibatch, and the units of the paper's critic.
_SHAPE = 128, 700
_CALLS = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the time of each activation and its gradient, relative to tanh."""
    parser = command_line.Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", action=command_line.AtLeast, default=9)
    flags = parser.parse_args(arguments)
    quiet.silence_imports()
    import tensorflow as tf

    from smoothie_tf.networks import dense
    from smoothie_tf.training import compiled

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    def made(name):
        activation = dense.activation_of(name)

        def function(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = activation(x)
            return y, tape.gradient(y, x)

        return compiled.Compiled(function)

    x = tf.random.stateless_normal(_SHAPE, (0, 0), stddev=3.0)
    functions = {name: made(name) for name in _NAMES}
    for function in functions.values():
        function(x)
    # Alternating, so that a change of the machine's speed concerns all of them.
    ratios = {name: [] for name in _NAMES}
    for _ in range(flags.rounds):
        seconds = {name: _seconds(each, x) for name, each in functions.items()}
        for name in _NAMES:
            ratios[name].append(seconds[name] / seconds["tanh"])
    print("| activation and gradient | time compared with tanh's, median (range) |")
    print("|---|---:|")
    for name, each in ratios.items():
        print(f"| {name} | {np.median(each):.2f} ({min(each):.2f}–{max(each):.2f}) |")
    return 0


def _seconds(function, x):
    start = time.process_time()
    for _ in range(_CALLS):
        function(x)
    return time.process_time() - start


if __name__ == "__main__":
    sys.exit(program.run(main))
