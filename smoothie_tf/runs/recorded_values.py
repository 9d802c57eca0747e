"""Compares the hyperparameters of finished runs with those that the gin files have now.

A figure does not train a finished run again. If a gin file was edited since, the run
has other values than those that the figure would train. Unfinished runs are compared
when they are resumed.
"""

from collections.abc import Iterable
from typing import Any

from smoothie_tf.runs import prefix
from smoothie_tf.runs.run import Run
from smoothie_tf.training import gin_directory, gin_text
from smoothie_tf.validation import InputError

# What a preset has for others than a single run, and a run's length.
_NOT_COMPARED = ("grid.", "search.", "train.num_steps")


def check(runs: Iterable[Run]) -> None:
    """Checks that finished runs have the values that they would be trained with now.

    Args:
        runs: Runs, finished or not.

    Raises:
        InputError: If one has another value in its operative_config.gin.
    """
    for run in runs:
        if not prefix.is_done(run):
            continue
        directory = prefix.locate(run).directory
        path = directory / "operative_config.gin"
        if not path.is_file():
            continue
        before, now = gin_text.bound_values(path), _values(run)
        for name in sorted(before.keys() & now.keys()):
            if name.startswith(_NOT_COMPARED) or _equal(before[name], now[name]):
                continue
            raise InputError(
                f"{directory} is a finished run with {name} = {before[name]!r}, but the"
                f" gin files now have {now[name]!r}: choose another --runs_dir, or"
                " restore the value."
            )


def _values(run: Run) -> dict[str, Any]:
    """Returns what a run's gin files and bindings bind, later over earlier."""
    kind = "recommended" if run.recommended else "paper"
    files = gin_directory.value_files(run.agent, run.env, not run.untuned, kind)
    preset = gin_directory.PRESETS / f"{run.preset.name}.gin"
    return gin_text.bound_values(*files, preset, *run.gin_bindings)


def _equal(one: Any, other: Any) -> bool:
    """Says whether two values are equal; references may include their module."""
    one, other = (
        f"@{each[1:].rsplit('.', 1)[-1]}"
        if isinstance(each, str) and each.startswith("@")
        else each
        for each in (one, other)
    )
    # 1.0 is 1, but neither is True.
    return one == other and isinstance(one, bool) == isinstance(other, bool)
