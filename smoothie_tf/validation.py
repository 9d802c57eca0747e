"""Range checks whose messages name the owner, the value and the allowed range."""

import difflib
import math
import numbers
from collections.abc import Callable, Iterable, Sequence

_RULES: dict[str, tuple[Callable[[float], bool], str]] = {
    "finite": (lambda x: True, "a finite number"),
    "positive": (lambda x: x > 0, "a number above 0"),
    "non-negative": (lambda x: x >= 0, "a number of at least 0"),
    "probability": (lambda x: 0 <= x <= 1, "a number between 0 and 1"),
    "share": (lambda x: 0 < x <= 1, "a number above 0 and at most 1"),
    # σ² = e^φ from 2e-35 to 6e34: beyond, it is no float32.
    "log variance": (lambda x: -80 <= x <= 80, "a number between -80 and 80"),
    "count": (lambda x: x >= 1 and x == int(x), "a whole number of at least 1"),
}


class InputError(ValueError):
    """A value given by the user cannot be used; the message is one sentence."""


class FailedError(Exception):
    """A command cannot go on, though its input is allowed; the message says why."""


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message, or its `repr` if that is empty."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else repr(error)


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns ` (did you mean …?)` if a known name is close, else an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def check(
    owner: str, rule: str, optional: bool = False, **values: float | None
) -> None:
    """Checks numbers against a rule.

    Args:
      owner: What the values belong to, as a gin binding names it.
      rule: One of "finite", "positive", "non-negative", "probability", "share", "log
        variance" and "count".
      optional: Whether None is allowed.
      **values: The values by their parameters' names.

    Raises:
      ValueError: If a value is not a finite number that the rule allows.
    """
    holds, allowed = _RULES[rule]
    if optional:
        allowed += ", or None"
    for name, value in values.items():
        if optional and value is None:
            continue
        if (
            not isinstance(value, numbers.Real)  # Also NumPy's scalars.
            or isinstance(value, bool)
            or not _is_finite(value)
            or not holds(value)
        ):
            raise ValueError(f"{owner}.{name} must be {allowed}, but is {value!r}.")


def check_flags(owner: str, **values: bool) -> None:
    """Checks that values are True or False: any non-empty text would count as True.

    Args:
      owner: What the values belong to, as a gin binding names it.
      **values: The values by their parameters' names.

    Raises:
      ValueError: If one is neither.
    """
    for name, value in values.items():
        if not isinstance(value, bool):
            raise ValueError(f"{owner}.{name} must be True or False, but is {value!r}.")


def check_choice(owner: str, allowed: Sequence[str], **values: str) -> None:
    """Checks that values are allowed.

    Args:
      owner: What the values belong to, as a gin binding names it.
      allowed: The allowed values.
      **values: The values by their parameters' names.

    Raises:
      ValueError: If a value is not allowed.
    """
    for name, value in values.items():
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(
                f"{owner}.{name} must be one of {', '.join(map(repr, allowed))}, but is"
                f" {value!r}."
            )


def _is_finite(value):
    try:
        return math.isfinite(value)
    except OverflowError:  # A whole number too large for a float.
        return False
