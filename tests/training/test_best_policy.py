"""The best policy's file: first of the best, exact, and whole or an error."""

import os

import numpy as np
import pytest
import tensorflow as tf

from smoothie_tf.training import best_policy, files, run_directory


@pytest.fixture
def run(tmp_path):
    directory = run_directory.RunDirectory(tmp_path, {})
    directory.write_metrics()
    variables = [tf.Variable(tf.zeros([2, 3])), tf.Variable(tf.zeros([]))]

    def evaluate(step, mean_return):
        """An evaluation, whose policy has its step in every weight."""
        for variable in variables:
            variable.assign(tf.fill(variable.shape, float(step)))
        best_policy.save_if_best(tmp_path, variables, step, mean_return)
        directory.append_metrics({"step": step, "evaluation_return_mean": mean_return})

    yield tmp_path, directory, evaluate
    directory.close()


def kept(path):
    variables = [tf.Variable(tf.zeros([2, 3])), tf.Variable(tf.zeros([]))]
    best_policy.BestPolicy(path).restore(variables)
    (step,) = {float(x) for v in variables for x in np.ravel(v.numpy())}
    assert step == best_policy.saved_step(path)
    return step


def test_the_first_of_the_best_is_kept(run):
    path, _, evaluate = run
    assert best_policy.saved_step(path) is None
    best = {1: -5.0, 2: -7.0, 3: -4.5, 4: -4.5, 5: -4.6, 6: 0.1}
    seen = []
    for step, mean_return in best.items():
        evaluate(step, mean_return)
        seen.append(kept(path))
    assert seen == [1, 1, 3, 3, 3, 6]
    assert [p.name for p in path.glob("*best*")] == [best_policy.FILE_NAME]


def test_a_full_disk_leaves_the_best_before(run):
    path, _, evaluate = run
    evaluate(1, 1.0)
    (path / f".{best_policy.FILE_NAME}.{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(files.StorageError, match="best_policy.npz cannot be written"):
        evaluate(2, 2.0)
    assert kept(path) == 1


def test_a_run_resumed_from_before_the_best_ends_with_the_same(run):
    path, directory, evaluate = run
    returns = {1: 1.0, 2: 3.0, 3: 2.0, 4: 5.0, 5: 4.0}
    for step in (1, 2, 3, 4):
        evaluate(step, returns[step])
    before = (path / best_policy.FILE_NAME).read_bytes()
    # Stopped, with a last checkpoint of step 2.
    directory.set_metrics(directory.metrics[:2])
    directory.write_metrics()
    for step in (3, 4, 5):
        evaluate(step, returns[step])
    assert kept(path) == 4
    assert (path / best_policy.FILE_NAME).read_bytes() == before


def test_a_file_that_is_not_whole_is_an_error(run):
    path, _, evaluate = run
    evaluate(1, 1.0)
    file = path / best_policy.FILE_NAME
    content = file.read_bytes()
    for broken in (b"", content[:100], content[:-30], b"no zip at all"):
        file.write_bytes(broken)
        with pytest.raises(best_policy.BestPolicyError, match="cannot be read"):
            best_policy.saved_step(path)
    with open(file, "wb") as other:
        np.savez(other, x=1)
    with pytest.raises(best_policy.BestPolicyError, match="cannot be read"):
        best_policy.saved_step(path)


def test_another_policys_weights_are_refused(run):
    path, _, evaluate = run
    evaluate(1, 1.0)
    with pytest.raises(best_policy.BestPolicyError, match=r"\[\(2, 3\), \(\)\], but"):
        best_policy.BestPolicy(path).restore([tf.Variable(tf.zeros([3, 2]))])
