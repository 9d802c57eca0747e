"""Tables from what runs have left behind, worked out by hand."""

import math
import pathlib

import numpy as np
import pandas as pd
import pytest

from smoothie_tf.experiments.evidence import metrics
from smoothie_tf.experiments.figures.continuous_control import FIGURE_3
from smoothie_tf.experiments.figures.grids import grid
from smoothie_tf.runs.run import Preset, Run
from tests.experiments.made_up_runs import write_run

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADER = ",".join(metrics.METRICS) + "\n"


def leave(run, returns, status="done", every=100):
    """Leaves a run whose evaluations returned `returns`, one every 100 steps."""
    steps = [every * place for place in range(1, len(returns) + 1)]
    columns = {"training_return": 1.5, "policy_stddev": 0.6}
    record = {"command": "/somewhere/train.py"}
    write_run(run, returns, steps, status, record, **columns)


@pytest.fixture
def three(tmp_path) -> tuple[Run, ...]:
    """Three seeds of Smoothie on Hopper."""
    preset = Preset("quick", num_steps=300, num_seeds=3)
    runs = grid(FIGURE_3, preset, envs=["Hopper-v5"], root=tmp_path)
    return tuple(run for run in runs if run.variant == "smoothie")


def test_tidy_table(three):
    leave(three[0], [1.0, 2.0, 3.0])
    leave(three[1], [4.0], status="interrupted")
    frame = metrics.read_runs(three)
    assert list(frame.columns) == [*metrics.RUN_COLUMNS, *metrics.METRICS]
    assert frame["step"].tolist() == [100, 200, 300, 100]
    assert frame["seed"].tolist() == [0, 0, 0, 1]
    assert frame["finished"].tolist() == [True, True, True, False]
    assert set(frame["variant"]) == {"smoothie"}
    assert frame["kl"].isna().all()


def test_no_runs_is_an_empty_table(three):
    frame = metrics.read_runs(three)
    assert frame.empty
    assert metrics.curves(frame, "evaluation_return_mean").empty
    assert metrics.final_returns(metrics.by_run(frame)).empty


def test_band_is_clipped_at_minimum_and_maximum(three):
    # First step: mean 2, variance (4 + 4 + 16)/3 = 8. 2 − √8 < 0, the minimum, so the
    # band starts at 0; 2 + √8 < 6, the maximum, so it ends there.
    # Second: mean 4, variance 8; 4 − √8 > 0, and 4 + √8 > 6.
    # Third: only two runs have come so far, 1 and 3: mean 2, deviation 1.
    leave(three[0], [0.0, 0.0, 1.0])
    leave(three[1], [0.0, 6.0, 3.0])
    leave(three[2], [6.0, 6.0], status="running")
    table = metrics.curves(metrics.read_runs(three), "evaluation_return_mean")
    root = math.sqrt(8)
    assert table["mean"].tolist() == pytest.approx([2, 4, 2])
    assert table["std"].tolist() == pytest.approx([root, root, 1])
    assert table["low"].tolist() == pytest.approx([0, 4 - root, 1])
    assert table["high"].tolist() == pytest.approx([2 + root, 6, 3])
    assert table["seeds"].tolist() == [3, 3, 2]


def test_curves_leave_out_what_has_no_value(three):
    leave(three[0], [1.0, 2.0], every=150)
    frame = metrics.read_runs(three)
    assert metrics.curves(frame, "kl").empty
    assert metrics.curves(frame, "policy_stddev")["mean"].tolist() == [0.6, 0.6]


def test_a_finished_run_has_its_last_evaluation(three):
    leave(three[0], [1.0, 2.0])
    with pytest.raises(metrics.DamagedRunError, match="no evaluation at its last step"):
        metrics.read_runs(three)


def test_final_returns(three):
    # Four evaluations: the last two count. 3.5 and 5.5: mean 4.5, deviation 1.
    leave(three[0], [9.0, 9.0, 3.0, 4.0], every=75)
    leave(three[1], [9.0, 9.0, 5.0, 6.0], every=75)
    leave(three[2], [1000.0], status="interrupted")
    (row,) = metrics.final_returns(metrics.by_run(metrics.read_runs(three))).to_dict(
        "records"
    )
    assert row == {
        "env": "Hopper-v5",
        "variant": "smoothie",
        "mean": 4.5,
        "std": 1.0,
        "n": 2,
        "evaluations": 2,
    }


def test_final_returns_of_a_long_run_are_its_last_ten(tmp_path):
    preset = Preset("short", num_steps=3000, num_seeds=1)
    run = grid(FIGURE_3, preset, envs=["Hopper-v5"], root=tmp_path)[0]
    leave(run, [0.0] * 20 + [7.0] * 10)
    (row,) = metrics.final_returns(metrics.by_run(metrics.read_runs([run]))).to_dict(
        "records"
    )
    assert (row["mean"], row["n"], row["evaluations"]) == (7.0, 1, 10)
    assert math.isnan(row["std"])


def test_a_runs_numbers_by_hand(three):
    # The last two of four evaluations count for both returns, the last for σ; the first
    # and the mean of all are those of the evaluations. Rows may be in any order.
    leave(three[0], [9.0, 9.0, 3.0, 4.0], every=75)
    frame = metrics.read_runs(three[:1])
    frame["training_return"] = [8.0, 8.0, 1.0, 2.0]
    frame["policy_stddev"] = [0.9, 0.8, 0.7, 0.6]
    for table in (frame, frame.iloc[::-1]):
        (row,) = metrics.by_run(table).itertuples()
        assert (row.steps, row.evaluation_return, row.first) == (300, 3.5, 9.0)
        assert (row.training_return, row.policy_stddev, row.area) == (1.5, 0.6, 6.25)


def test_steps_beyond_those_asked_for_are_left_out(three):
    leave(three[0], [1.0, 2.0, 3.0, 4.0])
    assert metrics.read_runs(three[:1])["step"].max() == 300


def test_a_line_still_being_written_is_left_out(three, tmp_path):
    path = tmp_path / "metrics.csv"
    whole = "100,1,1,,,0,0,0,,50\n"
    for torn in ("", "200", "200,3.5,1,,,0,0,0,,5"):
        path.write_text(HEADER + whole + torn)
        assert metrics.read_metrics(path)["step"].tolist() == [100]
    path.write_text(HEADER)
    assert metrics.read_metrics(path).empty


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it has no column step, evaluation_return_mean"),
        (HEADER.replace("kl", "lk"), "it has no column kl."),
        (HEADER + "100,1,2\n", "line 2 has 3 cells where the header has 10."),
        (
            HEADER + "100,oops,1,,,0,0,0,,50\n",
            "line 2 has 'oops' as evaluation_return_mean, which is not a number.",
        ),
        (HEADER + "100,,1,,,0,0,0,,50\n", "line 2 has no evaluation_return_mean."),
        (
            HEADER + "200,1,1,,,0,0,0,,50\n100,1,1,,,0,0,0,,50\n",
            "step 100 on line 3 does not come after step 200.",
        ),
        (
            HEADER + "100,1,1,,,0,0,0,,50\n" * 2,
            "step 100 on line 3 does not come after step 100.",
        ),
        (HEADER + "1.5,1,1,,,0,0,0,,50\n", "line 2 has step 1.5, which is not a whole"),
        (HEADER + "-1,1,1,,,0,0,0,,50\n", "line 2 has step -1.0, which is not a whole"),
    ],
)
def test_damaged_metrics_get_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    with pytest.raises(metrics.DamagedRunError) as error:
        metrics.read_metrics(path)
    assert str(error.value).startswith(f"{path} is damaged: ")
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_binary_rubbish(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(metrics.DamagedRunError, match="it is not text"):
        metrics.read_metrics(path)


def test_written_tables_read_back(three, tmp_path):
    leave(three[0], [1.0, 2.0, 3.0])
    leave(three[1], [3.0, 4.0, 5.0])
    frame = metrics.read_runs(three)
    metrics.write_tables(frame, tmp_path, "figure3")
    runs = pd.read_csv(tmp_path / "figure3_runs.csv")
    assert runs["evaluation_return_mean"].tolist() == [1, 2, 3, 3, 4, 5]
    drawn = pd.read_csv(tmp_path / "figure3_curves.csv")
    assert set(drawn["metric"]) == {"evaluation_return_mean", "policy_stddev"}
    assert drawn["mean"].tolist()[:3] == [2, 3, 4]
    final = pd.read_csv(tmp_path / "figure3_final.csv")
    assert final["mean"].tolist() == [4.0]


def test_provenance_keeps_no_command(three):
    leave(three[0], [1.0])
    facts = {"variant": "smoothie", "agent": "smoothie", "env": "Hopper-v5", "seed": 0}
    facts |= {"num_steps": 300, "status": "done", "commit": "abc", "gin_bindings": []}
    assert metrics.provenance(three) == [facts]
    (three[0].directory / "run.json").write_text("{")
    with pytest.raises(metrics.DamagedRunError, match="is damaged: it is not a JSON"):
        metrics.provenance(three)


def test_commits_in_the_order_of_their_stretches():
    assert metrics.commits({"commit": "b"}) == ["b"]
    earlier = [{"to_step": 10, "commit": "c"}, {"to_step": 20, "commit": "a"}]
    assert metrics.commits({"commit": "b", "earlier": earlier}) == ["c", "a", "b"]
    earlier = [{"to_step": 10, "commit": "b"}]
    assert metrics.commits({"commit": "b", "earlier": earlier}) == ["b"]


def test_comparison_with_a_baseline_by_hand(three):
    # Last half of the evaluations: Smoothie's 3, 5 and 7, DDPG's 1 and 2.
    preset = three[0].preset
    runs = grid(FIGURE_3, preset, envs=["Hopper-v5"], root=three[0].root)
    ddpg = [run for run in runs if run.variant == "ddpg"]
    for run, value in zip(three, (3.0, 5.0, 7.0), strict=True):
        leave(run, [0.0, 0.0, value])
    for run, value in zip(ddpg[:2], (1.0, 2.0), strict=True):
        leave(run, [0.0, 0.0, value])
    table = metrics.compare(metrics.by_run(metrics.read_runs(runs)), "ddpg").set_index(
        "variant"
    )
    smoothie, baseline = table.loc["smoothie"], table.loc["ddpg"]
    assert (smoothie["mean"], smoothie["n"], smoothie["difference"]) == (5.0, 3, 3.5)
    assert math.isnan(baseline["difference"])
    # Welch: variances of the means 4/3 and 1/4, 2.635 degrees of freedom, t = 3.447.
    low, high = smoothie["low"], smoothie["high"]
    np.testing.assert_allclose((low, high), (3.5 - 4.337, 3.5 + 4.337), atol=1e-3)


def test_one_seed_has_no_interval(three):
    runs = grid(FIGURE_3, three[0].preset, ["Hopper-v5"], root=three[0].root)
    for run in runs[:2]:
        leave(run, [1.0, 2.0], every=150)
    table = metrics.compare(metrics.by_run(metrics.read_runs(runs)), "ddpg").set_index(
        "variant"
    )
    assert table.loc["smoothie", "difference"] == 0.0
    assert table.loc["smoothie", ["low", "high"]].isna().all()


COMPARISONS = sorted((ROOT / "results").glob("*/*_comparison.csv"))


@pytest.mark.parametrize("path", COMPARISONS, ids=lambda path: path.parent.name)
def test_committed_comparisons_follow_from_their_runs(path):
    committed = pd.read_csv(path)
    runs = path.with_name(path.name.replace("_comparison", "_runs"))
    table = metrics.by_run(metrics.read_table(runs))
    matches = []
    for baseline in committed["variant"].unique():
        now = metrics.compare(table, baseline)[committed.columns]
        numbers = now.select_dtypes("number").to_numpy()
        there = committed[now.select_dtypes("number").columns].to_numpy()
        matches.append(np.allclose(numbers, there, rtol=1e-6, equal_nan=True))
    assert any(matches)
