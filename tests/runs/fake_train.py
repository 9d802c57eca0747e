"""Leaves what `reproduce/train.py` leaves in a run's directory, without learning.

Takes the same flags. A file `behaviour` in the run's directory asks for more than
success: `fail`, `fail once`, `refuse`, `vanish`, `report`, `steady`, `slow` or
`stubborn`.
"""

import argparse
import json
import os
import pathlib
import signal
import sys
import time

from smoothie_tf.training import gin_text

METRICS = (
    "step,evaluation_return_mean,evaluation_return_std,training_return,policy_stddev,"
    "q,actor_loss,critic_loss,kl,steps_per_second\n"
)
STEPS_A_TICK = 100
SECONDS_A_TICK = {"steady": 0.2, "slow": 30, "stubborn": 30}


def write_json(path, values):
    """Replaces a file in one go."""
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(values))
    os.replace(beside, path)


def main():
    parser = argparse.ArgumentParser()
    for flag in ("agent", "env", "preset", "run_dir"):
        parser.add_argument(f"--{flag}", required=True)
    for flag in ("seed", "num_steps"):
        parser.add_argument(f"--{flag}", type=int, required=True)
    parser.add_argument("--quiet", action="store_true", required=True)
    parser.add_argument("--values")
    parser.add_argument("--values_digest")
    parser.add_argument("--untuned", action="store_true")
    parser.add_argument("--gin_bindings", action="append", default=[])
    flags = parser.parse_args()
    gin_text.check_num_steps(flags.num_steps, flags.gin_bindings)
    run_dir = pathlib.Path(flags.run_dir)
    checkpoint = run_dir / "checkpoints" / "ckpt-0.json"
    checkpoint.parent.mkdir(exist_ok=True)
    step = int(checkpoint.read_text()) if checkpoint.exists() else 0
    starts = run_dir / "starts"
    with open(starts, "a") as file:
        file.write(f"{step}\n")
    behaviour = run_dir / "behaviour"
    behaviour = behaviour.read_text() if behaviour.exists() else ""
    record = {
        "agent": flags.agent,
        "env": flags.env,
        "seed": flags.seed,
        "num_steps": flags.num_steps,
        "gin_bindings": flags.gin_bindings,
        "threads": os.environ["OMP_NUM_THREADS"],
        "commit": "0" * 40,
    }

    def note(status):
        write_json(run_dir / "run.json", {**record, "status": status})

    if behaviour == "refuse":
        sys.exit(print("--agent: no such agent.", file=sys.stderr) or 2)
    note("running")
    if behaviour == "stubborn":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if behaviour == "fail" or (
        behaviour == "fail once" and len(starts.read_text().split()) == 1
    ):
        note("failed")
        print("Traceback of some length\nValueError: the simulation diverged.")
        sys.exit(1)
    if behaviour == "vanish":
        sys.exit(0)
    metrics = run_dir / "metrics.csv"
    if not metrics.exists():
        metrics.write_text(METRICS)
    try:
        while step < flags.num_steps:
            step += STEPS_A_TICK
            value = step / 10 + flags.seed
            stddev = "" if flags.agent == "ddpg" else "0.5"
            with open(metrics, "a") as file:
                file.write(f"{step},{value},1.0,,{stddev},0.0,0.0,0.0,,50.0\n")
            write_json(checkpoint, step)
            progress = {"step": step, "num_steps": flags.num_steps}
            write_json(run_dir / "progress.json", {**progress, "steps_per_second": 50})
            time.sleep(SECONDS_A_TICK.get(behaviour, 0.01))
    except KeyboardInterrupt:
        note("interrupted")
        sys.exit(130)
    note("done")
    if behaviour == "report":
        print(f"The rewards of this task are large: {flags.seed}.", file=sys.stderr)
    print(f"Results are in {run_dir}.")


if __name__ == "__main__":
    main()
