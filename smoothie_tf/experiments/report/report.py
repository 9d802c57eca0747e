"""Writes results/README.md and its pictures from the files in results/ alone."""

import pathlib

import pandas as pd

from smoothie_tf.experiments.evidence import evidence, metrics, statistics, verdicts
from smoothie_tf.experiments.report import (
    ablations,
    baselines,
    behind_ddpg,
    claims,
    neighbours,
    origins,
    returns,
    section3,
    summary,
    svg,
    tables,
)
from smoothie_tf.experiments.svg import claims as svg_claims
from smoothie_tf.training import files

#: How a report begins.
MARK = "# Results\n\nWritten by `python reproduce/report.py` "
_HEAD = f"""\
{MARK}from the CSV files in this directory, and never
edited by hand. Missing results are marked "not yet run".
"""

_PROTOCOL = """\
Final return of a run: the mean of its last ten evaluations (at most half of all). Every
5,000 steps an evaluation runs the mean action, without noise, for ten episodes in
separate environments (on Hand every 10,000 steps; S8 to S11 measure 50 episodes of
the mean action). Training return: the mean return of the training episodes between
the same evaluations, with noise. The paper does not say which of the two it plots:
verdicts and headlines use the evaluation return, and training returns are shown beside
it. ± is the standard deviation over seeds, dividing by n. Final σ is the policy's
mean standard deviation between the last two evaluations, with actions scaled to
[−1, 1]; DDPG learns none. Intervals are 95 %: Student's and Welch's t intervals for
means and their differences, Wilson's for counts, and for other numbers rliable's
stratified bootstrap over runs ({repetitions:,} resamples, seeded), which is too narrow
with three to six runs; that of a probability of improvement has no width where every
run of one agent is above every run of the other. A t interval knows no bounds, so that
of a cosine can reach beyond 1. Arms share seeds, but are compared as independent.
Hyperparameters were searched on other seeds than those shown; but on HalfCheetah, how
the paper's open choices are made (differences 1, 4 and 11) and the values of the second
search's trials were chosen after runs of these seeds had been seen.
"""

_RULES = """\
n is the number of runs of the first + of the second arm; with fewer than {least}
finished runs of either, a claim has too few runs, or is not yet run. Runs of 1,000,000
steps count where there are enough of them, else those of 300,000. Undecided: the
interval holds both answers. Claims of rules A, B and C on one task share their runs.
Each interval is for one comparison: of twenty, one is expected to miss its number.

By rules A, B and C a claim is undecided at best where neither arm has learned: no mean
final return is above both arms' mean first evaluations, after 5,000 steps.

When the rules were written:

- Rules A and B, and Hopper doubled: before any of the runs shown. Three changes came
  after runs had been seen. On 2026-11-26, t intervals replaced bootstrap intervals,
  which are too narrow with three runs, and undecided replaced partly; Swimmer by rule A
  was "not" before. On 2026-11-27, while the first runs on Ant were under way, the
  condition that an arm has learned was added. On the same day, a mean below the other's
  became undecided where the interval holds 0, and a mean above DDPG's on Hopper
  likewise: by rules B and C, Walker2d, Swimmer and the penalty on Walker2d were "not"
  before, and Hopper doubled was "partly".
- Rule C, and the claims that the penalty helps on Walker2d and Ant: before any run of
  Ant, and of Walker2d without a penalty. The runs on Swimmer had been seen.
- Identities, Section 3 and Figure 2: after these results had been seen.
- S1 to S13, claims of Heess et al. (2015): before any of their runs, but for the t
  intervals, for undecided, and for what a rule says was added or changed.
"""

_COMMANDS = """\
`cp -rn results/runs/. runs` first, or these commands train all runs again; they train
six seeds where fewer have been run. Then `python reproduce/report.py`.
"""

_NOT_JUDGED = """\
### Without a verdict

What else the paper says of its results, and what is known here:

- Learning Σ, not only the mean, improves results (abstract, Section 6.2): the
  runs that hold Σ are shorter than Figure 3's
  ([below](#halfcheetah-and-swimmer-smoothie-with-one-change-at-a-time)).
- Smoothie is ahead especially with little data (Section 1): {early}
- The penalty makes training more stable (Section 1): only returns are judged.
- The probabilities q need not be kept (Section 4.2): a claim above judges the fixed
  point; returns on one task are in [`ablations.md`](ablations.md#hopper).
- TRPO needs tens of millions of steps for Humanoid's return (Section 6.2): TRPO is not
  a part of this package.
"""


def report(results_dir: pathlib.Path) -> pathlib.Path:
    """Writes the report.

    Args:
        results_dir: Directory that `evidence.Evidence` reads; README.md and report/ are
            written there.

    Returns:
        The path of README.md.

    Raises:
        metrics.DamagedRunError: If a file exists but cannot be read.
    """
    found = evidence.Evidence(results_dir)
    out_dir = results_dir / "report"
    out_dir.mkdir(parents=True, exist_ok=True)
    judged = claims.judge(found, svg_claims.claims())
    metrics.write_table(judged, out_dir / "claims.csv")
    summary.write(summary.summary(found, judged), results_dir)
    parts = [_HEAD, *_claims(judged), _not_judged(found), "## Protocol\n", _protocol()]
    parts += section3.section(results_dir, found)
    for preset in found.presets:
        parts += returns.section(found, preset, out_dir)
    parts += behind_ddpg.section(results_dir)
    parts += baselines.section(found, out_dir)
    parts += baselines.published(found)
    parts += neighbours.section(results_dir)
    parts += ablations.section(results_dir)
    parts += svg.section(found, out_dir)
    parts += origins.searches(found)
    parts += origins.provenance(found)
    path = results_dir / "README.md"
    text = "\n".join(parts).rstrip() + "\n"
    files.replace(path, text, lasts_power_cut=False)
    return path


def _not_judged(found) -> str:
    finals = found.finals[found.presets[-1].name]
    return _NOT_JUDGED.format(
        early=returns.told_early(returns.early_differences(finals))
    )


def _protocol() -> str:
    return _PROTOCOL.format(repetitions=statistics.REPETITIONS)


def _claims(judged: pd.DataFrame) -> list[str]:
    """Writes the table of claims, their rules, and the commands that make them."""
    parts = [
        "## Claims of the papers\n",
        f"{len(judged)} claims: {verdicts.told(judged['verdict'])}.\n",
        tables.table(
            ["", "claim", "where", "verdict", "number [95 % interval]", "n"],
            [
                [
                    str(number),
                    row.claim,
                    row.source,
                    f"**{row.verdict}**",
                    row.number,
                    row.n,
                ]
                for number, row in enumerate(judged.itertuples(), 1)
            ],
        ),
        "### Rules\n",
        _RULES.format(least=evidence.LEAST_SEEDS),
    ]
    for rule, numbers in _numbers(judged["rule"]).items():
        if shared := claims.SHARED_RULES.get(rule):
            rule = f"rule {rule}: {shared}"
        parts.append(f"- {numbers}: {rule}.")
    parts += ["\n### Commands\n", _COMMANDS, "```"]
    for line, numbers in _numbers(judged["command"]).items():
        parts.append(f"{line}  # {numbers}")
    parts.append("```\n")
    return parts


def _numbers(column: pd.Series) -> dict[str, str]:
    """Returns the numbers of the claims with each value of a column, in order."""
    numbers: dict[str, list[str]] = {}
    for number, value in enumerate(column, 1):
        numbers.setdefault(value, []).append(str(number))
    return {value: ", ".join(each) for value, each in numbers.items()}
