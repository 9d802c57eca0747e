"""The paper's claims, each with the rule that decides its verdict."""

import functools
from collections.abc import Sequence

import pandas as pd

from smoothie_tf.experiments.evidence import evidence
from smoothie_tf.experiments.evidence.verdicts import Claim
from smoothie_tf.experiments.figures.continuous_control import FIGURE_3, FIGURE_4
from smoothie_tf.experiments.report import rules, section3

_MOST_WORDS = f"{100 * rules.MOST:.0f} %"
_FEW_WORDS = f"{100 - 100 * rules.MOST:.0f} %"


def claims() -> list[Claim]:
    """Lists the claims in the order of the paper."""
    figure2 = "python reproduce/figure2.py"
    identities = "python reproduce/identities.py"
    listed = [
        *section3.claims(),
        Claim(
            "Theorem 1: the derivative of Q̃ in Σ is half its Hessian in the action",
            "(14), supplement A",
            f"reproduced: relative error ≤ {rules.IDENTITY:g} in every case; else not",
            identities,
            rules.theorem_1,
        ),
        Claim(
            "Regression at phantom actions with weights 1/q has Q̃ as its fixed point",
            "(18), (19)",
            f"reproduced: relative error ≤ {rules.IDENTITY:g} for uniform and for "
            "on-policy stored actions; partly: for one of them; else not",
            identities,
            rules.fixed_point,
        ),
        Claim(
            "Without the weights 1/q, Q̃ is still the fixed point",
            "Section 4.2",
            "reproduced: the fixed point's slope at μ is within 10 % of that of Q̃ for "
            "uniform and for on-policy stored actions; partly: for one; else not",
            identities,
            rules.without_weights,
        ),
        section3.limit(),
        Claim(
            "Gradients and Hessians propagated forward equal nested derivatives, and "
            "are faster",
            "supplement D.1",
            f"reproduced: relative error ≤ {rules.HESSIAN:g} and faster (interval of "
            "the median over rounds above 1) at 3, 6 and 17 actions; partly: equal, "
            "and faster at some; else not",
            identities,
            rules.hessians,
        ),
        Claim(
            "Smoothie escapes the local optimum of the synthetic task, DDPG does not",
            "Section 6.1, Figure 2",
            f"reproduced: at least {_MOST_WORDS} of Smoothie's runs end on the better "
            f"mode and at most {_FEW_WORDS} of DDPG's; partly: Smoothie's more "
            "often than DDPG's; else not",
            figure2,
            rules.escape,
        ),
        Claim(
            "DDPG stays on the worse mode although its critic knows of the better one",
            "Section 6.1",
            f"reproduced: at the end, the critic values the better mode more in at "
            f"least {_MOST_WORDS} of runs; partly: in at least half; else not",
            figure2,
            rules.critic_knows,
        ),
        Claim(
            "During training σ falls, rises and falls again",
            "Section 6.1, Figure 2",
            f"reproduced: in at least {_MOST_WORDS} of Smoothie's runs, each turn by "
            "1 % or more; partly: in at least half; else not",
            figure2,
            rules.turns,
        ),
        Claim(
            "σ ends near zero",
            "Section 6.1",
            "reproduced: the final σ is on average at most a tenth of the initial σ; "
            "partly: at most half of it; else not",
            figure2,
            rules.near_zero,
        ),
    ]
    for env in FIGURE_3.envs:
        listed.append(
            Claim(
                f"Smoothie is at least as good as DDPG on {_task(env)}",
                "Section 6.2, Figure 3",
                "A",
                _figure(3, env),
                functools.partial(rules.at_least_as_good, env=env),
            )
        )
    listed.append(
        Claim(
            "Smoothie doubles DDPG's return on Hopper",
            "Section 6.2, Figure 3",
            "reproduced: the ratio of means is at least 2, and the interval of their "
            "difference above 0; partly: the latter alone; not: the interval of "
            "Smoothie's mean minus twice DDPG's is below 0; else undecided",
            _figure(3, "Hopper-v5"),
            rules.doubled,
        )
    )
    for env in ("Walker2d-v5", "Humanoid-v5"):
        listed.append(
            Claim(
                f"Smoothie is far better than DDPG on {_task(env)}",
                "Section 6.2, Figure 3",
                "B",
                _figure(3, env),
                functools.partial(
                    rules.better, env=env, ours="smoothie", theirs="ddpg"
                ),
            )
        )
    for env in ("Swimmer-v5", "Ant-v5"):
        listed.append(
            Claim(
                f"Smoothie has a slight advantage over DDPG on {_task(env)}",
                "Section 6.2, Figure 3",
                "C",
                _figure(3, env),
                functools.partial(rules.slightly_better, env=env),
            )
        )
    for env in FIGURE_4.envs:
        listed.append(
            Claim(
                f"The KL penalty helps on {_task(env)}",
                "Section 6.2, Figure 4",
                "B",
                _figure(4, env),
                functools.partial(
                    rules.better,
                    env=env,
                    ours="smoothie",
                    theirs=evidence.without_kl(env),
                ),
            )
        )
    return listed


#: Rules that several claims share.
SHARED_RULES = {
    "A": "the 95 % interval of the difference of mean final returns decides. "
    f"reproduced: its lower end is at least −{rules.MARGIN:g}·|DDPG's mean return|; "
    "not: its upper end is below 0; else undecided",
    "B": "the 95 % interval of the difference of mean final returns decides. "
    "reproduced: it is above 0; not: it is below 0; else undecided",
    "C": "the difference of mean final returns and its 95 % interval decide. "
    "reproduced: the difference is above 0, and the interval's lower end at least "
    f"−{rules.MARGIN:g}·|DDPG's mean return|; not: the interval is below 0; else "
    "undecided",
}


def judge(found: evidence.Evidence, more: Sequence[Claim] = ()) -> pd.DataFrame:
    """Judges every claim.

    Args:
        found: The evidence.
        more: Claims of another paper, listed after those of this one.

    Returns:
        One row per claim: claim, source, rule, verdict, number, n and command.
    """
    rows = []
    for claim in [*claims(), *more]:
        finding = claim.finding(found)
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


def _task(env: str) -> str:
    return env.split("-")[0]


def _figure(number: int, env: str) -> str:
    return (
        f"python reproduce/figure{number}.py --preset short --envs {env} --seeds 6 && "
        "python reproduce/collect.py"
    )
