"""What trained policies do in the tasks of Figure 4, beyond their returns.

Some claims of Heess et al. (2015) are about behaviour: that an arm ends at its target,
that a machine still stands long after training's time limit and under more noise. Here
the mean action acts in fresh episodes, and what is claimed is counted.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from smoothie_tf import quiet
from smoothie_tf.environments import monoped, reacher
from smoothie_tf.experiments import grid, results
from smoothie_tf.experiments import svg_figures as figures

EPISODES = 50
_SEED = 12_345
#: Of its height when it stands straight: less has fallen.
STANDING = 0.7


@dataclasses.dataclass(frozen=True)
class Behaviour:
    """Something that a policy does, as one number.

    Attributes:
        name: What it is called in the table.
        env: The task.
        judge: Turns observations of an episode [T + 1, S] into its number, of which a
            policy's is the mean over episodes.
        arguments: Of `gymnasium.make`, where the task is not as in training.
    """

    name: str
    env: str
    judge: Callable[[np.ndarray], float]
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)


def _distances(observations: np.ndarray) -> np.ndarray:
    """Returns the reacher's distances of the tip from its target, m, shape [T + 1]."""
    tips = np.array([reacher.tip(each[:3]) for each in observations])
    targets = reacher.LINK * observations[:, 6:8]
    return np.linalg.norm(tips - targets, axis=-1)


def _ends_at_the_target(observations: np.ndarray) -> float:
    return float(_distances(observations)[-1] < figures.NEAR)


def _distance_in_the_second_half(observations: np.ndarray) -> float:
    return float(_distances(observations)[len(observations) // 2 :].mean())


def _distance_left(observations: np.ndarray) -> float:
    """Of the ball's way to its place, the share that is left in the end."""
    first, last = np.linalg.norm(observations[[0, -1], 20:22], axis=-1)
    return float(last / first)


def _stands(observations: np.ndarray) -> float:
    return float(observations[-1, 1] > STANDING * monoped.HEIGHT)


BEHAVIOURS = (
    Behaviour("ends at the target", figures.FOUR_TARGETS, _ends_at_the_target),
    Behaviour(
        "distance, second half", figures.MOVING_TARGET, _distance_in_the_second_half
    ),
    Behaviour("distance left", figures.GRIPPER, _distance_left),
    *(
        Behaviour(
            f"stands, {percent} % noise",
            figures.MONOPED,
            _stands,
            {"torque_noise": percent / 100, "max_episode_steps": 1000},
        )
        for percent in (5, 25)
    ),
)


def measure(
    runs: Sequence[grid.Run], out_dir: pathlib.Path, episodes: int = EPISODES
) -> None:
    """Lets the policies of finished runs act, and writes what they did.

    Args:
        runs: Those of Figure 4; of SVG(1)-ER those that are done and have a checkpoint
            count.
        out_dir: Where the table, `figures.BEHAVIOUR`, goes: a row a run and
            behaviour, with columns env, variant, seed, measure and value. Rows of runs
            whose checkpoints are not here any more are kept.
        episodes: Episodes of each policy.

    Raises:
        results.DamagedRunError: If a run cannot be restored.
    """
    quiet.silence_imports()
    path = out_dir / figures.BEHAVIOUR
    keys = ["env", "variant", "seed", "measure"]
    rows = []
    for run in runs:
        behaviours = [each for each in BEHAVIOURS if each.env == run.env]
        finished = grid.recorded_status(run.directory, run.num_steps)
        chosen = run.variant == figures.SVG1_ER.variant
        if not (chosen and behaviours and finished is grid.Status.DONE):
            continue
        agent = _agent(run)
        for behaviour in behaviours if agent is not None else ():
            seen = [
                behaviour.judge(each) for each in _roll_out(agent, behaviour, episodes)
            ]
            key = (run.env, run.variant, run.seed, behaviour.name)
            rows.append((*key, np.mean(seen)))
    if not rows:
        return
    table = pd.DataFrame(rows, columns=[*keys, "value"])
    if path.is_file():
        table = pd.concat([pd.read_csv(path), table])
        table = table.drop_duplicates(keys, keep="last")
    table.sort_values(keys).to_csv(path, index=False)


def _agent(run: grid.Run):
    """Returns the agent of a run's last checkpoint, if it still has one."""
    # TensorFlow takes seconds to import, which flags need not wait for.
    from smoothie_tf.training import saved_run

    try:
        saved = saved_run.SavedRun(run.directory)
        steps = saved.checkpoint_steps()
        return saved.restore(steps[-1]) if steps else None
    except ValueError as error:
        raise results.DamagedRunError(str(error)) from None


def _roll_out(agent, behaviour: Behaviour, episodes: int) -> list[np.ndarray]:
    """Returns the observations of each episode, all of which have one length."""
    import tensorflow as tf
    from tf_agents.trajectories import time_step as ts

    from smoothie_tf.environments import gymnasium_environment

    tasks = [
        gymnasium_environment.make(behaviour.env, **behaviour.arguments)
        for _ in range(episodes)
    ]
    act = tf.function(
        lambda observation: (
            agent.policy.action(ts.restart(observation, episodes)).action
        )
    )
    observations = [
        np.stack([task.reset(seed=_SEED + i)[0] for i, task in enumerate(tasks)])
    ]
    # None of these tasks terminates: all episodes end at the time limit.
    for _ in range(tasks[0].spec.max_episode_steps):
        actions = act(observations[-1]).numpy()
        steps = [task.step(a) for task, a in zip(tasks, actions, strict=True)]
        observations.append(np.stack([step[0] for step in steps]))
    for task in tasks:
        task.close()
    return list(np.stack(observations, axis=1))
