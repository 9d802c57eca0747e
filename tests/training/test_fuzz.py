"""Whatever a binding or a run's file holds, it is read or named in a sentence."""

import contextlib
import json

import gin
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from smoothie_tf.training import config, run_directory
from smoothie_tf.training import settings as run_settings

SETTINGS = settings(
    max_examples=100,
    deadline=None,
    # What is kept from one example to the next is set anew by each.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
NAMES = [
    *("train", "SmoothieAgent", "DdpgAgent", "create_agent", "MeanNetwork", "grid"),
    *("num_steps", "gamma", "batch_size", "hidden_units", "actor_learning_rate"),
]
WORDS = st.sampled_from(
    [
        *NAMES,
        *(".", "=", " = ", "\n", "(", ")", "[", "]", "{", "}", "'", '"', "@", "%", "#"),
        *("/", "\\", ",", ":", "1", "-1", "1e999", "None", "True", "lambda: 0", "\t"),
        *("  ", "\0", "λ", "'''", "macro", "include 'x'", "f('false')", "\ud800"),
    ]
)
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=3), inner, max_size=2),
    ),
    max_leaves=4,
)


@pytest.fixture(scope="module", autouse=True)
def _imported():
    # Once, and not within an example's time.
    config.parse("smoothie", "Hopper-v5", "quick")


@SETTINGS
@given(st.one_of(st.text(max_size=30), st.lists(WORDS, max_size=9).map("".join)))
@example("SmoothieAgent.gamma = 0.5")
@example("SmoothieAgent.gamma = '")
@example("train.num_steps = " + "(" * 5000)
@example("train.num_steps = " + "-" * 5000 + "1")
@example("\0")
@example("\ud800")
@example("include ''")
@example("a/b.c = 1")
def test_bindings(binding):
    try:
        config.parse("smoothie", "Hopper-v5", "quick", bindings=[binding])
    except config.ConfigError as error:
        assert str(error).startswith("--gin_bindings ")
        assert len(str(error).splitlines()) == 1


@SETTINGS
@given(st.binary(max_size=60))
@example(b"\xff\xfe")
@example("train.num_steps = 5\n".encode("utf-16"))
@example(b"\xef\xbb\xbftrain.num_steps = 5\n")
@example(b"train.num_steps = 5\r\n")
def test_gin_files(tmp_path, content):
    path = tmp_path / "mine.gin"
    path.write_bytes(content)
    try:
        config.parse("smoothie", "Hopper-v5", "quick", gin_files=[str(path)])
    except config.ConfigError as error:
        assert str(path) in str(error)
        assert len(str(error).splitlines()) == 1


@SETTINGS
@given(st.sampled_from(sorted(run_settings.Settings.__dataclass_fields__)), VALUES)
@example("num_steps", 10**400)
@example("num_steps", float("nan"))
@example("batch_size", [])
def test_values_of_the_loop(name, value):
    with contextlib.suppress(ValueError):
        made = run_settings.Settings(**{"num_steps": 100, name: value})
        assert getattr(made, name) == value
        assert isinstance(value, int | float)


@SETTINGS
@given(VALUES)
@example("'''")
def test_what_is_bound_is_what_was_written(value):
    # A value that Python writes, gin reads as the same one or not at all.
    binding = f"SmoothieAgent.gamma = {value!r}"
    with contextlib.suppress(config.ConfigError):
        config.parse("smoothie", "Hopper-v5", "quick", bindings=[binding])
        bound = gin.query_parameter("SmoothieAgent.gamma")
        assert repr(bound) == repr(value)


IDENTITY = {"agent": "smoothie", "env": "Hopper-v5", "seed": 0, "gin_bindings": []}
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=5,
)
KEYS = st.sampled_from([*IDENTITY, "format", "num_steps", "wall_seconds", "status"])
RECORDS = st.dictionaries(KEYS, JSON).map(lambda each: {**IDENTITY, **each})


@SETTINGS
@given(st.one_of(st.binary(max_size=60), RECORDS.map(lambda x: json.dumps(x).encode())))
@example(json.dumps({**IDENTITY, "format": float("nan")}).encode())
@example(json.dumps({**IDENTITY, "format": True}).encode())
@example(json.dumps({**IDENTITY, "format": -1}).encode())
@example(json.dumps({**IDENTITY, "num_steps": True}).encode())
@example(json.dumps({**IDENTITY, "wall_seconds": float("inf")}).encode())
@example(b'{"num_steps": ' + b"9" * 5000 + b"}")
def test_run_json(tmp_path, content):
    path = tmp_path / "run.json"
    path.write_bytes(content)
    try:
        run_directory.RunDirectory(tmp_path, IDENTITY).close()
    except run_directory.RunDirectoryError as error:
        assert str(tmp_path) in str(error)
        assert len(str(error).splitlines()) == 1
    assert path.read_bytes() == content
