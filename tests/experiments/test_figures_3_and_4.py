"""Figures 3 and 4 from the commands a user types, on a real task in a few updates."""

import pandas as pd

from tests import scripts

TINY = (
    "train.num_steps=40",
    "train.initial_collect_steps=20",
    "train.evaluation_interval=20",
    "train.evaluation_episodes=2",
    "train.batch_size=8",
    "train.use_xla=False",
    "MeanNetwork.hidden_units=(8,)",
    "smoothie_tf.CriticNetwork.joint_units=(8,)",
)


def draw(script, out_dir, runs_dir):
    flags = ["--seeds", 1, "--envs", "InvertedPendulum-v5", "--num_workers", 2]
    flags += ["--out_dir", out_dir, "--runs_dir", runs_dir]
    done = scripts.run(script, *flags, bindings=TINY)
    assert done.returncode == 0, done.stderr
    assert str(out_dir / f"{script}.png") in done.stdout.splitlines()[-1]
    assert (out_dir / f"{script}.png").stat().st_size > 10_000
    return pd.read_csv(out_dir / f"{script}_runs.csv")


def test_both_figures_are_drawn_and_share_their_runs(tmp_path):
    third = draw("figure3", tmp_path / "three", tmp_path / "runs")
    assert set(third["variant"]) == {"smoothie", "ddpg"}
    assert sorted(set(third["step"])) == [20, 40]

    fourth = draw("figure4", tmp_path / "four", tmp_path / "runs")
    assert set(fourth["variant"]) == {"smoothie", "smoothie-no-kl"}
    # λ > 0 is Figure 3's run, to the digit: nothing was trained twice.
    columns = ["step", "evaluation_return_mean", "critic_loss", "steps_per_second"]
    ours = third.query("variant == 'smoothie'")[columns].reset_index(drop=True)
    again = fourth.query("variant == 'smoothie'")[columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(ours, again)
