"""What a run leaves is enough for each form of its policy, elsewhere as well."""

import json
import shlex
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.policies import py_tf_eager_policy
from tf_agents.trajectories import time_step as ts

from smoothie_tf.export import exporting, saved_run
from smoothie_tf.training import best_policy, main, train

# Loads an export where nothing of ours can be imported, and tries its pairs.
TRY_PAIRS = """
import json, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("smoothie_tf", "tf_agents"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse())
import numpy as np
import tensorflow as tf

policy = tf.saved_model.load(sys.argv[1])
pairs = json.load(open(sys.argv[1] + "/policy.json"))["pairs"]
batch = np.array([pair["observation"] for pair in pairs])
action = policy.action(batch).numpy()
np.testing.assert_allclose(action, [pair["action"] for pair in pairs], atol=1e-5)
print(len(pairs))
"""


@pytest.fixture(scope="module")
def exported(small_run, tmp_path_factory):
    """Everything there is of Smoothie's last policy."""
    out = tmp_path_factory.mktemp("exported") / "policy"
    assert exporting.export_run(small_run(), out, tflite=True, gif=False) == []
    return out


def live_actions(run_dir, observations):
    """Mean actions of the agent in a run, on their way through its environment."""
    agent = saved_run.SavedRun(run_dir).restore(100)
    time_step = ts.restart(observations.astype(np.float32), len(observations))
    # The task's actions reach from -3 to 3.
    return 3 * np.clip(agent.policy.action(time_step).action, -1, 1)


def test_its_pairs_hold_where_nothing_of_ours_can_be_imported(exported):
    done = subprocess.run(
        [sys.executable, "-c", TRY_PAIRS, str(exported)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "5\n"


def test_every_form_acts_as_the_run_it_came_from(small_run, exported):
    observations = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    expected = live_actions(small_run(), observations)
    policy = tf.saved_model.load(str(exported))
    plain = policy.action(observations)
    np.testing.assert_allclose(plain, expected, rtol=1e-5, atol=1e-6)

    greedy = py_tf_eager_policy.SavedModelPyTFEagerPolicy(
        str(exported / "tf_agents" / "greedy"), load_specs_from_pbtxt=True
    )
    assert greedy.get_train_step() == 81  # Updates: training began at step 20.
    interpreter = tf.lite.Interpreter(str(exported / "policy.tflite"))
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    (result,) = interpreter.get_output_details()
    for observation, action in zip(observations, expected, strict=True):
        # In the agent's units, which the environment's adapter rescales.
        said = greedy.action(ts.restart(observation)).action
        np.testing.assert_allclose(3 * np.clip(said, -1, 1), action, atol=1e-5)
        interpreter.set_tensor(source["index"], observation[np.newaxis])
        interpreter.invoke()
        said = interpreter.get_tensor(result["index"])[0]
        np.testing.assert_allclose(said, action, atol=1e-5)


def test_a_run_that_was_killed_keeps_the_same_best(small_run, tmp_path, monkeypatch):
    # Killed at step 77: the run resumes from a checkpoint before step 60, and repeats
    # the evaluation of that step.
    directory, take_step = tmp_path / "run", train.Trainer._take_step
    command = json.loads((small_run() / "run.json").read_text())["command"]
    arguments = shlex.split(command.replace(str(small_run()), str(directory)))[2:]

    def step(trainer):
        take_step(trainer)
        if trainer.step == 77:
            raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(train.Trainer, "_take_step", step)
        with pytest.raises(RuntimeError, match="killed"):
            main.main(arguments)
    assert saved_run.SavedRun(directory).checkpoint_steps() == [40]
    assert main.main(arguments) == 0
    one, other = (
        (path / best_policy.FILE_NAME).read_bytes() for path in (small_run(), directory)
    )
    assert one == other
