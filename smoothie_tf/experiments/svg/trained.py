"""Restores agents of finished runs, lets them act, and saves the measurements.

Importing this module does not import TensorFlow, which takes seconds, so that commands
can check their flags first.
"""

import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import gymnasium
import numpy as np
import pandas as pd

from smoothie_tf import quiet
from smoothie_tf.experiments.evidence import metrics
from smoothie_tf.runs import prefix
from smoothie_tf.runs.run import Run

EPISODES = 50
_SEED = 12_345
#: Columns that identify a row of a table; the remaining column is its value.
KEYS = ["env", "variant", "seed", "measure"]


def measure(
    runs: Iterable[Run],
    judge: Callable[[Run, Any], Mapping[str, float]],
    path: pathlib.Path,
) -> None:
    """Measures the agents of runs, and writes one row per run and measure.

    Args:
        runs: The runs. Those that are not done, or whose last checkpoint does not
            exist, are skipped.
        judge: Computes the measures of a run from it and its agent.
        path: The table, with columns env, variant, seed, measure and value. Existing
            rows of skipped runs are kept.

    Raises:
        metrics.DamagedRunError: If a run cannot be restored.
    """
    quiet.silence_imports()
    rows = []
    for run in runs:
        agent = _agent(run)
        for name, value in judge(run, agent).items() if agent is not None else ():
            rows.append((run.env, run.variant, run.seed, name, value))
    if not rows:
        return
    table = pd.DataFrame(rows, columns=[*KEYS, "value"])
    if path.is_file():
        known = metrics.read_table(path, columns=[*KEYS, "value"])
        table = pd.concat([known, table])
        table = table.drop_duplicates(KEYS, keep="last")
    metrics.write_table(table.sort_values(KEYS), path)


def _agent(run: Run) -> Any:
    """Returns the agent of a finished run, or None if its checkpoint is missing."""
    if not prefix.is_done(run):
        return None
    from smoothie_tf.export import saved_run

    try:
        saved = saved_run.SavedRun(prefix.locate(run).directory)
        # A run that was resumed with more steps may no longer have this checkpoint.
        if run.num_steps not in saved.checkpoint_steps():
            return None
        return saved.restore(run.num_steps)
    except ValueError as error:
        raise metrics.DamagedRunError(str(error)) from None


def roll_out(
    act: Callable[[np.ndarray], np.ndarray],
    env: str,
    episodes: int = EPISODES,
    **arguments: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """Lets a policy act in several episodes at the same time.

    Args:
        act: Returns actions, shape [E, A], for observations, shape [E, S].
        env: Gymnasium id of a task without terminations, so that every episode has the
            same length T.
        episodes: E.
        arguments: Arguments of `gymnasium.make` that differ from training.

    Returns:
        Observations, shape [E, T + 1, S], and actions, shape [E, T, A].
    """
    from smoothie_tf.environments import gymnasium_environment

    tasks: list[gymnasium.Env] = [
        gymnasium_environment.make(env, **arguments) for _ in range(episodes)
    ]
    observations = [
        np.stack([task.reset(seed=_SEED + i)[0] for i, task in enumerate(tasks)])
    ]
    actions = []
    known = gymnasium_environment.known_to_agents(tasks[0])
    for _ in range(known["max_episode_steps"]):
        actions.append(act(observations[-1]))
        steps = [task.step(a) for task, a in zip(tasks, actions[-1], strict=True)]
        observations.append(np.stack([step[0] for step in steps]))
    for task in tasks:
        task.close()
    return np.stack(observations, axis=1), np.stack(actions, axis=1)
