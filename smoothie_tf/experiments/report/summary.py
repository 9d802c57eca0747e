"""The table of results in README, which the report writes."""

import pathlib

import pandas as pd

from smoothie_tf.experiments.evidence import evidence, statistics, verdicts, writing
from smoothie_tf.experiments.figures.continuous_control import FIGURE_3
from smoothie_tf.experiments.report import rules, tables
from smoothie_tf.training import files

#: Around the summary in README.
BEGIN, END = "<!-- summary -->", "<!-- /summary -->"
_THEORY = "Smoothie's paper, theory and the synthetic task, {} claims"
_TASKS = "Smoothie's paper, MuJoCo, {} claims"
_SVG = (
    "Heess et al. (2015), whose SVG agents are here too, on our own versions of its "
    "tasks, {} claims"
)
#: The section of Smoothie's paper on MuJoCo.
_SECTION = "Section 6.2"


def summary(found, judged: pd.DataFrame) -> str:
    """Writes the counts of verdicts and Smoothie's and DDPG's returns.

    Args:
        found: The `evidence.Evidence`.
        judged: The claims with their verdicts, as `claims.judge` returns them.

    Returns:
        Markdown without links, so that it is valid in any directory.
    """
    source = judged["source"]
    of_svg, on_tasks = source.str.startswith("SVG"), source.str.startswith(_SECTION)
    rows: list[list[str]] = []
    for env in FIGURE_3.envs:
        pair = found.comparison(env, "smoothie", "ddpg")
        if pair is None:
            finals = found.finals.values()
            progress = evidence.progress(env, ("smoothie", "ddpg"), *finals)
            missing = "not yet run"
            if progress != evidence.NO_RUN:
                missing = f"too few runs: {progress}"
            rows.append([env, missing, *[""] * 5])
            continue
        estimate = statistics.difference(pair.ours, pair.theirs)
        training = "–"
        if pair.has_training:
            difference = statistics.difference(*pair.training)
            training = writing.interval(difference, with_signs=True)
        rows.append(
            [
                env,
                writing.mean_and_std(pair.ours),
                writing.mean_and_std(pair.theirs),
                writing.interval(estimate, with_signs=True),
                training,
                f"{pair.preset.num_steps:,}",
                f"{len(pair.ours)} + {len(pair.theirs)}",
            ]
        )
    counts = [
        f"- {title.format(len(table))}: {verdicts.told(table['verdict'])}."
        for title, table in (
            (_THEORY, judged[~of_svg & ~on_tasks]),
            (_TASKS, judged[on_tasks]),
            (_SVG, judged[of_svg]),
        )
    ]
    head = ["task", "Smoothie", "DDPG", "difference [95 % interval]"]
    head += ["difference in training returns", "steps", "seeds"]
    return (
        "\n".join(counts) + "\n\n"
        "Undecided: the interval holds both answers. At least as good is reproduced if"
        " the interval excludes a deficit of more than"
        f" {100 * rules.MARGIN:.0f} % of DDPG's return.\n\n"
        "Returns are of the policy's mean action, averaged over a run's last ten"
        " evaluations; ± is the standard deviation over seeds, dividing by n. Training"
        " returns are of the policy with noise; the paper does not say which of the"
        " two it plots."
        "\n\n" + tables.table(head, rows)
    )


def write(text: str, results_dir: pathlib.Path) -> None:
    """Writes the summary to report/summary.md, and between the marks in README.

    Args:
        text: The summary.
        results_dir: Directory of results. README.md in its parent directory is updated
            if it exists and has the marks, and the directory is named `results`:
            another one does not hold the results that README is about.

    Raises:
        files.StorageError: If README cannot be written; it is unchanged then.
    """
    files.replace(results_dir / "report/summary.md", text, lasts_power_cut=False)
    results_dir = results_dir.absolute()
    readme = results_dir.parent / "README.md"
    if results_dir.name != "results" or not readme.is_file():
        return
    before, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if begin and end:
        whole = f"{before}{BEGIN}\n{text}{END}{after}"
        files.replace(readme, whole, lasts_power_cut=False)
