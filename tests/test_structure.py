"""Imports point down and in no circle, and files are short enough to read."""

import ast
import graphlib
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1] / "smoothie_tf"
MOST_LINES = 450
#: From the lowest to the highest; what is in one line knows nothing of each other.
#: Files beside the packages, which are pure functions or leaves, are below all.
ROOMS = (
    ("environments",),
    ("networks",),
    ("policies",),
    ("agents",),
    ("training",),
    ("export", "runs"),
    ("experiments.figures",),
    ("experiments.evidence",),
    ("experiments.drawing",),
    ("experiments.search", "experiments.svg", "experiments.theory"),
    ("experiments.report",),
    ("experiments.commands",),
    ("__main__",),
)
FILES = {
    ".".join(("smoothie_tf", *path.relative_to(ROOT).with_suffix("").parts)): path
    for path in ROOT.rglob("*.py")
    if path.name != "__init__.py"
}


def imported(path):
    """The package's modules that a file imports, be it within a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names.append(node.module)
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name for name in names if name in FILES)


IMPORTS = {name: set(imported(path)) for name, path in FILES.items()}


def level(name):
    """Where a module is, in the order of `ROOMS`, and in which of them."""
    inner = name.removeprefix("smoothie_tf.")
    for place, rooms in enumerate(ROOMS):
        for room in rooms:
            if inner == room or inner.startswith(f"{room}."):
                return place, room
    assert "." not in inner, f"{name} is in none of the rooms"
    return -1, ""


def test_imports_point_down():
    assert len(IMPORTS) > 100
    upwards = [
        f"{name} imports {other}"
        for name, others in IMPORTS.items()
        for other in others
        if level(other)[0] >= level(name)[0] and level(other)[1] != level(name)[1]
    ]
    assert not upwards


def test_no_circle():
    list(graphlib.TopologicalSorter(IMPORTS).static_order())


def test_runs_and_experiments_are_in_short_files():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for folder in ("runs", "experiments")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert len(lengths) > 40
    assert {path for path, lines in lengths.items() if lines > MOST_LINES} == set()


@pytest.mark.parametrize(
    ("module", "libraries"),
    [
        # With Figures 1 and 2 and the exact parts of Section 3.
        ("experiments.commands.theory", "tensorflow"),
        ("experiments.commands.search_command", "tensorflow optuna pandas"),
        (
            "experiments.commands.figure",
            "tensorflow tf_agents torch pandas matplotlib",
        ),
    ],
)
def test_a_command_imports_heavy_libraries_when_it_needs_them(module, libraries):
    code = f"import sys, smoothie_tf.{module} as _; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT.parent,
    )
    assert not {*libraries.split()} & {*done.stdout.split()}
    assert not done.stderr
