"""The claims S1 to S13 of Heess et al. (2015), each with the rule for its verdict.

The rules were written before the runs, except where a rule says otherwise. They use two
numbers per run: the final return is the mean of the last tenth of its evaluations; the
area is the mean of all evaluations, which is larger for a run that learns faster.
"""

from smoothie_tf.experiments.evidence.evidence import SVG_PRESET
from smoothie_tf.experiments.evidence.verdicts import Claim
from smoothie_tf.experiments.figures import svg as figures
from smoothie_tf.experiments.svg import rules


def claims() -> list[Claim]:
    """Returns the claims in the order of the paper's figures."""
    ahead = (
        "reproduced: the 95 % interval of the difference {} is above 0 against each; "
        "not: it is below 0 against one; else undecided"
    )
    listed = [
        (
            "S1: on Hand, SVG(∞) learns and the planner barely improves",
            "Figure 2, left",
            "reproduced: the interval of the difference of final returns is above 0, "
            "and the planner's gain since its first evaluation is at most a third of "
            "SVG(∞)'s; partly: the first alone; not: the interval is below 0, or "
            "neither holds (the latter was added after runs had been seen); undecided: "
            "the second alone",
            _command(2, figures.HAND),
            rules.hand,
        ),
        (
            "S2: on cart-pole, SVG(1)-ER learns fastest",
            "Figure 2, middle",
            ahead.format("of areas"),
            _command(2, figures.CARTPOLE),
            lambda found: rules.ahead(
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
            "loss: final return with 200 units minus that with 50. reproduced: the "
            "interval of DPG's loss minus SVG(1)'s is above 0; not: below 0; else "
            "undecided",
            _command(2, figures.CARTPOLE),
            rules.value_units,
        ),
        (
            "S4: on the 3-link swimmer, SVG(1) outperforms the actor-critic and SVG(∞) "
            "is slightly ahead",
            "Figure 3, left; Section 6.1",
            "reproduced: the interval of SVG(1)'s final return minus the "
            "actor-critic's is above 0, and SVG(∞)'s mean is at least SVG(1)'s; "
            "partly: the first alone; not: that interval is below 0; else undecided",
            _command(3, figures.SWIMMER_3),
            rules.swimmer_3,
        ),
        (
            "S5: a smaller model hurts SVG(∞), and not SVG(1)",
            "Figure 3, middle",
            "loss: final return with 20 units minus that with 5. reproduced: the "
            "intervals of SVG(∞)'s loss and of its loss minus SVG(1)'s are above 0, "
            "and that of SVG(1)'s loss is not; partly: the second alone; not: the "
            "second is below 0; else undecided. Partly at best if SVG(1) with 20 units "
            "has not learned and so has nothing to lose: the interval of its final "
            "return minus its first evaluation is not above 0 (added after runs had "
            "been seen)",
            _command(3, figures.SWIMMER_3),
            rules.model_units,
        ),
        (
            "S6: on the 5-link swimmer, SVG(1)-ER is fastest and ends highest",
            "Figure 3, right",
            ahead.format("of final returns, and of areas,"),
            _command(3, figures.SWIMMER_5),
            lambda found: rules.ahead(
                found,
                figures.SWIMMER_5,
                figures.SVG1_ER,
                (figures.SVG1, figures.SVG_INFINITY, figures.ACTOR_CRITIC),
                ("evaluation_return", "area"),
            ),
        ),
        (
            "S7: on the 7-link swimmer, SVG(1) outperforms the actor-critic, and "
            "replay improves it",
            "Figure 4; Section 6.1",
            "reproduced: in final returns, the intervals of SVG(1) minus the "
            "actor-critic and of SVG(1)-ER minus SVG(1) are above 0; partly: the first "
            "is, and the second holds 0 (which was enough for reproduced until "
            "2026-11-27, before any run); not: one is below 0; else undecided",
            _command(4, figures.SWIMMER_7),
            rules.swimmer_7,
        ),
        (
            "S8: on the 4-target reacher, SVG(1)-ER is ahead and ends at the target",
            "Figure 4; Section 6.2",
            "reproduced: the intervals of the differences of final returns and of "
            "areas are above 0 against each, and in at least 90 % of episodes, on "
            f"average, the tip ends within {figures.NEAR} m; partly: the intervals "
            "alone; not: an interval is below 0; else undecided",
            _command(4, figures.FOUR_TARGETS),
            rules.four_targets,
        ),
        (
            "S9: the reacher follows a moving target",
            "Section 6.2",
            "reproduced: in every run, the tip's mean distance from the target in the "
            f"second half of an episode is at most {figures.NEAR} m; partly: in one "
            "run; else not",
            _command(4, figures.MOVING_TARGET, seeds=3),
            lambda found: rules.every_run(
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
            "share: the sum over episodes of the ball's distances from its place at "
            "the end, relative to that at the start. reproduced: at most a half in "
            "every run; partly: in one run; else not",
            _command(4, figures.GRIPPER, seeds=3),
            lambda found: rules.every_run(
                found,
                figures.GRIPPER,
                "distance left",
                lambda share: share <= 0.5,
                "of the ball's distance left",
                2,
            ),
        ),
        (
            "S11: the monoped balances far beyond 200 steps, also with 25 % noise",
            "Section 6.2",
            "reproduced: with 25 % noise, the monoped stands at the end of at least "
            "half of the episodes of 1,000 steps, on average over runs; partly: with "
            "5 %; else not",
            _command(4, figures.MONOPED),
            rules.monoped,
        ),
        (
            "S12: Half-Cheetah makes good progress in every repeat, with springs and "
            "without",
            "Section 6.2",
            "reproduced: every run's final return (metres minus torques) is above 0 on "
            "both; partly: at least half of them are; else not",
            _command(4, *figures.CHEETAHS),
            rules.cheetahs,
        ),
        (
            "S13: the walker walks, at similar returns in every repeat",
            "Section 6.2",
            "reproduced: every run's final return is above 1,000, the most that "
            "standing still reaches, and within 50 % of their mean; partly: every "
            "run's is above 1,000; else not",
            _command(4, figures.WALKER),
            rules.walker,
        ),
    ]
    return [
        Claim(statement, f"SVG, {source}", rule, command, judge)
        for statement, source, rule, command, judge in listed
    ]


def _command(number: int, *envs: str, seeds: int | None = None) -> str:
    words = f"python reproduce/svg_figure{number}.py --preset {SVG_PRESET} --envs "
    words += " ".join(envs)
    if seeds:
        words += f" --seeds {seeds}"
    return f"{words} && python reproduce/collect.py --presets {SVG_PRESET}"
