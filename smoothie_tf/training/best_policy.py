"""A run's best policy by evaluation return: only its weights, in one small file.

Checkpoints hold the whole run, but only the last two are kept; this file keeps the best
policy. metrics.csv alone determines which policy is the best. So a run that is resumed
from a checkpoint, which truncates metrics.csv as well, ends with the same file as an
uninterrupted run.
"""

import csv
import io
import os
import pathlib
import zipfile
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from smoothie_tf import validation
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
    """Saves a policy if its return is above all returns in metrics.csv so far.

    Call it before the evaluation's row is appended to metrics.csv.

    Args:
      run_dir: The run's directory.
      variables: The policy's variables, as `TFPolicy.variables` returns them.
      step: Environment steps so far.
      mean_return: Mean return of the policy's evaluation.

    Raises:
      files.StorageError: If there is no room, or no permission; the previous best
        policy is kept then.
    """
    run_dir = pathlib.Path(run_dir)
    with open(run_dir / "metrics.csv", encoding="utf-8", newline="") as file:
        earlier = [float(row["evaluation_return_mean"]) for row in csv.DictReader(file)]
    if mean_return <= max(earlier, default=-np.inf):
        return
    arrays = {f"variable_{i}": v.numpy() for i, v in enumerate(variables)}
    # In memory first: on a full disk, zipfile raises errors of many kinds.
    content = io.BytesIO()
    np.savez(content, step=step, mean_return=mean_return, **arrays)
    files.replace(run_dir / FILE_NAME, content.getvalue())


def saved_step(run_dir: str | os.PathLike[str]) -> int | None:
    """Returns the step of a run's best policy, or None if there is none.

    Args:
      run_dir: The run's directory.

    Raises:
      BestPolicyError: If the file exists, but cannot be read.
    """
    if not (pathlib.Path(run_dir) / FILE_NAME).exists():
        return None
    return BestPolicy(run_dir).step


class BestPolicy:
    """A run's best policy, as it was when its file was read."""

    def __init__(self, run_dir: str | os.PathLike[str]):
        """Reads the file; later changes by the run have no effect.

        Args:
          run_dir: The run's directory.

        Raises:
          BestPolicyError: If the file does not exist or cannot be read.
        """
        self._path = pathlib.Path(run_dir) / FILE_NAME
        try:
            with np.load(self._path) as file:
                #: Environment steps of training at its evaluation.
                self.step = int(file["step"])
                self._kept = [file[f"variable_{i}"] for i in range(len(file) - 2)]
        except (
            OSError,
            LookupError,
            ValueError,
            EOFError,
            zipfile.BadZipFile,
        ) as error:
            reason = validation.first_line(error)
            raise BestPolicyError(f"{self._path} cannot be read: {reason}.") from error

    def restore(self, variables: Sequence[tf.Variable]) -> None:
        """Assigns the saved weights to a policy's variables.

        Args:
          variables: The policy's variables, in the order in which they were saved.

        Raises:
          BestPolicyError: If their number or shapes differ from the saved ones.
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
