"""What a task's name stands for, for every command alike."""

import subprocess
import sys

import gymnasium
import pytest

from smoothie_tf.environments import gymnasium_environment, task_names
from smoothie_tf.runs import tasks
from smoothie_tf.validation import InputError

MODULE = """
import gymnasium
from gymnasium import spaces

class Task(gymnasium.Env):
    observation_space = spaces.Box(-1.0, 1.0, (2,))
    action_space = spaces.Box(-1.0, 1.0, (1,))

gymnasium.register("NamedTask-v0", entry_point=Task)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "named_tasks.py").write_text(MODULE)
    (tmp_path / "broken_tasks.py").write_text("raise OSError('no robot here')\n")
    (tmp_path / "ending_tasks.py").write_text("raise SystemExit(0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    gymnasium.registry.pop("NamedTask-v0", None)
    for name in ("named_tasks", "broken_tasks", "ending_tasks"):
        sys.modules.pop(name, None)


def test_a_module_registers_the_task_that_it_names(module):
    assert task_names.find("named_tasks:NamedTask-v0").id == "NamedTask-v0"
    tasks.check_envs(["Hopper-v5", "named_tasks:NamedTask-v0"])
    gymnasium_environment.make("named_tasks:NamedTask-v0")


def test_an_edited_task_has_another_digest(module, tmp_path):
    (code,) = task_names.code("named_tasks:NamedTask-v0").items()
    assert code[0] == "code of named_tasks.Task"
    path = tmp_path / "named_tasks.py"
    path.write_text(f"# Another task may follow.\n{MODULE}")
    assert task_names.code("named_tasks:NamedTask-v0") == dict([code])
    path.write_text(MODULE.replace("(2,)", "(3,)"))
    assert task_names.code("named_tasks:NamedTask-v0") != dict([code])
    for known in ("Hopper-v5", "smoothie_tf/TwoGaussians-v0", "named_tasks:None-v0"):
        assert task_names.code(known) == {}


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Hoper-v5", "did you mean 'Hopper-v5'?"),
        ("named_tasks:NamedTaks-v0", "did you mean 'NamedTask-v0'?"),
        ("no_module:Task-v0", "module 'no_module' cannot be imported: No module named"),
        ("broken_tasks:Task-v0", "broken_tasks' cannot be imported: OSError: no robo"),
        ("ending_tasks:Task-v0", "cannot be imported: SystemExit: 0"),
        (":Task-v0", "module '' cannot be imported: ValueError"),
        ("Hopper-v99", "did you mean 'Hopper-v"),
        ("", ""),
    ],
)
def test_what_names_no_task_is_the_same_to_all(module, name, part):
    with pytest.raises(InputError) as caught:
        tasks.check_envs([name])
    assert f"--envs {name!r} is not an environment Gymnasium knows (" in str(
        caught.value
    )
    assert part in str(caught.value)
    with pytest.raises(ValueError) as caught:
        gymnasium_environment.make(name)
    assert f"Environment {name!r} cannot be made: " in str(caught.value)
    assert part in str(caught.value) and "\n" not in str(caught.value)


def test_a_name_without_its_version_is_not_taken_for_another():
    # Gymnasium would make Hopper-v5, for which settings of "Hopper" were not meant.
    with pytest.raises(task_names.UnknownTaskError, match="did you mean 'Hopper-v"):
        task_names.find("Hopper")


def test_no_tensorflow():
    code = "import sys; from smoothie_tf.environments import task_names as t;"
    code += "t.find('smoothie_tf/Hand-v0'); sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
