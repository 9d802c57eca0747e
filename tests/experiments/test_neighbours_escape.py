"""Four agents, two rewards: the command end to end, in short."""

import numpy as np
import pandas as pd
import pytest

from smoothie_tf.environments import two_gaussians
from smoothie_tf.experiments.commands.theory import neighbours_escape_command
from smoothie_tf.experiments.theory import escape, neighbours_escape
from tests import scripts

SHORT = (
    "train.num_steps=150",
    "train.initial_collect_steps=100",
    "train.use_xla=False",
)


def test_discretized_reward_is_what_the_task_pays():
    # 0.506, 0.297 and 1 at the modes and in the valley between.
    actions = np.array([-0.8, -0.2, 0.8, 2.9])
    np.testing.assert_array_equal(
        neighbours_escape.discretized_reward(actions), [0.5, 0.25, 1.0, 0.0]
    )


@pytest.mark.slow
def test_end_to_end(tmp_path, capsys):
    flags = ["--seeds", 1, "--num_workers", 1, "--out_dir", tmp_path]
    done = scripts.run("neighbours_escape", *flags, bindings=SHORT)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "neighbours_escape_runs.csv")
    environments = neighbours_escape.NEIGHBOURS_ESCAPE.environments
    assert list(zip(table["environment"], table["agent"], strict=True)) == [
        (environment, agent)
        for environment in environments
        for agent in escape.ALL_AGENTS
    ]
    records = pd.read_csv(tmp_path / "neighbours_escape_training.csv")
    for (_, agent), each in records.groupby(["environment", "agent"]):
        assert each["mean"].iloc[0] == two_gaussians.MIXTURE.centres[0]
        assert each["mean"].nunique() > 1
        fixed = each["stddev"].nunique() == 1
        assert fixed == (agent in ("ddpg", "soft_ddpg"))
    text = done.stdout.splitlines()
    assert text[0] == "dense reward:"
    assert text[1].split() == ["Smoothie", "DDPG", "Soft", "DDPG", "SVG(0)"]
    assert str(tmp_path / "neighbours_escape.png") in text[-1]
    (tmp_path / "neighbours_escape.png").unlink()
    again = ["--plot_only", "--out_dir", str(tmp_path)]
    assert neighbours_escape_command(again) == 0
    assert capsys.readouterr().out == done.stdout
    assert (tmp_path / "neighbours_escape.png").exists()
