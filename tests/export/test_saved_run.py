"""Runs that are brought back, and those that are not: which, and why."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from smoothie_tf.export import exporting, saved_run
from smoothie_tf.training import best_policy, config


@pytest.fixture
def copy(small_run, tmp_path):
    run_dir = tmp_path / "run"
    shutil.copytree(small_run(), run_dir)
    return run_dir


def change(run_dir, **changes):
    path = run_dir / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def evaluations(run_dir):
    table = pd.read_csv(run_dir / "metrics.csv")
    return table.set_index("step")["evaluation_return_mean"]


def rewrite_returns(run_dir, returns):
    table = pd.read_csv(run_dir / "metrics.csv")
    table["evaluation_return_mean"] = returns
    table.to_csv(run_dir / "metrics.csv", index=False)


@pytest.mark.parametrize("agent", ["smoothie", "ddpg"])
def test_the_last_checkpoint_is_brought_back_whole(small_run, agent):
    run = saved_run.SavedRun(small_run(agent))
    assert run.checkpoint_steps() == [80, 100]
    assert run.choose() == 100
    restored = run.restore(100)
    assert restored.train_step_counter == 81
    reader = tf.train.load_checkpoint(str(run.path / "checkpoints" / "ckpt-100"))
    kept = [reader.get_tensor(n) for n in reader.get_variable_to_shape_map()]
    found = restored.policy.variables()
    assert len(found) == (5 if agent == "smoothie" else 4)
    for variable in found:
        assert any(np.array_equal(variable, value) for value in kept)


def test_a_step_may_be_chosen(small_run):
    run = saved_run.SavedRun(small_run())
    assert run.choose(checkpoint=80) == 80
    first, last = (run.restore(step).policy.variables() for step in (80, 100))
    assert any((a.numpy() != b.numpy()).any() for a, b in zip(first, last, strict=True))


def test_the_best_is_that_of_the_evaluations(small_run):
    run = saved_run.SavedRun(small_run())
    step = int(evaluations(run.path).idxmax())
    assert run.choose(best=True) == step == best_policy.saved_step(run.path)


def test_the_bests_weights_alone_are_enough(copy):
    # As if the best had been long ago.
    step = best_policy.saved_step(copy)
    for path in (copy / "checkpoints").glob(f"ckpt-{step}.*"):
        path.unlink()
    run = saved_run.SavedRun(copy)
    assert run.choose(best=True) == run.choose(checkpoint=step) == step
    with np.load(copy / best_policy.FILE_NAME) as file:
        for i, variable in enumerate(run.restore(step).policy.variables()):
            np.testing.assert_array_equal(variable, file[f"variable_{i}"])
    # TD3 and SAC act uniformly until the first of these.
    assert run.restore(step).train_step_counter == max(0, step - 19)


def test_a_task_with_other_bounds_is_refused(copy):
    spaces = json.loads((copy / "run.json").read_text())["spaces"]
    spaces["action"]["high"] *= 2
    change(copy, spaces=spaces)
    with pytest.raises(saved_run.SavedRunError, match="other spaces.*action high 6.0,"):
        saved_run.SavedRun(copy).restore(100)


def fails(run_dir, **arguments):
    """The one line that says why a run cannot be exported; nothing is left behind."""
    out = run_dir.parent / "out"
    with pytest.raises(ValueError) as caught:
        exporting.export_run(run_dir, out, gif=False, tf_agents=False, **arguments)
    assert not out.exists()
    assert not list(run_dir.parent.glob(".export-*"))
    (line,) = str(caught.value).splitlines()
    assert line.endswith(".")
    assert str(run_dir) in line
    return line


def test_a_step_that_is_not_kept_says_which_are(copy):
    (copy / best_policy.FILE_NAME).unlink()
    line = fails(copy, checkpoint=60)
    assert "--checkpoint 60 is not kept in" in line
    assert line.endswith("--checkpoint takes 80 or 100.")


def test_a_best_that_is_not_kept_says_so(copy):
    (copy / best_policy.FILE_NAME).unlink()
    rewrite_returns(copy, [1.0, 9.5, 2.0, 3.0, 4.0])
    line = fails(copy, best=True)
    assert "is that of step 40 (mean return 9.50), whose weights are not kept" in line
    assert line.endswith("--checkpoint takes 80 or 100.")
    rewrite_returns(copy, [1.0, 2.0, 3.0, 9.5, 4.0])
    assert saved_run.SavedRun(copy).choose(best=True) == 80


def test_a_run_that_is_not_finished(copy):
    for status in ("running", "interrupted", "failed"):
        change(copy, status=status, num_steps=500)
        for arguments in ({}, {"best": True}):
            line = fails(copy, **arguments)
            assert f"is not finished: its status is {status!r}" in line
            assert "of step 100 of 500" in line and "--checkpoint 100 exports" in line
    run = saved_run.SavedRun(copy)
    assert run.restore(run.choose(checkpoint=80)) is not None


def test_a_run_in_its_first_process_has_no_configuration_yet(copy):
    (copy / "operative_config.gin").unlink()
    assert "has no operative_config.gin" in fails(copy)


def test_what_is_not_a_run(tmp_path):
    run_dir = tmp_path / "run"
    assert "does not exist" in fails(run_dir)
    run_dir.mkdir()
    assert "is empty" in fails(run_dir)
    (run_dir / "notes.txt").write_text("hello")
    assert "has no run.json" in fails(run_dir)
    (run_dir / "run.json").write_text("[1, 2]")
    assert "was not written by smoothie_tf" in fails(run_dir)
    (run_dir / "run.json").write_text('{"agent": "smoothie"')
    assert "run.json cannot be read" in fails(run_dir)
    assert "is not a directory" in str(
        pytest.raises(ValueError, saved_run.SavedRun, run_dir / "notes.txt").value
    )


def test_a_run_of_another_program(copy):
    change(copy, agent="ppo")
    assert "names the agent 'ppo', but it must be one of ddpg, dpg, " in fails(copy)


def test_a_run_without_checkpoints(copy):
    shutil.rmtree(copy / "checkpoints")
    assert "has no checkpoint" in fails(copy)


def test_a_task_that_cannot_be_made(copy):
    change(copy, env="Hoper-v5")
    with pytest.raises(ValueError, match="'Hoper-v5' cannot be made"):
        exporting.export_run(copy, copy.parent / "out")


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: path.write_bytes(bytes(path.stat().st_size)),
    ],
    ids=["cut", "empty", "gone", "zeros"],
)
def test_a_corrupt_checkpoint_is_said_and_not_replaced_by_another(copy, damage):
    (copy / best_policy.FILE_NAME).unlink()
    (path,) = (copy / "checkpoints").glob("ckpt-100.data*")
    damage(path)
    line = fails(copy)
    assert "ckpt-100 cannot be used: " in line
    assert line.endswith("--checkpoint takes 80, too.")
    assert saved_run.SavedRun(copy).restore(80) is not None


def test_another_agents_checkpoint_is_refused(copy, small_run):
    shutil.rmtree(copy / "checkpoints")
    shutil.copytree(small_run("ddpg") / "checkpoints", copy / "checkpoints")
    assert "ckpt-100 cannot be used: " in fails(copy)


def test_another_networks_checkpoint_is_refused(copy):
    path = copy / "operative_config.gin"
    path.write_text(path.read_text().replace("units = (8,)", "units = (9,)"))
    assert "ckpt-100 cannot be used: " in fails(copy)


def test_a_corrupt_configuration(copy):
    with open(copy / "operative_config.gin", "a") as file:
        file.write("\nSmoothieAgent.gama = 1\n")
    with pytest.raises(config.ConfigError, match="Did you mean SmoothieAgent.gamma"):
        exporting.export_run(copy, copy.parent / "out")
    (copy / "operative_config.gin").write_text("")
    assert "operative_config.gin cannot be used" in fails(copy)


@pytest.mark.parametrize("content", ["", "step,x\n1,2\n", "step\0\n"])
def test_corrupt_metrics(copy, content):
    (copy / "metrics.csv").write_text(content)
    assert "metrics.csv cannot be read" in fails(copy)


def test_a_corrupt_best_policy(copy):
    path = copy / best_policy.FILE_NAME
    path.write_bytes(path.read_bytes()[:50])
    assert "best_policy.npz cannot be read" in fails(copy, best=True)
    # It is of no concern to who does not ask for it.
    assert saved_run.SavedRun(copy).choose() == 100


def test_weights_that_are_not_finite(copy):
    step = best_policy.saved_step(copy)
    for path in (copy / "checkpoints").glob(f"ckpt-{step}.*"):
        path.unlink()
    with np.load(copy / best_policy.FILE_NAME) as file:
        arrays = dict(file)
    arrays["variable_0"] = np.full_like(arrays["variable_0"], np.nan)
    with open(copy / best_policy.FILE_NAME, "wb") as file:
        np.savez(file, **arrays)
    assert "has weights that are not finite" in fails(copy, checkpoint=step)


def test_a_folder_that_holds_something_is_left_alone(copy):
    out = copy.parent / "out"
    out.mkdir()
    (out / "precious.txt").write_text("x")
    with pytest.raises(ValueError, match="out exists already"):
        exporting.export_run(copy, out)
    assert [path.name for path in out.iterdir()] == ["precious.txt"]


def test_another_export_that_ended_meanwhile_is_left_alone(tmp_path):
    out = tmp_path / "out"
    with (
        pytest.raises(ValueError, match="out exists already"),
        exporting._aside(out) as directory,
    ):
        (directory / "policy.json").write_text("late")
        out.mkdir()
        (out / "policy.json").write_text("first")
    assert (out / "policy.json").read_text() == "first"
    assert list(tmp_path.iterdir()) == [out]


def hold(run_dir, step):
    """Lets a checkpoint go away, as training does it, once it has been chosen."""
    for path in sorted((run_dir / "checkpoints").glob(f"ckpt-{step}.*"), reverse=True):
        path.unlink()


def test_a_step_that_is_gone_is_not_answered_with_another(copy):
    # The best policy's file is there, and is that of another step.
    rewrite_returns(copy, [1.0, 2.0, 9.5, 3.0, 4.0])
    with np.load(copy / best_policy.FILE_NAME) as file:
        arrays = dict(file)
    with open(copy / best_policy.FILE_NAME, "wb") as file:
        np.savez(file, **{**arrays, "step": 60})
    run = saved_run.SavedRun(copy)
    step = run.choose(checkpoint=80)
    hold(copy, 80)
    with pytest.raises(saved_run.SavedRunError) as caught:
        run.restore(step)
    assert str(caught.value) == (
        f"The weights of step 80 are no longer kept in --run_dir {copy}: the run has"
        " continued since. --checkpoint takes 60 or 100."
    )
    (copy / best_policy.FILE_NAME).unlink()
    with pytest.raises(saved_run.SavedRunError, match="--checkpoint takes 100."):
        run.restore(step)
    assert run.restore(100) is not None


def test_what_is_restored_is_held_from_the_beginning(copy, monkeypatch):
    run = saved_run.SavedRun(copy)
    expected = [v.numpy() for v in run.restore(80).policy.variables()]
    make = saved_run.SavedRun._new_agent

    def late(self):
        # Making an agent takes seconds, in which training goes on.
        hold(copy, 80)
        return make(self)

    monkeypatch.setattr(saved_run.SavedRun, "_new_agent", late)
    for one, other in zip(expected, run.restore(80).policy.variables(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert run.checkpoint_steps() == [100]


def test_a_checkpoint_that_was_never_finished_is_none(copy):
    (copy / "checkpoints" / "ckpt-100.json").unlink()
    assert saved_run.SavedRun(copy).checkpoint_steps() == [80]
    # Those of older versions have no list of checksums.
    (copy / "checkpoints" / "ckpt-80.json").unlink()
    run = saved_run.SavedRun(copy)
    assert run.checkpoint_steps() == [80, 100]
    assert run.restore(80) is not None


def test_a_finished_run_without_its_last_checkpoint_says_so(copy):
    (copy / "checkpoints" / "ckpt-100.json").unlink()
    line = fails(copy)
    assert "is done after step 100, but that step's checkpoint is missing" in line
    assert saved_run.SavedRun(copy).choose(checkpoint=80) == 80


def test_a_checkpoint_that_was_altered_is_said(copy):
    (path,) = (copy / "checkpoints").glob("ckpt-100.data*")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    (copy / best_policy.FILE_NAME).unlink()
    line = fails(copy)
    assert (
        "ckpt-100 cannot be used: ckpt-100.data-00000-of-00001 does not match" in line
    )
