"""Decimals of returns."""

import math

import pytest

from smoothie_tf import rounding


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((0.0015, 0.0), ["0.00150", "0.00000"]),
        ((-0.0015,), ["-0.00150"]),
        ((0.85, 0.03), ["0.850", "0.030"]),
        ((-1.5, 9.994), ["-1.50", "9.99"]),
        ((10.0, 0.01), ["10", "0"]),
        ((-3000.4, 1e-3), ["-3000", "0"]),
        # Neither says anything about the size of what is beside it.
        ((0.5, math.nan), ["0.500", "nan"]),
        ((0.5, -math.inf), ["0.500", "-inf"]),
        # Rounding errors, and nothing at all.
        ((1e-17, 0.0), ["0", "0"]),
        ((math.nan,), ["nan"]),
    ],
)
def test_the_largest_number_decides_for_all(values, texts):
    assert rounding.beside(*values) == texts


def test_large_numbers_have_the_least_decimals():
    assert rounding.beside(10.0, 0.25, least=1) == ["10.0", "0.2"]
    assert rounding.beside(0.0, least=1) == ["0.0"]
    assert rounding.beside(9.0, least=1) == ["9.00"]
