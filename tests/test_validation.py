"""Messages about values that cannot be used."""

import numpy as np
import pytest

from smoothie_tf import validation


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("first\nsecond"), "first"),
        (ValueError("\n  first. \nsecond"), "first."),
        # Errors without a message still say what they are.
        (ValueError(), "ValueError()"),
        (ValueError(" \n"), "ValueError(' \\n')"),
        (KeyError("name"), "'name'"),
    ],
)
def test_the_first_line_of_an_error(error, line):
    assert validation.first_line(error) == line


def test_a_name_that_is_near():
    assert validation.nearest("Hoper", ["Hopper", "Ant"]) == " (did you mean 'Hopper'?)"
    assert validation.nearest("Hoper", ["Ant"]) == ""


@pytest.mark.parametrize(
    ("rule", "allowed", "refused"),
    [
        ("finite", (-1, 0.5), (float("inf"), float("nan"), "1", None, True)),
        ("positive", (1e-9,), (0, -1)),
        ("non-negative", (0,), (-1e-9,)),
        ("probability", (0, 1), (-0.1, 1.1)),
        ("share", (1e-9, 1), (0, 1.1)),
        ("log variance", (-80, 80), (-81, 81)),
        ("count", (1, 2.0), (0, 1.5)),
    ],
)
def test_rules(rule, allowed, refused):
    for value in allowed:
        validation.check("Agent", rule, name=value)
    for value in refused:
        with pytest.raises(ValueError, match=r"^Agent\.name must be ") as error:
            validation.check("Agent", rule, name=value)
        assert str(error.value).endswith(f"but is {value!r}.")


def test_numpys_numbers_are_numbers():
    for value in (np.int64(3), np.float32(3), np.float64(3), np.uint8(3)):
        validation.check("Agent", "positive", name=value)
        validation.check("Agent", "count", name=value)
    for value in (np.float32("inf"), np.int64(0), np.bool_(True), np.ones(1)):
        with pytest.raises(ValueError) as error:
            validation.check("Agent", "positive", name=value)
        assert str(error.value) == (
            f"Agent.name must be a number above 0, but is {value!r}."
        )


def test_none_where_it_is_allowed():
    validation.check("Agent", "positive", optional=True, name=None)
    with pytest.raises(ValueError, match="must be a number above 0, or None, but is 0"):
        validation.check("Agent", "positive", optional=True, name=0)
