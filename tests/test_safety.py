"""Files that may come from others are read as data: nothing unpickles or evaluates."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
SOURCES = sorted(
    path
    for folder in ("smoothie_tf", "reproduce", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FUNCTIONS = {"eval", "exec", "literal_eval", "read_pickle", "unsafe_load"}


def names(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node, (node.module or "").split(".")[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_is_unpickled_or_evaluated(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node, name in names(tree):
        assert name not in MODULES, f"{path}:{node.lineno} imports {name}"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        where = f"{path}:{node.lineno} calls {called}"
        assert called not in FUNCTIONS, where
        for keyword in node.keywords:
            allowed = keyword.arg == "allow_pickle" and getattr(
                keyword.value, "value", True
            )
            assert not allowed, f"{where} with allow_pickle"
