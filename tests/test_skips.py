"""Skips that `tests/skips.py` does not list are failures."""

import pathlib
import subprocess
import sys

import pytest

from tests import skips, slow

ROOT = pathlib.Path(__file__).parents[1]
#: One test of each kind that could go unseen, and one that may be skipped.
CASES = """
import pytest

@pytest.mark.skip(reason="not today")
def test_marked():
    pass

@pytest.mark.skipif(True, reason="only at night")
def test_listed():
    pass

@pytest.fixture
def library():
    pytest.importorskip("no_such_library")

def test_without_its_library(library):
    pass

@pytest.mark.xfail(reason="known")
def test_expected_to_fail():
    assert False

def test_passes():
    pass
"""
CONFTEST = """
from tests import skips
from tests.skips import *
skips.LISTED["test_cases.py::test_listed"] = "only at night"
"""


def run(folder, *flags, ci=""):
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_cases.py").write_text(CASES)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *flags, "."],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "CI": ci},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("workers", slow.all_but([()], [(), ("-n", "2")]))
def test_an_unlisted_skip_fails(tmp_path, workers):
    code, said = run(tmp_path, "--strict-skips", *workers)
    assert code == 1
    assert "1 passed, 1 skipped, 1 xfailed, 2 errors" in said
    assert "test_marked was skipped (not today), and tests/skips.py does not" in said
    assert "was skipped (could not import 'no_such_library'" in said


def test_ci_asks_for_it_and_others_may_skip(tmp_path):
    assert run(tmp_path, ci="true")[0] == 1
    code, said = run(tmp_path)
    assert code == 0
    assert "1 passed, 3 skipped, 1 xfailed" in said


def test_a_module_that_skips_itself_fails(tmp_path):
    (tmp_path / "test_whole.py").write_text(
        "import pytest\npytest.skip('all of it', allow_module_level=True)\n"
    )
    code, said = run(tmp_path, "--strict-skips")
    assert code != 0
    assert "test_whole.py was skipped (all of it)" in said


def test_listed_tests_exist():
    for name in skips.LISTED:
        path, test = name.split("::")
        assert f"\ndef {test}(" in (ROOT / path).read_text()
