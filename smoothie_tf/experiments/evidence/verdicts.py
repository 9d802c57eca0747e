"""What a claim is, what was found of it, and the words of verdicts."""

import dataclasses
from collections.abc import Callable, Sequence

from smoothie_tf.experiments.evidence import evidence

REPRODUCED, PARTLY, NOT, NOT_YET = "reproduced", "partly", "not", "not yet run"


@dataclasses.dataclass(frozen=True)
class Finding:
    """What we found.

    Attributes:
        verdict: One of the four words above.
        number: The number with its interval, and what it is.
        n: How many runs, or cases, it rests on.
    """

    verdict: str
    number: str = "–"
    n: str = "–"


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Attributes:
        statement: What the paper says, in our words.
        source: Where it says so.
        rule: When it counts as reproduced, partly, or not.
        command: What makes, or finishes, the evidence.
        judge: Reads the evidence.
    """

    statement: str
    source: str
    rule: str
    command: str
    judge: Callable[[evidence.Evidence], Finding]


def all_or_some(held: Sequence[bool]) -> str:
    """Returns the verdict on a claim that has parts, by which of them hold."""
    return REPRODUCED if all(held) else PARTLY if any(held) else NOT
