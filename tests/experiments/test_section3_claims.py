"""Verdicts on Section 3 from tables that are written here."""

import numpy as np
import pandas as pd
import pytest

from smoothie_tf.experiments.evidence import evidence, statistics
from smoothie_tf.experiments.evidence.verdicts import NOT, NOT_YET, PARTLY, REPRODUCED
from smoothie_tf.experiments.report import section3 as claims
from smoothie_tf.experiments.theory import figure1, section3

START = figure1.INITIAL_STDDEV
NAIVE, LEARNED, AS_MANY, ADDS, REMOVES, EASIER = range(6)


def likelihood_ratio(large=True, grows=True):
    """At σ = 0.1 and at the start, 2 and 1, or 0.5, times the mean's size of 1."""
    at_start = 1.5 if large else 0.5
    return pd.DataFrame(
        [
            (stddev, parameter, -1.0, -1.0, deviation**2, 0.25, 1.0)
            for parameter in ("mean", "stddev")
            for stddev, deviation in ((0.1, 2.0 if grows else 0.1), (START, at_start))
        ],
        columns=[
            *("stddev", "parameter", "exact", "average", "variance"),
            *("variance_with_baseline", "printed_average"),
        ],
    )


def learned_updates(spread):
    """Ten critics a case, whose updates are −1 ± the spread."""
    return pd.DataFrame(
        [
            (replay, seed, actions, parameter, -1.0 + (-1) ** seed * spread * near_1)
            for replay in ("on-policy", "uniform")
            for seed, near_1 in enumerate(np.linspace(0.99, 1.01, 10))
            for actions in (500, 1000)
            for parameter in ("mean", "stddev")
        ],
        columns=["replay", "seed", "actions", "parameter", "update"],
    )


def local_optima(random_gains=0, ridge=(1, 2), start=1):
    rows = []
    for name, functions, maxima, gained in (
        (section3.TWO_GAUSSIANS, 1, (2, start), 0),
        (section3.RANDOM, 50, (3.5, 3.0), random_gains),
        (section3.RIDGE, 1, ridge, int(ridge[1] > ridge[0])),
    ):
        rows += [
            (name, 0.0, functions, maxima[0], 0, 0.38),
            (name, START, functions, maxima[1], gained, 0.38),
        ]
    columns = ["function", "stddev", "functions", "maxima", "gained"]
    return pd.DataFrame(rows, columns=[*columns, "vanishing_stddev"])


def fits(small, large, sampled=0.9):
    """Relative errors as multiples of the raw reward's, which is 0.1."""
    rows = []
    for units, ratio in ((10, small), (300, large)):
        for seed in range(10):
            for target, factor in (
                ("reward", 1.0),
                ("smoothed", ratio),
                ("smoothed, from samples", sampled),
            ):
                error = 0.1 * factor * (1 + 0.01 * (-1) ** seed)
                # Earlier errors do not count.
                rows.append((units, target, seed, 500, 1.0, 1.0))
                rows.append((units, target, seed, 3000, error, error))
    columns = ["hidden_units", "target", "seed", "updates", "error", "relative_error"]
    return pd.DataFrame(rows, columns=columns)


def ddpg_limit(exponent=1.0, floor=2e-7, policy=3e-7):
    stddevs = 10.0 ** -np.arange(1, 7)
    return pd.DataFrame(
        {
            "stddev": stddevs,
            "critic_loss": 0.0,
            "critic_gradient": 0.3 * stddevs**exponent + floor,
            "policy_gradient": policy,
        }
    )


def found(tmp_path, **tables):
    folder = tmp_path / "section3"
    folder.mkdir(exist_ok=True)
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return evidence.Evidence(tmp_path)


def judged(claim, tmp_path, **tables):
    claim = claims.limit() if claim is None else claims.claims()[claim]
    return claim.finding(found(tmp_path, **tables))


@pytest.mark.parametrize(
    ("claim", "tables", "verdict"),
    [
        (NAIVE, {"likelihood_ratio": likelihood_ratio()}, REPRODUCED),
        (NAIVE, {"likelihood_ratio": likelihood_ratio(large=False)}, PARTLY),
        (NAIVE, {"likelihood_ratio": likelihood_ratio(False, False)}, NOT),
        (ADDS, {"local_optima": local_optima()}, PARTLY),
        (ADDS, {"local_optima": local_optima(ridge=(2, 1))}, REPRODUCED),
        (ADDS, {"local_optima": local_optima(random_gains=1)}, NOT),
        (REMOVES, {"local_optima": local_optima()}, REPRODUCED),
        (REMOVES, {"local_optima": local_optima(start=2)}, NOT),
        (EASIER, {"fits": fits(0.5, 0.9)}, REPRODUCED),
        (EASIER, {"fits": fits(0.5, 1.1)}, PARTLY),
        (EASIER, {"fits": fits(0.5, 0.9, sampled=2.0)}, PARTLY),
        (EASIER, {"fits": fits(1.0, 1.1, sampled=2.0)}, NOT),
        (None, {"ddpg_limit": ddpg_limit()}, REPRODUCED),
        (None, {"ddpg_limit": ddpg_limit(exponent=0.5)}, PARTLY),
        (None, {"ddpg_limit": ddpg_limit(policy=1e-3)}, PARTLY),
        (None, {"ddpg_limit": ddpg_limit(exponent=2.0, policy=1e-3)}, NOT),
    ],
)
def test_verdicts_follow_from_their_rules(tmp_path, claim, tables, verdict):
    assert judged(claim, tmp_path, **tables).verdict == verdict


# One naive update has 2.25 times the squared mean at the start, as variance.
@pytest.mark.parametrize(("spread", "verdict"), [(0.3, REPRODUCED), (2.5, NOT)])
def test_variances_are_compared_by_their_interval(tmp_path, spread, verdict):
    finding = judged(
        LEARNED,
        tmp_path,
        likelihood_ratio=likelihood_ratio(),
        learned_updates=learned_updates(spread),
    )
    assert finding.verdict == verdict
    if verdict == REPRODUCED:
        # 0.09·10/9 = 0.10 of the squared mean.
        assert "on-policy, μ: 0.10 [" in finding.number
        assert "1.00 of the slope" in finding.number
        assert finding.n == "10 critics a case"


# Means of 500 and of 1,000 naive updates have standard deviations of 0.067 and 0.047.
@pytest.mark.parametrize(
    ("spread", "verdict"), [(0.04, REPRODUCED), (0.06, PARTLY), (0.3, NOT)]
)
def test_errors_are_compared_after_as_many_actions(tmp_path, spread, verdict):
    finding = judged(
        AS_MANY,
        tmp_path,
        likelihood_ratio=likelihood_ratio(),
        learned_updates=learned_updates(spread),
    )
    assert finding.verdict == verdict
    if verdict == PARTLY:
        # 0.06/0.0671 and 0.06/0.0474.
        assert "after 500, 1,000 actions: on-policy, μ: 0.89, 1.3; " in finding.number


def test_numbers_say_what_was_found(tmp_path):
    finding = judged(NAIVE, tmp_path, likelihood_ratio=likelihood_ratio())
    assert finding.number.startswith("μ: 1.50, 1.5 times the mean's size, and 2 at σ")
    finding = judged(ADDS, tmp_path, local_optima=local_optima())
    assert "0 of 51 functions" in finding.number
    assert "a ridge has 1, and 2 from σ = 0.607 to 0.607" in finding.number
    finding = judged(EASIER, tmp_path, fits=fits(0.5, 0.9))
    assert finding.number.startswith("smoothed: 0.50 [0.50, 0.50] times at 10 units, ")
    assert finding.n == "10 + 10 a case"
    finding = judged(None, tmp_path, ddpg_limit=ddpg_limit(floor=0.0))
    assert "exponent 1.000" in finding.number


def test_what_is_missing_is_not_yet_run(tmp_path):
    nothing = evidence.Evidence(tmp_path)
    for claim in (*claims.claims(), claims.limit()):
        assert claim.finding(nothing).verdict == NOT_YET
    lines = "\n".join(claims.section(tmp_path, nothing))
    assert "Not yet run" in lines and "python reproduce/section3.py" in lines


def test_the_section_shows_its_picture(tmp_path):
    tables = {"learned_updates": learned_updates(0.3), "fits": fits(0.5, 0.9)}
    there = found(tmp_path, **tables)
    assert "section3.png" not in "\n".join(claims.section(tmp_path, there))
    (tmp_path / "section3/section3.png").touch()
    lines = "\n".join(claims.section(tmp_path, there))
    assert "(section3/section3.png)" in lines
    assert "10 seeds" in lines and "over 10" in lines


def test_relative_variance_by_hand():
    # Of 1, 2, 3: variance 1, mean 2.
    estimate = statistics.relative_variance(np.array([1.0, 2.0, 3.0]))
    assert estimate.value == 0.25
    assert estimate.low == 0.0
