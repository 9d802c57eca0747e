"""Runs that have never been made: what they would have left behind."""

import json
from collections.abc import Sequence

import numpy as np

from smoothie_tf.experiments.evidence import metrics
from smoothie_tf.runs.run import Run

_VALUES = {
    "evaluation_return_std": 1.0,
    "training_return": "",
    "policy_stddev": 0.3,
    "q": 0.0,
    "actor_loss": 0.0,
    "critic_loss": 0.0,
    "kl": "",
    "steps_per_second": 50.0,
}


def write_run(
    run: Run,
    returns: Sequence[float],
    steps: Sequence[int] | None = None,
    status: str = "done",
    record: dict | None = None,
    **columns: float | str,
) -> None:
    """Leaves a run's metrics.csv and run.json.

    Args:
        run: Which run.
        returns: Those of its evaluations.
        steps: When they were; `None` for evenly, up to the run's end.
        status: Of its run.json.
        record: What else its run.json says.
        **columns: Of its metrics.csv, where they are not the usual.
    """
    run.directory.mkdir(parents=True, exist_ok=True)
    if steps is None:
        steps = np.linspace(0, run.num_steps, len(returns) + 1)[1:].astype(int)
    lines = [",".join(metrics.METRICS)]
    for step, value in zip(steps, returns, strict=True):
        row = {"step": step, "evaluation_return_mean": value, **_VALUES, **columns}
        lines.append(",".join(str(row[column]) for column in metrics.METRICS))
    (run.directory / "metrics.csv").write_text("\n".join(lines) + "\n")
    facts = {key: getattr(run, key) for key in ("agent", "env", "seed", "num_steps")}
    facts |= {"gin_bindings": list(run.gin_bindings), "status": status, "commit": "abc"}
    (run.directory / "run.json").write_text(json.dumps(facts | (record or {})))
