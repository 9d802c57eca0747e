"""A run's best policy by evaluation: its weights alone, in one small file.

Checkpoints hold everything, and only the last two are kept. What was best before is
kept here. Which that is follows from metrics.csv alone, so a run that goes on from a
checkpoint, where metrics.csv is cut as well, ends with the same file as one that was
never stopped.
"""

import csv
import io
import os
import pathlib
import zipfile
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from smoothie_tf.training import files

FILE_NAME = "best_policy.npz"


class BestPolicyError(ValueError):
    """A run's best policy cannot be read."""


def save_if_best(
    run_dir: str | os.PathLike[str],
    variables: Sequence[tf.Variable],
    step: int,
    mean_return: float,
) -> None:
    """Keeps a policy that is better than all that metrics.csv has so far.

    To be called before the evaluation's row is appended there.

    Args:
      run_dir: The run's directory.
      variables: The policy's, as `TFPolicy.variables` returns them.
      step: Environment steps so far.
      mean_return: Mean return of the policy's evaluation.

    Raises:
      files.StorageError: If there is no room, or no permission; what was best before
        is still there then.
    """
    run_dir = pathlib.Path(run_dir)
    with open(run_dir / "metrics.csv", encoding="utf-8", newline="") as file:
        earlier = [float(row["evaluation_return_mean"]) for row in csv.DictReader(file)]
    if mean_return <= max(earlier, default=-np.inf):
        return
    arrays = {f"variable_{i}": v.numpy() for i, v in enumerate(variables)}
    # In memory first: zipfile tells of a full disk by errors of many kinds.
    content = io.BytesIO()
    np.savez(content, step=step, mean_return=mean_return, **arrays)
    files.replace(run_dir / FILE_NAME, content.getvalue())


def saved_step(run_dir: str | os.PathLike[str]) -> int | None:
    """Returns the step of the policy that a run has kept, or None.

    Args:
      run_dir: The run's directory.

    Raises:
      BestPolicyError: If there is a file, but it cannot be read.
    """
    if not (pathlib.Path(run_dir) / FILE_NAME).exists():
        return None
    return int(_read(run_dir)["step"])


class BestPolicy:
    """The policy that a run has kept, as its file was at one moment."""

    def __init__(self, run_dir: str | os.PathLike[str]):
        """Reads it; what the run keeps later changes nothing here.

        Args:
          run_dir: The run's directory.

        Raises:
          BestPolicyError: If there is none, or it cannot be read.
        """
        self._path = pathlib.Path(run_dir) / FILE_NAME
        arrays = _read(run_dir)
        #: Environment steps behind it.
        self.step = int(arrays["step"])
        self._kept = [arrays[f"variable_{i}"] for i in range(len(arrays) - 2)]

    def restore(self, variables: Sequence[tf.Variable]) -> None:
        """Gives a policy its weights.

        Args:
          variables: The policy's, in the order in which they were saved.

        Raises:
          BestPolicyError: If they are another policy's.
        """
        shapes = [tuple(variable.shape) for variable in variables]
        if [array.shape for array in self._kept] != shapes:
            raise BestPolicyError(
                f"{self._path} holds variables of shapes"
                f" {[array.shape for array in self._kept]}, but the policy's are"
                f" {shapes}."
            )
        for variable, array in zip(variables, self._kept, strict=True):
            variable.assign(array)


def _read(run_dir):
    path = pathlib.Path(run_dir) / FILE_NAME
    try:
        with np.load(path) as file:
            arrays = dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BestPolicyError(f"{path} cannot be read: {error}.") from error
    names = {"step", "mean_return", *(f"variable_{i}" for i in range(len(arrays) - 2))}
    if set(arrays) != names:
        raise BestPolicyError(f"{path} does not hold a policy.")
    return arrays
