"""The claims of Heess et al. (2015), S1 to S13, each with the rule of its verdict.

The rules were written before any of their runs had been made. Two numbers of a run
count: its final return, the mean of the last tenth of its evaluations, and its area,
the mean of all, which is the greater the sooner a run learns.
"""

import pathlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from smoothie_tf.experiments.evidence import evidence, metrics, statistics
from smoothie_tf.experiments.figures import svg as figures
from smoothie_tf.experiments.figures.grids import Arm, Figure, grid
from smoothie_tf.experiments.report import claims, tables
from smoothie_tf.experiments.svg import trained
from smoothie_tf.runs.run import Run, read_preset
from smoothie_tf.runs.status import read_json

_PRESET = "svg"
_MOST = 0.9
#: "Barely improves": at most this share of what the other arm does.
_LITTLE = 1 / 3


class Evidence:
    """Reads what results/ holds of the figures; what is not there yet is missing."""

    def __init__(
        self, results_dir: pathlib.Path, of: Sequence[Figure] = figures.FIGURES
    ):
        """Reads everything.

        Args:
            results_dir: As `reproduce/collect.py`, `svg_figure2.py` and
                `svg_figure4.py` leave it.
            of: The figures whose runs are wanted.

        Raises:
            metrics.DamagedRunError: If a file is there and cannot be read.
        """
        root = results_dir / "runs"
        self.preset = read_preset(_PRESET)
        seeds = sorted(
            {
                int(path.name.removeprefix("seed"))
                for path in (root / self.preset.label).glob("*/*/seed*")
                if path.name.removeprefix("seed").isdigit()
            }
        )
        runs = {
            run.directory: run
            for figure in of
            for run in grid(figure, self.preset, seeds=seeds, root=root)
            if (run.directory / "metrics.csv").is_file() and _asked_for(run)
        }
        self.runs = list(runs.values())
        self.frame = metrics.read_runs(self.runs)
        self.measures = measure(self.frame)
        of_figure_2, of_figure_4 = (
            results_dir / f"{figure.name}-{_PRESET}"
            for figure in (figures.SVG_FIGURE_2, figures.SVG_FIGURE_4)
        )
        self.models = _read_measured(of_figure_2 / figures.MODELS)
        self.behaviour = _read_measured(of_figure_4 / figures.BEHAVIOUR)

    def arm(self, env: str, arm: Arm, column: str) -> np.ndarray:
        """Returns a column of `measure` of an arm on a task, by seed, shape [N]."""
        table = self.measures
        chosen = (table["env"] == env) & (table["variant"] == arm.variant)
        return table.loc[chosen].sort_values("seed")[column].to_numpy()

    def has(self, env: str, arms: Sequence[Arm]) -> bool:
        """Says whether all arms on a task have runs enough to be judged."""
        return all(
            len(self.arm(env, arm, "final")) >= evidence.LEAST_SEEDS for arm in arms
        )

    def behaved(self, env: str, measure_name: str) -> np.ndarray:
        """Returns what trained policies did on a task, a number a run, shape [N]."""
        table = self.behaviour
        chosen = (table["env"] == env) & (table["measure"] == measure_name)
        return table.loc[chosen].sort_values("seed")["value"].to_numpy()

    def modelled(self, arm: Arm, measure_name: str) -> np.ndarray:
        """Returns how good an arm's models of Hand are, a number a run, shape [N]."""
        table = self.models
        chosen = (table["variant"] == arm.variant) & (table["measure"] == measure_name)
        return table.loc[chosen].sort_values("seed")["value"].to_numpy()

    def progress(self, env: str, arms: Sequence[Arm]) -> str:
        """Says how many finished runs of arms on a task there are, where few."""
        counts = {arm.variant: len(self.arm(env, arm, "final")) for arm in arms}
        if not any(counts.values()):
            return "no run"
        return ", ".join(f"{variant} {count}" for variant, count in counts.items())


def _asked_for(run: Run) -> bool:
    """Says whether the run was to be as long, or is only another figure's as yet."""
    return read_json(run.directory / "run.json").get("num_steps", 0) >= (run.num_steps)


def measure(frame: pd.DataFrame) -> pd.DataFrame:
    """Reduces each finished run to the numbers that count.

    Args:
        frame: As `metrics.read_runs` returns it.

    Returns:
        One row a run: env, variant, seed, first (evaluation), final and area.
    """
    rows = []
    finished = frame[frame["finished"].astype(bool)]
    for key, run in finished.groupby(["env", "variant", "seed"], sort=False):
        returns = run.sort_values("step")["evaluation_return_mean"]
        last = metrics.last_evaluations(returns, max(1, len(returns) // 10))
        rows.append((*key, returns.iloc[0], last.mean(), returns.mean()))
    columns = ["env", "variant", "seed", "first", "final", "area"]
    return pd.DataFrame(rows, columns=columns)


def claims_of(found: Evidence) -> list[claims.Claim]:
    """Lists the claims in the order of the paper's figures.

    Args:
        found: What they are judged by.
    """
    ahead = (
        "reproduced: the 95 % interval of the difference {} is above 0 against each; "
        "not: it is below 0 against one; else partly, which with few runs means "
        "undecided"
    )
    listed = [
        (
            "S1: on Hand, SVG(∞) learns and the planner barely improves",
            "Figure 2, left",
            "reproduced: the interval of the difference of final returns is above 0, "
            "and the planner gains at most a third of what SVG(∞) gains from its first "
            "evaluation; not: it is below 0, or neither holds (the latter added when "
            "runs had been seen); else partly",
            _command(2, figures.HAND),
            _hand,
        ),
        (
            "S2: on cart-pole, SVG(1)-ER learns fastest",
            "Figure 2, middle",
            ahead.format("of areas"),
            _command(2, figures.CARTPOLE),
            lambda found: _ahead(
                found,
                figures.CARTPOLE,
                figures.SVG1_ER,
                (figures.SVG1, figures.SVG0, figures.SVG_INFINITY, figures.DPG),
                ("area",),
            ),
        ),
        (
            "S3: a smaller value function hurts SVG(1) less than DPG",
            "Figure 2, right",
            "of what 50 units in place of 200 lose of the final return, DPG's loss "
            "less SVG(1)'s. reproduced: its interval is above 0; not: below 0; else "
            "partly",
            _command(2, figures.CARTPOLE),
            _value_units,
        ),
        (
            "S4: on the 3-link swimmer, SVG(1) outperforms the actor-critic and SVG(∞) "
            "is slightly ahead",
            "Figure 3, left; Section 6.1",
            "reproduced: the interval of SVG(1)'s final return less the actor-critic's "
            "is above 0, and SVG(∞)'s mean is at least SVG(1)'s; not: that interval is "
            "below 0; else partly",
            _command(3, figures.SWIMMER_3),
            _swimmer_3,
        ),
        (
            "S5: a smaller model hurts SVG(∞), and not SVG(1)",
            "Figure 3, middle",
            "of what 5 units in place of 20 lose of the final return. reproduced: the "
            "interval of SVG(∞)'s loss is above 0 and so is that of its loss less "
            "SVG(1)'s, and SVG(1)'s own is not; not: the second is below 0; else "
            "partly. Partly at best if SVG(1) with 20 units has not learned and so "
            "has nothing to lose: the interval of its final return less its first "
            "evaluation is not above 0 (added when runs had been seen)",
            _command(3, figures.SWIMMER_3),
            _model_units,
        ),
        (
            "S6: on the 5-link swimmer, SVG(1)-ER is fastest and ends highest",
            "Figure 3, right",
            ahead.format("of final returns, and of areas,"),
            _command(3, figures.SWIMMER_5),
            lambda found: _ahead(
                found,
                figures.SWIMMER_5,
                figures.SVG1_ER,
                (figures.SVG1, figures.SVG_INFINITY, figures.ACTOR_CRITIC),
                ("final", "area"),
            ),
        ),
        (
            "S7: on the 7-link swimmer, SVG(1) outperforms the actor-critic, and "
            "replay improves it",
            "Figure 4; Section 6.1",
            "of the differences of final returns: reproduced: the interval of SVG(1) "
            "over the actor-critic is above 0, and that of SVG(1)-ER over SVG(1) not "
            "below 0; not: one is below 0; else partly",
            _command(4, figures.SWIMMER_7),
            _swimmer_7,
        ),
        (
            "S8: on the 4-target reacher, SVG(1)-ER is ahead and ends at the target",
            "Figure 4; Section 6.2",
            "reproduced: the intervals of the differences of final returns and of "
            "areas are above 0 against each, and in at least 90 % of episodes, on "
            f"average, the tip ends within {figures.NEAR} m; not: an interval is below "
            "0; else partly",
            _command(4, figures.FOUR_TARGETS),
            _four_targets,
        ),
        (
            "S9: the reacher follows a moving target",
            "Section 6.2",
            "reproduced: in every run the tip is, in the second half of an episode and "
            f"on average, within {figures.NEAR} m; partly: in one run; else not",
            _command(4, figures.MOVING_TARGET, seeds=3),
            lambda found: _every_run(
                found,
                figures.MOVING_TARGET,
                "distance, second half",
                lambda metres: metres <= figures.NEAR,
                "m to the target",
                3,
            ),
        ),
        (
            "S10: the gripper brings the ball to its place",
            "Section 6.2",
            "of the ball's distance from its place at an episode's end, as a share of "
            "that at its start: reproduced: at most a half on average in every run; "
            "partly: in one; else not",
            _command(4, figures.GRIPPER, seeds=3),
            lambda found: _every_run(
                found,
                figures.GRIPPER,
                "distance left",
                lambda share: share <= 0.5,
                "of the ball's way left",
                2,
            ),
        ),
        (
            "S11: the monoped balances far beyond 200 steps, also with 25 % noise",
            "Section 6.2",
            "of episodes of 1,000 steps: reproduced: with 25 % noise it stands in the "
            "end in at least half, on average over runs; partly: with 5 %; else not",
            _command(4, figures.MONOPED),
            _monoped,
        ),
        (
            "S12: Half-Cheetah makes good progress in every repeat, with springs and "
            "without",
            "Section 6.2",
            "reproduced: every run's final return, which counts metres less torques, "
            "is above 0 on both; partly: at least half of them; else not",
            _command(4, *figures.CHEETAHS),
            _cheetahs,
        ),
        (
            "S13: the walker walks, at similar returns in every repeat",
            "Section 6.2",
            "reproduced: every run's final return is above 1,000, which standing still "
            "reaches at best, and within 50 % of their mean; partly: every run's is "
            "above 1,000; else not",
            _command(4, figures.WALKER),
            _walker,
        ),
    ]
    return [
        claims.Claim(
            statement,
            f"SVG, {source}",
            rule,
            command,
            lambda _, judge=judge: judge(found),
        )
        for statement, source, rule, command, judge in listed
    ]


def _command(number: int, *envs: str, seeds: int | None = None) -> str:
    words = f"python reproduce/svg_figure{number}.py --preset {_PRESET} --envs "
    words += " ".join(envs)
    if seeds:
        words += f" --seeds {seeds}"
    return f"{words} && python reproduce/collect.py --presets {_PRESET}"


def _ahead(found, env, ours, others, columns) -> claims.Finding:
    """Holds an arm against each of the others."""
    arms = (ours, *others)
    if not found.has(env, arms):
        return _not_yet(found, env, arms)
    estimates = {
        (other, column): statistics.difference(
            found.arm(env, ours, column), found.arm(env, other, column)
        )
        for other in others
        for column in columns
    }
    number = ", ".join(
        f"{_gap(estimate)} over {other.label} ({_NAMES[column]})"
        for (other, column), estimate in estimates.items()
    )
    return claims.Finding(_sign(estimates.values()), number, _counts(found, env, arms))


def _hand(found) -> claims.Finding:
    arms = (figures.SVG_INFINITY, figures.PLANNER)
    if not found.has(figures.HAND, arms):
        return _not_yet(found, figures.HAND, arms)
    ours, theirs = (found.arm(figures.HAND, arm, "final") for arm in arms)
    gains = [
        final.mean() - found.arm(figures.HAND, arm, "first").mean()
        for arm, final in zip(arms, (ours, theirs), strict=True)
    ]
    estimate = statistics.difference(ours, theirs)
    verdict = _sign([estimate])
    if gains[1] > _LITTLE * gains[0]:
        ahead = verdict == claims.REPRODUCED
        verdict = claims.PARTLY if ahead else claims.NOT
    number = f"{_gap(estimate)}; gains {_number(gains[0])} against {_number(gains[1])}"
    return claims.Finding(verdict, number, _counts(found, figures.HAND, arms))


def _losses(found, env, smaller, arms, sizes):
    """Returns counts, and what two arms lose by size, and the first more; or None."""
    four = [smaller(arm, size) for arm in arms for size in (sizes[0], sizes[-1])]
    if not found.has(env, four):
        return _not_yet(found, env, four), None
    finals = [found.arm(env, arm, "final") for arm in four]
    own = [statistics.difference(*finals[:2]), statistics.difference(*finals[2:])]
    return _counts(found, env, four), [*own, statistics.excess(*finals)]


def _value_units(found) -> claims.Finding:
    counts, losses = _losses(
        found,
        figures.CARTPOLE,
        figures.with_value_units,
        (figures.DPG, figures.SVG1),
        figures.VALUE_UNITS,
    )
    if losses is None:
        return counts
    number = f"DPG loses {_gap(losses[0])}, SVG(1) {_gap(losses[1])}: {_gap(losses[2])}"
    return claims.Finding(_sign(losses[2:]), number, counts)


def _model_units(found) -> claims.Finding:
    counts, losses = _losses(
        found,
        figures.SWIMMER_3,
        figures.with_model_units,
        (figures.SVG_INFINITY, figures.SVG1),
        figures.MODEL_UNITS,
    )
    if losses is None:
        return counts
    verdict = _sign(losses[2:])
    whole = figures.with_model_units(figures.SVG1, figures.MODEL_UNITS[0])
    gain = statistics.difference(
        *(found.arm(figures.SWIMMER_3, whole, column) for column in ("final", "first"))
    )
    hurts_one = losses[0].low > 0 >= losses[1].low
    if verdict == claims.REPRODUCED and not (hurts_one and gain.low > 0):
        verdict = claims.PARTLY
    number = f"SVG(∞) loses {_gap(losses[0])}, SVG(1) {_gap(losses[1])}: "
    number += f"{_gap(losses[2])}; SVG(1) had learned {_gap(gain)}"
    return claims.Finding(verdict, number, counts)


def _swimmer_3(found) -> claims.Finding:
    env = figures.SWIMMER_3
    arms = (figures.SVG_INFINITY, figures.SVG1, figures.ACTOR_CRITIC)
    if not found.has(env, arms):
        return _not_yet(found, env, arms)
    whole, ours, theirs = (found.arm(env, arm, "final") for arm in arms)
    estimate = statistics.difference(ours, theirs)
    verdict = _sign([estimate])
    if verdict == claims.REPRODUCED and whole.mean() < ours.mean():
        verdict = claims.PARTLY
    number = f"SVG(1) {_gap(estimate)} over the actor-critic; SVG(∞) "
    number += f"{_gap(statistics.difference(whole, ours))} over SVG(1)"
    return claims.Finding(verdict, number, _counts(found, env, arms))


def _swimmer_7(found) -> claims.Finding:
    env = figures.SWIMMER_7
    arms = (figures.SVG1_ER, figures.SVG1, figures.ACTOR_CRITIC)
    if not found.has(env, arms):
        return _not_yet(found, env, arms)
    replayed, ours, theirs = (found.arm(env, arm, "final") for arm in arms)
    over_critic = statistics.difference(ours, theirs)
    by_replay = statistics.difference(replayed, ours)
    if by_replay.high < 0:
        verdict = claims.NOT
    else:
        verdict = _sign([over_critic])
    number = f"SVG(1) {_gap(over_critic)} over the actor-critic; SVG(1)-ER "
    number += f"{_gap(by_replay)} over SVG(1)"
    return claims.Finding(verdict, number, _counts(found, env, arms))


def _four_targets(found) -> claims.Finding:
    env = figures.FOUR_TARGETS
    others = (figures.SVG1, figures.ACTOR_CRITIC)
    returns = _ahead(found, env, figures.SVG1_ER, others, ("final", "area"))
    reached = found.behaved(env, "ends at the target")
    if returns.verdict == claims.NOT_YET or not len(reached):
        return claims.Finding(claims.NOT_YET, "–", returns.n)
    verdict = returns.verdict
    if verdict == claims.REPRODUCED and reached.mean() < _MOST:
        verdict = claims.PARTLY
    number = f"{returns.number}; at the target in {100 * reached.mean():.0f} %"
    return claims.Finding(verdict, number, returns.n)


def _every_run(found, env, name, holds, unit, digits) -> claims.Finding:
    values = found.behaved(env, name)
    if len(values) < evidence.LEAST_SEEDS:
        return _not_yet(found, env, (figures.SVG1_ER,))
    held = [bool(holds(value)) for value in values]
    number = f"{values.mean():.{digits}f} {unit} "
    number += f"(runs {values.min():.{digits}f} to {values.max():.{digits}f})"
    return claims.Finding(_all_or_some(held), number, str(len(values)))


def _monoped(found) -> claims.Finding:
    env = figures.MONOPED
    little, much = (found.behaved(env, f"stands, {x} % noise") for x in (5, 25))
    if min(len(little), len(much)) < evidence.LEAST_SEEDS:
        return _not_yet(found, env, (figures.SVG1_ER,))
    verdict = claims.PARTLY if little.mean() >= 0.5 else claims.NOT
    if much.mean() >= 0.5:
        verdict = claims.REPRODUCED
    number = f"stands in {100 * little.mean():.0f} % of episodes at 5 % noise, in "
    number += f"{100 * much.mean():.0f} % at 25 %"
    return claims.Finding(verdict, number, str(len(much)))


def _cheetahs(found) -> claims.Finding:
    arm = figures.SVG1_ER
    for env in figures.CHEETAHS:
        if not found.has(env, (arm,)):
            return _not_yet(found, env, (arm,))
    finals = [found.arm(env, arm, "final") for env in figures.CHEETAHS]
    share = np.mean(np.concatenate(finals) > 0)
    verdict = claims.PARTLY if share >= 0.5 else claims.NOT
    number = "with springs {}, without {}".format(*(_range(each) for each in finals))
    number += f"; {100 * share:.0f} % above 0"
    return claims.Finding(
        claims.REPRODUCED if share == 1 else verdict,
        number,
        " + ".join(str(len(each)) for each in finals),
    )


def _walker(found) -> claims.Finding:
    env, arm = figures.WALKER, figures.SVG1_ER
    if not found.has(env, (arm,)):
        return _not_yet(found, env, (arm,))
    finals = found.arm(env, arm, "final")
    verdict = claims.NOT
    if finals.min() > 1000:
        alike = np.abs(finals - finals.mean()).max() <= 0.5 * finals.mean()
        verdict = claims.REPRODUCED if alike else claims.PARTLY
    return claims.Finding(verdict, _range(finals), str(len(finals)))


_NAMES = {"final": "final return", "area": "area"}


def _sign(estimates) -> str:
    """The verdict of differences that are all to be above 0."""
    estimates = list(estimates)
    if any(estimate.high < 0 for estimate in estimates):
        return claims.NOT
    above = all(estimate.low > 0 for estimate in estimates)
    return claims.REPRODUCED if above else claims.PARTLY


def _all_or_some(held) -> str:
    if all(held):
        return claims.REPRODUCED
    return claims.PARTLY if any(held) else claims.NOT


def _number(value: float) -> str:
    """Writes a number with its sign, and decimals where it is small."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:+,.{digits}f}".replace("-", "−")


def _gap(estimate: statistics.Estimate) -> str:
    low, high = _number(estimate.low), _number(estimate.high)
    return f"{_number(estimate.value)} [{low}, {high}]"


def _range(values: np.ndarray) -> str:
    low, high = (
        f"{each:,.0f}".replace("-", "−") for each in (values.min(), values.max())
    )
    return f"{low} to {high}"


def _counts(found, env, arms) -> str:
    return " + ".join(str(len(found.arm(env, arm, "final"))) for arm in arms)


def _not_yet(found, env, arms) -> claims.Finding:
    return claims.Finding(claims.NOT_YET, "–", found.progress(env, arms))


def _read_measured(path: pathlib.Path) -> pd.DataFrame:
    if not path.is_file():
        return pd.DataFrame(columns=[*trained.KEYS, "value"])
    return tables.read(path)
