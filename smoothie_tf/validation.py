"""Range checks whose message names the value, what is allowed and whose it is."""

import math
from collections.abc import Callable

_RULES: dict[str, tuple[Callable[[float], bool], str]] = {
    "finite": (lambda x: True, "a finite number"),
    "positive": (lambda x: x > 0, "a number above 0"),
    "non-negative": (lambda x: x >= 0, "a number of at least 0"),
    "probability": (lambda x: 0 <= x <= 1, "a number between 0 and 1"),
    "share": (lambda x: 0 < x <= 1, "a number above 0 and at most 1"),
    "count": (lambda x: x >= 1 and x == int(x), "a whole number of at least 1"),
}


def check(owner: str, rule: str, **values: float | None) -> None:
    """Checks numbers against a rule.

    Args:
      owner: What the values belong to, as a gin binding names it.
      rule: One of "finite", "positive", "non-negative", "probability", "share" and
        "count".
      **values: The values by their parameters' names; None is left alone.

    Raises:
      ValueError: If a value is not a finite number that the rule allows.
    """
    holds, allowed = _RULES[rule]
    for name, value in values.items():
        if value is None:
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not holds(value):
            raise ValueError(f"{owner}.{name} must be {allowed}, but is {value!r}.")
