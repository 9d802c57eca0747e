"""The ring: order, wrapping, episode ends, uniformity."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from smoothie_tf.training import replay_buffer


def fill(replay, lengths, terminated):
    """Plays episodes whose observations count time steps: (episode, step)."""
    transitions = []
    for episode, (length, ends) in enumerate(zip(lengths, terminated, strict=True)):
        replay.look_ahead(np.array([episode, 0]))
        for step in range(length):
            last = step == length - 1
            replay.add(
                np.array([episode, step]),
                np.array([10 * episode + step]),
                np.array([]),
                100 * episode + step,
                np.array([episode, step + 1]),
                last and ends,
                last and not ends,
            )
            transitions.append((episode, step, last and ends))
            if last and episode + 1 < len(lengths):
                replay.look_ahead(np.array([episode + 1, 0]))
    return transitions


def test_rewards_are_those_of_transitions():
    replay = replay_buffer.ReplayBuffer(6, 2, 1)
    assert not replay.rewards().size
    # The final observations are no transitions.
    fill(replay, [2, 1], [True, False])
    assert replay.rewards().tolist() == [0, 1, 100]


EPISODES = strategies.lists(
    strategies.tuples(strategies.integers(1, 6), strategies.booleans()),
    min_size=1,
    max_size=12,
)


@hypothesis.settings(deadline=None, max_examples=100, derandomize=True)
@hypothesis.given(EPISODES, strategies.integers(2, 40))
def test_no_pair_crosses_an_episodes_end(episodes, capacity):
    replay = replay_buffer.ReplayBuffer(capacity, 2, 1)
    transitions = fill(replay, *zip(*episodes, strict=True))
    start, following = replay.sample(300, np.random.default_rng(0))
    episode, step = start[:, 0], start[:, 1]
    np.testing.assert_array_equal(following[:, 0], episode)
    np.testing.assert_array_equal(following[:, 1], step + 1)
    np.testing.assert_array_equal(start[:, 2], 10 * episode + step)
    np.testing.assert_array_equal(start[:, 3], 100 * episode + step)
    ended = {(e, s): over for e, s, over in transitions}
    for e, s, discount in zip(episode, step, start[:, 4], strict=True):
        assert discount == (0.0 if ended[int(e), int(s)] else 1.0)
    # What can be sampled is among the newest rows.
    rows = sum(length + 1 for length, _ in episodes)
    assert replay.total_rows == rows
    newest, row = set(), 0
    for e, (length, _) in enumerate(episodes):
        for s in range(length):
            if row >= rows - capacity:
                newest.add((e, s))
            row += 1
        row += 1
    seen = set(zip(episode.astype(int), step.astype(int), strict=True))
    assert seen <= newest
    if len(newest) < 20:  # 300 draws: one of 20 is missed with probability 2e-7.
        assert seen == newest


def test_the_ring_by_hand():
    # Four rows. Episode 0 fills rows 0 to 2 with two steps and its last observation;
    # of episode 1, step 0 is row 3, step 1 is row 0, and row 1 looks ahead.
    replay = replay_buffer.ReplayBuffer(4, 2, 1)
    fill(replay, [2], [True])
    assert replay.total_rows == 3
    fill(replay, [2], [True])  # Again as episode 0: rows 3, 0 and 1.
    assert replay.total_rows == 6
    start, following = replay.sample(50, np.random.default_rng(0))
    # Row 2 (an episode's end) and row 1 (likewise) cannot be drawn.
    assert {tuple(row) for row in start[:, :2]} == {(0, 0), (0, 1)}
    assert {tuple(row) for row in following[:, :2]} == {(0, 1), (0, 2)}


def test_a_transition_can_be_sampled_at_once():
    replay = replay_buffer.ReplayBuffer(4, 1, 1, 2)
    replay.add([1.0], [2.0], [3.0, 4.0], 5.0, [6.0], False, False)
    start, following = replay.sample(2, np.random.default_rng(0))
    np.testing.assert_array_equal(start, [[1, 2, 3, 4, 5, 1]] * 2)
    np.testing.assert_array_equal(following[:, 0], [6, 6])
    assert start.dtype == np.float32
    assert replay.row_size == 6


def test_samples_are_copies():
    replay = replay_buffer.ReplayBuffer(4, 1, 1)
    replay.add([1.0], [2.0], [], 5.0, [6.0], False, False)
    replay.sample(1, np.random.default_rng(0))[:] = 99
    start, _ = replay.sample(1, np.random.default_rng(0))
    np.testing.assert_array_equal(start, [[1, 2, 5, 1]])


def test_sampling_is_uniform():
    # 27 transitions in a ring of 37 rows that has wrapped; χ² with about 26 degrees
    # of freedom is above 60 with probability 2e-4.
    replay = replay_buffer.ReplayBuffer(37, 2, 1)
    fill(replay, [3, 1, 7, 2, 5, 4, 6, 3, 5], [True, False] * 4 + [True])
    start, _ = replay.sample(40_000, np.random.default_rng(0))
    _, counts = np.unique(start[:, :2], axis=0, return_counts=True)
    expected = 40_000 / len(counts)
    assert 25 <= len(counts) <= 32
    assert ((counts - expected) ** 2 / expected).sum() < 60


def test_the_same_stream_draws_the_same():
    replay = replay_buffer.ReplayBuffer(37, 2, 1)
    fill(replay, [5, 5], [True, False])
    draws = [replay.sample(20, np.random.default_rng(3)) for _ in range(2)]
    np.testing.assert_array_equal(*draws)


@hypothesis.settings(deadline=None, max_examples=50, derandomize=True)
@hypothesis.given(EPISODES, strategies.integers(2, 40))
def test_rows_since_and_load_restore_the_ring(episodes, capacity):
    replay = replay_buffer.ReplayBuffer(capacity, 2, 1)
    file, seen = [], 0
    # As checkpoints do: rows are appended to a file before the ring overwrites them.
    for number in range(len(episodes)):
        lengths, ends = zip(*episodes[: number + 1], strict=True)
        replay = replay_buffer.ReplayBuffer(capacity, 2, 1)
        fill(replay, lengths, ends)
        since = max(seen, replay.total_rows - capacity)
        file = [*file[:since], *replay.rows_since(since)]
        seen = replay.total_rows
        if len(file) < seen:  # One episode was longer than the ring.
            return
    restored = replay_buffer.ReplayBuffer(capacity, 2, 1)
    restored.load(np.array(file), seen)
    assert restored.total_rows == replay.total_rows
    np.testing.assert_array_equal(
        restored.rows_since(max(0, seen - capacity)),
        replay.rows_since(max(0, seen - capacity)),
    )
    for buffer in (replay, restored):
        buffer.add(np.array([50, 0]), [1], [], 2, np.array([50, 1]), False, False)
    np.testing.assert_array_equal(
        replay.sample(50, np.random.default_rng(1)),
        restored.sample(50, np.random.default_rng(1)),
    )


def test_bad_use_is_named():
    with pytest.raises(ValueError, match="at least 2, but is 1"):
        replay_buffer.ReplayBuffer(1, 2, 1)
    with pytest.raises(ValueError, match="empty"):
        replay_buffer.ReplayBuffer(4, 2, 1).sample(1, np.random.default_rng(0))


@hypothesis.settings(deadline=None, max_examples=100, derandomize=True)
@hypothesis.given(EPISODES, strategies.integers(8, 40), strategies.integers(6, 9))
def test_the_last_episode_is_whole_and_in_order(episodes, capacity, length):
    replay = replay_buffer.ReplayBuffer(capacity, 2, 1)
    fill(replay, *zip(*episodes, strict=True))
    (start, following), mask = replay.last_episode(length)
    number, ends = episodes[-1]
    assert start.shape == (length, replay.row_size)
    np.testing.assert_array_equal(mask, np.arange(length) < number)
    np.testing.assert_array_equal(start[:number, 0], len(episodes) - 1)
    np.testing.assert_array_equal(start[:number, 1], np.arange(number))
    np.testing.assert_array_equal(following[:number, 1], np.arange(number) + 1)
    discounts = np.ones(number)
    discounts[-1] = 0.0 if ends else 1.0
    np.testing.assert_array_equal(start[:number, -1], discounts)
    assert not start[number:].any() and not following[number:].any()


def test_a_last_episode_that_is_not_there_is_named():
    replay = replay_buffer.ReplayBuffer(30, 2, 1)
    with pytest.raises(ValueError, match="ended no episode"):
        replay.last_episode(5)
    fill(replay, [3, 6], [True, False])
    with pytest.raises(ValueError, match="more than 4|has 6 transitions, but must"):
        replay.last_episode(4)
    # One more step: the last transition is within an episode.
    replay.add(np.zeros(2), np.zeros(1), np.array([]), 0.0, np.ones(2), False, False)
    with pytest.raises(ValueError, match="ended no episode"):
        replay.last_episode(10)
    # Overwritten in part: five rows are left of an episode of six.
    replay = replay_buffer.ReplayBuffer(5, 2, 1)
    fill(replay, [6], [True])
    with pytest.raises(ValueError, match="begins before what is left in replay"):
        replay.last_episode(6)
