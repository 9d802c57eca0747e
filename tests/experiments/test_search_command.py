"""The search's command from flags to the gin file that figures train with."""

import json
import shlex

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

from smoothie_tf.experiments.commands import search_command
from smoothie_tf.experiments.figures.continuous_control import FIGURE_3, FIGURE_4
from smoothie_tf.experiments.figures.grids import Arm, grid
from smoothie_tf.experiments.search import search
from smoothie_tf.runs.run import read_preset
from smoothie_tf.training import config, gin_directory
from smoothie_tf.training.gin_text import bound_values
from smoothie_tf.training.searched_values import tuned_digest


@pytest.fixture(autouse=True)
def somewhere(tmp_path, monkeypatch):
    """Presets of our own, and a working directory that may be written to."""
    text = "train.num_steps = 300\ngrid.num_seeds = 2\n"
    (tmp_path / "quick.gin").write_text(text)
    text += (
        "search.rungs = (100,)\nsearch.reduction_factor = 3\nsearch.num_trials = 3\n"
    )
    (tmp_path / "short.gin").write_text(text)
    monkeypatch.setattr(gin_directory, "PRESETS", tmp_path)
    monkeypatch.setattr(gin_directory, "TUNED", tmp_path / "gin/tuned")
    monkeypatch.chdir(tmp_path)


def run(*flags):
    words = ["--agent", "smoothie", "--env", "Hopper-v5", *flags]
    return search_command.search_command(words)


def first_run(seed=1000):
    """The first run of a search of Smoothie on Hopper."""
    arm, space = Arm("smoothie", "smoothie", ""), search.read_space("smoothie")
    preset = read_preset("short")
    plan = search.Search(arm, "Hopper-v5", preset, **space, num_trials=1, seed=seed)
    return plan.run(0, {})


def test_from_flags_to_the_gin_file_of_the_figures(fake_command, tmp_path, capsys):
    before = grid(FIGURE_3, read_preset("short"))[4]
    assert (before.env, before.variant) == ("Hopper-v5", "smoothie")
    flags = ["--num_workers", "2"]
    assert run(*flags) == 0
    captured = capsys.readouterr()
    # The cost is known before anything starts: 3 · 100 + 200.
    told = "3 to 100, the best 1 to 300 environment steps, 500 in all."
    assert told in captured.out.split("runs done")[0]
    assert "stopped early, unlike in the paper's search" in captured.out
    assert "Trials to 100 steps: 0 of 3 runs done" in captured.out
    assert "Trials to 300 steps: 0 of 1 runs done, 1 to resume" in captured.out
    last = captured.out.splitlines()[-1]
    # The fake return is step / 10 + seed: at the end 30 + 1002.
    assert last.startswith(
        "Best of 3: trial 2 with 1032.0. Its values are in gin/tuned"
    )
    stem = tmp_path / "results/table1-short/Hopper-v5_smoothie-table1-random-1000"
    table = pd.read_csv(f"{stem}.csv")
    assert list(table["state"]) == ["stopped", "stopped", "complete"]
    assert list(table["seed"]) == [1000, 1001, 1002]
    assert list(table["objective_at_100"]) == [1010.0, 1011.0, 1012.0]
    for picture in (f"{stem}.png", f"{stem}_returns.png"):
        pixels = pyplot.imread(picture)[::9, ::9].reshape(-1, 4)
        assert len(np.unique(pixels, axis=0)) > 20
    record = json.loads(stem.with_suffix(".json").read_text())
    assert record["cost"] == 500
    assert len(record["runs"]) == 3
    tuned = tmp_path / "gin/tuned/smoothie/Hopper-v5.gin"
    text = tuned.read_text()
    for fact in ("smoothie-table1-random-1000", "3 trials", "1032.0", "trial 2"):
        assert fact in text
    command = (
        "--agent smoothie --env Hopper-v5 --preset short --space table1 --sampler "
        "random --num_trials 3 --rungs 100 --reduction_factor 3 --seed 1000\n"
    )
    assert command in text
    assert str(tmp_path) not in text
    best = table.iloc[2]
    assert bound_values(tuned) == {
        "create_agent.actor_learning_rate": best["actor_learning_rate"],
        "create_agent.critic_learning_rate": best["critic_learning_rate"],
        "SmoothieAgent.reward_scale_factor": best["reward_scale"],
        "SmoothieAgent.kl_penalty": best["kl_penalty"],
    }
    # Figures take it, and runs from before it do not pass for theirs.
    after = grid(FIGURE_3, read_preset("short"))[4]
    assert after.directory != before.directory
    assert after.directory.parent.name.startswith("smoothie+tuned-")
    # Another search of the same task does not start from it.
    assert first_run(seed=2000).untuned
    # The command that the file gives finds the same, and trains nothing.
    assert search_command.search_command(shlex.split(command)) == 0
    assert tuned.read_text() == text
    # And training can read it.
    config.parse("smoothie", "Hopper-v5", gin_files=[str(tuned)])
    # Another search does not replace what this one has found.
    capsys.readouterr()
    assert run(*flags, "--seed", "2000") == 0
    assert tuned.read_text() == text
    *_, best, kept = capsys.readouterr().out.splitlines()
    new = "results/table1-short/Hopper-v5_smoothie-table1-random-2000"
    assert f"Its values are in {new}.gin, all trials in {new}." in best
    assert "keeps the values of another search; cp " in kept
    # Nor does one with a seed that begins like it.
    assert run(*flags, "--seed", "100") == 0
    assert tuned.read_text() == text
    # One of the same name needs another directory, or it would replace the results.
    before = stem.with_suffix(".json").read_text()
    capsys.readouterr()
    assert run(*flags, "--num_trials", "1") == 2
    assert (
        "_smoothie-table1-random-1000.json has the results of a search with num_tr"
        in (capsys.readouterr().err)
    )
    assert stem.with_suffix(".json").read_text() == before
    more = ("--num_trials", "1", "--out_dir", "other")
    assert run(*flags, *more) == 0
    assert tuned.read_text() == text


def test_digest_is_of_the_values_alone(tmp_path):
    path = gin_directory.tuned_path("smoothie", "a/B-v0")
    assert str(path).endswith("gin/tuned/smoothie/a_B-v0.gin")
    assert tuned_digest("smoothie", "a/B-v0") == ""
    path.parent.mkdir(parents=True)
    path.write_text("a.b = 1\n")
    digest = tuned_digest("smoothie", "a/B-v0")
    path.write_text("# Said in other words.\na.b = 1\n")
    assert tuned_digest("smoothie", "a/B-v0") == digest
    path.write_text("a.b = 2\n")
    assert tuned_digest("smoothie", "a/B-v0") != digest


def test_results_are_replaced_in_one_go(fake_command, tmp_path):
    assert run("--num_workers", "2") == 0
    tuned = tmp_path / "gin/tuned/smoothie/Hopper-v5.gin"
    results = sorted((tmp_path / "results/table1-short").iterdir())
    assert [path.suffix for path in results] == [
        ".csv",
        ".gin",
        ".json",
        ".png",
        ".png",
    ]
    before = {path: path.read_bytes() for path in (*results, tuned)}
    for number, path in enumerate(before):
        path.write_bytes(before[path] + b"# old\n")
        # What is written in place changes under its other name, too.
        (tmp_path / f"link{number}").hardlink_to(path)
    assert run("--plot_only") == 0
    for number, (path, content) in enumerate(before.items()):
        assert (tmp_path / f"link{number}").read_bytes() == content + b"# old\n"
        assert path.read_bytes() == content
    # Nothing is left beside them.
    assert sorted(results[0].parent.iterdir()) == results
    assert list(tuned.parent.iterdir()) == [tuned]


def test_without_kl_has_values_of_its_own(fake_command, tmp_path):
    flags = ["--agent", "smoothie-no-kl", "--env", "Hopper-v5", "--num_workers", "2"]
    assert search_command.search_command(flags) == 0
    found = bound_values(tmp_path / "gin/tuned/smoothie-no-kl/Hopper-v5.gin")
    assert found["SmoothieAgent.kl_penalty"] == 0.0
    assert len(found) == 4
    assert not (tmp_path / "gin/tuned/smoothie").exists()
    (directory,) = (tmp_path / "runs/short/Hopper-v5").iterdir()
    assert directory.name == "smoothie-no-kl-table1-random-1000"
    # Figure 4 has an arm of these values from now on.
    *_, arm = grid(FIGURE_4, read_preset("short"), envs=["Hopper-v5"], seeds=[0])
    assert arm.variant == "smoothie-no-kl-searched"
    assert {each.split(" = ")[0] for each in arm.gin_bindings} == set(found)


def test_a_stopped_search_says_how_to_resume(monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(search_command.launch, "launch", stop)
    assert run() == 130
    told = (
        "Stopped; the same command resumes runs/short/Hopper-v5/smoothie-table1-random"
    )
    assert told in capsys.readouterr().err


def test_bindings_by_hand_are_bound_in_all_trials(fake_command, tmp_path):
    binding = "create_agent.adam_epsilon = 1e-8"
    # The values found are for runs of any length.
    flags = ["--gin_bindings", binding, "--gin_bindings", "train.num_steps = 400"]
    assert run(*flags) == 0
    (home,) = (tmp_path / "runs").glob("table1-short*")
    text = (home / "tuned/smoothie/Hopper-v5.gin").read_text()
    assert f"'--gin_bindings={binding}'" in text
    assert text.endswith(f"# Bound in all trials.\n{binding}\n")
    assert not gin_directory.TUNED.exists()


def test_what_is_no_result_stays_out_of_the_repository(fake_command, tmp_path):
    flags = ["--preset", "quick", "--num_trials", "2"]
    assert run(*flags) == 0
    assert (tmp_path / "runs/table1-quick/tuned/smoothie/Hopper-v5.gin").exists()
    assert not gin_directory.TUNED.exists()
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (
            ["--agent", "sac"],
            "--agent 'sac' has no ranges in gin/search/table1.gin: choose one of "
            "smoothie, smoothie-no-kl, ddpg, or another --space.",
        ),
        (["--env", "Hoper-v5"], "--env 'Hoper-v5' is not an environment"),
        (["--num_trials", "0"], "--num_trials must be at least 1, but is 0"),
        (["--num_workers", "0"], "--num_workers must be at least 1, but is 0"),
        (["--seed", "5"], "--seed must be at least 100 (figures use less), but is 5"),
        (["--sampler", "grid"], "invalid choice: 'grid'"),
        (
            ["--agent", "smoothie-nokl"],
            "gin/search/table1.gin (did you mean 'smoothie-no-kl'?): choose",
        ),
        (
            ["--space", "tabel1"],
            "--space 'tabel1' is not a search space (did you mean 'table1'?): choose "
            "one of first_block, shortlist, table1, the files in gin/search/.",
        ),
        (
            ["--rungs", "200", "100"],
            "--rungs must be increasing from 0 to 300, but is [200, 100]",
        ),
        (["--rungs", "300"], "from 0 to 300, but is [300]"),
        (
            ["--reduction_factor", "1"],
            "--reduction_factor must be at least 2, but is 1",
        ),
        (["--trials", "3"], "unrecognized arguments: --trials"),
    ],
)
def test_bad_input_gets_one_sentence(flags, sentence, capsys):
    try:
        code = run(*flags)
    except SystemExit as error:
        code = error.code
    assert code == 2
    errors = capsys.readouterr().err
    assert sentence in errors
    assert len(errors.strip().splitlines()) == 1


def test_plot_only_trains_nothing(fake_command, behave, tmp_path, capsys):
    assert run("--plot_only") == 0
    assert "No trial is complete yet" in capsys.readouterr().out
    behave(first_run(), "refuse")
    assert run("--num_trials", "2") == 1
    assert "Trial 0: " in capsys.readouterr().err
    assert run("--plot_only", "--num_trials", "2") == 0
    assert "No trial is complete yet" in capsys.readouterr().out
    (table,) = tmp_path.glob("results/table1-short/*.csv")
    assert list(pd.read_csv(table)["state"]) == ["running"] * 2
