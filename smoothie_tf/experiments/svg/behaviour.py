"""Measures the behaviour of trained policies in the tasks of the SVG paper's Figure 4.

Some claims of Heess et al. (2015) are about behaviour, for example that the reacher
ends at its target, or that the monoped stands longer than an episode of training and
with more noise. Here the policy's mean action acts in new episodes, and the claimed
behaviour is measured.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from smoothie_tf.environments import monoped, reacher
from smoothie_tf.experiments.figures import svg as figures
from smoothie_tf.experiments.svg import trained
from smoothie_tf.runs.run import Run

#: The monoped stands if it is above this share of its upright height.
STANDING = 0.7


@dataclasses.dataclass(frozen=True)
class Behaviour:
    """A measure of a policy's behaviour.

    Attributes:
        name: Name in the table.
        env: Gymnasium id of the task.
        judge: Computes the measure of a policy from the observations of its episodes,
            each of shape [T + 1, S].
        arguments: Arguments of `gymnasium.make` that differ from training.
    """

    name: str
    env: str
    judge: Callable[[Sequence[np.ndarray]], float]
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)


def _distances(observations: np.ndarray) -> np.ndarray:
    """Returns distances of the reacher's tip from its target, in m, shape [T + 1]."""
    tips = np.array([reacher.tip(each[:3]) for each in observations])
    targets = reacher.LINK * observations[:, 6:8]
    return np.linalg.norm(tips - targets, axis=-1)


def _ends_at_the_target(observations: np.ndarray) -> float:
    return float(_distances(observations)[-1] < figures.NEAR)


def _distance_in_the_second_half(observations: np.ndarray) -> float:
    return float(_distances(observations)[len(observations) // 2 :].mean())


def _distance_left(episodes: Sequence[np.ndarray]) -> float:
    """Returns the ratio of the sums of the ball's last and first distances.

    The mean of the episodes' ratios would depend on the few that start near the goal.
    """
    pairs = [np.linalg.norm(each[[0, -1], 20:22], axis=-1) for each in episodes]
    first, last = np.sum(pairs, axis=0)
    return float(last / first)


def _stands(observations: np.ndarray) -> float:
    return float(observations[-1, 1] > STANDING * monoped.HEIGHT)


def _mean_of(
    judge: Callable[[np.ndarray], float],
) -> Callable[[Sequence[np.ndarray]], float]:
    """Returns a measure that is the mean of a measure of episodes."""
    return lambda episodes: float(np.mean([judge(each) for each in episodes]))


BEHAVIOURS = (
    Behaviour(
        "ends at the target", figures.FOUR_TARGETS, _mean_of(_ends_at_the_target)
    ),
    Behaviour(
        "distance, second half",
        figures.MOVING_TARGET,
        _mean_of(_distance_in_the_second_half),
    ),
    Behaviour("distance left", figures.GRIPPER, _distance_left),
    *(
        Behaviour(
            f"stands, {percent} % noise",
            figures.MONOPED,
            _mean_of(_stands),
            {"torque_noise": percent / 100, "max_episode_steps": 1000},
        )
        for percent in (5, 25)
    ),
)


def measure(runs: Sequence[Run], out_dir: pathlib.Path) -> None:
    """Measures the policies of finished runs, and writes the table.

    Args:
        runs: Runs of Figure 4; only those of SVG(1)-ER are measured.
        out_dir: Directory of the table `figures.BEHAVIOUR`; see `trained.measure`.

    Raises:
        metrics.DamagedRunError: If a run cannot be restored.
    """

    def judge(run, agent):
        act = _mean_action(agent)
        numbers = {}
        for each in BEHAVIOURS:
            if each.env == run.env:
                seen, _ = trained.roll_out(act, run.env, **each.arguments)
                numbers[each.name] = each.judge(seen)
        return numbers

    watched = {behaviour.env for behaviour in BEHAVIOURS}
    chosen = [
        run
        for run in runs
        if run.variant == figures.SVG1_ER.variant and run.env in watched
    ]
    trained.measure(chosen, judge, out_dir / figures.BEHAVIOUR)


def _mean_action(agent):
    import tensorflow as tf
    from tf_agents.trajectories import time_step as ts

    act = tf.function(
        lambda observation: (
            agent.policy.action(ts.restart(observation, trained.EPISODES)).action
        )
    )
    return lambda observation: act(observation).numpy()
