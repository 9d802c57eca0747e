"""Writes results/ablations.md: the pieces of the paper beside Algorithm 1."""

import json
import pathlib

from smoothie_tf.experiments.evidence import metrics
from smoothie_tf.experiments.figures.ablations import ABLATIONS
from smoothie_tf.experiments.figures.continuous_control import SMOOTHIE
from smoothie_tf.experiments.report import tables
from smoothie_tf.experiments.theory import ablations
from smoothie_tf.experiments.theory.ablation import Ablation
from smoothie_tf.training import files

_FILE_NAME = "ablations.md"
_HEAD = """\
# Ablations

The paper's variants of Algorithm 1, compared with exact values and with the default.
[`docs/variants.md`](../docs/variants.md) says how to switch each on, and which we
advise. Written by `python reproduce/ablations.py` from the CSV files beside this page.
± is the standard deviation over seeds.
"""


def write(results_dir: pathlib.Path) -> pathlib.Path:
    """Writes the file from the tables that exist.

    Args:
        results_dir: Directory of results. Its `ablations/` and `ablations-hopper/`,
            written by `reproduce/ablations.py`, are read.

    Returns:
        The file's path.

    Raises:
        metrics.DamagedRunError: If a table exists but cannot be read.
    """
    parts = [_HEAD]
    for ablation in ablations.ABLATIONS.values():
        parts += _ablation(results_dir, ablation)
    parts += _hopper(results_dir)
    path = results_dir / _FILE_NAME
    text = "\n".join(parts).rstrip() + "\n"
    files.replace(path, text, lasts_power_cut=False)
    return path


def section(results_dir: pathlib.Path) -> list[str]:
    """Returns the report's section, which links to the file.

    Args:
        results_dir: Directory of results.
    """
    told = tables.not_yet("python reproduce/ablations.py")
    if (results_dir / _FILE_NAME).is_file():
        told = f"In [`{_FILE_NAME}`]({_FILE_NAME}).\n"
    return ["## The paper beside Algorithm 1\n", told]


def _ablation(results_dir: pathlib.Path, ablation: Ablation) -> list[str]:
    name, title = ablation.name, ablation.title
    path = results_dir / ablations.FOLDER / f"{name}.csv"
    parts = [f"## {title}\n", f"{ablation.text}\n"]
    if not path.is_file():
        command = f"python reproduce/ablations.py --only {name}"
        return [*parts, tables.not_yet(command)]
    table = ablation.tabulate(metrics.read_table(path))
    origin = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return [
        *parts,
        tables.table(list(table.columns), table.itertuples(index=False)),
        f"![{title}]({ablations.FOLDER}/{name}.png)\n",
        _origin(origin),
    ]


def _origin(origin: dict) -> str:
    """Names the commands and commits that made a table, latest first."""
    told = f"`{origin['command']}`, commit {str(origin['commit'])[:7]}"
    if "earlier" in origin:
        return f"{told}; earlier rows: {_origin(origin['earlier'])}"
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
