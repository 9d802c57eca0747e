"""Tables of runs: all evaluations, curves, final returns."""

import io
import json
import os
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from smoothie_tf import validation
from smoothie_tf.runs import prefix
from smoothie_tf.runs.run import Run
from smoothie_tf.runs.status import Status, read_json
from smoothie_tf.training import files
from smoothie_tf.training.run_directory import COLUMNS as METRICS

RUN_COLUMNS = ("agent", "env", "seed", "variant", "finished")
#: Columns that identify a run of a figure, and its numbers: see `by_run`.
KEYS = ("env", "variant", "seed")
FINAL = ("steps", "evaluation_return", "training_return", "policy_stddev")
NUMBERS = (*FINAL, "first", "area", "evaluations")
_FINAL_EVALUATIONS = 10


class DamagedRunError(validation.FailedError, ValueError):
    """A run's file does not hold what it should; the message is one sentence."""


def read_metrics(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Reads the `metrics.csv` of one run.

    Args:
        path: The file. A last line without its line end is still being written (or
            was torn when the machine stopped), and is left out.

    Returns:
        One row per evaluation, columns `METRICS`, floats except the integer `step`.

    Raises:
        DamagedRunError: If columns are missing, a cell is not a number, a step has no
            return or is not a whole number, or the steps do not increase.
    """
    path = pathlib.Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise DamagedRunError(f"{path} is damaged: it is not text.") from None
    columns = _columns(path, text[: text.rfind("\n") + 1].splitlines())
    frame = pd.DataFrame(columns, dtype=float)
    _check_rows(path, frame)
    return frame.astype({"step": "int64"})


def _columns(path: pathlib.Path, lines: list[str]) -> dict[str, list[float]]:
    """Parses the lines of a `metrics.csv` into `METRICS`; an empty cell is NaN."""
    header = lines[0].split(",") if lines else []
    missing = [column for column in METRICS if column not in header]
    if missing:
        raise DamagedRunError(
            f"{path} is damaged: it has no column {', '.join(missing)}."
        )
    twice = [column for column in METRICS if header.count(column) > 1]
    if twice:
        raise DamagedRunError(f"{path} is damaged: it has column {twice[0]} twice.")
    columns: dict[str, list[float]] = {column: [] for column in METRICS}
    for number, line in enumerate(lines[1:], start=2):
        cells = line.split(",")
        if len(cells) != len(header):
            raise DamagedRunError(
                f"{path} is damaged: line {number} has {len(cells)} cells where the "
                f"header has {len(header)}."
            )
        for column, cell in zip(header, cells, strict=True):
            if column in columns:
                columns[column].append(_number(cell, path, number, column))
    return columns


def _check_rows(path: pathlib.Path, frame: pd.DataFrame) -> None:
    """Raises if a row has no step or no return, or the steps do not increase."""
    for column in ("step", "evaluation_return_mean"):
        empty = np.flatnonzero(frame[column].isna())
        if empty.size:
            raise DamagedRunError(
                f"{path} is damaged: line {empty[0] + 2} has no {column}."
            )
    steps = frame["step"].to_numpy()
    strange = np.flatnonzero((steps < 0) | (steps > 2**53) | (steps != np.floor(steps)))
    if strange.size:
        raise DamagedRunError(
            f"{path} is damaged: line {strange[0] + 2} has step {steps[strange[0]]!r},"
            " which is not a whole number of at least 0."
        )
    not_after = np.flatnonzero(np.diff(steps) <= 0)
    if not_after.size:
        row = not_after[0] + 1
        raise DamagedRunError(
            f"{path} is damaged: step {steps[row]:.0f} on line {row + 2} does "
            f"not come after step {steps[row - 1]:.0f}."
        )


def read_runs(runs: Iterable[Run]) -> pd.DataFrame:
    """Reads the evaluations of runs so far into one tidy table.

    Args:
        runs: The runs; those without an evaluation have no rows.

    Returns:
        One row per evaluation, columns `RUN_COLUMNS` and `METRICS`; `finished` says
        whether the run has made all its steps.

    Raises:
        DamagedRunError: If a run's `metrics.csv` is damaged, or lacks the last
            evaluation of a finished run.
    """
    tables = []
    for run in runs:
        path = prefix.locate(run).directory / "metrics.csv"
        if not path.is_file():
            continue
        # A directory may hold a longer run than the one asked for.
        table = read_metrics(path).query(f"step <= {run.num_steps}")
        done = prefix.is_done(run)
        if done and (table.empty or table["step"].iloc[-1] != run.num_steps):
            raise DamagedRunError(
                f"{path} is damaged: the run is finished, but has no evaluation at its"
                f" last step, {run.num_steps}. The command in its run.json restores it"
                " from the last checkpoint."
            )
        values = (run.agent, run.env, run.seed, run.variant, done)
        for place, (column, value) in enumerate(zip(RUN_COLUMNS, values, strict=True)):
            table.insert(place, column, value)
        tables.append(table)
    tables = [table for table in tables if len(table)]
    if not tables:
        return pd.DataFrame(columns=[*RUN_COLUMNS, *METRICS])
    return pd.concat(tables, ignore_index=True)


def read_table(
    path: pathlib.Path, text: bool = False, columns: Iterable[str] = ()
) -> pd.DataFrame:
    """Reads a CSV file, such as those of `write_tables`.

    Args:
        path: The file.
        text: Whether cells stay strings.
        columns: Columns that it must have.

    Raises:
        DamagedRunError: If it cannot be read, or lacks a column.
    """
    try:
        content = path.read_text(encoding="utf-8")
        if content and not content.endswith("\n"):
            raise ValueError("its last line is incomplete.")
        table = pd.read_csv(io.StringIO(content), dtype=str if text else None)
    except (ValueError, OSError) as error:
        reason = validation.first_line(error)
        raise DamagedRunError(f"{path} is damaged: {reason}") from None
    if missing := [each for each in columns if each not in table]:
        raise DamagedRunError(
            f"{path} is damaged: it has no column {', '.join(missing)}."
        )
    return table


def read_record(path: pathlib.Path, keys: Iterable[str] = ()) -> dict[str, Any]:
    """Reads a JSON file that holds an object.

    Args:
        path: The file.
        keys: Keys that it must have.

    Raises:
        DamagedRunError: If it cannot be read, or lacks a key.
    """
    if not (record := read_json(path)):
        raise DamagedRunError(f"{path} is damaged: it is not a JSON object.")
    if missing := [each for each in keys if each not in record]:
        raise DamagedRunError(f"{path} is damaged: it has no {', '.join(missing)}.")
    return record


def curves(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Averages a column over seeds, with the paper's band (caption of Figure 3).

    The band is mean ± standard deviation, clipped at the minimum and maximum of the
    runs. The standard deviation is that of the runs themselves, divided by n.

    Args:
        frame: As `read_runs` returns it.
        column: One of `METRICS`; rows without a value are left out.

    Returns:
        One row for each env, variant and step: mean, std, low, high, and seeds, the
        number of runs that have reached the step.
    """
    keys = ["env", "variant", "step"]
    present = frame[[*keys, column]].dropna()
    values = present.groupby(keys, sort=True)[column]
    table = values.agg(["mean", "min", "max", "size"])
    table["std"] = values.std(ddof=0)
    table["low"] = np.maximum(table["mean"] - table["std"], table["min"])
    table["high"] = np.minimum(table["mean"] + table["std"], table["max"])
    table = table.rename(columns={"size": "seeds"}).reset_index()
    return table[[*keys, "mean", "std", "low", "high", "seeds"]]


def last_evaluations(
    returns: pd.Series, evaluations: int = _FINAL_EVALUATIONS
) -> pd.Series:
    """Returns the evaluations of a run that make up its final return.

    Args:
        returns: All evaluations, ordered by step.
        evaluations: How many of the last ones count: at least one and at most half of
            all, so that the start of a short run does not count.
    """
    return returns.iloc[-max(1, min(evaluations, len(returns) // 2)) :]


def last_tenth(returns: pd.Series) -> pd.Series:
    """Returns the last tenth of a run's evaluations, and at least one."""
    return last_evaluations(returns, max(1, len(returns) // 10))


def by_run(
    frame: pd.DataFrame,
    last: Callable[[pd.Series], pd.Series] = last_evaluations,
) -> pd.DataFrame:
    """Reduces each finished run to one row of numbers.

    Args:
        frame: As `read_runs` and `read_table` return it.
        last: Which evaluations make up the final return.

    Returns:
        One row per finished run, columns `KEYS` and `NUMBERS`: steps, evaluation_return
        (final, of the mean action), training_return (with noise, of the episodes that
        ended between the same evaluations), policy_stddev (the last), first (the first
        evaluation), area (mean of all, larger the sooner a run learns) and
        evaluations (how many make up the final return).
    """
    rows = []
    finished = frame[frame["finished"].astype(bool)]
    for key, run in finished.groupby(list(KEYS), sort=False):
        run = run.sort_values("step")
        returns = run["evaluation_return_mean"]
        counted = run.loc[last(returns).index]
        rows.append(
            (
                *key,
                run["step"].iloc[-1],
                counted["evaluation_return_mean"].mean(),
                counted["training_return"].mean(),
                run["policy_stddev"].iloc[-1],
                returns.iloc[0],
                returns.mean(),
                len(counted),
            )
        )
    return pd.DataFrame(rows, columns=[*KEYS, *NUMBERS])


def final_returns(runs: pd.DataFrame) -> pd.DataFrame:
    """Averages final returns over seeds.

    Args:
        runs: As `by_run` returns them.

    Returns:
        One row for each env and variant: mean and std (divided by n; none where n = 1)
        over seeds, n, and the evaluations that counted.
    """
    arms = runs.groupby(list(KEYS[:2]), sort=False)
    table = arms["evaluation_return"].agg(
        mean="mean",
        # One run has no spread, which is not a spread of zero.
        std=lambda means: means.std(ddof=0) if len(means) > 1 else float("nan"),
        n="size",
    )
    table["evaluations"] = arms["evaluations"].max()
    return table.reset_index()


def compare(runs: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Compares the final returns of all variants with those of one of them.

    The interval is the report's, `statistics.difference`.

    Args:
        runs: As `by_run` returns them.
        baseline: The variant to compare with.

    Returns:
        One row for each env and variant: mean, std and n as in `final_returns`,
        difference (of means, from the baseline's), and low and high of its interval;
        none where a variant or the baseline has too few runs.
    """
    # Imported here: rliable takes seconds to import, and curves do not need it.
    from smoothie_tf.experiments.evidence import statistics

    table = final_returns(runs).drop(columns="evaluations")
    arms = {
        key: arm.sort_values("seed")["evaluation_return"].to_numpy()
        for key, arm in runs.groupby(list(KEYS[:2]))
    }
    rows = []
    for row in table.itertuples():
        ours, theirs = arms[row.env, row.variant], arms.get((row.env, baseline))
        difference = low = high = float("nan")
        if row.variant != baseline and theirs is not None:
            difference = ours.mean() - theirs.mean()
            if min(len(ours), len(theirs)) > 1:
                _, low, high = statistics.difference(ours, theirs)
        rows.append((difference, low, high))
    columns = ["difference", "low", "high"]
    return table.join(pd.DataFrame(rows, columns=columns, index=table.index))


def provenance(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Returns the provenance of each run: commit, versions, time."""
    kept = ["agent", "env", "seed", "num_steps", "status", "commit", "versions"]
    kept += ["earlier", "wall_seconds", "gin_bindings"]
    records = []
    for run in runs:
        path = prefix.locate(run).directory / "run.json"
        if not path.exists():
            continue
        record = read_record(path)
        facts = {key: record[key] for key in kept if key in record}
        if prefix.is_done(run):  # Its steps; a longer run may go on.
            facts["status"] = Status.DONE.value
        values = {"tuned": run.tuned, "recommended": run.recommended}
        values = {key: digest for key, digest in values.items() if digest}
        records.append({"variant": run.variant, **values, **facts})
    return records


def commits(record: dict[str, Any]) -> list[str]:
    """Returns the commits that a run was made at, in order; "None" for unknown.

    Args:
        record: The run's `run.json`, or its part of `provenance`.
    """
    stretches = [*record.get("earlier", []), record]
    return list(dict.fromkeys(str(each.get("commit")) for each in stretches))


def write_table(
    table: pd.DataFrame, path: pathlib.Path, float_format: str | None = None
) -> None:
    """Writes a CSV file, which keeps its old content until the new one is complete.

    Args:
        table: The table, written without its index.
        path: The file.
        float_format: Format of numbers, such as "%.6g"; None for all digits.

    Raises:
        files.StorageError: If it cannot be written; it is unchanged then.
    """
    text = table.to_csv(index=False, float_format=float_format)
    files.replace(path, text, lasts_power_cut=False)


def write_record(record: Any, path: pathlib.Path, sort_keys: bool = False) -> None:
    """Writes a JSON file, as `write_table` writes a CSV file."""
    text = json.dumps(record, indent=1, sort_keys=sort_keys) + "\n"
    files.replace(path, text, lasts_power_cut=False)


def write_tables(frame: pd.DataFrame, out_dir: pathlib.Path, name: str) -> None:
    """Writes the CSV files behind a figure.

    Args:
        frame: As `read_runs` returns it.
        out_dir: Their directory; it must exist.
        name: Stem of the files: `<name>_runs.csv` (every evaluation of every seed),
            `<name>_curves.csv` (the drawn curves) and `<name>_final.csv`.
    """
    write_table(frame, out_dir / f"{name}_runs.csv")
    drawn = [
        curves(frame, column).assign(metric=column)
        for column in ("evaluation_return_mean", "policy_stddev")
    ]
    write_table(pd.concat(drawn, ignore_index=True), out_dir / f"{name}_curves.csv")
    write_table(final_returns(by_run(frame)), out_dir / f"{name}_final.csv")


def _number(cell: str, path: pathlib.Path, number: int, column: str) -> float:
    """Reads a cell; an empty one is NaN."""
    try:
        value = float(cell) if cell.strip() else float("nan")
        if np.isinf(value):
            raise ValueError
        return value
    except ValueError:
        raise DamagedRunError(
            f"{path} is damaged: line {number} has {cell!r} as {column}, which is "
            "not a number."
        ) from None
