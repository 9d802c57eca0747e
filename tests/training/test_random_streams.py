"""Streams depend on the seed and their own name alone."""

import numpy as np
import pytest

from smoothie_tf.training import random_streams


def test_streams_are_functions_of_seed_name_and_numbers():
    names = [("a",), ("b",), ("a", 0), ("a", 1), ("a", 0, 0), ("a", 0, 1)]
    seeds = {
        (root, name): random_streams.RandomStreams(root).seed(*name)
        for root in (0, 1)
        for name in names
    }
    assert len(set(seeds.values())) == len(seeds)
    again = random_streams.RandomStreams(1)
    for name in reversed(names):
        assert again.seed(*name) == seeds[1, name]
    assert all(0 <= seed < 2**31 for seed in seeds.values())


def test_seeds_are_the_same_on_every_machine():
    # Recorded once: a change would change every curve.
    streams = random_streams.RandomStreams(0)
    assert [streams.seed("weights"), streams.seed("environment", 3)] == [
        1880042887,
        568307720,
    ]


def test_generators_start_at_the_beginning_of_their_stream():
    streams = random_streams.RandomStreams(5)
    first, again = streams.generator("replay"), streams.generator("replay")
    np.testing.assert_array_equal(first.random(3), again.random(3))
    assert not np.isclose(first.random(), streams.generator("other").random())


def test_a_negative_seed_is_named():
    with pytest.raises(ValueError, match="--seed must be 0 or more, but is -1"):
        random_streams.RandomStreams(-1)
