"""What a run is: its preset, its values, its directory."""

import pytest

from smoothie_tf.runs.run import read_preset
from smoothie_tf.training import gin_directory
from smoothie_tf.training.searched_values import tuned_digest
from smoothie_tf.validation import InputError

VALUES = """\
create_agent.actor_learning_rate = 0.0001452
create_agent.critic_learning_rate = 0.0002645
DdpgAgent.reward_scale_factor = 0.01348
DdpgAgent.ou_damping = 0.0001405
DdpgAgent.ou_stddev = 0.001238
"""


def write_preset(directory, text):
    (directory / "quick.gin").write_text(text)
    (directory / "paper.gin").write_text(text)


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
    preset = read_preset("quick", directory=tmp_path)
    assert (preset.num_steps, preset.num_seeds) == (3000, 6)
    altered = read_preset("quick", ["train.num_steps=50"], tmp_path)
    assert (altered.num_steps, altered.num_seeds) == (50, 6)


@pytest.mark.parametrize(
    ("name", "bindings", "sentence"),
    [
        ("quik", [], "'quik' is not a preset (did you mean 'quick'?)"),
        (
            "quick",
            ["train.num_steps=0"],
            "train.num_steps must be an integer of at least 1",
        ),
        ("quick", ["train.num_steps=1e6"], "at least 1, but is 1000000.0"),
        ("quick", ["grid.num_seed=3"], "'grid.num_seed' cannot be bound"),
        ("quick", ["train.num_steps"], "'train.num_steps' cannot be read as gin"),
        ("quick", ["train.num_steps="], "'train.num_steps=' cannot be read as gin"),
        ("quick", ["a.b = [1"], "'a.b = [1' cannot be read as gin"),
    ],
)
def test_bad_presets_get_one_sentence(tmp_path, name, bindings, sentence):
    write_preset(tmp_path, "train.num_steps = 300\ngrid.num_seeds = 1\n")
    with pytest.raises(InputError) as error:
        read_preset(name, bindings, tmp_path)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_every_preset_of_the_repository_has_steps_and_seeds():
    names = {path.stem for path in gin_directory.PRESETS.glob("*.gin")}
    assert {"quick", "short", "paper"} <= names
    for name in names:
        read_preset(name)
    paper = read_preset("paper")
    assert (paper.num_steps, paper.num_seeds) == (1_000_000, 6)


def test_a_discretized_task_has_the_tuned_values_of_its_task():
    name = "smoothie_tf/DiscretizedHopper-v5"
    assert tuned_digest("smoothie", name) == ""
    path = gin_directory.tuned_path("smoothie", "Hopper-v5")
    path.parent.mkdir(parents=True)
    path.write_text("SmoothieAgent.kl_penalty = 0.01\n")
    of_task = tuned_digest("smoothie", name)
    assert of_task == tuned_digest("smoothie", "Hopper-v5") != ""
    gin_directory.tuned_path("smoothie", name).write_text("SmoothieAgent.gamma = 0.9\n")
    assert tuned_digest("smoothie", name) not in ("", of_task)


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
        tuned_digest("smoothie", env) for env in ("Walker2d-v5", "Hopper-v5")
    )
    assert walker == of_hopper != ""
    own = tune("Walker2d-v5", value="0.02")
    assert gin_directory.find_tuned("smoothie", "Walker2d-v5") == own
    assert tuned_digest("smoothie", "Walker2d-v5") != of_hopper


def test_values_have_the_digest_that_finished_runs_have_in_their_names():
    # Those of results/runs/short/Hopper-v5/ddpg+tuned-a8aec3db.
    path = gin_directory.tuned_path("ddpg", "Hopper-v5")
    path.parent.mkdir(parents=True)
    path.write_text(VALUES)
    assert tuned_digest("ddpg", "Hopper-v5") == "a8aec3db"
