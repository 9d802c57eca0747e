"""Which parameters of a test are left to `make test-slow`.

Of an agent, a variant or a fault that takes the same path through the code as another,
one is enough for each change; all of them are tested before a release.
"""

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def all_but(kept: Collection, values: Iterable) -> list[Any]:
    """Returns a test's parameters, of which those that are not kept are slow."""
    return [
        value if value in kept else pytest.param(value, marks=pytest.mark.slow)
        for value in values
    ]
