"""The figures' command from flags to files, with fake training."""

import dataclasses
import json
import shutil

import pandas as pd
import pytest

from smoothie_tf.experiments.commands.figure import (
    _parser,
    _plan,
    _searched_values,
    figure_command,
)
from smoothie_tf.experiments.figures.choices import CHOICES
from smoothie_tf.experiments.figures.continuous_control import FIGURE_3, FIGURE_4
from smoothie_tf.experiments.figures.grids import grid
from smoothie_tf.experiments.figures.neighbours import NEIGHBOURS, SOFT_DDPG_WIDTHS
from smoothie_tf.runs.run import read_preset
from smoothie_tf.training import gin_directory


@pytest.fixture(autouse=True)
def somewhere(tmp_path, monkeypatch):
    """Presets of our own, and a working directory that may be written to."""
    for name in ("quick", "short"):
        text = "train.num_steps = 300\ngrid.num_seeds = 2\n"
        (tmp_path / f"{name}.gin").write_text(text)
    monkeypatch.setattr(gin_directory, "PRESETS", tmp_path)
    monkeypatch.chdir(tmp_path)


def test_trains_draws_and_says_where(fake_command, starts, tmp_path, capsys):
    flags = ["--envs", "Hopper-v5,Swimmer-v5", "--seeds", "1", "--num_workers", "2"]
    figure = FIGURE_3
    assert figure_command(figure, flags) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == (
        "Figure 3, preset quick, 300 steps a run: 0 of 4 runs done, 4 to start."
    )
    assert printed[-1].startswith("Figure 3 is in runs/figure3-quick/figure3.png")
    out_dir = tmp_path / "runs" / "figure3-quick"
    assert {path.name for path in out_dir.iterdir()} == {
        "figure3.png",
        "figure3_stddev.png",
        "figure3_runs.csv",
        "figure3_runs.json",
        "figure3_curves.csv",
        "figure3_final.csv",
    }
    assert len(json.loads((out_dir / "figure3_runs.json").read_text())) == 4
    # Figure 4 finds the runs with the penalty done.
    flags[1] = "Hopper-v5"
    figure = FIGURE_4
    assert figure_command(figure, flags) == 0
    assert "1 of 2 runs done, 1 to start" in capsys.readouterr().out
    shared = tmp_path / "runs/quick/Hopper-v5/smoothie/seed0/starts"
    assert shared.read_text() == "0\n"


def test_where_figures_go(tmp_path):
    def out_dir(*flags):
        flags = _parser(FIGURE_3).parse_args(flags)
        return str(_plan(FIGURE_3, flags)[1])

    assert out_dir() == "runs/figure3-quick"
    assert out_dir("--runs_dir", "elsewhere") == "elsewhere/figure3-quick"
    assert out_dir("--preset", "short") == "results/figure3-short"
    assert out_dir("--preset", "short", "--out_dir", "here") == "here"
    other = out_dir("--preset", "short", "--values", "recommended")
    assert other == "results/figure3-short-recommended"
    # An altered preset must not replace the preset's own result.
    altered = out_dir("--preset", "short", "--gin_bindings", "a.b=1")
    assert altered == "runs/figure3-short+a.b=1"


@pytest.mark.parametrize(
    ("words", "seeds"),
    [
        (["3"], [0, 1, 2]),
        (["0,2,5"], [0, 2, 5]),
        (["0", "2"], [0, 2]),
        (["4,"], [4]),
        (None, [0, 1]),
    ],
)
def test_seeds(words, seeds):
    flags = ["--seeds", *words] if words else []
    flags = _parser(FIGURE_3).parse_args(flags)
    runs, _ = _plan(FIGURE_3, flags)
    assert sorted({run.seed for run in runs}) == seeds


def test_a_cluster_may_have_more_cores_than_this_machine():
    flags = _parser(FIGURE_3).parse_args(["--launcher=ray", "--num_workers=100000"])
    assert _plan(FIGURE_3, flags)[0]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--preset", "papper"], "--preset 'papper' is not a preset: choose one of"),
        (["--preset", "quikc"], "(did you mean 'quick'?)"),
        (["--envs", "Hoper-v5"], "--envs 'Hoper-v5' is not an environment"),
        (["--envs", ","], "--envs must have at least one item, but is empty"),
        (["--envs", "Hopper-v5,Hopper-v5"], "--envs names Hopper-v5 twice"),
        (["--seeds", "three"], "--seeds 'three' is not a seed"),
        (["--seeds", "0"], "--seeds 0 asks for no seed"),
        (["--seeds", "1,1"], "--seeds names 1 twice"),
        (["--num_workers", "0"], "--num_workers must be at least 1, but is 0"),
        (
            ["--num_workers", "two"],
            "--num_workers must be a whole number, but is 'two'",
        ),
        (["--num_workers", "100000"], "a run uses a whole core, but is 100000"),
        (["--gin_bindings", "grid.num_seeds=0"], "at least 1, but is 0 under"),
        (["--gin_bindings", "train.num_steps='x'"], "at least 1, but is 'x' under"),
        (["--gin_bindings", "A=A"], "cannot be read as gin"),
        (["--out_dir", "quick.gin"], "quick.gin is a file"),
        (["--out_dir", "quick.gin/below"], "quick.gin is a file"),
        (["--runs_dir", "quick.gin"], "quick.gin is a file"),
        (["--plotonly"], "unrecognized arguments: --plotonly"),
        (["--gin_bindings", "grid.num_seeds"], "cannot be read as gin"),
    ],
)
def test_bad_input_gets_one_sentence(flags, sentence, capsys, tmp_path):
    try:
        code = figure_command(FIGURE_3, flags)
    except SystemExit as error:
        code = error.code
    assert code == 2
    errors = capsys.readouterr().err
    assert sentence in errors
    assert len(errors.strip().splitlines()) == 1
    there = sorted(path.name for path in tmp_path.iterdir())
    assert there == ["quick.gin", "short.gin"]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--untuned"], "--untuned leaves Choices without arms on HalfCheetah-v5"),
        (["--values", "recommended"], "--values recommended leaves Choices without"),
        (["--envs", "Swimmer-v5,Hopper-v5"], "--envs leaves Choices without arms on H"),
    ],
)
def test_what_leaves_no_arm_on_a_task_is_refused(flags, sentence, capsys):
    # All arms have values that the first search found.
    assert figure_command(CHOICES, flags) == 2
    assert sentence in capsys.readouterr().err


def test_a_directory_without_room_is_refused_before_training(monkeypatch, capsys):
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    assert figure_command(FIGURE_3, ["--out_dir", "small"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("--runs_dir runs has room for 0.0 MiB")
    assert figure_command(FIGURE_3, ["--out_dir", "small", "--plot_only"]) == 2
    assert capsys.readouterr().err.startswith("--out_dir small has room for 0.0 MiB")


def test_plot_only_trains_nothing(fake_command, tmp_path, capsys):
    def refuse(run):
        raise AssertionError("it trained")

    flags = ["--plot_only", "--env", "Hopper-v5"]
    assert figure_command(FIGURE_3, flags) == 1
    assert "Nothing to draw: no run under runs/quick" in capsys.readouterr().err
    some = ["--envs", "Hopper-v5", "--seeds", "1"]
    figure_command(FIGURE_3, some)
    assert figure_command(FIGURE_3, flags) == 0


def test_failures_are_reported_and_the_rest_is_drawn(
    fake_command, behave, tmp_path, capsys
):
    preset = read_preset("quick")
    runs = grid(FIGURE_3, preset, envs=["Hopper-v5"])
    behave(runs[0], "fail")
    flags = ["--envs", "Hopper-v5"]
    figure = FIGURE_3
    assert figure_command(figure, flags) == 1
    captured = capsys.readouterr()
    last = captured.err.strip().splitlines()[-1]
    assert last.startswith("Not done: Hopper-v5 smoothie seed 0: ValueError: the sim")
    assert "figure3.png" in captured.out.splitlines()[-1]


def test_damaged_run_gets_one_sentence(capsys):
    runs = grid(FIGURE_3, read_preset("quick"), envs=["Hopper-v5"])
    runs[0].directory.mkdir(parents=True)
    (runs[0].directory / "metrics.csv").write_text("step\n")
    flags = ["--plot_only", "--envs", "Hopper-v5"]
    assert figure_command(FIGURE_3, flags) == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_comparison_has_a_table_and_an_ablation(fake_command, tmp_path, capsys):
    def run(*flags):
        code = figure_command(
            NEIGHBOURS,
            [
                "--runs_dir",
                str(tmp_path),
                "--envs",
                "Hopper-v5",
                "--seeds",
                "2",
                *flags,
            ],
            ablation=SOFT_DDPG_WIDTHS,
            baseline="ddpg",
        )
        assert code == 0
        return capsys.readouterr().out

    said = run()
    assert "difference" in said
    assert said.splitlines()[-1].startswith("Soft DDPG is in ")
    made = tmp_path / "soft_ddpg-quick"
    table = pd.read_csv(made / "soft_ddpg_comparison.csv")
    assert table["variant"].tolist() == ["smoothie", "ddpg", "soft_ddpg", "svg0"]
    assert table["difference"].isna().tolist() == [False, True, False, False]
    assert (made / "soft_ddpg.png").exists()

    said = run("--ablation")
    assert "difference" not in said
    made = tmp_path / "soft_ddpg_ablation-quick"
    assert (made / "soft_ddpg_ablation.png").exists()
    widths = pd.read_csv(made / "soft_ddpg_ablation_final.csv")["variant"]
    assert widths.tolist()[0] == "soft_ddpg-stddev-0.05" and len(widths) == 5


def test_what_is_said_of_searched_values_that_are_not_used():
    runs = [
        dataclasses.replace(run, untuned=True)
        for run in grid(FIGURE_3, read_preset("short"), ["Hopper-v5"])
    ]
    (line,) = _searched_values(runs)
    assert line.startswith("Not used on Hopper-v5: what searches found there")
    # An arm with `tuned_as` binds them itself.
    assert not _searched_values([dataclasses.replace(runs[0], tuned="ab12")])
