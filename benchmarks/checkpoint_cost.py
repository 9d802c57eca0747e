"""Measures the share of a run's time that its checkpoints take.

python benchmarks/checkpoint_cost.py --env Hopper-v5 --num_steps 30000
"""

import sys
import tempfile
import time
from collections.abc import Sequence

from smoothie_tf import command_line, program, quiet


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains a run, and prints the time that its checkpoints took."""
    parser = command_line.Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--agent", default="smoothie")
    parser.add_argument("--env", default="Hopper-v5")
    parser.add_argument("--num_steps", type=int, default=30_000)
    parser.add_argument("--gin_bindings", action="append", default=[])
    flags = parser.parse_args(arguments)
    quiet.silence_imports()
    import tensorflow as tf

    from smoothie_tf.training import config, process, train

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    bindings = [*flags.gin_bindings, f"train.num_steps={flags.num_steps}"]
    config.parse(flags.agent, flags.env, "short", (), bindings)
    wall, cpu = [], []
    save, run = train.Trainer._save, train.Trainer.run
    total = []

    def timed(function, walls, cpus):
        def call(*given, **options):
            started = time.monotonic(), time.process_time()
            try:
                return function(*given, **options)
            finally:
                walls.append(time.monotonic() - started[0])
                cpus.append(time.process_time() - started[1])

        return call

    train.Trainer._save = timed(save, wall, cpu)
    train.Trainer.run = timed(run, total, total_cpu := [])
    with tempfile.TemporaryDirectory() as directory:
        process.run(flags.agent, flags.env, 0, directory, quiet=True)
    print(
        f"{len(wall)} checkpoints of {flags.agent} on {flags.env} took"
        f" {100 * sum(wall) / total[0]:.2f} % of {total[0]:.0f} s of training"
        f" ({1000 * sum(wall) / len(wall):.0f} ms each;"
        f" {100 * sum(cpu) / total_cpu[0]:.2f} % of its processor time)."
    )
    return 0


if __name__ == "__main__":
    sys.exit(program.run(main))
