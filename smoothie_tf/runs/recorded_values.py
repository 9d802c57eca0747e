"""Compares existing runs with those that a figure asks for.

A figure does not train a finished run again. Its directory may hold the run of another
task whose id has the same file name, and if a gin file was edited since, the run has
other hyperparameters than those that the figure would train.
"""

from collections.abc import Iterable
from typing import Any

from smoothie_tf.runs import prefix
from smoothie_tf.runs.run import OF_ALL_RUNS, Run
from smoothie_tf.runs.status import read_json
from smoothie_tf.training import gin_directory, gin_text, renamed_bindings
from smoothie_tf.validation import InputError

# What a preset has for others than a single run, and a run's length.
_NOT_COMPARED = (*OF_ALL_RUNS, "train.num_steps")


def check(runs: Iterable[Run], drawn: bool = False) -> None:
    """Checks that runs were trained as they would be trained now, but for the length.

    Args:
        runs: Runs, finished or not. Those without a record are not checked.
        drawn: Whether runs that have no checkpoint count as well. Training starts such
            a run again, with the values that the gin files have now.

    Raises:
        InputError: If a directory holds another run, or one with another value in its
            operative_config.gin.
    """
    for run in runs:
        directory = prefix.locate(run).directory
        record = read_json(directory / "run.json")
        if not record:
            continue
        if other := prefix.difference(run, directory):
            raise InputError(
                f"{directory} holds a run with {other}: choose another --runs_dir."
            )
        path = directory / "operative_config.gin"
        restarts = not prefix.is_done(run) and not prefix.has_checkpoints(directory)
        if not path.is_file() or (restarts and not drawn):
            continue
        if other := _difference(record, path, _values(run)):
            raise InputError(
                f"{directory} is a run with {other}: choose another --runs_dir, or"
                " restore the value."
            )


def _difference(record, path, now):
    """Returns the first value that differs, in words; empty if none does."""
    current = renamed_bindings.RENAMED
    values = gin_text.bound_values(path)
    before = {current.get(name, name): value for name, value in values.items()}
    # Older records do not have the names that were bound.
    bound = {current.get(name, name) for name in record.get("bound", ())}
    for name in sorted(bound | (before.keys() & now.keys())):
        if name.startswith(_NOT_COMPARED):
            continue
        if name not in now:
            return f"{name} = {before.get(name)!r}, which is not bound now"
        if name in before and not gin_text.same(before[name], now[name]):
            return f"{name} = {before[name]!r}, but now it would be {now[name]!r}"
    return ""


def _values(run: Run) -> dict[str, Any]:
    """Returns what a run's gin files and bindings bind, later over earlier."""
    kind = "recommended" if run.recommended else "paper"
    files = gin_directory.value_files(run.agent, run.env, not run.untuned, kind)
    preset = gin_directory.PRESETS / f"{run.preset.name}.gin"
    values = gin_text.bound_values(*files, preset, *run.gin_bindings)
    # Macros have no configurable; the parameters that refer to them have their values.
    return {name: value for name, value in values.items() if "." in name}
