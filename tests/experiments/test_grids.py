"""Which runs a figure is made of."""

import dataclasses
import pathlib
import re

import pytest

from smoothie_tf.experiments.figures import grids
from smoothie_tf.experiments.figures import svg as svg_figures
from smoothie_tf.experiments.figures.ablations import ABLATIONS
from smoothie_tf.experiments.figures.baselines import BASELINES
from smoothie_tf.experiments.figures.behind_ddpg import BEHIND_DDPG, STEPS
from smoothie_tf.experiments.figures.choices import CHOICES
from smoothie_tf.experiments.figures.continuous_control import (
    FIGURE_3,
    FIGURE_4,
    SMOOTHIE,
)
from smoothie_tf.experiments.figures.grids import grid
from smoothie_tf.experiments.figures.neighbours import NEIGHBOURS, SOFT_DDPG_WIDTHS
from smoothie_tf.runs import launch
from smoothie_tf.runs.run import Preset, read_preset
from smoothie_tf.runs.tasks import check_envs
from smoothie_tf.training import gin_directory
from smoothie_tf.training.searched_values import recommended_digest
from smoothie_tf.validation import InputError

ROOT = pathlib.Path(__file__).parents[2]


def tune(env, agent="smoothie", value="0.01"):
    path = gin_directory.tuned_path(agent, env)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"SmoothieAgent.kl_penalty = {value}\n")
    return path


FIGURES = (
    *(
        FIGURE_3,
        FIGURE_4,
        NEIGHBOURS,
        SOFT_DDPG_WIDTHS,
        ABLATIONS,
        BEHIND_DDPG,
        BASELINES,
    ),
    *(CHOICES, *svg_figures.FIGURES, svg_figures.SVG_TASKS),
)
RUNS_DIR = ROOT / "results/runs"
RESULTS = sorted(RUNS_DIR.glob("*/*/*/seed*"))


def test_finished_runs_are_where_they_are_looked_for(monkeypatch):
    assert len(RESULTS) > 100
    for path in RESULTS:
        preset, env, variant, seed = path.parts[-4:]
        digest = variant.partition("+tuned-")[2]
        monkeypatch.setattr(
            grids, "tuned_digest", lambda agent, env, digest=digest: digest
        )
        listed = {
            run.directory
            for figure in FIGURES
            for each in figure.envs
            if gin_directory.file_name(each) == env
            for run in grid(
                figure, read_preset(preset), [each], [int(seed[4:])], RUNS_DIR
            )
        }
        assert path in listed


def test_directory_says_what_the_run_is(preset):
    run = grid(FIGURE_3, preset)[0]
    assert str(run.directory) == "runs/quick/HalfCheetah-v5/smoothie/seed0"
    without_kl = grid(FIGURE_4, preset)[1]
    assert str(without_kl.directory) == "runs/quick/Hopper-v5/smoothie-no-kl/seed0"
    assert without_kl.gin_bindings == ("SmoothieAgent.kl_penalty = 0.0",)
    assert without_kl.agent == "smoothie"


def test_sizes_of_the_papers_grids():
    paper = Preset("paper", num_steps=1_000_000, num_seeds=6)
    assert len(grid(FIGURE_3, paper)) == 2 * 6 * 6
    assert len(grid(FIGURE_4, paper)) == 2 * 4 * 6


def test_without_kl_has_values_of_its_own_once_searched(preset):
    same = grid(FIGURE_4, preset)
    path = tune("Hopper-v5", "smoothie-no-kl")
    path.write_text("create_agent.actor_learning_rate = 0.002\n")
    preset = dataclasses.replace(preset, gin_bindings=("train.batch_size = 7",))
    runs = grid(FIGURE_4, preset, envs=["Hopper-v5", "Swimmer-v5"], seeds=[0])
    # Swimmer is nearest to HalfCheetah, which has no such values.
    assert [(run.env, run.variant) for run in runs] == [
        ("Hopper-v5", "smoothie"),
        ("Hopper-v5", "smoothie-no-kl"),
        ("Hopper-v5", "smoothie-no-kl-searched"),
        ("Swimmer-v5", "smoothie"),
        ("Swimmer-v5", "smoothie-no-kl"),
    ]
    searched = runs[2]
    # What was found comes first: bindings by hand, and λ = 0, win over it.
    assert searched.gin_bindings == (
        "create_agent.actor_learning_rate = 0.002",
        "train.batch_size = 7",
        "SmoothieAgent.kl_penalty = 0.0",
    )
    assert searched.directory.parent.name.startswith("smoothie-no-kl-searched+tuned-")
    # Smoothie's own values are not the arm's, nor are any that a search finds later.
    assert "--untuned" in launch.train_command(searched)
    tune("Hopper-v5")
    # Other arms stay where they were, and other values have no such arm.
    untuned = grid(FIGURE_4, dataclasses.replace(preset, gin_bindings=()), tuned=False)
    assert [run.directory for run in untuned] == [run.directory for run in same]


def test_the_neighbours_grid(preset):
    # Four agents; four tasks, three of them with a discretized reward as well.
    assert len(grid(NEIGHBOURS, preset)) == 4 * 7 * preset.num_seeds
    check_envs(NEIGHBOURS.envs)
    assert (NEIGHBOURS.name, NEIGHBOURS.title) == (
        "soft_ddpg",
        "Soft DDPG",
    )
    assert (FIGURE_3.name, FIGURE_3.title) == (
        "figure3",
        "Figure 3",
    )
    # What the paper's figure has trained is not trained again.
    shared = set(grid(NEIGHBOURS, preset))
    shared &= set(grid(FIGURE_3, preset))
    assert len(shared) == 2 * 3 * preset.num_seeds


def test_the_ablations_arms_bind_the_width(preset):
    runs = grid(SOFT_DDPG_WIDTHS, preset, envs=["Hopper-v5"])
    assert runs[1].gin_bindings == ("SoftDdpgAgent.stddev = 0.1",)
    assert len({run.directory for run in runs}) == len(runs) == 5 * preset.num_seeds
    assert SOFT_DDPG_WIDTHS.name == "soft_ddpg_ablation"
    # The width that gin gives the agent is not trained again.
    (default,) = {*grid(NEIGHBOURS, preset)} & {*runs[:5]}
    (arm,) = (a for a in SOFT_DDPG_WIDTHS.arms if a.variant == default.variant)
    settings = (ROOT / "gin/agents/soft_ddpg.gin").read_text(encoding="utf-8")
    width = re.search(r"^SoftDdpgAgent.stddev = (\S+)$", settings, re.MULTILINE)[1]
    assert arm.label == f"σ = {width}, default"


def test_figures_share_the_runs_with_penalty(preset):
    third = set(grid(FIGURE_3, preset))
    fourth = set(grid(FIGURE_4, preset))
    shared = {run for run in fourth if run.variant == "smoothie"}
    assert shared == third & fourth
    assert len(shared) == 4 * preset.num_seeds


def test_first_seed_of_every_panel_comes_first(preset):
    runs = grid(FIGURE_3, preset)
    assert [run.seed for run in runs] == [0] * 12 + [1] * 12


def test_bindings_given_by_hand_have_directories_of_their_own(preset):
    def directory(*bindings):
        altered = Preset("quick", 300, 2, bindings)
        return grid(FIGURE_4, altered)[0].directory

    plain = directory()
    spaced = directory("SmoothieAgent.kl_penalty = 0.5")
    assert spaced != plain
    assert spaced == directory("SmoothieAgent.kl_penalty=0.5")
    assert spaced.parts[1] == "quick+SmoothieAgent.kl_penalty=0.5"
    # Both would read alike with the brackets gone.
    assert directory("a.b=[1]") != directory("a.b=(1)")
    assert len(directory("a.b=" + "1" * 500).parts[1]) < 150


def test_the_arms_binding_wins_over_one_given_by_hand():
    altered = Preset("quick", 300, 2, ("SmoothieAgent.kl_penalty=0.5",))
    without_kl = grid(FIGURE_4, altered)[1]
    assert without_kl.gin_bindings[-1] == "SmoothieAgent.kl_penalty = 0.0"


def test_unknown_environment_names_the_nearest():
    check_envs(FIGURE_3.envs)
    with pytest.raises(InputError, match="'Hoper-v5'.*did you mean 'Hopper-v"):
        check_envs(["Hopper-v5", "Hoper-v5"])


def test_every_task_of_the_paper_has_a_nearest_one_or_a_search():
    searched = {"Hopper-v5", "HalfCheetah-v5"}
    assert {*gin_directory.NEAREST, *searched} == set(FIGURE_3.envs)
    assert set(gin_directory.NEAREST.values()) == searched


def test_tuned_values_of_some_agents_only_are_not_used(preset):
    tune("Hopper-v5")
    tune("Swimmer-v5")
    path = gin_directory.tuned_path("ddpg", "Swimmer-v5")
    path.parent.mkdir(parents=True)
    path.write_text("DdpgAgent.ou_stddev = 0.1\n")
    runs = grid(FIGURE_3, preset, ["Hopper-v5", "Swimmer-v5"], [0])
    assert {(run.env, run.agent): bool(run.tuned) for run in runs} == {
        ("Hopper-v5", "smoothie"): False,
        ("Hopper-v5", "ddpg"): False,
        ("Swimmer-v5", "smoothie"): True,
        ("Swimmer-v5", "ddpg"): True,
    }
    # Training would read Smoothie's by itself.
    assert [run.untuned for run in runs] == [True, False, False, False]
    # Agents without any search do not count.
    runs = grid(BASELINES, preset, ["Swimmer-v5"], [0])
    assert [bool(run.tuned) for run in runs] == [True, False, True, False, False]


def test_runs_may_leave_out_what_a_search_has_found(preset, tmp_path):
    tune("Hopper-v5")
    options = {"envs": ["Hopper-v5", "Swimmer-v5"], "seeds": [0], "root": tmp_path}
    tuned = grid(FIGURE_3, preset, **options)
    without = grid(FIGURE_3, preset, **options, tuned=False)
    of_task = {(run.env, run.agent): run for run in tuned}
    for run in without:
        same = of_task[run.env, run.agent]
        searched = (run.env, run.agent) == ("Hopper-v5", "smoothie")
        assert run.untuned == bool(same.tuned) == searched
        assert (run.directory == same.directory) != searched
        assert ("--untuned" in launch.train_command(run)) == searched
        words = launch.train_command(same)
        assert "--untuned" not in words
        # A search that ends meanwhile must not change what the run reads.
        assert words[words.index("--values_digest") + 1] == (same.tuned or "none")
    # Where but some of the arms could be searched, none is.
    (smoothie,) = (
        run
        for run in grid(NEIGHBOURS, preset, **options)
        if (run.env, run.agent) == ("Hopper-v5", "smoothie")
    )
    assert smoothie.untuned
    assert smoothie.directory.parent.name == "smoothie"


def test_recommended_values_have_directories_of_their_own(preset, tmp_path):
    tune("Hopper-v5")
    options = {"envs": ["Hopper-v5", "Pendulum-v1"], "seeds": [0], "root": tmp_path}
    paper = grid(FIGURE_3, preset, **options)
    recommended = grid(FIGURE_3, preset, **options, values="recommended")
    digest = recommended_digest("smoothie")
    assert len(digest) == 8 and recommended_digest("ddpg") == ""
    for run, same in zip(recommended, paper, strict=True):
        words = launch.train_command(run)
        if run.agent == "smoothie":
            assert run.directory.parent.name == f"smoothie+recommended-{digest}"
            assert words[words.index("--values") + 1] == "recommended"
            assert not run.tuned and "--untuned" not in words
        else:  # An agent without a recommendation keeps what it has.
            assert run == same and "--values" not in words
    # An arm may ask for them where the others do not.
    arms = (SMOOTHIE, dataclasses.replace(SMOOTHIE, variant="r", values="recommended"))
    figure = dataclasses.replace(FIGURE_3, arms=arms)
    runs = grid(figure, preset, ["Pendulum-v1"], [0], tmp_path)
    assert [run.directory.parent.name for run in runs] == [
        "smoothie",
        f"r+recommended-{digest}",
    ]


def test_a_panel_shorter_than_the_preset_shares_its_longer_runs(tmp_path):
    short, quick = (read_preset(name) for name in ("short", "quick"))
    cut_off = grid(BEHIND_DDPG, short, seeds=[0], root=tmp_path)
    assert {run.env: run.num_steps for run in cut_off} == STEPS
    assert max(STEPS.values()) < short.num_steps
    third = grid(FIGURE_3, short, list(STEPS), [0], tmp_path)
    assert {run.directory for run in third} < {run.directory for run in cut_off}
    # What panels share is run once.
    arms = {
        (panel.env, arm.variant) for panel in BEHIND_DDPG.panels for arm in panel.arms
    }
    assert len({run.directory for run in cut_off}) == len(cut_off) == len(arms)
    runs = grid(BEHIND_DDPG, quick, root=tmp_path)
    assert {run.num_steps for run in runs} == {quick.num_steps}
