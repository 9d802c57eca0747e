"""Restores agents of finished runs, lets them act, and saves the measurements.

Importing this module imports no TensorFlow, which takes seconds, so that commands check
their flags first.
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
#: What a row of a table is about; beside them is its value.
KEYS = ["env", "variant", "seed", "measure"]


def measure(
    runs: Iterable[Run],
    judge: Callable[[Run, Any], Mapping[str, float]],
    path: pathlib.Path,
) -> None:
    """Judges the agents of runs, and writes a row a run and measure.

    Args:
        runs: Those that are not done, or have no checkpoint here, are left out.
        judge: Turns a run and its agent into numbers by name.
        path: The table, with columns env, variant, seed, measure and value. Rows of
            runs whose checkpoints are not here any more are kept.

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
        table = pd.concat([pd.read_csv(path), table])
        table = table.drop_duplicates(KEYS, keep="last")
    table.sort_values(KEYS).to_csv(path, index=False)


def _agent(run: Run) -> Any:
    """Returns the agent of a finished run's last checkpoint, if it still has one."""
    if not prefix.is_done(run):
        return None
    from smoothie_tf.export import saved_run

    try:
        saved = saved_run.SavedRun(prefix.locate(run).directory)
        # One that went on from there has become another policy.
        there = run.num_steps in saved.checkpoint_steps()
        return saved.restore(run.num_steps) if there else None
    except ValueError as error:
        raise metrics.DamagedRunError(str(error)) from None


def roll_out(
    act: Callable[[np.ndarray], np.ndarray],
    env: str,
    episodes: int = EPISODES,
    **arguments: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """Lets a policy act in episodes side by side.

    Args:
        act: Turns observations [E, S] into actions [E, A].
        env: A task that does not terminate, so that all episodes have one length T.
        episodes: E.
        arguments: Of `gymnasium.make`, where the task is not as in training.

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
    for _ in range(tasks[0].spec.max_episode_steps):
        actions.append(act(observations[-1]))
        steps = [task.step(a) for task, a in zip(tasks, actions[-1], strict=True)]
        observations.append(np.stack([step[0] for step in steps]))
    for task in tasks:
        task.close()
    return np.stack(observations, axis=1), np.stack(actions, axis=1)
