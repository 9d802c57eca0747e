"""The programs in docs/deployment.md run as they stand, without anything of ours."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
BLOCKS = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "deployment.md").read_text(), re.DOTALL
)
REFUSING = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("smoothie_tf", "tf_agents"):
            raise ModuleNotFoundError(f"{name} is not installed here")

sys.meta_path.insert(0, Refuse())
"""


def run(block):
    return subprocess.run(
        [sys.executable, "-c", REFUSING + block],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_the_check_of_an_export_passes_and_fails():
    (check,) = (block for block in BLOCKS if '["pairs"]' in block)
    done = run(check)
    assert done.returncode == 0, done.stderr
    done = run(check.replace('pair["action"],', '[x + 1e-3 for x in pair["action"]],'))
    assert "Not equal to tolerance" in done.stderr


def test_the_control_loop_reaches_the_cards_return():
    (loop,) = (block for block in BLOCKS if "gymnasium.make" in block)
    assert len(loop.splitlines()) <= 16
    done = run(loop)
    assert done.returncode == 0, done.stderr
    # This policy hops to the time limit, for about 3 a step.
    assert float(done.stdout.removeprefix("Return: ")) > 3000


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_is_python(block):
    compile(block, "docs/deployment.md", "exec")
