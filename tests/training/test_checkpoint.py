"""Checkpoints: exact, and an earlier one where the newest is broken."""

import json
import os
import pathlib
import resource
import tempfile

import numpy as np
import pytest
import tensorflow as tf

from smoothie_tf.training import checkpoint, files, replay_buffer


class Agent(tf.Module):
    """Stands for an agent: variables of each kind."""

    def __init__(self, seed):
        super().__init__()
        rng = np.random.default_rng(seed)
        self.weights = tf.Variable(rng.normal(size=(30, 20)).astype(np.float32))
        self.counter = tf.Variable(np.int64(seed))


def run(tmp_path, seed=0):
    """An agent, replay and their checkpoints."""
    agent, replay = Agent(seed), replay_buffer.ReplayBuffer(16, 2, 1)
    return agent, replay, checkpoint.Checkpointer(tmp_path / "points", agent, replay)


def add(replay, number, rng):
    for _ in range(number):
        replay.add(rng.normal(size=2), rng.normal(size=1), [], 1.0, [0, 0], True, False)


@pytest.fixture
def saved(tmp_path):
    """Checkpoints of steps 1 and 2, and what each held."""
    rng = np.random.default_rng(0)
    agent, replay, checkpointer = run(tmp_path)
    held = {}
    for step in (1, 2):
        add(replay, 3, rng)
        agent.weights.assign_add(tf.ones_like(agent.weights))
        # A third, and a number that decimal digits must not round.
        state = {"step": step, "x": 1 / 3, "y": float(np.float32(0.1)), "n": None}
        checkpointer.save(step, state)
        held[step] = (
            state,
            agent.weights.numpy(),
            replay.rows_since(0),
            replay.total_rows,
        )
    return tmp_path, held


def restored_is(tmp_path, held):
    agent, replay, checkpointer = run(tmp_path, seed=5)
    state, problems = checkpointer.restore()
    expected, weights, rows, total = held
    assert state == expected
    np.testing.assert_array_equal(agent.weights, weights)
    assert agent.counter == 0
    assert replay.total_rows == total
    np.testing.assert_array_equal(replay.rows_since(0), rows)
    return problems, (agent, replay, checkpointer)


def data_file(tmp_path, step):
    (path,) = (tmp_path / "points").glob(f"ckpt-{step}.data-*")
    return path


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 4
    path.write_bytes(content)


def truncate(path, size):
    path.write_bytes(path.read_bytes()[:size])


def test_nothing_saved_is_a_new_run(tmp_path):
    assert run(tmp_path)[2].restore() == (None, [])


def test_round_trip_is_exact(saved):
    tmp_path, held = saved
    problems, _ = restored_is(tmp_path, held[2])
    assert problems == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: truncate(data_file(d, 2), 100),
        lambda d: truncate(data_file(d, 2), 0),
        lambda d: flip(data_file(d, 2), 50),
        lambda d: flip(data_file(d, 2), -50),
        lambda d: data_file(d, 2).unlink(),
        lambda d: (d / "points" / "ckpt-2.index").unlink(),
        lambda d: truncate(d / "points" / "ckpt-2.index", 40),
        lambda d: flip(d / "points" / "ckpt-2.index", 40),
        # Rows 6 to 11 are of the second checkpoint: 5 numbers of 4 bytes each.
        lambda d: flip(d / "points" / "replay.f32", 8 * 20),
        lambda d: truncate(d / "points" / "replay.f32", 11 * 20 + 3),
        lambda d: (d / "points" / "ckpt-2.json").unlink(),
        lambda d: truncate(d / "points" / "ckpt-2.json", -1),
        lambda d: truncate(d / "points" / "ckpt-2.json", 0),
        lambda d: flip(d / "points" / "ckpt-2.json", 30),
        lambda d: (d / "points" / "ckpt-2.json").write_text('{"files": [1]}'),
        lambda d: (d / "points" / "ckpt-2.json").write_text("[" * 100_000),
        # A byte that no tensor's own checksum covers: padding, or a table's footer.
        lambda d: flip(d / "points" / "ckpt-2.index", -60),
        lambda d: flip(d / "points" / "ckpt-2.index", -12),
    ],
    ids=[
        "data cut",
        "data empty",
        "data flipped",
        "data flipped near its end",
        "data gone",
        "index gone",
        "index cut",
        "index flipped",
        "replay flipped",
        "replay cut",
        "list of checksums gone",
        "list of checksums cut",
        "list of checksums empty",
        "list of checksums flipped",
        "list of checksums of another kind",
        "list of checksums without end",
        "footer flipped",
        "padding flipped",
    ],
)
def test_a_broken_checkpoint_gives_way_to_the_one_before(saved, damage):
    tmp_path, held = saved
    damage(tmp_path)
    problems, (_, replay, checkpointer) = restored_is(tmp_path, held[1])
    (line,) = problems
    assert "ckpt-2 cannot be used: " in line
    assert line.endswith(". Resuming from the previous one, of step 1.")
    assert "\n" not in line
    # And the run resumes from it.
    add(replay, 2, np.random.default_rng(9))
    checkpointer.save(3, {"step": 3})
    again, replay_again, last = run(tmp_path, seed=6)
    assert last.restore()[0] == {"step": 3}
    np.testing.assert_array_equal(replay_again.rows_since(0), replay.rows_since(0))


def test_all_broken_is_an_error_and_not_a_new_run(saved):
    tmp_path, _ = saved
    for step in (1, 2):
        truncate(data_file(tmp_path, step), 100)
    with pytest.raises(checkpoint.CheckpointError, match="ckpt-2 .*ckpt-1 ") as caught:
        run(tmp_path)[2].restore()
    assert "\n" not in str(caught.value)


def test_a_lost_replay_is_an_error(saved):
    tmp_path, _ = saved
    (tmp_path / "points" / "replay.f32").unlink()
    with pytest.raises(checkpoint.CheckpointError, match="replay.f32"):
        run(tmp_path)[2].restore()


def test_a_lost_list_of_checkpoints_is_not_a_new_run(saved):
    tmp_path, held = saved
    (tmp_path / "points" / "checkpoint").unlink()
    problems, _ = restored_is(tmp_path, held[2])
    assert problems == []


def test_replay_wraps_between_checkpoints(tmp_path):
    # Sixteen rows; every checkpoint adds six: the third has wrapped.
    rng = np.random.default_rng(0)
    agent, replay, checkpointer = run(tmp_path)
    for step in range(1, 5):
        add(replay, 3, rng)
        checkpointer.save(step, {"step": step})
    _, restored, other = run(tmp_path, seed=1)
    assert other.restore()[0] == {"step": 4}
    assert restored.total_rows == 24
    np.testing.assert_array_equal(restored.rows_since(8), replay.rows_since(8))
    for buffer in (replay, restored):
        buffer.look_ahead([0, 0])
    np.testing.assert_array_equal(
        replay.sample(30, np.random.default_rng(1)),
        restored.sample(30, np.random.default_rng(1)),
    )


def test_only_two_checkpoints_are_kept(tmp_path):
    _, replay, checkpointer = run(tmp_path)
    add(replay, 1, np.random.default_rng(0))
    for step in (1, 2, 3, 4):
        checkpointer.save(step, {})
    kept = sorted(path.stem for path in (tmp_path / "points").glob("*.index"))
    assert kept == ["ckpt-3", "ckpt-4"]


def test_a_save_that_was_cut_off_does_not_harm_the_one_before(saved):
    # Rows are appended before the checkpoint that counts them is written.
    tmp_path, held = saved
    with open(tmp_path / "points" / "replay.f32", "ab") as file:
        file.write(b"half a row of the next checkpoint")
    problems, _ = restored_is(tmp_path, held[2])
    assert problems == []


def test_another_agents_checkpoint_is_refused(saved):
    tmp_path, _ = saved

    class Other(tf.Module):
        def __init__(self):
            super().__init__()
            self.weights = tf.Variable(tf.zeros([3, 3]))

    other = checkpoint.Checkpointer(
        tmp_path / "points", Other(), replay_buffer.ReplayBuffer(16, 2, 1)
    )
    with pytest.raises(checkpoint.CheckpointError):
        other.restore()


class Killed(BaseException):
    """Ends a save as SIGKILL does: nothing is tidied up after it."""


@pytest.fixture
def kill_at(monkeypatch):
    """Ends the process's work at its n-th operation on files."""
    calls = {"left": None}

    def counted(function):
        def call(*arguments, **options):
            if calls["left"] is not None:
                if calls["left"] == 0:
                    raise Killed
                calls["left"] -= 1
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(os, "fsync", counted(os.fsync))
    for name in ("replace", "unlink", "rmdir", "read_bytes"):
        monkeypatch.setattr(pathlib.Path, name, counted(getattr(pathlib.Path, name)))
    monkeypatch.setattr(
        tf.train.Checkpoint, "write", counted(tf.train.Checkpoint.write)
    )

    def at(number):
        calls["left"] = number

    return at


def test_killed_at_any_moment_of_a_save(saved, kill_at):
    tmp_path, held = saved
    moments, ended = 0, False
    while not ended:
        _, (agent, replay, checkpointer) = restored_is(tmp_path, held[2])
        add(replay, 2, np.random.default_rng(1))
        agent.weights.assign_add(tf.ones_like(agent.weights))
        state = {"step": 3}
        held[3] = (
            state,
            agent.weights.numpy(),
            replay.rows_since(0),
            replay.total_rows,
        )
        kill_at(moments)
        try:
            checkpointer.save(3, state)
            ended = True
        except Killed:
            moments += 1
        kill_at(None)
        other_agent, _, other = run(tmp_path, seed=6)
        restored, _ = other.restore()
        step = restored["step"]
        assert step in (2, 3)
        np.testing.assert_array_equal(other_agent.weights, held[step][1])
        if step == 3 and not ended:
            # It was complete but for what is swept away: put things back as before.
            restored_is(tmp_path, held[3])
            for path in (tmp_path / "points").glob("ckpt-3.*"):
                path.unlink()
    assert moments > 10
    restored_is(tmp_path, held[3])


def test_killed_in_its_first_save_it_begins_again(tmp_path, kill_at):
    for moment in range(4):
        agent, replay, checkpointer = run(tmp_path)
        assert checkpointer.restore()[0] in (None, {"step": 1})
        add(replay, 1, np.random.default_rng(0))
        kill_at(moment)
        with pytest.raises(Killed):
            checkpointer.save(1, {"step": 1})
        kill_at(None)


def test_no_room_leaves_what_there_was(saved):
    tmp_path, held = saved
    before = {path: path.read_bytes() for path in (tmp_path / "points").glob("ckpt*")}
    _, (_, replay, checkpointer) = restored_is(tmp_path, held[2])
    add(replay, 2, np.random.default_rng(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (100, 1000):  # In replay; and in the variables.
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(files.StorageError, match="cannot be written") as caught:
                checkpointer.save(3, {"step": 3})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert "\n" not in str(caught.value)
        assert before == {
            path: path.read_bytes() for path in (tmp_path / "points").glob("ckpt*")
        }
        assert restored_is(tmp_path, held[2])[0] == []
    # With room again, the same process could go on.
    checkpointer.save(3, {"step": 3})
    assert run(tmp_path)[2].restore() == ({"step": 3}, [])


def test_a_checkpoint_of_an_older_version_is_read(saved):
    tmp_path, held = saved
    for path in (tmp_path / "points").glob("ckpt-*.json"):
        path.unlink()
    assert restored_is(tmp_path, held[2])[0] == []


def test_what_is_listed_is_not_looked_for_elsewhere(saved):
    tmp_path, held = saved
    manifest = tmp_path / "points" / "ckpt-2.json"
    (tmp_path / "mine").write_text("mine")
    listed = json.loads(manifest.read_text())
    listed["files"]["../mine"] = {"bytes": 4, "crc32": 0}
    manifest.write_text(json.dumps(listed))
    problems, _ = restored_is(tmp_path, held[1])
    assert "../mine is missing" in problems[0]


def test_what_is_not_finite_is_named(tmp_path):
    agent, _, checkpointer = run(tmp_path)
    assert checkpointer.not_finite() is None
    # Its sum overflows, but every element is finite.
    agent.weights.assign(tf.fill([30, 20], 3e38))
    assert checkpointer.not_finite() is None
    for value in (np.nan, np.inf):
        agent.weights[4, 5].assign(value)
        assert checkpointer.not_finite() == "Variable"


@pytest.mark.parametrize(
    "name", ["[seed=0]", "a\\b", "a[1]*?b", "{a,b}", "ä b", "~", "%s", "-"]
)
def test_names_of_folders_that_mean_something_to_patterns(tmp_path, name, monkeypatch):
    folder = tmp_path / name
    # A folder that the name would stand for, if it were a pattern.
    (tmp_path / "a1xyb" / "points").mkdir(parents=True)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    rng = np.random.default_rng(0)
    agent, replay, checkpointer = run(folder)
    add(replay, 3, rng)
    checkpointer.save(1, {"step": 1})
    checkpointer.save(2, {"step": 2})
    held = {"step": 2}, agent.weights.numpy(), replay.rows_since(0), replay.total_rows
    problems, _ = restored_is(folder, held)
    assert problems == []
    assert [path.name for path in folder.iterdir()] == ["points"]
    monkeypatch.chdir(folder)
    problems, _ = restored_is(pathlib.Path(), held)
    assert problems == []
