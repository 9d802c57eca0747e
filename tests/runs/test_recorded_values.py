import dataclasses
import io
import json
import pathlib
import shutil

import pytest

from smoothie_tf.experiments.commands import figure_commands
from smoothie_tf.experiments.figures.baselines import BASELINES
from smoothie_tf.experiments.figures.continuous_control import FIGURE_3, FIGURE_4
from smoothie_tf.experiments.figures.grids import grid
from smoothie_tf.experiments.figures.svg import SVG_FIGURE_4
from smoothie_tf.runs import launch, prefix, recorded_values
from smoothie_tf.runs.run import Preset, read_preset
from smoothie_tf.training import gin_text
from smoothie_tf.validation import InputError

COMMITTED = pathlib.Path(__file__).parents[2] / "results" / "runs"


@pytest.fixture
def nothing_tuned():
    """Instead of the other tests' fixture: committed runs have tuned values."""


@pytest.mark.parametrize(
    ("figure", "preset"),
    [
        (FIGURE_3, "short"),
        (FIGURE_4, "short"),
        (BASELINES, "short"),
        (SVG_FIGURE_4, "svg"),  # Tasks bind a macro that agents refer to.
    ],
)
def test_committed_runs_have_the_values_of_the_gin_files(figure, preset):
    runs = grid(figure, read_preset(preset), root=COMMITTED)
    assert sum(map(prefix.is_done, runs)) >= 6
    recorded_values.check(runs)


def test_a_finished_run_with_other_values_is_refused(tmp_path, capsys):
    (run, *_) = grid(FIGURE_3, read_preset("short"), ["Hopper-v5"], root=COMMITTED)
    there = tmp_path / run.directory.relative_to(COMMITTED)
    shutil.copytree(run.directory, there)
    flags = ["--preset", "short", "--envs", "Hopper-v5", "--seeds", "0,"]
    flags += ["--runs_dir", str(tmp_path), "--out_dir", str(tmp_path / "out")]
    assert figure_commands.figure3([*flags, "--plot_only"]) == 0
    path = there / "operative_config.gin"
    text = path.read_text()
    bound = "SmoothieAgent.gamma = 0.995"
    assert bound in text
    path.write_text(text.replace(bound, "SmoothieAgent.gamma = 0.99"))
    capsys.readouterr()
    assert figure_commands.figure3([*flags, "--plot_only"]) == 2
    assert capsys.readouterr().err == (
        f"{there} is a run with SmoothieAgent.gamma = 0.99, but now it would be 0.995:"
        " choose another --runs_dir, or restore the value.\n"
    )
    # A value that is bound no more, where the record has the names that were.
    path.write_text(text + "SmoothieAgent.clip_actions = True\n")
    assert figure_commands.figure3([*flags, "--plot_only"]) == 0
    record = json.loads((there / "run.json").read_text())
    record["bound"] = ["SmoothieAgent.clip_actions", "train.num_steps"]
    (there / "run.json").write_text(json.dumps(record))
    capsys.readouterr()
    assert figure_commands.figure3([*flags, "--plot_only"]) == 2
    assert "SmoothieAgent.clip_actions = True, which is not bound now" in (
        capsys.readouterr().err
    )
    # A run that has not ended is drawn as well, and one without checkpoints restarts.
    record |= {"status": "running"}
    (there / "run.json").write_text(json.dumps(record))
    assert figure_commands.figure3([*flags, "--plot_only"]) == 2
    recorded_values.check([dataclasses.replace(run, root=tmp_path)])


def test_the_run_of_another_task_is_refused(tmp_path, fake_command):
    """Ids can have the same file name."""
    preset = Preset("quick", num_steps=300, num_seeds=1)
    one, other = (
        grid(FIGURE_3, preset, [env], root=tmp_path)[0]
        for env in ("lab/Task-v0", "lab_Task-v0")
    )
    assert one.directory == other.directory
    launch.launch([one], 1, stream=io.StringIO())
    recorded_values.check([one])
    with pytest.raises(InputError, match="with env 'lab/Task-v0', not 'lab_Task-v0'"):
        recorded_values.check([other])
    bound = dataclasses.replace(one, gin_bindings=("a.b = 1",))
    with pytest.raises(InputError, match="with gin_bindings "):
        recorded_values.check([bound])


def test_references_may_name_their_module_and_true_is_not_1():
    equal = gin_text.same
    assert equal("@losses.huber", "@huber") and equal(1.0, 1)
    assert not equal("@huber", "@huber()") and not equal(True, 1)
    assert equal((8, "@a.b"), [8.0, "@b"]) and not equal((8,), (8, 8))


def test_macros_have_their_last_value(tmp_path):
    path = tmp_path / "agent.gin"
    path.write_text("rate = 1\na.b = %rate\na.c = (%rate, %other)\n")
    assert gin_text.bound_values(path, "rate = 2", "other = %rate") == {
        "rate": 2,
        "other": 2,
        "a.b": 2,
        "a.c": (2, 2),
    }
    with pytest.raises(InputError, match="cannot be read as gin"):
        gin_text.bound_values(path, "rate = ")
    assert gin_text.bound_values("a.b = %a", "a = %a") == {"a.b": None, "a": None}
