"""metrics.csv across interruptions, and one owner at a time."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pandas as pd
import pytest

from smoothie_tf.runs.status import _try_lock, lock
from smoothie_tf.training import files, provenance, run_directory

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
    directory.append_metrics({"step": 10, "q": 0.1, "kl": None, "actor_loss": -2e-8})
    directory.append_metrics({"step": 20, "q": float("nan"), "critic_loss": 3.0})
    text = (directory.path / "metrics.csv").read_text()
    assert text == HEADER + "10,,,,,0.1,-2e-08,,,\n" + "20,,,,,,,3.0,,\n"
    table = pd.read_csv(directory.path / "metrics.csv")
    assert tuple(table.columns) == run_directory.COLUMNS
    assert table["q"].isna().tolist() == [False, True]


def test_rows_come_back_from_a_checkpoint(directory):
    directory.append_metrics({"step": 10, "q": 0.1})
    saved = json.loads(json.dumps(directory.metrics))
    directory.append_metrics({"step": 20})
    # Whatever became of the file.
    (directory.path / "metrics.csv").write_text("step,eval")
    directory.set_metrics(saved)
    directory.append_metrics({"step": 20, "q": 0.2})
    text = (directory.path / "metrics.csv").read_text()
    assert text == HEADER + "10,,,,,0.1,,,,\n" + "20,,,,,0.2,,,,\n"


def test_a_full_disk_leaves_the_rows_before(directory, monkeypatch):
    directory.append_metrics({"step": 10, "q": 1.0})

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(files.StorageError, match="metrics.csv cannot be written .*No"):
        directory.append_metrics({"step": 20, "q": 2.0})
    text = (directory.path / "metrics.csv").read_text()
    assert text == HEADER + "10,,,,,1.0,,,,\n"
    assert sorted(path.name for path in directory.path.iterdir()) == [
        ".lock",
        "metrics.csv",
    ]


def test_progress_is_not_worth_a_run(directory, monkeypatch):
    def full(path, text, lasts_power_cut):
        raise files.StorageError

    monkeypatch.setattr(files, "replace", full)
    directory.write_progress(step=1)


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
    assert said == (
        f"--run_dir {directory.path} is in use by process {os.getpid()}"
        f" on {socket.gethostname()}.\n"
    )


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


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ('{"format": 2}', "is of format 2, written by a newer smoothie_tf: version"),
        ('{"format": "next"}', "is of format 'next', written by a newer"),
        ("[1, 2]", "holds no JSON object"),
        ('{"agent": "\\', "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ('{"commit": 5}', "cannot be read: 5 cannot be its commit."),
        ('{"versions": "x"}', "cannot be read: 'x' cannot be its versions."),
        ('{"wall_seconds": "long"}', "has wall_seconds 'long', which is not a number"),
        ('{"num_steps": NaN}', "has num_steps nan, which is not a number"),
    ],
)
def test_a_run_json_of_others_is_refused_and_left_as_it_is(tmp_path, content, part):
    path = tmp_path / "run.json"
    path.write_text(content)
    with pytest.raises(run_directory.RunDirectoryError) as caught:
        run_directory.RunDirectory(tmp_path, {})
    assert part in str(caught.value) and "\n" not in str(caught.value)
    assert [each.name for each in tmp_path.iterdir()] == ["run.json"]
    assert path.read_text() == content


def test_somebody_elses_metrics_are_left_alone(tmp_path):
    (tmp_path / "metrics.csv").write_text("mine")
    with pytest.raises(run_directory.RunDirectoryError, match="not the directory of a"):
        run_directory.RunDirectory(tmp_path, IDENTITY)
    assert [each.name for each in tmp_path.iterdir()] == ["metrics.csv"]


def test_a_directory_abandoned_is_not_there(tmp_path):
    run_directory.RunDirectory(tmp_path / "deep" / "run", IDENTITY).abandon()
    assert not list(tmp_path.iterdir())


def test_macros_are_compared_by_their_values(directory):
    directory.write_text("operative_config.gin", "rate = 0.1\na.b = %rate\na.c = 2\n")
    directory.check_config("other = 0.1\na.b = %other\na.c = 2\n")
    directory.check_config("a.b = 0.1\n")
    with pytest.raises(run_directory.RunDirectoryError, match="a.b = 0.1 .*, not 0.2"):
        directory.check_config("other = 0.2\na.b = %other\n")


def test_values_are_compared_and_not_how_they_are_written(directory):
    directory.write_text("operative_config.gin", "a.b = 0.0\na.c = 'x'\na.d = 1\n")
    directory.check_config('a.b = 0\na.c = "x"\na.d = 1.0\n')
    with pytest.raises(run_directory.RunDirectoryError, match="a.d = 1 .*, not True"):
        directory.check_config("a.d = True\n")


def test_a_link_to_nowhere_stays(tmp_path):
    link = tmp_path / "scratch"
    link.symlink_to(tmp_path / "unmounted")
    for path in (link, link / "run"):
        with pytest.raises(
            run_directory.RunDirectoryError, match="scratch is a link to .*unmounted"
        ):
            run_directory.RunDirectory(path, IDENTITY)
    assert link.is_symlink()


def test_a_task_may_change_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    directory = run_directory.RunDirectory("run", IDENTITY)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    directory.write_info(status="done")
    directory.close()
    assert (tmp_path / "run" / "run.json").is_file()


def test_what_a_killed_process_held_is_free(tmp_path):
    code = (
        "import os, signal, sys\n"
        "from smoothie_tf.training import run_directory\n"
        "held = run_directory.RunDirectory(sys.argv[1], {})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / ".lock").read_text()
    opened = run_directory.RunDirectory(tmp_path, {})
    assert (tmp_path / ".lock").read_text().startswith(f"{os.getpid()} on ")
    opened.close()


def test_a_glance_at_the_lock_refuses_nobody(tmp_path):
    (tmp_path / ".lock").touch()
    glance = lock(tmp_path)
    training = _try_lock(tmp_path / ".lock")
    let_go = threading.Timer(0.2, lambda: (os.close(training), os.close(glance)))
    let_go.start()
    run_directory.RunDirectory(tmp_path, IDENTITY).close()
    let_go.join()


def test_info_and_progress(directory):
    directory.write_info(status="running", num_steps=5)
    directory.write_info(status="done")
    info = json.loads((directory.path / "run.json").read_text())
    expected = {**IDENTITY, "status": "done", "num_steps": 5}
    assert info == {**expected, "format": run_directory.FORMAT}
    directory.write_progress(step=1, evaluation_return=None)
    directory.write_progress(step=2, evaluation_return=None)  # Within two seconds.
    progress = json.loads((directory.path / "progress.json").read_text())
    assert progress == {"step": 1, "evaluation_return": None}
    directory.write_progress(is_last=True, step=3)
    progress = json.loads((directory.path / "progress.json").read_text())
    assert progress == {"step": 3}
    assert not list(directory.path.glob(".*.tmp"))


def test_provenance():
    said = provenance.current()
    assert set(said["versions"]) >= {"tensorflow", "gymnasium", "mujoco", "python"}
    assert said["commit"] is None or len(said["commit"].removesuffix("-dirty")) == 40


def made_at(commit, tensorflow="2.15.1"):
    return {"commit": commit, "versions": {"tensorflow": tensorflow}}


def test_who_made_which_stretch_by_hand(directory):
    assert directory.take_up(0, "", made_at("a")) is None
    assert directory.take_up(30, "", made_at("a")) is None
    assert "earlier" not in directory.info
    assert directory.take_up(40, "", made_at("b")) == {"to_step": 40, **made_at("a")}
    newer = made_at("b", "2.16.0")
    assert directory.take_up(70, "", newer) == {"to_step": 70, **made_at("b")}
    stretches = [{"to_step": 40, **made_at("a")}, {"to_step": 70, **made_at("b")}]
    assert directory.info["earlier"] == stretches
    # The checkpoint of step 70 was lost: steps 41 to 60 are still b's.
    assert directory.take_up(60, "", made_at("c")) == {"to_step": 60, **made_at("b")}
    assert directory.info["earlier"] == [stretches[0], {"to_step": 60, **made_at("b")}]
    assert directory.info["commit"] == "c"
    # And all of them: what a made up to step 40 is as if nobody else had been here.
    assert directory.take_up(40, "", made_at("a")) is None
    assert "earlier" not in directory.info
    directory.take_up(50, "", made_at("b"))
    assert directory.take_up(0, "", made_at("c")) is None
    assert "earlier" not in directory.info


CONFIG = """# Parameters for SmoothieAgent:
# ====
SmoothieAgent.gamma = 0.995
SmoothieAgent.long = \\
    (1.0,
     2.0)

# Parameters for train:
# ====
train.num_steps = 100
"""


def test_a_run_goes_on_with_the_values_it_has(directory):
    (directory.path / "operative_config.gin").write_text(CONFIG)
    directory.take_up(10, CONFIG, made_at("a"))
    longer = CONFIG.replace("100", "200") + "train.of_a_newer_version = 1\n"
    directory.take_up(10, longer, made_at("a"))
    with pytest.raises(
        run_directory.RunDirectoryError,
        match=r"holds a run with SmoothieAgent.gamma = 0.995 \(operative_config.gin\),"
        r" not 0.9;",
    ):
        directory.take_up(10, CONFIG.replace("0.995", "0.9"), made_at("b"))
    with pytest.raises(run_directory.RunDirectoryError, match=r"long = \(1.0, 2.0\)"):
        directory.take_up(10, CONFIG.replace("2.0)", "3.0)"), made_at("b"))
    assert directory.info["commit"] == "a"
    # Without a checkpoint nothing has been trained with them.
    directory.take_up(0, CONFIG.replace("0.995", "0.9"), made_at("b"))


@pytest.mark.parametrize("earlier", ["3", '["a"]', '[{"commit": "a"}]', '{"a": 1}'])
def test_damaged_stretches_are_named(directory, earlier):
    directory.write_info(status="running")
    directory.close()
    path = directory.path / "run.json"
    path.write_text(
        path.read_text().replace('"seed": 0', f'"earlier": {earlier}, "seed": 0')
    )
    with pytest.raises(run_directory.RunDirectoryError, match="has earlier .* to_step"):
        run_directory.RunDirectory(directory.path, IDENTITY)


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        (["a.b=1", "c.d=2"], ["c.d = 2", "a.b = 1"], True),
        (["a.b=0.001"], ["a.b=1e-3"], True),
        (["a.b=(1,2)"], ["a.b=(1, 2)"], True),
        (["a.b=5", "a.b=1"], ["a.b=1"], True),
        ([], ["train.num_steps=5"], True),
        (["train.num_steps=5"], ["train.num_steps = 6"], True),
        (["train.num_steps=5"], [], True),
        (["a.b=1", "a.b=5"], ["a.b=5", "a.b=1"], False),
        (["a.b=1"], ["a.b=2"], False),
        (["a.b=1"], [], False),
        ([], ["a.b=1"], False),
        (["a.b=1"], ["a.b=True"], False),
        (["a.b='1'"], ["a.b=1"], False),
        (["s/a.b=1"], ["a.b=1"], False),
        (["a.b=1", "a.c="], ["a.b=1"], False),
        ("a.b=1", ["a.b=1"], False),
        (None, [], False),
    ],
)
def test_bindings_are_compared_by_what_they_say(tmp_path, before, now, same):
    (tmp_path / "run.json").write_text(json.dumps({"gin_bindings": before}))
    if same:
        directory = run_directory.RunDirectory(tmp_path, {"gin_bindings": now})
        assert directory.info["gin_bindings"] == now
        directory.close()
    else:
        with pytest.raises(run_directory.RunDirectoryError, match="gin_bindings"):
            run_directory.RunDirectory(tmp_path, {"gin_bindings": now})
        assert json.loads((tmp_path / "run.json").read_text())["gin_bindings"] == before


def test_values_that_cannot_be_read_are_not_taken_for_equal(tmp_path):
    directory = run_directory.RunDirectory(tmp_path, IDENTITY)
    (tmp_path / "operative_config.gin").write_text("a.b = 1\na.c = (300,\n")
    with pytest.raises(run_directory.RunDirectoryError, match="cannot be read as gin"):
        directory.check_config("a.b = 2\n")


def test_replaced_files_keep_links_and_permissions(tmp_path):
    path, link = tmp_path / "real.md", tmp_path / "link.md"
    path.write_text("old")
    path.chmod(0o664)
    link.symlink_to(path)
    files.replace(link, "new")
    assert link.is_symlink() and path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o664
    assert {each.name for each in tmp_path.iterdir()} == {"real.md", "link.md"}
