"""How many decimals returns are written with."""

import math

# What is closer to 0 is a rounding error.
_LEAST = 1e-9


def decimals(*values: float, least: int = 0) -> int:
    """Chooses the decimals of numbers that are written beside each other.

    Tasks differ in the size of their returns: between 0 and 1 if it is a rate of
    success, and in the thousands on MuJoCo.

    Args:
        *values: The numbers.
        least: Decimals of numbers of 10 and more.

    Returns:
        `least` if the largest of them is 10 or more in size; otherwise as many as give
        it three significant digits.
    """
    size = max((abs(each) for each in values if math.isfinite(each)), default=0.0)
    if not _LEAST <= size < 10:
        return least
    return max(least, 2 - math.floor(math.log10(size)))


def beside(*values: float, least: int = 0) -> list[str]:
    """Writes numbers beside each other with the decimals of `decimals`."""
    digits = decimals(*values, least=least)
    return [f"{each:.{digits}f}" for each in values]
