"""Named streams of random numbers from one seed."""

import zlib

import numpy as np


class RandomStreams:
    """Derives independent seeds and generators from a run's seed by name.

    A stream depends only on the seed and its own name: a new stream never shifts the
    draws of another, and only the returned generators have state.
    """

    def __init__(self, seed: int):
        """Derives the streams from `seed`, a non-negative integer.

        Raises:
          ValueError: If the seed is negative.
        """
        if seed < 0:
            raise ValueError(f"--seed must be 0 or more, but is {seed}.")
        self._seed = seed

    def seed(self, name: str, *numbers: int) -> int:
        """Returns a 31-bit seed for the stream `name`, element `numbers`."""
        return int(self._sequence(name, numbers).generate_state(1)[0] >> 1)

    def generator(self, name: str) -> np.random.Generator:
        """Returns a generator at the start of the stream `name`."""
        return np.random.default_rng(self._sequence(name, ()))

    def _sequence(self, name, numbers):
        # Python's own hash of a string differs from process to process.
        return np.random.SeedSequence(
            self._seed, spawn_key=(zlib.crc32(name.encode()), *numbers)
        )
