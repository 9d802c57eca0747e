"""Writes results/README.md and its pictures from the files in results/ alone."""

import pathlib

import pandas as pd

from smoothie_tf.experiments.evidence import evidence, statistics, verdicts
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

#: How a report begins.
MARK = "# Results\n\nWritten by `python reproduce/report.py` "
_HEAD = f"""\
{MARK}from the CSV files in this directory, and never
edited by hand. Missing results are marked "not yet run".
"""

_PROTOCOL = """\
Final return of a run: the mean of its last ten evaluations (at most half of all). Every
5,000 steps an evaluation runs the mean action, without noise, for ten episodes in
separate environments. Training return: the mean return of the training episodes between
the same evaluations, with noise. The paper does not say which of the two it plots:
verdicts and headlines use the evaluation return, and training returns are shown beside
it. ± is the standard deviation over seeds, dividing by n. Final σ is the policy's
mean standard deviation between the last two evaluations, with actions scaled to
[−1, 1]; DDPG learns none. Intervals are 95 %: Student's and Welch's t intervals for
means and their differences, Wilson's for counts, and for other numbers rliable's
stratified bootstrap over runs ({repetitions:,} resamples, seeded), which is too narrow
with three to six runs. Hyperparameters were searched on other seeds than those shown;
but on HalfCheetah, how the paper's open choices are made (differences 1, 4 and 11) and
the values of the second search's trials were chosen after runs of these seeds had been
seen.
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
    judged.to_csv(out_dir / "claims.csv", index=False)
    summary.write(summary.summary(found, judged), results_dir)
    parts = [_HEAD, *_claims(judged), "## Protocol\n", _protocol()]
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
    path.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")
    return path


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
        "The rules for returns (rules A and B, and Hopper doubled) were fixed before "
        "any of the runs shown. The rules for identities, Section 3 and Figure 2 "
        "were written after these results had been seen. S1 to S13 are claims of Heess "
        "et al. (2015); their rules were fixed before any of their runs, but for what "
        "a rule says was added. Rule C, and "
        "the claims that the penalty helps on Walker2d and Ant, were written before "
        "any run of Ant, of Walker2d without a penalty, or of Swimmer with "
        "hyperparameters searched there; runs of Swimmer with HalfCheetah's "
        "hyperparameters had been seen. n is the number of runs of the first + of the "
        f"second arm; with fewer than {evidence.LEAST_SEEDS} finished runs of either, "
        "a claim has too few runs, or is not yet run. Runs of 1,000,000 steps count "
        "where there are enough of them, else those of 300,000. By rules A, B and C a "
        "claim is undecided at best where neither arm has learned: no mean final "
        "return is above both arms' mean first evaluations, after 5,000 steps. This "
        "was added while the runs on Ant were under way, after the first of them had "
        "been seen.\n",
    ]
    for letter, rule in claims.SHARED_RULES.items():
        parts.append(f"- Rule {letter}: {rule}.")
    for number, row in enumerate(judged.itertuples(), 1):
        rule = f"rule {row.rule}" if row.rule in claims.SHARED_RULES else row.rule
        parts.append(f"- {number}: {rule}.")
    parts.append("\n### Commands\n")
    parts.append("```")
    for line in dict.fromkeys(judged["command"]):
        numbers = [
            str(number)
            for number, row in enumerate(judged.itertuples(), 1)
            if row.command == line
        ]
        parts.append(f"{line}  # {', '.join(numbers)}")
    parts.append("```\n")
    return parts
