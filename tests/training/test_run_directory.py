"""metrics.csv across interruptions, and one owner at a time."""

import json
import os
import subprocess
import sys

import pandas as pd
import pytest

from smoothie_tf.training import run_directory

IDENTITY = {"agent": "smoothie", "env": "Hopper-v5", "seed": 0, "gin_bindings": []}
HEADER = (
    "step,evaluation_return_mean,evaluation_return_std,training_return,policy_stddev,"
    "q,actor_loss,critic_loss,kl,steps_per_second\n"
)


@pytest.fixture
def directory(tmp_path):
    opened = run_directory.RunDirectory(tmp_path / "deep" / "run", IDENTITY)
    yield opened
    opened.close()


def test_metrics_by_hand(directory):
    directory.keep_metrics_until(0)
    directory.append_metrics({"step": 10, "q": 0.1, "kl": None, "actor_loss": -2e-8})
    directory.append_metrics({"step": 20, "q": float("nan"), "critic_loss": 3.0})
    text = (directory.path / "metrics.csv").read_text()
    assert text == HEADER + "10,,,,,0.1,-2e-08,,,\n" + "20,,,,,,,3.0,,\n"
    table = pd.read_csv(directory.path / "metrics.csv")
    assert tuple(table.columns) == run_directory.COLUMNS
    assert table["q"].isna().tolist() == [False, True]


def test_half_a_row_is_cut(directory):
    directory.keep_metrics_until(0)
    directory.append_metrics({"step": 10, "q": 1.0})
    with open(directory.path / "metrics.csv", "a") as file:
        file.write("20,1.5,0.")
    directory.keep_metrics_until(20)
    text = (directory.path / "metrics.csv").read_text()
    assert text == HEADER + "10,,,,,1.0,,,,\n"


def test_rows_after_the_checkpoint_are_dropped(directory):
    directory.keep_metrics_until(0)
    for step in (10, 20, 30):
        directory.append_metrics({"step": step})
    directory.keep_metrics_until(20)
    table = pd.read_csv(directory.path / "metrics.csv")
    assert table["step"].tolist() == [10, 20]


@pytest.mark.parametrize("content", ["", "step,eval", "\0\0\0"])
def test_a_file_cut_in_its_header_starts_anew(directory, content):
    (directory.path / "metrics.csv").write_text(content)
    directory.keep_metrics_until(20)
    assert (directory.path / "metrics.csv").read_text() == HEADER


def test_another_process_is_refused(directory):
    code = (
        "import sys\n"
        "from smoothie_tf.training import run_directory\n"
        "try:\n"
        "    run_directory.RunDirectory(sys.argv[1], {})\n"
        "except run_directory.RunDirectoryError as error:\n"
        "    print(error)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(directory.path)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ).stdout
    assert said == (f"--run_dir {directory.path} is in use by process {os.getpid()}.\n")


def test_it_is_free_once_closed(directory):
    directory.close()
    run_directory.RunDirectory(directory.path, IDENTITY).close()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("agent", "ddpg"),
        ("env", "Ant-v5"),
        ("seed", 1),
        ("gin_bindings", ["SmoothieAgent.gamma=0.9"]),
    ],
)
def test_another_run_is_refused(directory, key, value):
    directory.write_info(status="running")
    directory.close()
    with pytest.raises(
        run_directory.RunDirectoryError, match=f"holds a run with {key}"
    ):
        run_directory.RunDirectory(directory.path, {**IDENTITY, key: value})
    # And the refusal did not keep hold of it.
    run_directory.RunDirectory(directory.path, IDENTITY).close()


def test_a_file_in_its_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(run_directory.RunDirectoryError, match="file is a file"):
        run_directory.RunDirectory(tmp_path / "file", IDENTITY)
    with pytest.raises(run_directory.RunDirectoryError, match="cannot be written"):
        run_directory.RunDirectory(tmp_path / "file" / "run", IDENTITY)


def test_a_broken_run_json_is_named(tmp_path):
    (tmp_path / "run.json").write_text('{"agent": ')
    with pytest.raises(run_directory.RunDirectoryError, match="run.json"):
        run_directory.RunDirectory(tmp_path, IDENTITY)


def test_info_and_progress(directory):
    directory.write_info(status="running", num_steps=5)
    directory.write_info(status="done")
    info = json.loads((directory.path / "run.json").read_text())
    assert info == {**IDENTITY, "status": "done", "num_steps": 5}
    directory.write_progress(step=1, evaluation_return=None)
    directory.write_progress(step=2, evaluation_return=None)  # Within two seconds.
    progress = json.loads((directory.path / "progress.json").read_text())
    assert progress == {"step": 1, "evaluation_return": None}
    assert not list(directory.path.glob(".*.tmp"))


def test_provenance():
    said = run_directory.provenance()
    assert set(said["versions"]) >= {"tensorflow", "gymnasium", "mujoco", "python"}
    assert said["commit"] is None or len(said["commit"].removesuffix("-dirty")) == 40
