"""How far runs are, and who is at work on them."""

import fcntl
import json
import os

from smoothie_tf.runs.status import Status, current_status, lock


def test_status(tmp_path):
    def write(**record):
        (tmp_path / "run.json").write_text(json.dumps(record))

    assert current_status(tmp_path / "nowhere") is Status.MISSING
    assert current_status(tmp_path) is Status.MISSING
    write(status="done", num_steps=300)
    assert current_status(tmp_path) is Status.DONE
    assert current_status(tmp_path, 300) is Status.DONE
    assert current_status(tmp_path, 200) is Status.DONE
    assert current_status(tmp_path, 400) is Status.RESUMABLE
    write(status="interrupted", num_steps=300)
    assert current_status(tmp_path, 300) is Status.RESUMABLE
    write(status="failed", num_steps=300)
    assert current_status(tmp_path, 300) is Status.FAILED
    (tmp_path / "run.json").write_text('{"status": ')
    assert current_status(tmp_path, 300) is Status.FAILED


def test_running_is_what_holds_the_lock(tmp_path):
    (tmp_path / "run.json").write_text('{"status": "running", "num_steps": 300}')
    assert current_status(tmp_path, 300) is Status.RESUMABLE
    descriptor = lock(tmp_path)
    assert current_status(tmp_path, 300) is Status.RUNNING
    assert lock(tmp_path) is None
    os.close(descriptor)
    assert current_status(tmp_path, 300) is Status.RESUMABLE


def test_training_started_by_hand_counts_as_running(tmp_path):
    (tmp_path / "run.json").write_text('{"status": "running", "num_steps": 300}')
    with open(tmp_path / ".lock", "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert current_status(tmp_path, 300) is Status.RUNNING
        assert lock(tmp_path) is None
    assert current_status(tmp_path, 300) is Status.RESUMABLE
