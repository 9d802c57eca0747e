"""Measures what checkpoints and checks cost, as shares of the run they are in.

    python benchmarks/checkpoint_cost.py --run_dir runs/cost --num_steps 30000

Both sides of each ratio are taken within one run, so that a machine that others use
slows them alike. The time of a run counts from its first training step on; what comes
before would only make the shares smaller.
"""

import argparse
import collections
import functools
import json
import pathlib
import sys
import time
from collections.abc import Callable, Sequence

from smoothie_tf import quiet
from smoothie_tf.training import files, huge_pages


class Clock:
    """Adds up the time spent within functions."""

    def __init__(self):
        self.seconds: collections.Counter[str] = collections.Counter()
        self.process_seconds: collections.Counter[str] = collections.Counter()
        self.calls: collections.Counter[str] = collections.Counter()
        self._started: tuple[float, float] | None = None

    def wrap(self, name: str, function: Callable) -> Callable:
        """Returns a function that counts towards a name, once the clock runs."""

        @functools.wraps(function)
        def timed(*args, **kwargs):
            wall, process = time.perf_counter(), time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                if self._started is not None:
                    self.seconds[name] += time.perf_counter() - wall
                    self.process_seconds[name] += time.process_time() - process
                    self.calls[name] += 1

        return timed

    def start(self) -> None:
        """Starts the clock, unless it runs."""
        if self._started is None:
            self._started = time.perf_counter(), time.process_time()

    def shares(self) -> dict[str, dict[str, float]]:
        """Returns calls, milliseconds a call and shares of the time since the start."""
        wall = time.perf_counter() - self._started[0]
        process = time.process_time() - self._started[1]
        return {
            name: {
                "calls": self.calls[name],
                "milliseconds": 1e3 * self.seconds[name] / self.calls[name],
                "share": self.seconds[name] / wall,
                "process_share": self.process_seconds[name] / process,
            }
            for name in self.calls
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs once from the beginning, and prints the shares."""
    as_program = arguments is None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agent", default="smoothie")
    parser.add_argument("--env", default="Hopper-v5")
    parser.add_argument("--num_steps", type=int, default=30_000)
    parser.add_argument("--run_dir", type=pathlib.Path, required=True)
    parser.add_argument("--gin_bindings", action="append", default=[])
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    flags = parser.parse_args(arguments)
    if flags.run_dir.exists():
        parser.error(f"--run_dir {flags.run_dir} is there already")
    if as_program:
        huge_pages.restart()
    quiet.silence_imports()
    import tensorflow as tf

    from smoothie_tf.training import checkpoint, config, train

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    clock = Clock()
    for owner, method, name in (
        (train.Trainer, "_save", "checkpoints"),
        (checkpoint.Checkpointer, "not_finite", "look at all variables"),
    ):
        setattr(owner, method, clock.wrap(name, getattr(owner, method)))

    begin = 0

    def on_step(trainer):
        # The first training steps compile.
        nonlocal begin
        begin = begin or trainer._config.initial_collect_steps + 100
        if trainer.step >= begin:
            clock.start()

    bindings = [*flags.gin_bindings, f"train.num_steps={flags.num_steps}"]
    try:
        config.parse(flags.agent, flags.env, "paper", bindings=bindings)
        interval = train.train().checkpoint_interval
        train.run(
            flags.agent, flags.env, 0, flags.run_dir, quiet=flags.quiet, on_step=on_step
        )
    except ValueError as error:
        print(f"checkpoint_cost.py: {error}", file=sys.stderr)
        return 2
    shares = clock.shares()
    size = sum(
        path.stat().st_size for path in (flags.run_dir / "checkpoints").glob("ckpt-*")
    )
    print(f"{flags.agent} on {flags.env}, a checkpoint every {interval:,} steps:")
    for name, values in shares.items():
        print(
            f"{name}: {values['calls']} times, {values['milliseconds']:.1f} ms each,"
            f" {100 * values['share']:.2f} % of the time,"
            f" {100 * values['process_share']:.2f} % of the CPU time"
        )
    print(f"The last two checkpoints take {size / 2**20:.1f} MiB.")
    result = flags.run_dir / "checkpoint_cost.json"
    files.replace(result, json.dumps(shares, indent=1) + "\n")
    print(f"The numbers are in {result}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
