"""Writes results/ablations.md: the pieces of the paper beside Algorithm 1."""

import json
import pathlib
from collections.abc import Callable

from smoothie_tf.experiments.evidence import metrics
from smoothie_tf.experiments.figures.ablations import ABLATIONS
from smoothie_tf.experiments.figures.continuous_control import SMOOTHIE
from smoothie_tf.experiments.report import tables
from smoothie_tf.experiments.theory import ablations

_FILE_NAME = "ablations.md"
_HEAD = """\
# Ablations

What the paper has beside Algorithm 1, held against the truth and against the default.
[`docs/variants.md`](../docs/variants.md) says how to switch each on, and what we
advise. Written by `python reproduce/ablations.py` from the CSV files beside it; ± is
the standard deviation over seeds.
"""
_VALUES = (
    "The value of a fixed policy on a linear–quadratic task, learned in each way by a "
    "{} critic, against its closed form at a = μ(s). Errors are root mean squares "
    "relative to the truth's size; a share of 1 is an unbiased derivative. On-policy "
    "replay without weights is predicted to show ½ of the gradient and ¼ of the "
    "Hessian."
)
#: Titles and what to know, by part.
_SECTIONS = {
    "values-quadratic": (
        "Values, with a critic that can be exactly right",
        _VALUES.format("quadratic"),
    ),
    "values-tanh": (
        "Values, with a critic of the paper's kind",
        _VALUES.format("tanh"),
    ),
    "policies": (
        "A policy",
        "Smoothie on an unstable linear–quadratic task, from a gain that barely "
        "stabilises it, in the package's own loop. Cost is that of the mean action.",
    ),
    "escapes": (
        "The two-Gaussians task",
        "As Figure 2: runs start on the worse of two modes.",
    ),
}


def write(results_dir: pathlib.Path) -> pathlib.Path:
    """Writes the file from what there is.

    Args:
        results_dir: Read are its `ablations/` and `ablations-hopper/`, as
            `reproduce/ablations.py` leaves them.

    Returns:
        The file's path.

    Raises:
        metrics.DamagedRunError: If a table is there and cannot be read.
    """
    parts = [_HEAD]
    for name, (_, tabulate, _) in ablations.PARTS.items():
        parts += _part(results_dir, name, tabulate)
    parts += _hopper(results_dir)
    path = results_dir / _FILE_NAME
    path.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")
    return path


def section(results_dir: pathlib.Path) -> list[str]:
    """Returns the report's lines on it.

    Args:
        results_dir: As `write` takes it.
    """
    told = tables.not_yet("python reproduce/ablations.py")
    if (results_dir / _FILE_NAME).is_file():
        told = f"In [`{_FILE_NAME}`]({_FILE_NAME}).\n"
    return ["## The paper beside Algorithm 1\n", told]


def _part(results_dir: pathlib.Path, name: str, tabulate: Callable) -> list[str]:
    title, text = _SECTIONS[name]
    path = results_dir / ablations.FOLDER / f"{name}.csv"
    parts = [f"## {title}\n", f"{text}\n"]
    if not path.is_file():
        command = f"python reproduce/ablations.py --only {name}"
        return [*parts, tables.not_yet(command)]
    table = tabulate(metrics.read_table(path))
    origin = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return [
        *parts,
        tables.table(list(table.columns), table.itertuples(index=False)),
        f"![{title}]({ablations.FOLDER}/{name}.png)\n",
        _origin(origin),
    ]


def _origin(origin: dict) -> str:
    """Says what made a table, the rows that were added last first."""
    told = f"`{origin['command']}`, commit {str(origin['commit'])[:7]}"
    if "earlier" in origin:
        return f"{told}; rows that were there before: {_origin(origin['earlier'])}"
    return f"{told}.\n"


def _hopper(results_dir: pathlib.Path) -> list[str]:
    figure = ABLATIONS
    path = results_dir / ablations.HOPPER_FOLDER / f"{figure.name}_runs.csv"
    command = "```\npython reproduce/ablations.py --hopper\n```\n"
    parts = ["## Hopper\n"]
    if not path.is_file():
        return [*parts, f"Not yet run:\n\n{command}"]
    parts += tables.returns(path, figure, SMOOTHIE.variant)
    stddev = f"{ablations.HOPPER_FOLDER}/{figure.name}_stddev.png"
    return [*parts, f"![σ of the same runs]({stddev})\n", command]
