"""What holds for every task of this package, also for one that is added later."""

import gymnasium
import pytest
from gymnasium.utils import env_checker

import smoothie_tf.environments  # noqa: F401  Registers the tasks.
from smoothie_tf.training import gin_directory

TASKS = sorted(name for name in gymnasium.registry if name.startswith("smoothie_tf/"))


@pytest.mark.parametrize("name", TASKS)
def test_gymnasiums_checker_finds_no_fault(name):
    env = gymnasium.make(name)
    # The wrapper that rounds rewards is part of the task; Gymnasium's wrappers are not.
    own = env if "Discretized" in name else env.unwrapped
    env_checker.check_env(own, skip_render_check=True)
    env.close()


def test_values_of_tasks_are_of_tasks_that_there_are():
    files = {path.stem for path in (gin_directory.ROOT / "environments").glob("*.gin")}
    tasks = {gin_directory.file_name(name) for name in gymnasium.registry}
    assert files, "no gin file was found"
    unknown = sorted(files - tasks)
    assert not unknown, "gin/environments/ has a file for a task that is not registered"
