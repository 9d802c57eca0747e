"""The launcher does what is missing and nothing else, and survives failures."""

import dataclasses
import fcntl
import io
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from smoothie_tf.experiments.figures.continuous_control import FIGURE_4
from smoothie_tf.experiments.figures.grids import grid
from smoothie_tf.runs import launch, progress, status
from smoothie_tf.runs.run import Run
from smoothie_tf.runs.status import Status, current_status, lock
from smoothie_tf.training import gin_directory


@pytest.fixture
def told() -> io.StringIO:
    """What the launcher tells on the way."""
    return io.StringIO()


def test_command_says_all_of_a_run(preset, tmp_path):
    run = grid(FIGURE_4, preset, root=tmp_path)[1]
    command = launch.train_command(run)
    assert command == [
        *(sys.executable, "-m", "smoothie_tf", "train"),
        *("--agent", "smoothie", "--env", "Hopper-v5", "--seed", "0"),
        *("--preset", "quick", "--num_steps", "300"),
        *("--run_dir", str(run.directory), "--quiet"),
        *("--values_digest", run.tuned or "none"),
        *("--gin_bindings", "SmoothieAgent.kl_penalty = 0.0"),
    ]


def test_runs_all_then_nothing(runs, fake_command, starts, told):
    outcomes = launch.launch(runs, 2, stream=told)
    assert [outcome.run for outcome in outcomes] == list(runs)
    assert {outcome.status for outcome in outcomes} == {Status.DONE}
    assert "4/4" in told.getvalue()
    assert "1.20k/1.20k" in told.getvalue()
    outcomes = launch.launch(runs, 2, stream=told)
    assert {outcome.status for outcome in outcomes} == {Status.DONE}
    assert [starts(run) for run in runs] == [[0]] * 4


def test_what_runs_report_is_told_once_for_each_arm(runs, fake_command, told):
    for run in runs:
        run.directory.mkdir(parents=True)
        (run.directory / "behaviour").write_text("report")
    launch.launch(runs, 1, stream=told)
    lines = [line for line in told.getvalue().splitlines() if "large" in line]
    assert [line.strip() for line in lines] == [
        "Hopper-v5 smoothie seed 0: The rewards of this task are large: 0.",
        "Hopper-v5 ddpg seed 0: The rewards of this task are large: 0.",
    ]
    assert "Results are in" not in told.getvalue()


def test_resumes_what_was_killed(runs, fake_command, starts, told):
    run = runs[0]
    run.directory.mkdir(parents=True)
    record = '{"status": "interrupted", "num_steps": 300, "wall_seconds": 40}'
    (run.directory / "run.json").write_text(record)
    (run.directory / "checkpoints").mkdir()
    (run.directory / "checkpoints" / "ckpt-0.json").write_text("200")
    (run.directory / "progress.json").write_text('{"step": 200}')
    line = progress.overview(runs, 2)
    assert line.startswith("0 of 4 runs done, 1 to resume, 3 to start")
    # 200 steps took 40 s: 5 a second. 100 + 3 · 300 are left for two processes.
    assert line.endswith("about 01:40 left")
    # Killed later, it has noted its speed then, but the time of its first attempt.
    (run.directory / "run.json").write_text(record.replace("interrupted", "running"))
    made = '{"step": 200, "steps_per_second": 10}'
    (run.directory / "progress.json").write_text(made)
    assert progress.overview(runs, 2).endswith("about 00:50 left")
    # A run of another grid in the same directory says something too.
    (other,) = [dataclasses.replace(run, env="Swimmer-v5")]
    assert progress.overview([other], 1).endswith("about 00:30 left")
    outcomes = launch.launch([run], 1, stream=told)
    assert outcomes == [launch.Outcome(run, Status.DONE)]
    assert starts(run) == [200]


def test_failure_is_tried_once_more_and_stops_nobody(
    runs, fake_command, behave, starts, told
):
    behave(runs[0], "fail once")
    behave(runs[1], "fail")
    behave(runs[2], "vanish")
    outcomes = launch.launch(runs, 2, stream=told)
    assert [each.status for each in outcomes] == [
        *(Status.DONE, Status.FAILED, Status.FAILED, Status.DONE)
    ]
    assert [len(starts(run)) for run in runs] == [2, 2, 2, 1]
    assert "ValueError: the simulation diverged. (exit status 1" in outcomes[1].reason
    assert "ended without finishing" in outcomes[2].reason
    text = told.getvalue()
    assert "Hopper-v5 smoothie seed 0 failed and will be tried once more" in text
    assert "Hopper-v5 ddpg seed 0 failed: ValueError" in text
    # Asked again, the launcher tries what failed, and only that.
    (runs[1].directory / "behaviour").unlink()
    outcomes = launch.launch(runs[:2], 2, stream=told)
    assert {each.status for each in outcomes} == {Status.DONE}
    assert [len(starts(run)) for run in runs[:2]] == [2, 3]


def test_a_folder_that_cannot_be_made_stops_nobody(runs, fake_command, told):
    runs[0].directory.parent.mkdir(parents=True)
    runs[0].directory.write_text("in the way")
    outcomes = launch.launch(runs[:2], 2, stream=told)
    assert [each.status for each in outcomes] == [Status.FAILED, Status.DONE]
    assert "cannot be written: File exists" in outcomes[0].reason


def test_a_glance_at_a_run_writes_nothing(tmp_path):
    assert not status.is_locked(tmp_path)
    (tmp_path / ".lock").write_text("")
    assert not status.is_locked(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [".lock"]
    with open(tmp_path / ".lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert status.is_locked(tmp_path)


def test_refused_input_is_not_tried_again(runs, fake_command, behave, starts, told):
    behave(runs[0], "refuse")
    behave(runs[1], "refuse")
    outcomes = launch.launch(runs[:2], 1, stream=told)
    for run, outcome in zip(runs, outcomes, strict=False):
        assert outcome.status is Status.FAILED
        assert outcome.reason == "--agent: no such agent. (exit status 2)"
        assert len(starts(run)) == 1
    # Told once, for all it holds for.
    assert told.getvalue().count("no such agent") == 1


def test_never_more_than_the_workers(runs, fake_command, told, monkeypatch):
    alive = []
    spawn = launch._Launch._spawn

    def counted(self, run, descriptor):
        child = spawn(self, run, descriptor)
        alive.append(1 + len(self._children))
        return child

    monkeypatch.setattr(launch._Launch, "_spawn", counted)
    launch.launch(runs, 3, stream=told)
    assert len(alive) == 4
    assert max(alive) == 3


def test_one_thread_a_run_unless_the_user_says_so(
    runs, fake_command, told, monkeypatch
):
    for run, threads in zip(runs, (None, "7"), strict=False):
        if threads is None:
            monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        else:
            monkeypatch.setenv("OMP_NUM_THREADS", threads)
        launch.launch([run], 1, stream=told)
        record = (run.directory / "run.json").read_text()
        assert f'"threads": "{threads or 1}"' in record


def test_a_run_of_another_launcher_is_waited_for(
    runs, fake_command, starts, told, monkeypatch
):
    runs[0].directory.mkdir(parents=True)
    descriptor = lock(runs[0].directory)
    assert "1 running elsewhere" in progress.overview(runs, 1)
    collect = launch._Launch._collect

    def then_let_go(self):
        nonlocal descriptor
        collect(self)
        if descriptor is not None and len(self._outcomes) == len(runs) - 1:
            assert not starts(runs[0])
            os.close(descriptor)
            descriptor = None

    monkeypatch.setattr(launch._Launch, "_collect", then_let_go)
    outcomes = launch.launch(runs, 2, stream=told)
    assert {each.status for each in outcomes} == {Status.DONE}
    assert starts(runs[0]) == [0]


@pytest.fixture
def script(tmp_path):
    """A figure's script with fake training, as a process of its own."""
    (tmp_path / "quick.gin").write_text("train.num_steps=300\ngrid.num_seeds=1\n")
    path = tmp_path / "script.py"
    fake = os.path.join(os.path.dirname(__file__), "fake_train.py")
    path.write_text(
        textwrap.dedent(
            f"""
            import pathlib, sys
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
    repository = str(gin_directory.PRESETS.parents[1])
    flags = ["--envs", "Hopper-v5", "--runs_dir", "runs", "--num_workers", "2"]

    def start(**options):
        return subprocess.Popen(
            [sys.executable, str(path), *flags],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": repository},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **{"preexec_fn": heed_interrupts, **options},
        )

    return start


def wait_for_progress(runs):
    deadline = time.monotonic() + 60
    while not all((run.directory / "progress.json").exists() for run in runs):
        assert time.monotonic() < deadline, "the runs did not start"
        time.sleep(0.05)


def heed_interrupts():
    """As in a terminal, also where the tests themselves run in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ignore_interrupts():
    """As a shell script starts a job in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.parametrize(
    ("number", "options"),
    [
        (signal.SIGINT, {}),
        (signal.SIGTERM, {"preexec_fn": ignore_interrupts}),
    ],
)
def test_interrupt_leaves_checkpoints_and_says_how_to_go_on(
    runs, script, behave, starts, number, options
):
    first = runs[:2]
    for run in first:
        behave(run, "slow")
    process = script(**options)
    wait_for_progress(first)
    # The whole process group, as the terminal does it.
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.strip().endswith(
        "Stopped with 0 of 2 runs done; the same command resumes the others from "
        "their last checkpoints."
    )
    assert "Traceback" not in errors
    for run in first:
        assert '"status": "interrupted"' in (run.directory / "run.json").read_text()
        assert current_status(run.directory, run.num_steps) is Status.RESUMABLE
        (run.directory / "behaviour").unlink()
    process = script()
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert [starts(run) for run in first] == [[0, 100], [0, 100]]
    assert "0 of 2 runs done, 2 to resume" in output.splitlines()[0]
    assert "runs/figure3-quick/figure3.png" in output.splitlines()[-1]


def test_second_interrupt_does_not_wait(runs, script, behave):
    first = runs[:2]
    for run in first:
        behave(run, "stubborn")
    process = script()
    wait_for_progress(first)
    process.send_signal(signal.SIGINT)
    time.sleep(1.0)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Ctrl-C again ends them without" in errors
    for run in first:
        assert current_status(run.directory, run.num_steps) is Status.RESUMABLE


def test_nobody_else_trains_what_an_orphan_is_at(runs, script, behave):
    behave(runs[0], "slow")
    process = script()
    wait_for_progress(runs[:1])
    process.kill()
    process.communicate(timeout=30)
    # The child lives on, and so does its lock.
    assert current_status(runs[0].directory, runs[0].num_steps) is Status.RUNNING
    (run,) = runs[:1]
    children = [
        int(entry)
        for entry in os.listdir("/proc")
        if entry.isdigit() and _works_on(entry, run)
    ]
    assert len(children) == 1
    os.kill(children[0], signal.SIGINT)
    deadline = time.monotonic() + 30
    while current_status(run.directory, run.num_steps) is Status.RUNNING:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert current_status(run.directory, run.num_steps) is Status.RESUMABLE


def _works_on(process_id: str, run: Run) -> bool:
    try:
        with open(f"/proc/{process_id}/cmdline", "rb") as file:
            words = file.read().decode().split("\0")
        where = os.readlink(f"/proc/{process_id}/cwd")
    except OSError:
        return False
    run_dir = os.path.relpath(run.directory, where)
    return "--run_dir" in words and words[words.index("--run_dir") + 1] == run_dir
