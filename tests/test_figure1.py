"""Figure 1 from the command line, end to end."""

import numpy as np
import pandas as pd
from matplotlib import image

from smoothie_tf.environments import two_gaussians
from smoothie_tf.experiments.commands.theory import figure1_command
from smoothie_tf.experiments.theory import figure1
from tests import scripts


def test_figure1_end_to_end(tmp_path):
    out_dir = tmp_path / "deep" / "figure1"
    done = scripts.run("figure1", "--out_dir", out_dir)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Largest relative difference")
    assert str(out_dir / "figure1.png") in lines[-1]
    pixels = image.imread(out_dir / "figure1.png")[..., :3].reshape(-1, 3)
    for colour in ((0.173, 0.627, 0.173), (1.0, 0.0, 1.0)):
        assert (np.abs(pixels - colour).max(-1) < 0.01).sum() > 100
    table = pd.read_csv(out_dir / "figure1.csv")
    np.testing.assert_allclose(
        table["reward"], two_gaussians.MIXTURE.reward(table["action"].to_numpy())
    )
    assert figure1.largest_difference(table) < 1e-10


def test_figure1_names_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    done = scripts.run("figure1", "--out_dir", tmp_path / "file" / "figure1")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--out_dir" in done.stderr


def test_figure1_stops_where_the_two_disagree(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        two_gaussians.TwoGaussians,
        "smoothed_reward_by_quadrature",
        lambda self, action, stddev: 1.001 * self.smoothed_reward(action, stddev),
    )
    assert figure1_command(["--out_dir", str(tmp_path)]) == 1
    assert "disagree" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
