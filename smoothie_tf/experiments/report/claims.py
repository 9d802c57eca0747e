"""The paper's claims, each with the rule that its verdict follows from.

A claim that fails is printed as plainly as one that holds.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from smoothie_tf.experiments.evidence import evidence, statistics
from smoothie_tf.experiments.figures.continuous_control import FIGURE_3
from smoothie_tf.experiments.report import section3
from smoothie_tf.experiments.report.verdicts import (
    NOT,
    NOT_YET,
    PARTLY,
    REPRODUCED,
    Claim,
    Finding,
    all_or_some,
)

#: How much of DDPG's return "at least as good" may lack.
MARGIN = 0.1
_IDENTITY = 1e-6
_HESSIAN = 1e-4
_MOST = 0.9
_MOST_WORDS = f"{100 * _MOST:.0f} %"
_FEW_WORDS = f"{100 - 100 * _MOST:.0f} %"


def claims() -> list[Claim]:
    """Lists the claims in the order of the paper."""
    figure2 = "python reproduce/figure2.py"
    identities = "python reproduce/identities.py"
    listed = [
        *section3.claims(),
        Claim(
            "Theorem 1: the derivative of Q̃ in Σ is half its Hessian in the action",
            "(14), supplement A",
            f"reproduced: relative error ≤ {_IDENTITY:g} in every case; else not",
            identities,
            _theorem_1,
        ),
        Claim(
            "Regression at phantom actions with weights 1/q has Q̃ as its fixed point",
            "(18), (19)",
            f"reproduced: relative error ≤ {_IDENTITY:g} for uniform and for on-policy "
            "stored actions; partly: for one of them; else not",
            identities,
            _fixed_point,
        ),
        Claim(
            "The weights 1/q can be left out",
            "Section 4.2",
            "reproduced: the fixed point's slope at μ is within 10 % of that of Q̃ for "
            "uniform and for on-policy stored actions; partly: for one; else not",
            identities,
            _without_weights,
        ),
        section3.limit(),
        Claim(
            "Gradients and Hessians propagated forward equal nested derivatives, and "
            "are faster",
            "supplement D.1",
            f"reproduced: relative error ≤ {_HESSIAN:g} and faster in the median at 3, "
            "6 and 17 actions; partly: equal, and faster at some; else not",
            identities,
            _hessians,
        ),
        Claim(
            "Smoothie escapes the local optimum of the synthetic task, DDPG does not",
            "Section 6.1, Figure 2",
            f"reproduced: at least {_MOST_WORDS} of Smoothie's runs end on the better "
            f"mode and at most {_FEW_WORDS} of DDPG's; partly: Smoothie's more "
            "often than DDPG's; else not",
            figure2,
            _escape,
        ),
        Claim(
            "DDPG stays although its critic knows of the better mode",
            "Section 6.1",
            f"reproduced: its critic values the better mode more at the end in at "
            f"least {_MOST_WORDS} of runs; partly: in at least half; else not",
            figure2,
            _critic_knows,
        ),
        Claim(
            "On the way σ falls, rises and falls",
            "Section 6.1, Figure 2",
            f"reproduced: in at least {_MOST_WORDS} of Smoothie's runs, each turn by "
            "1 % or more; partly: in at least half; else not",
            figure2,
            _turns,
        ),
        Claim(
            "… to near zero",
            "Section 6.1",
            "reproduced: σ ends at most at a tenth of its start, on average; partly: "
            "at most at half of it; else not",
            figure2,
            _near_zero,
        ),
    ]
    for env in FIGURE_3.envs:
        listed.append(
            Claim(
                f"Smoothie is at least as good as DDPG on {_task(env)}",
                "Section 6.2, Figure 3",
                "A",
                _figure(3, env),
                lambda found, env=env: _at_least_as_good(found, env),
            )
        )
    listed.append(
        Claim(
            "Smoothie doubles DDPG's return on Hopper",
            "Section 6.2, Figure 3",
            "reproduced: the ratio of means is at least 2, the interval above 1; "
            "partly: the ratio is above 1; else not",
            _figure(3, "Hopper-v5"),
            _doubled,
        )
    )
    for env in ("Walker2d-v5", "Humanoid-v5"):
        listed.append(
            Claim(
                f"Smoothie is far better than DDPG on {_task(env)}",
                "Section 6.2, Figure 3",
                "B",
                _figure(3, env),
                lambda found, env=env: _better(found, env, "smoothie", "ddpg"),
            )
        )
    for env in ("Hopper-v5", "Humanoid-v5"):
        listed.append(
            Claim(
                f"The KL penalty helps on {_task(env)}",
                "Section 6.2, Figure 4",
                "B",
                _figure(4, env),
                lambda found, env=env: _better(
                    found, env, "smoothie", evidence.without_kl(env)
                ),
            )
        )
    return listed


#: Rules that several claims share.
SHARED_RULES = {
    "A": "of the difference of mean final returns, the 95 % interval. reproduced: its "
    f"lower end is at or above −{100 * MARGIN:.0f} % of DDPG's mean return; not: its "
    "upper end is below 0; else partly, which with few runs means undecided",
    "B": "of the difference of mean final returns, the 95 % interval. reproduced: it "
    "is above 0; partly: the difference is above 0; else not",
}


def judge(found: evidence.Evidence, more: Sequence[Claim] = ()) -> pd.DataFrame:
    """Judges every claim.

    Args:
        found: What there is.
        more: Claims of another paper, behind those of this one.

    Returns:
        One row a claim: claim, source, rule, verdict, number, n and command.
    """
    rows = []
    for claim in [*claims(), *more]:
        finding = claim.judge(found)
        rows.append(
            {
                "claim": claim.statement,
                "source": claim.source,
                "rule": claim.rule,
                "verdict": finding.verdict,
                "number": finding.number,
                "n": finding.n,
                "command": claim.command,
            }
        )
    return pd.DataFrame(rows)


def _check(found, name: str) -> pd.Series | None:
    """Returns one row of the identities."""
    table = found.identities
    if table is None or "check" not in table:
        return None
    rows = table[table["check"] == name]
    return rows.iloc[0] if len(rows) else None


def _theorem_1(found) -> Finding:
    row = _check(found, "theorem 1")
    if row is None:
        return Finding(NOT_YET)
    verdict = REPRODUCED if row["largest_error"] <= _IDENTITY else NOT
    number = f"largest relative error {row['largest_error']:.0e}"
    return Finding(verdict, number, f"{row['cases']:.0f} functions")


def _fixed_point(found) -> Finding:
    rows = [_check(found, f"fixed point, 1/q, {q}") for q in ("uniform", "on-policy")]
    if any(row is None for row in rows):
        return Finding(NOT_YET)
    held = [row["largest_error"] <= _IDENTITY for row in rows]
    number = "largest relative error {:.0e} (uniform), {:.0e} (on-policy)".format(
        *(row["largest_error"] for row in rows)
    )
    return Finding(all_or_some(held), number, f"{rows[0]['cases']:.0f} actions")


def _without_weights(found) -> Finding:
    names = [f"fixed point, no weights, {q}" for q in ("uniform", "on-policy")]
    rows = [_check(found, name) for name in names]
    if any(row is None for row in rows):
        return Finding(NOT_YET)
    held = [abs(row["gradient"] - 1) <= 0.1 for row in rows]
    number = "{:.2f} (uniform) and {:.2f} (on-policy) of the slope of Q̃".format(
        *(row["gradient"] for row in rows)
    )
    return Finding(all_or_some(held), number, f"{rows[0]['cases']:.0f} actions")


def _hessians(found) -> Finding:
    rows = [_check(found, f"hessian, {size} actions") for size in (3, 6, 17)]
    if any(row is None for row in rows):
        return Finding(NOT_YET)
    equal = all(row["largest_error"] <= _HESSIAN for row in rows)
    faster = [row["speedup"] > 1 for row in rows]
    verdict = all_or_some(faster) if equal else NOT
    number = "relative error ≤ {:.0e}; {} times as fast (median; {})".format(
        max(row["largest_error"] for row in rows),
        ", ".join(f"{row['speedup']:.1f}" for row in rows),
        ", ".join(
            f"{row['speedup_low']:.1f} to {row['speedup_high']:.1f}" for row in rows
        ),
    )
    return Finding(verdict, number, f"{rows[0]['cases']:.0f} calls each")


def _arms_of_figure2(found) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    table = found.figure2
    if table is None:
        return None
    arms = [table[table["agent"] == agent] for agent in ("smoothie", "ddpg")]
    return None if any(arm.empty for arm in arms) else tuple(arms)


def _escape(found) -> Finding:
    arms = _arms_of_figure2(found)
    if arms is None:
        return Finding(NOT_YET)
    ours, theirs = (
        statistics.share(int((arm["ends_on"] == "better").sum()), len(arm))
        for arm in arms
    )
    if ours.value >= _MOST and theirs.value <= 1 - _MOST:
        verdict = REPRODUCED
    else:
        verdict = PARTLY if ours.value > theirs.value else NOT
    number = f"Smoothie {_percent(ours)}, DDPG {_percent(theirs)} on the better mode"
    return Finding(verdict, number, f"{len(arms[0])} + {len(arms[1])}")


def _critic_knows(found) -> Finding:
    arms = _arms_of_figure2(found)
    if arms is None:
        return Finding(NOT_YET)
    ddpg = arms[1]
    knows = ddpg["value_at_better"] > ddpg["value_at_worse"]
    return _counted(knows, "of DDPG's runs")


def _turns(found) -> Finding:
    arms = _arms_of_figure2(found)
    if arms is None:
        return Finding(NOT_YET)
    return _counted(arms[0]["stddev_fell_rose_fell"].astype(bool), "of Smoothie's runs")


def _counted(holds: pd.Series, what: str) -> Finding:
    estimate = statistics.share(int(holds.sum()), len(holds))
    if estimate.value >= _MOST:
        verdict = REPRODUCED
    else:
        verdict = PARTLY if estimate.value >= 0.5 else NOT
    return Finding(verdict, f"{_percent(estimate)} {what}", str(len(holds)))


def _near_zero(found) -> Finding:
    arms = _arms_of_figure2(found)
    if arms is None:
        return Finding(NOT_YET)
    start = np.exp(-0.5)
    final = arms[0]["final_stddev"]
    left = final.mean() / start
    verdict = NOT
    if left <= 0.5:
        verdict = REPRODUCED if left <= 0.1 else PARTLY
    number = f"σ from {start:.2f} to {final.mean():.2f}"
    number += f" (runs {final.min():.2f} to {final.max():.2f})"
    return Finding(verdict, number, str(len(final)))


def _at_least_as_good(found, env: str) -> Finding:
    pair = found.comparison(env, "smoothie", "ddpg")
    if pair is None:
        return _not_yet(found, env, "smoothie", "ddpg")
    estimate = statistics.difference(pair.ours, pair.theirs)
    if estimate.low >= -MARGIN * abs(pair.theirs.mean()):
        verdict = REPRODUCED
    else:
        verdict = NOT if estimate.high < 0 else PARTLY
    return _compared(verdict, estimate, pair)


def _better(found, env: str, ours: str, theirs: str) -> Finding:
    pair = found.comparison(env, ours, theirs)
    if pair is None:
        return _not_yet(found, env, ours, theirs)
    estimate = statistics.difference(pair.ours, pair.theirs)
    if estimate.low > 0:
        verdict = REPRODUCED
    else:
        verdict = PARTLY if estimate.value > 0 else NOT
    return _compared(verdict, estimate, pair)


def _doubled(found) -> Finding:
    pair = found.comparison("Hopper-v5", "smoothie", "ddpg")
    if pair is None:
        return _not_yet(found, "Hopper-v5", "smoothie", "ddpg")
    estimate = statistics.ratio(pair.ours, pair.theirs)
    if np.isnan(estimate.value):
        number = f"no ratio: DDPG's mean is {pair.theirs.mean():.0f}"
        return Finding(NOT, number, _runs(pair))
    if estimate.value >= 2 and estimate.low > 1:
        verdict = REPRODUCED
    else:
        verdict = PARTLY if estimate.value > 1 else NOT
    number = f"{estimate.value:.2f} times [{estimate.low:.2f}, {estimate.high:.2f}]"
    return Finding(verdict, f"{number}, {_steps(pair)}", _runs(pair))


def _compared(verdict: str, estimate: statistics.Estimate, pair) -> Finding:
    number = f"{pair.ours.mean():,.0f} against {pair.theirs.mean():,.0f}: "
    number += f"{signed(estimate.value)} [{signed(estimate.low)}, "
    number += f"{signed(estimate.high)}], {_steps(pair)}"
    return Finding(verdict, number, _runs(pair))


def _not_yet(found, env: str, *variants: str) -> Finding:
    return Finding(NOT_YET, "–", found.progress(env, variants))


def _percent(estimate: statistics.Estimate) -> str:
    return (
        f"{100 * estimate.value:.0f} % [{100 * estimate.low:.0f}, "
        f"{100 * estimate.high:.0f}]"
    )


def signed(value: float) -> str:
    """Writes a difference with its sign."""
    return f"{value:+,.0f}".replace("-", "−")


def _runs(pair) -> str:
    return f"{len(pair.ours)} + {len(pair.theirs)}"


def _steps(pair) -> str:
    return f"{pair.preset.num_steps:,} steps"


def _task(env: str) -> str:
    return env.split("-")[0]


def _figure(number: int, env: str) -> str:
    return (
        f"python reproduce/figure{number}.py --preset short --envs {env} --seeds 6 && "
        "python reproduce/collect.py"
    )
