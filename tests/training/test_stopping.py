"""Signals to real processes: what they are told, and how they end."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from tests import slow

ROOT = pathlib.Path(__file__).parents[2]
BINDINGS = (
    "MeanNetwork.hidden_units=(4,)",
    "smoothie_tf.CriticNetwork.observation_units=(4,)",
    "smoothie_tf.CriticNetwork.joint_units=(4,)",
    "train.batch_size=8",
    "train.use_xla=False",
    "train.initial_collect_steps=10",
    "train.evaluation_episodes=2",
    "train.checkpoint_interval=20",
)


@pytest.fixture
def start(tmp_path):
    """Starts train.py on a wild task; what is left of it in the end is killed."""
    started = []

    def begin(env, *bindings):
        words = [sys.executable, str(ROOT / "reproduce" / "train.py"), "--quiet"]
        words += ["--agent", "smoothie", "--env", f"wild_tasks:{env}"]
        words += ["--run_dir", str(tmp_path / "run"), "--num_steps", "500000"]
        for binding in (*BINDINGS, *bindings):
            words += ["--gin_bindings", binding]
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        process = subprocess.Popen(
            words,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path},
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def wait_for(path, process):
    deadline = time.monotonic() + 240
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(signal.SIGINT, signal.SIGINT, marks=pytest.mark.slow),
        (signal.SIGTERM, signal.SIGINT),
    ],
)
def test_a_step_that_blocks_is_named_and_can_be_left(start, tmp_path, first, second):
    process = start("WildBlocks-v0", "train.evaluation_interval=500000")
    wait_for(tmp_path / "blocked", process)
    begun = time.monotonic()
    # A launcher and a terminal both pass on one Ctrl-C: that is one request.
    process.send_signal(first)
    process.send_signal(first)
    latest = tmp_path / "run" / "checkpoints" / "ckpt-40"
    assert process.stderr.readline() == (
        "Stopping: waiting for the environment's step. Ctrl-C or SIGTERM again ends at"
        f" once, without a checkpoint; then the same command resumes from {latest}.\n"
    )
    process.send_signal(second)
    assert process.stderr.read() == (
        "Ended at once, without a checkpoint; the same command resumes from"
        f" {latest}.\n"
    )
    assert process.wait(30) == 130
    # Well before the step returns.
    assert time.monotonic() - begun < 30
    steps = sorted(path.name for path in latest.parent.glob("*.json"))
    assert steps == ["ckpt-20.json", "ckpt-40.json"]
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert info["status"] == "running"


@pytest.mark.parametrize(
    "number", slow.all_but([signal.SIGINT], [signal.SIGINT, signal.SIGTERM])
)
def test_an_evaluation_without_end_stops_at_its_next_step(start, tmp_path, number):
    process = start(
        "WildEndless-v0",
        "train.evaluation_interval=30",
        "train.evaluation_max_steps=1000000000",
    )
    # Training has at most 30 steps behind it: this is in the evaluation.
    wait_for(tmp_path / "endless", process)
    process.send_signal(number)
    assert process.wait(120) == 130
    assert process.stderr.read().endswith(
        "Stopped; the same command resumes from the checkpoint in"
        f" {tmp_path / 'run'}.\n"
    )
    assert (tmp_path / "run" / "checkpoints" / "ckpt-30.json").exists()
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert info["status"] == "interrupted"


FORKS = """
import os, signal, sys, time
from smoothie_tf.training import stopping

with stopping.signals() as stop:
    child = os.fork()
    if child == 0:
        time.sleep(30)
        os._exit(0)
    os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    time.sleep(1)
    sys.exit(os.WTERMSIG(status) + 100 * stop.is_set())
"""


def test_a_process_that_a_task_forks_ends_as_others_do():
    done = subprocess.run(
        [sys.executable, "-c", FORKS], timeout=20, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (signal.SIGTERM, "")
