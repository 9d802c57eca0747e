"""Claims, findings on them, and the verdicts."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from smoothie_tf.experiments.evidence import evidence
from smoothie_tf.experiments.figures.grids import Arm

REPRODUCED, PARTLY, NOT = "reproduced", "partly", "not"
#: The runs do not tell, for their interval holds both answers.
UNDECIDED = "undecided"
#: Some runs of a comparison are finished, but not enough of each arm.
TOO_FEW = "too few runs"
NOT_YET = "not yet run"
#: All of them, in the order in which they are counted.
VERDICTS = (REPRODUCED, PARTLY, UNDECIDED, NOT, TOO_FEW, NOT_YET)


@dataclasses.dataclass(frozen=True)
class Finding:
    """What the evidence says on a claim.

    Attributes:
        verdict: One of `VERDICTS`.
        number: The number with its interval and its meaning.
        n: How many runs or cases it is computed from.
    """

    verdict: str
    number: str = "–"
    n: str = "–"


class MissingError(Exception):
    """The evidence on a claim is missing; `finding` says how much there is."""

    def __init__(self, verdict: str, n: str = "–"):
        super().__init__(verdict)
        self.finding = Finding(verdict, n=n)


def needed(found: evidence.Evidence, name: str) -> pd.DataFrame:
    """Returns a table of results, or raises `MissingError`."""
    table = found.table(name)
    if table is None:
        raise MissingError(NOT_YET)
    return table


def too_few(env: str, arms: Iterable[Arm | str], *of: evidence.Finals) -> MissingError:
    """Returns the error that arms have no, or too few, finished runs on a task.

    Args:
        env: Gymnasium id of the task.
        arms: The arms, or their variants.
        *of: Sets of runs.
    """
    progress = evidence.progress(env, arms, *of)
    return MissingError(NOT_YET if progress == evidence.NO_RUN else TOO_FEW, progress)


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Attributes:
        statement: The paper's statement, in our words.
        source: Its place in the paper.
        rule: When it counts as reproduced, partly, undecided, or not.
        command: Makes or completes the evidence.
        judge: Returns the finding from the evidence, or raises `MissingError`.
    """

    statement: str
    source: str
    rule: str
    command: str
    judge: Callable[[evidence.Evidence], Finding]

    def finding(self, found: evidence.Evidence) -> Finding:
        """Judges the claim; where evidence is missing, the finding says so."""
        try:
            return self.judge(found)
        except MissingError as missing:
            return missing.finding


def all_or_some(held: Sequence[bool]) -> str:
    """Returns the verdict on a claim of several parts: all, some or none hold."""
    return REPRODUCED if all(held) else PARTLY if any(held) else NOT


def told(verdicts: Iterable[str]) -> str:
    """Writes how often each verdict was given, without those that were not."""
    given = list(verdicts)
    words = {
        PARTLY: "partly reproduced",
        NOT: "not reproduced",
        TOO_FEW: "with too few runs",
    }
    return ", ".join(
        f"{given.count(verdict)} {words.get(verdict, verdict)}"
        for verdict in VERDICTS
        if verdict in given
    )
