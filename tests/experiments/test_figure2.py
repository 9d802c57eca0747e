"""Figure 2: what it counts, and the command end to end."""

import json
import pathlib
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from matplotlib import image
from tf_agents.specs import tensor_spec

from smoothie_tf.environments import two_gaussians
from smoothie_tf.experiments.commands.theory import figure2_command
from smoothie_tf.experiments.theory import escape, escape_runs, figure1
from smoothie_tf.networks import mean_network
from smoothie_tf.training import config
from tests import scripts

WORSE, BETTER = two_gaussians.MIXTURE.centres


@pytest.fixture(autouse=True)
def nothing_tuned():
    """The values of this task are no search's finding, and are what is tested here."""


def finished_run(agent="smoothie", seed=0, mean=BETTER, values=(0.4, 0.9), stddev=None):
    """A run of four records that ends at `mean`, its critic with these values."""
    stddev = [0.6, 0.5, 0.7, 0.1] if stddev is None else stddev
    records = pd.DataFrame(
        {
            "environment": escape.ENVIRONMENT,
            "agent": agent,
            "seed": seed,
            "step": [50, 100, 150, 200],
            "update": [0, 1, 51, 101],
            "mean": np.linspace(WORSE, mean, 4),
            "stddev": stddev,
            "value_at_worse": [0.1, 0.5, 0.3, values[0]],
            "value_at_better": [0.2, 0.4, 0.4, values[1]],
        }
    )
    return escape.FinishedRun(records, 0.25)


@pytest.mark.parametrize(
    "stddev, expected",
    [
        ([1.0, 0.9, 1.1, 0.2], "fell rose fell"),
        ([1.0, 1.1, 0.2], "rose fell"),
        # Down by 10 % in steps below the threshold, then up by 2 % from there.
        ([*np.linspace(1, 0.9, 50), 0.918], "fell rose"),
        # The turn is measured from the lowest value, not from where the leg began.
        ([1.0, 0.98, 0.5, 0.504, 0.506], "fell rose"),
        # No step back of less than 1 % is a turn.
        ([1.0, 0.5, 0.504, 0.4, 0.4039, 0.3], "fell"),
        ([1.0, 1.004, 0.996, 1.0], ""),
    ],
)
def test_legs_by_hand(stddev, expected):
    assert " ".join(escape.legs(np.array(stddev))) == expected


def test_table_by_hand():
    table = escape.tabulate_runs(
        [
            finished_run("ddpg", 1, mean=WORSE + 0.39, values=(0.6, 0.5)),
            finished_run("ddpg", 0, mean=0.0),
            finished_run("smoothie", 1, stddev=[0.6, 0.7, 0.5, 0.1]),
            finished_run("smoothie", 0, mean=BETTER - 0.49),
        ]
    )
    assert table["agent"].tolist() == ["smoothie", "smoothie", "ddpg", "ddpg"]
    assert table["seed"].tolist() == [0, 1, 0, 1]
    assert table["ends_on"].tolist() == ["better", "better", "neither", "worse"]
    assert table["stddev_fell_rose_fell"].tolist() == [True, False, True, True]
    # The critics prefer the better mode at updates 0 and 51, and most of them to the
    # end.
    assert table["critic_prefers_better_from"].tolist()[:3] == [51, 51, 51]
    assert pd.isna(table["critic_prefers_better_from"][3])
    text = escape.summarize(table)
    assert [line.split()[-6:] for line in text.splitlines()[1:2]] == [
        ["2", "of", "2", "0", "of", "2"]
    ]
    assert "never" in text


@pytest.mark.parametrize("agent", escape.AGENTS)
def test_configuration_is_that_of_the_task(agent):
    import gin

    config.parse(agent, escape.ENVIRONMENT)
    assert gin.query_parameter("MeanNetwork.initial_mean") == WORSE
    stddev = {
        "smoothie": lambda: np.exp(
            gin.query_parameter("SmoothieAgent.initial_log_variance") / 2
        ),
        "ddpg": lambda: gin.query_parameter("DdpgAgent.ou_stddev"),
    }[agent]()
    assert stddev == pytest.approx(figure1.INITIAL_STDDEV, rel=1e-12)
    # Neither agent has rates of its own.
    assert gin.query_parameter("create_agent.actor_learning_rate") == 6e-4
    assert gin.query_parameter("create_agent.critic_learning_rate") == 1e-2


@pytest.mark.parametrize("hidden_units", [(), (8, 4)])
def test_mean_network_starts_where_it_is_told(hidden_units):
    net = mean_network.MeanNetwork(
        tensor_spec.TensorSpec([2], tf.float32),
        tensor_spec.BoundedTensorSpec([3], tf.float32, [-1, -2, 0], [1, 3, 4]),
        hidden_units,
        initial_mean=0.5,
    )
    # The same in every dimension, whatever its bounds.
    np.testing.assert_allclose(net(tf.zeros([1, 2]))[0], [[0.5, 0.5, 0.5]], rtol=1e-6)


def test_mean_network_names_a_start_out_of_bounds():
    with pytest.raises(ValueError, match=r"initial_mean must lie .* but is 1\.0 where"):
        mean_network.MeanNetwork(
            tensor_spec.TensorSpec([2], tf.float32),
            tensor_spec.BoundedTensorSpec([1], tf.float32, -1, 1),
            initial_mean=1.0,
        )


def test_end_to_end(tmp_path, capsys):
    out_dir = tmp_path / "deep" / "figure2"
    short = ("train.num_steps=210", "train.initial_collect_steps=100")
    flags = ["--seeds", 2, "--num_workers", 1, "--out_dir", out_dir]
    done = scripts.run("figure2", *flags, bindings=short)
    assert done.returncode == 0, done.stderr
    # Nothing but the progress bar, which returns to the line's beginning.
    shown = [line for line in done.stderr.splitlines() if line.strip()]
    assert all("figure 2:" in line for line in shown), done.stderr
    assert str(out_dir / "figure2.png") in done.stdout.splitlines()[-1]

    records = pd.read_csv(out_dir / "figure2_training.csv")
    assert set(zip(records["agent"], records["seed"], strict=True)) == {
        (agent, seed) for agent in escape.AGENTS for seed in (0, 1)
    }
    for _, each in records.groupby(["agent", "seed"]):
        assert each["step"].tolist() == [50, 100, 150, 200, 210]
        # The update at step 100 has been done by the time of its record.
        assert each["update"].tolist() == [0, 1, 51, 101, 111]
        first = each.iloc[0]
        assert first["mean"] == pytest.approx(WORSE, abs=1e-5)
        assert first["stddev"] == pytest.approx(np.exp(-0.5), rel=1e-5)
        assert each["mean"].nunique() == 5
        changes = each["stddev"].nunique() > 1
        assert changes == (first["agent"] == "smoothie")
    table = pd.read_csv(out_dir / "figure2_runs.csv")
    assert len(table) == 4
    assert table["final_mean"].nunique() == 4
    assert table["replay_share_at_better"].between(0, 0.5).all()
    command = json.loads((out_dir / "figure2_runs.json").read_text())["command"]
    assert command.startswith("python reproduce/figure2.py --seeds 2")

    picture = image.imread(out_dir / "figure2.png")
    (out_dir / "figure2.png").unlink()
    assert figure2_command(["--plot_only", "--out_dir", str(out_dir)]) == 0
    assert capsys.readouterr().out == done.stdout
    np.testing.assert_array_equal(image.imread(out_dir / "figure2.png"), picture)


@pytest.mark.parametrize(
    "flags, named",
    [
        (("--seeds", "0"), "--seeds must be at least 1, but is 0"),
        (("--num_workers", "-1"), "--num_workers must be at least 1, but is -1"),
        (("--plot_only",), "figure2_training.csv to draw from"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, flags, named, capsys):
    with pytest.raises(SystemExit) as stop:
        figure2_command([*flags, "--out_dir", str(tmp_path)])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert named in error
    assert len(error.splitlines()) == 1


def test_trials_with_bindings_go_elsewhere(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for flags, home in (
        ([], "results"),
        (["--gin_bindings", "train.num_steps = 300"], "runs"),
    ):
        with pytest.raises(SystemExit):
            figure2_command(["--plot_only", *flags])
        table = f"{home}/figure2/figure2_training.csv"
        assert f"there is no {table} to draw from" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("num_steps", "allowed"),
    [
        ("40", "at least 50, the steps until the first record, but is 40."),
        ("None", "a whole number of at least 1, but is None."),
    ],
)
def test_a_run_without_a_record_is_one_sentence(monkeypatch, num_steps, allowed):
    shared = types.SimpleNamespace(value=0)
    monkeypatch.setattr(escape_runs, "_num_steps", shared, raising=False)
    binding = f"train.num_steps = {num_steps}"
    with pytest.raises(ValueError) as error:
        escape_runs._train(escape.ENVIRONMENT, "ddpg", 0, (binding,))
    assert str(error.value) == f"train.num_steps must be {allowed}"


def test_a_whole_number_as_ddpgs_noise_is_recorded():
    config.parse("ddpg", escape.ENVIRONMENT, bindings=["DdpgAgent.ou_stddev = 1"])
    agent = types.SimpleNamespace(
        policy=types.SimpleNamespace(
            action=lambda _: types.SimpleNamespace(action=tf.constant([[-0.8]]))
        ),
        # The value of an action is the action.
        critic_network=lambda inputs: (inputs[1][:, 0], ()),
    )
    read = escape_runs._reader(agent)().numpy()
    np.testing.assert_allclose(read, [-0.8, 1.0, WORSE, BETTER], rtol=1e-6)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent(tmp_path, number):
    command = [sys.executable, scripts.ROOT / "reproduce/figure2.py", "--seeds", "1"]
    command += ["--num_workers", "2", "--out_dir", tmp_path]
    command += ["--gin_bindings", "train.num_steps = 100000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as parent:
        children = pathlib.Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        until = time.monotonic() + 60
        while len(workers := children.read_text().split()) < 3:  # With a tracker.
            assert time.monotonic() < until
            time.sleep(0.1)
        parent.send_signal(number)
        _, said = parent.communicate(timeout=60)
    if number == signal.SIGTERM:
        assert parent.returncode == 130
        assert said.endswith("Stopped; nothing has been written.\n")
    while any(pathlib.Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < until
        time.sleep(0.1)
