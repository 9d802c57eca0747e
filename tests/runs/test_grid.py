"""Which runs a figure is made of, and how far they are."""

import fcntl
import json
import os
import pathlib
import re

import pytest

from smoothie_tf.experiments.figures import behind_ddpg
from smoothie_tf.runs import grid, launch
from smoothie_tf.runs.grid import Status
from smoothie_tf.training import gin_directory

ROOT = pathlib.Path(__file__).parents[2]


def write_preset(directory, text):
    (directory / "quick.gin").write_text(text)
    (directory / "paper.gin").write_text(text)


def test_directory_says_what_the_run_is(preset):
    run = grid.grid(grid.FIGURE_3, preset)[0]
    assert str(run.directory) == "runs/quick/HalfCheetah-v5/smoothie/seed0"
    without_kl = grid.grid(grid.FIGURE_4, preset)[1]
    assert str(without_kl.directory) == "runs/quick/Hopper-v5/smoothie-no-kl/seed0"
    assert without_kl.gin_bindings == ("SmoothieAgent.kl_penalty = 0.0",)
    assert without_kl.agent == "smoothie"


def test_sizes_of_the_papers_grids():
    paper = grid.Preset("paper", num_steps=1_000_000, num_seeds=6)
    assert len(grid.grid(grid.FIGURE_3, paper)) == 2 * 6 * 6
    assert len(grid.grid(grid.FIGURE_4, paper)) == 2 * 4 * 6


def test_the_neighbours_grid(preset):
    # Four agents; four tasks, three of them with a discretized reward as well.
    assert len(grid.grid(grid.NEIGHBOURS, preset)) == 4 * 7 * preset.num_seeds
    grid.check_envs(grid.NEIGHBOURS.envs)
    assert (grid.NEIGHBOURS.name, grid.NEIGHBOURS.title) == ("soft_ddpg", "Soft DDPG")
    assert (grid.FIGURE_3.name, grid.FIGURE_3.title) == ("figure3", "Figure 3")
    # What the paper's figure has trained is not trained again.
    shared = set(grid.grid(grid.NEIGHBOURS, preset))
    shared &= set(grid.grid(grid.FIGURE_3, preset))
    assert len(shared) == 2 * 3 * preset.num_seeds


def test_the_ablations_arms_bind_the_width(preset):
    runs = grid.grid(grid.SOFT_DDPG_WIDTHS, preset, envs=["Hopper-v5"])
    assert runs[1].gin_bindings == ("SoftDdpgAgent.stddev = 0.1",)
    assert len({run.directory for run in runs}) == len(runs) == 5 * preset.num_seeds
    assert grid.SOFT_DDPG_WIDTHS.name == "soft_ddpg_ablation"
    # The width that gin gives the agent is not trained again.
    (default,) = {*grid.grid(grid.NEIGHBOURS, preset)} & {*runs[:5]}
    (arm,) = (a for a in grid.SOFT_DDPG_WIDTHS.arms if a.variant == default.variant)
    settings = (ROOT / "gin/agents/soft_ddpg.gin").read_text(encoding="utf-8")
    width = re.search(r"^SoftDdpgAgent.stddev = (\S+)$", settings, re.MULTILINE)[1]
    assert arm.label == f"σ = {width}, default"


def test_figures_share_the_runs_with_penalty(preset):
    third = set(grid.grid(grid.FIGURE_3, preset))
    fourth = set(grid.grid(grid.FIGURE_4, preset))
    shared = {run for run in fourth if run.variant == "smoothie"}
    assert shared == third & fourth
    assert len(shared) == 4 * preset.num_seeds


def test_first_seed_of_every_panel_comes_first(preset):
    runs = grid.grid(grid.FIGURE_3, preset)
    assert [run.seed for run in runs] == [0] * 12 + [1] * 12


def test_bindings_given_by_hand_have_directories_of_their_own(preset):
    def directory(*bindings):
        altered = grid.Preset("quick", 300, 2, bindings)
        return grid.grid(grid.FIGURE_4, altered)[0].directory

    plain = directory()
    spaced = directory("SmoothieAgent.kl_penalty = 0.5")
    assert spaced != plain
    assert spaced == directory("SmoothieAgent.kl_penalty=0.5")
    assert spaced.parts[1] == "quick+SmoothieAgent.kl_penalty=0.5"
    # Both would read alike with the brackets gone.
    assert directory("a.b=[1]") != directory("a.b=(1)")
    assert len(directory("a.b=" + "1" * 500).parts[1]) < 150


def test_the_arms_binding_wins_over_one_given_by_hand():
    altered = grid.Preset("quick", 300, 2, ("SmoothieAgent.kl_penalty=0.5",))
    without_kl = grid.grid(grid.FIGURE_4, altered)[1]
    assert without_kl.gin_bindings[-1] == "SmoothieAgent.kl_penalty = 0.0"


def test_read_preset(tmp_path):
    (tmp_path / "common.gin").write_text("SEEDS = 6\ntrain.num_steps = 7\n")
    write_preset(
        tmp_path,
        "include 'common.gin'\n"
        "# More than a launcher knows of.\n"
        "smoothie_tf.training.train.train.num_steps = 3_000\n"
        "train.agent = @SmoothieAgent()\n"
        "grid.num_seeds = %SEEDS\n",
    )
    preset = grid.read_preset("quick", directory=tmp_path)
    assert (preset.num_steps, preset.num_seeds) == (3000, 6)
    altered = grid.read_preset("quick", ["train.num_steps=50"], tmp_path)
    assert (altered.num_steps, altered.num_seeds) == (50, 6)


@pytest.mark.parametrize(
    ("name", "bindings", "sentence"),
    [
        ("quik", [], "'quik' is not a preset (did you mean 'quick'?)"),
        ("quick", ["train.num_steps=0"], "train.num_steps is 0"),
        ("quick", ["train.num_steps=1e6"], "train.num_steps is 1000000.0"),
        ("quick", ["grid.num_seed=3"], "'grid.num_seed' cannot be bound"),
        ("quick", ["train.num_steps"], "'train.num_steps' cannot be read as gin"),
        ("quick", ["train.num_steps="], "'train.num_steps=' cannot be read as gin"),
        ("quick", ["a.b = [1"], "'a.b = [1' cannot be read as gin"),
    ],
)
def test_bad_presets_get_one_sentence(tmp_path, name, bindings, sentence):
    write_preset(tmp_path, "train.num_steps = 300\ngrid.num_seeds = 1\n")
    with pytest.raises(grid.InputError) as error:
        grid.read_preset(name, bindings, tmp_path)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_every_preset_of_the_repository_has_steps_and_seeds():
    names = {path.stem for path in grid.PRESETS.glob("*.gin")}
    assert {"quick", "short", "paper"} <= names
    for name in names:
        grid.read_preset(name)
    paper = grid.read_preset("paper")
    assert (paper.num_steps, paper.num_seeds) == (1_000_000, 6)


def test_unknown_environment_names_the_nearest():
    grid.check_envs(grid.FIGURE_3.envs)
    with pytest.raises(grid.InputError, match="'Hoper-v5'.*did you mean 'Hopper-v"):
        grid.check_envs(["Hopper-v5", "Hoper-v5"])


def test_status(tmp_path):
    def write(**record):
        (tmp_path / "run.json").write_text(json.dumps(record))

    assert grid.status(tmp_path / "nowhere") is Status.MISSING
    assert grid.status(tmp_path) is Status.MISSING
    write(status="done", num_steps=300)
    assert grid.status(tmp_path) is Status.DONE
    assert grid.status(tmp_path, 300) is Status.DONE
    assert grid.status(tmp_path, 200) is Status.DONE
    assert grid.status(tmp_path, 400) is Status.RESUMABLE
    write(status="interrupted", num_steps=300)
    assert grid.status(tmp_path, 300) is Status.RESUMABLE
    write(status="failed", num_steps=300)
    assert grid.status(tmp_path, 300) is Status.FAILED
    (tmp_path / "run.json").write_text('{"status": ')
    assert grid.status(tmp_path, 300) is Status.FAILED


def test_running_is_what_holds_the_lock(tmp_path):
    (tmp_path / "run.json").write_text('{"status": "running", "num_steps": 300}')
    assert grid.status(tmp_path, 300) is Status.RESUMABLE
    descriptor = grid.lock(tmp_path)
    assert grid.status(tmp_path, 300) is Status.RUNNING
    assert grid.lock(tmp_path) is None
    os.close(descriptor)
    assert grid.status(tmp_path, 300) is Status.RESUMABLE


def test_training_started_by_hand_counts_as_running(tmp_path):
    (tmp_path / "run.json").write_text('{"status": "running", "num_steps": 300}')
    with open(tmp_path / ".lock", "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert grid.status(tmp_path, 300) is Status.RUNNING
        assert grid.lock(tmp_path) is None
    assert grid.status(tmp_path, 300) is Status.RESUMABLE


def test_a_discretized_task_has_the_tuned_values_of_its_task():
    name = "smoothie_tf/DiscretizedHopper-v5"
    assert grid.tuned_digest("smoothie", name) == ""
    path = gin_directory.tuned_path("smoothie", "Hopper-v5")
    path.parent.mkdir(parents=True)
    path.write_text("SmoothieAgent.kl_penalty = 0.01\n")
    of_task = grid.tuned_digest("smoothie", name)
    assert of_task == grid.tuned_digest("smoothie", "Hopper-v5") != ""
    gin_directory.tuned_path("smoothie", name).write_text("SmoothieAgent.gamma = 0.9\n")
    assert grid.tuned_digest("smoothie", name) not in ("", of_task)


def tune(env, agent="smoothie", value="0.01"):
    path = gin_directory.tuned_path(agent, env)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"SmoothieAgent.kl_penalty = {value}\n")
    return path


def test_tasks_without_a_search_take_the_nearest_ones():
    hopper = tune("Hopper-v5")
    assert gin_directory.find_tuned("smoothie", "Walker2d-v5") == hopper
    assert gin_directory.find_tuned("smoothie", "Swimmer-v5") is None
    assert gin_directory.find_tuned("ddpg", "Walker2d-v5") is None
    walker, of_hopper = (
        grid.tuned_digest("smoothie", env) for env in ("Walker2d-v5", "Hopper-v5")
    )
    assert walker == of_hopper != ""
    own = tune("Walker2d-v5", value="0.02")
    assert gin_directory.find_tuned("smoothie", "Walker2d-v5") == own
    assert grid.tuned_digest("smoothie", "Walker2d-v5") != of_hopper


def test_every_task_of_the_paper_has_a_nearest_one_or_a_search():
    searched = {"Hopper-v5", "HalfCheetah-v5"}
    assert {*gin_directory.NEAREST, *searched} == set(grid.FIGURE_3.envs)
    assert set(gin_directory.NEAREST.values()) == searched


def test_runs_may_leave_out_what_a_search_has_found(preset, tmp_path):
    tune("Hopper-v5")
    options = {"envs": ["Hopper-v5", "Swimmer-v5"], "seeds": [0], "root": tmp_path}
    tuned = grid.grid(grid.FIGURE_3, preset, **options)
    without = grid.grid(grid.FIGURE_3, preset, **options, tuned=False)
    of_task = {(run.env, run.agent): run for run in tuned}
    for run in without:
        same = of_task[run.env, run.agent]
        searched = (run.env, run.agent) == ("Hopper-v5", "smoothie")
        assert run.untuned == bool(same.tuned) == searched
        assert (run.directory == same.directory) != searched
        assert ("--untuned" in launch.train_command(run)) == searched
        assert "--untuned" not in launch.train_command(same)
    # Where but some of the arms could be searched, none is.
    (smoothie,) = (
        run
        for run in grid.grid(grid.NEIGHBOURS, preset, **options)
        if (run.env, run.agent) == ("Hopper-v5", "smoothie")
    )
    assert smoothie.untuned
    assert smoothie.directory.parent.name == "smoothie"


def test_a_panel_shorter_than_the_preset_shares_its_longer_runs(tmp_path):
    short, quick = (grid.read_preset(name) for name in ("short", "quick"))
    cut_off = grid.grid(behind_ddpg.BEHIND_DDPG, short, seeds=[0], root=tmp_path)
    assert {run.env: run.num_steps for run in cut_off} == behind_ddpg.STEPS
    assert max(behind_ddpg.STEPS.values()) < short.num_steps
    third = grid.grid(grid.FIGURE_3, short, list(behind_ddpg.STEPS), [0], tmp_path)
    assert {run.directory for run in third} < {run.directory for run in cut_off}
    # What panels share is run once.
    arms = {
        (panel.env, arm.variant)
        for panel in behind_ddpg.BEHIND_DDPG.panels
        for arm in panel.arms
    }
    assert len({run.directory for run in cut_off}) == len(cut_off) == len(arms)
    runs = grid.grid(behind_ddpg.BEHIND_DDPG, quick, root=tmp_path)
    assert {run.num_steps for run in runs} == {quick.num_steps}
