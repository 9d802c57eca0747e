"""Longer runs in place of shorter ones, in the launcher and for real."""

import dataclasses
import io
import json
import os
import shutil

import pytest

from smoothie_tf.experiments.figures.continuous_control import FIGURE_3
from smoothie_tf.experiments.figures.grids import grid
from smoothie_tf.runs import launch, prefix, progress
from smoothie_tf.runs.run import Preset, read_preset
from smoothie_tf.runs.status import Status, lock
from smoothie_tf.training import main


def preset(name, num_steps):
    others = tuple({"short", "paper"} - {name})
    return Preset(name, num_steps, 1, others=others)


@pytest.fixture
def shorter(tmp_path):
    """A run of 300 steps, wanted short."""
    return grid(FIGURE_3, preset("short", 300), ["Hopper-v5"], root=tmp_path)[0]


@pytest.fixture
def longer(shorter):
    """The same run of 1,000 steps, wanted as in the paper."""
    return dataclasses.replace(shorter, preset=preset("paper", 1000))


@pytest.fixture
def trained(fake_command):
    """Trains runs and says how they ended."""

    def train(*runs):
        outcomes = launch.launch(runs, 1, stream=io.StringIO())
        return [outcome.status for outcome in outcomes]

    return train


def stop(run, steps):
    """Leaves a run as if it had been killed after so many steps."""
    (run.directory / "run.json").write_text(
        json.dumps(
            {
                **{key: getattr(run, key) for key in ("agent", "env", "seed")},
                "gin_bindings": list(run.gin_bindings),
                "num_steps": run.num_steps,
                "status": "running",
            }
        )
    )
    rows = "".join(f"{step},1.0,,,,,,,,\n" for step in range(100, steps + 1, 100))
    (run.directory / "metrics.csv").write_text("step,…\n" + rows)
    (run.directory / "progress.json").write_text(json.dumps({"step": steps}))
    (run.directory / "checkpoints").mkdir(exist_ok=True)
    (run.directory / "checkpoints" / "ckpt-0.json").write_text(str(steps))


def test_presets_that_differ_in_length_alone_know_each_other(tmp_path):
    assert set(read_preset("short").others) == {"paper", "svg"}
    assert read_preset("quick").others == ()
    by_hand = read_preset("short", ["train.num_steps = 9", "a.b = 1"])
    assert by_hand.labels[:2] == ("short+train.num_steps=9+a.b=1", "short+a.b=1")
    assert "paper+a.b=1" in by_hand.labels
    for name, text in (("a", "x.y = 1"), ("b", "x.y = 2"), ("c", "x.y = 1 # …")):
        (tmp_path / f"{name}.gin").write_text(
            f"{text}\ntrain.num_steps = 1\ngrid.num_seeds = 1\n"
        )
    assert read_preset("a", directory=tmp_path).others == ("c",)


def test_a_longer_run_is_not_trained_again(shorter, longer, trained, starts):
    assert trained(longer) == [Status.DONE]
    assert prefix.steps_done(shorter) == 300
    assert progress.overview([shorter]).startswith("1 of 1 runs done")
    assert trained(shorter) == [Status.DONE]
    assert not shorter.directory.exists()
    assert starts(longer) == [0]


def test_a_longer_run_without_an_evaluation_at_that_step_is_not_the_same(
    shorter, longer, trained, starts
):
    between = dataclasses.replace(shorter, preset=preset("short", 250))
    assert trained(longer) == [Status.DONE]
    assert prefix.status(between) is Status.MISSING
    assert trained(between) == [Status.DONE]
    assert starts(between) == [0]


def test_one_that_is_long_enough_need_not_have_ended(shorter, longer, trained, starts):
    longer.directory.mkdir(parents=True)
    stop(longer, 400)
    descriptor = lock(longer.directory)
    assert prefix.status(shorter) is Status.DONE
    assert prefix.status(longer) is Status.RUNNING
    os.close(descriptor)
    assert trained(shorter) == [Status.DONE] and not starts(shorter)
    assert prefix.status(longer) is Status.RESUMABLE


def test_one_that_somebody_is_at_work_on_is_waited_for(shorter, longer):
    longer.directory.mkdir(parents=True)
    stop(longer, 200)
    descriptor = lock(longer.directory)
    assert prefix.status(shorter) is Status.RUNNING
    assert prefix.locate(shorter).directory == longer.directory
    os.close(descriptor)


def test_the_longest_that_there_is_goes_on(shorter, longer, trained, starts):
    assert trained(shorter) == [Status.DONE]
    assert progress.overview([longer]).startswith("0 of 1 runs done, 1 to resume")
    assert trained(longer) == [Status.DONE]
    assert starts(shorter) == [0, 300]
    assert not longer.directory.exists()
    # Neither is trained any more.
    assert trained(shorter, longer) == [Status.DONE] * 2
    assert starts(shorter) == [0, 300]


def test_records_without_checkpoints_are_evidence_and_no_more(
    shorter, longer, trained, starts
):
    assert trained(shorter) == [Status.DONE]
    shutil.rmtree(shorter.directory / "checkpoints")
    assert trained(longer) == [Status.DONE]
    assert starts(longer) == [0]
    assert prefix.locate(shorter).directory == shorter.directory


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"gin_bindings": ["a.b = 1"]}, {"agent": "ddpg"}]
)
def test_another_run_in_the_longer_ones_place_is_none_of_ours(shorter, longer, change):
    longer.directory.mkdir(parents=True)
    stop(longer, 1000)
    assert prefix.is_done(shorter)
    path = longer.directory / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert not prefix.is_done(shorter)
    assert prefix.locate(shorter).directory == shorter.directory


def rows(run_dir):
    """What a run has evaluated, but for its speed, by step."""
    lines = (run_dir / "metrics.csv").read_text().splitlines()[1:]
    return {int(line.split(",")[0]): line.rpartition(",")[0] for line in lines}


def test_runs_that_differ_in_length_alone_are_the_same_as_far_as_they_go(
    small_run, tmp_path
):
    longest = rows(small_run(num_steps=160))
    assert list(longest) == [20, 40, 60, 80, 100, 120, 140, 160]
    whole = rows(small_run(num_steps=100))
    assert list(whole) == [20, 40, 60, 80, 100]
    assert whole.items() <= longest.items()
    # The evaluation of a last step that is none of the interval's is the run's own.
    odd = rows(small_run(num_steps=90))
    assert list(odd) == [20, 40, 60, 80, 90]
    del odd[90]
    assert odd.items() <= longest.items()
    # Made longer, a run is the longer one, but for what was counted around that step.
    for num_steps, kept in ((100, ()), (90, (90, 100))):
        run_dir = tmp_path / str(num_steps)
        shutil.copytree(small_run(num_steps=num_steps), run_dir)
        record = json.loads((run_dir / "run.json").read_text())
        arguments = ["--agent", "smoothie", "--env", "InvertedPendulum-v5"]
        arguments += ["--run_dir", str(run_dir), "--num_steps", "160"]
        arguments += ["--preset", "quick", "--quiet"]
        for binding in record["gin_bindings"]:
            arguments += ["--gin_bindings", binding]
        assert main.main(arguments) == 0
        found = rows(run_dir)
        assert {step for step in found if found[step] != longest.get(step)} == {*kept}
