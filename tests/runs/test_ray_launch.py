"""Runs on a real Ray cluster of this machine: one of its nodes is killed at work."""

import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import types

import pytest

from smoothie_tf.experiments.commands.figure import figure_command
from smoothie_tf.experiments.figures.continuous_control import FIGURE_3
from smoothie_tf.runs import launch, ray_launch
from smoothie_tf.runs.status import Status, current_status, read_json
from smoothie_tf.runs.workers import LocalWorkers, WorkerLostError
from smoothie_tf.training import gin_directory

ROOT = gin_directory.PRESETS.parents[1]
NUM_STEPS = 5000


def test_an_unknown_launcher_is_one_sentence(capsys):
    with pytest.raises(SystemExit) as caught:
        figure_command(FIGURE_3, ["--launcher", "rya"])
    assert caught.value.code == 2
    errors = capsys.readouterr().err
    assert "invalid choice: 'rya' (choose from 'processes', 'ray')" in errors
    assert len(errors.strip().splitlines()) == 1


def test_an_address_is_for_ray(capsys):
    assert figure_command(FIGURE_3, ["--ray_address", "auto"]) == 2
    errors = capsys.readouterr().err
    assert "--ray_address auto is for --launcher ray" in errors
    assert len(errors.strip().splitlines()) == 1


def test_without_ray_it_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setattr(ray_launch.importlib.util, "find_spec", lambda name: None)
    assert figure_command(FIGURE_3, ["--launcher", "ray"]) == 2
    assert "pip install -e '.[ray]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("nonsense", "is not an address: give auto, or the host:port"),
        ("ray://head:10001", "is not an address"),
        ("", "is not an address"),
        # Port 1 of this machine: nobody listens.
        ("127.0.0.1:1", "nothing answers there (Connection refused)"),
        ("no-such-host.invalid:6379", "nothing answers there"),
    ],
)
def test_bad_address_is_one_sentence_at_once(address, sentence, monkeypatch, capsys):
    monkeypatch.setattr(ray_launch.importlib.util, "find_spec", lambda name: "there")
    flags = ["--launcher", "ray", "--ray_address", address]
    assert figure_command(FIGURE_3, flags) == 2
    errors = capsys.readouterr().err
    assert sentence in errors
    assert len(errors.strip().splitlines()) == 1


def test_no_cluster_here_is_one_sentence(monkeypatch, capsys):
    def init(**_):
        raise ConnectionError("Could not find any running Ray instance.")

    # Ray would find a cluster of this machine, if there were one.
    monkeypatch.setitem(sys.modules, "ray", types.SimpleNamespace(init=init))
    monkeypatch.setattr(ray_launch.importlib.util, "find_spec", lambda name: "there")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert figure_command(FIGURE_3, ["--launcher", "ray"]) == 2
    errors = capsys.readouterr().err
    assert "start one with `ray start --head`" in errors
    assert len(errors.strip().splitlines()) == 1


class LosingWorkers(LocalWorkers):
    """Workers that are lost with their first runs, once those have begun."""

    def __init__(self, losses):
        self._losses = losses

    def start(self, command, log, descriptor):
        process = super().start(command, log, descriptor)
        if not self._losses:
            return process
        self._losses -= 1
        return Lost(process)


class Lost:
    """A run whose machine is lost while it is at work."""

    def __init__(self, process):
        self._process = process

    def poll(self):
        self._process.kill()
        self._process.wait()
        raise WorkerLostError("its node died")


def test_a_lost_worker_is_no_attempt(runs, fake_command, behave):
    behave(runs[0], "fail once")
    told = io.StringIO()
    outcomes = launch.launch(runs[:1], stream=told, workers=LosingWorkers(3))
    assert outcomes[0].status is Status.DONE
    assert (
        told.getvalue().count("resumes from its last checkpoint on another worker") == 3
    )


def test_a_run_that_takes_its_workers_down_ends(runs, fake_command):
    told = io.StringIO()
    outcomes = launch.launch(runs[:1], stream=told, workers=LosingWorkers(100))
    assert outcomes[0].status is Status.FAILED
    assert outcomes[0].reason == "its node died"


# Ray leaves threads and settings in the process that starts a cluster.
CLUSTER = """
import json, sys, threading
from ray.cluster_utils import Cluster

# Ray waits 30 seconds for each node, which a busy machine may exceed.
for attempts_left in (4, 3, 2, 1, 0):
    cluster = Cluster()
    try:
        _, *nodes = [cluster.add_node(num_cpus=number) for number in (0, 1, 1)]
        break
    except Exception:
        cluster.shutdown()
        if not attempts_left:
            raise
print(cluster.address, flush=True)
for line in sys.stdin:
    cluster.remove_node(nodes.pop(), allow_graceful=False)
cluster.shutdown()
"""


@pytest.fixture
def cluster(tmp_path):
    """A cluster of two nodes with one core each; a line to it kills a node."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "RAY_BACKEND_LOG_LEVEL": "fatal",
        "RAY_enable_metrics_collection": "0",
        "RAY_gcs_server_port_wait_time_s": "300",
    }
    with open(tmp_path / "cluster.log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", CLUSTER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
            start_new_session=True,
        )
    process.address = process.stdout.readline().strip()
    assert process.address, (tmp_path / "cluster.log").read_text()
    yield process
    process.stdin.close()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def script(tmp_path, cluster):
    """A figure's script with fake training, on the cluster."""
    (tmp_path / "quick.gin").write_text(
        f"train.num_steps={NUM_STEPS}\ngrid.num_seeds=1\n"
    )
    path = tmp_path / "script.py"
    fake = os.path.join(os.path.dirname(__file__), "fake_train.py")
    path.write_text(
        textwrap.dedent(
            f"""
            import pathlib, signal, sys
            # Where the tests run in a shell's background, it is inherited as ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            from smoothie_tf.experiments.commands.figure import figure_command
            from smoothie_tf.experiments.figures.continuous_control import FIGURE_3
            from smoothie_tf.runs import launch
            from smoothie_tf.training import gin_directory
            gin_directory.PRESETS = pathlib.Path({str(tmp_path)!r})
            gin_directory.TUNED = gin_directory.PRESETS / "tuned"
            launch.TRAIN = (sys.executable, {fake!r})
            sys.exit(figure_command(FIGURE_3))
            """
        )
    )
    flags = ["--envs", "Hopper-v5", "--runs_dir", "runs", "--launcher", "ray"]

    def start():
        return subprocess.Popen(
            [sys.executable, str(path), *flags, "--ray_address", cluster.address],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


def wait_until(condition, what, seconds=180):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_survives_an_interrupt_and_the_death_of_a_node(
    runs, cluster, script, behave, starts
):
    first = runs[:2]
    for run in first:
        behave(run, "steady")

    def steps():
        return [read_json(run.directory / "progress.json") for run in first]

    def further(than):
        return lambda: all(each.get("step", 0) > than for each in steps())

    # An interrupt reaches both nodes, and both runs leave their checkpoints.
    process = script()
    wait_until(further(0), "the runs did not start")
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=180)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "0 of 2 runs done, 2 to start" in output
    for run in first:
        record = json.loads((run.directory / "run.json").read_text())
        assert record["status"] == "interrupted"
    # The same command goes on; then one of the nodes dies with its run at work.
    before = max(each["step"] for each in steps())
    process = script()
    wait_until(further(before), "the runs did not go on")
    cluster.stdin.write("\n")
    cluster.stdin.flush()
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "resumes from its last checkpoint on another worker: its node died" in errors
    times = sorted((starts(run) for run in first), key=len)
    assert [len(each) for each in times] == [2, 3]
    assert all(step > 0 for each in times for step in each[1:])
    assert times[1][2] > before
    for run in first:
        assert current_status(run.directory, NUM_STEPS) is Status.DONE
