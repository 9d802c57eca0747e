"""Claims, findings on them, and the four verdicts."""

import dataclasses
from collections.abc import Callable, Sequence

from smoothie_tf.experiments.evidence import evidence

REPRODUCED, PARTLY, NOT, NOT_YET = "reproduced", "partly", "not", "not yet run"


@dataclasses.dataclass(frozen=True)
class Finding:
    """What the evidence says on a claim.

    Attributes:
        verdict: One of the four verdicts above.
        number: The number with its interval and its meaning.
        n: How many runs or cases it is computed from.
    """

    verdict: str
    number: str = "–"
    n: str = "–"


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Attributes:
        statement: The paper's statement, in our words.
        source: Its place in the paper.
        rule: When it counts as reproduced, partly, or not.
        command: Makes or completes the evidence.
        judge: Returns the finding from the evidence.
    """

    statement: str
    source: str
    rule: str
    command: str
    judge: Callable[[evidence.Evidence], Finding]


def all_or_some(held: Sequence[bool]) -> str:
    """Returns the verdict on a claim of several parts: all, some or none hold."""
    return REPRODUCED if all(held) else PARTLY if any(held) else NOT
