"""Whatever a table, a preset or a binding holds, it is read or named in a sentence."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from smoothie_tf.experiments.evidence import metrics
from smoothie_tf.runs.run import read_preset
from smoothie_tf.runs.status import Status, read_json, recorded_status
from smoothie_tf.validation import InputError

SETTINGS = settings(
    max_examples=150,
    deadline=None,
    # The one file of each test is written anew by each example.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
HEADER = ",".join(metrics.METRICS) + "\n"
WHOLE = HEADER + "".join(
    f"{step},{step / 7},1.5,,0.6,-1e-3,0.0,2.5e-08,,50.0\n" for step in (100, 200, 300)
)
CELLS = st.one_of(
    st.sampled_from(
        ["", " ", "nan", "inf", "-inf", "1e999", "-5", "1_0", "0x10", "١٢", "1.5", '"']
    ),
    st.integers(-(10**30), 10**30).map(str),
    st.floats().map(repr),
    st.text(max_size=5),
)


@st.composite
def damaged(draw, text=WHOLE):
    """A file with some of its bytes cut out, and others put in."""
    content = text.encode()
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.integers(0, len(content)))
        end = draw(st.integers(begin, min(begin + 40, len(content))))
        content = content[:begin] + draw(st.binary(max_size=4)) + content[end:]
    return content[: draw(st.integers(0, len(content)))]


@st.composite
def tables(draw):
    """A file that has the form of a table, whatever is in its cells."""
    rows = draw(st.lists(st.lists(CELLS, min_size=9, max_size=11), max_size=4))
    return (HEADER + "".join(",".join(row) + "\n" for row in rows)).encode(
        errors="replace"
    )


def checked(path):
    """Reads a table, or is told in one sentence why not."""
    try:
        frame = metrics.read_metrics(path)
    except metrics.DamagedRunError as error:
        assert str(error).startswith(f"{path} is damaged: ")
        assert len(str(error).splitlines()) == 1
        return
    assert tuple(frame.columns) == metrics.METRICS
    assert frame["step"].dtype == np.int64
    assert (np.diff(frame["step"]) > 0).all()
    assert np.isfinite(frame["evaluation_return_mean"]).all()
    assert all(frame[column].dtype == float for column in metrics.METRICS[1:])


@SETTINGS
@given(st.one_of(st.binary(max_size=300), damaged(), tables()))
@example(WHOLE.encode())
@example((HEADER + "1.2,1,,,,,,,,\n1.7,1,,,,,,,,\n").encode())
@example((HEADER + "inf,1,,,,,,,,\n").encode())
@example((HEADER + "1e30,1,,,,,,,,\n").encode())
@example((HEADER + "100,inf,,,,,,,,\n").encode())
@example((HEADER + "100,1,,,,,,,,\x0b5\n").encode())
@example((HEADER * 2).encode())
@example((HEADER.replace("\n", ",step\n") + "1,1,,,,,,,,,2\n").encode())
def test_metrics(tmp_path, content):
    path = tmp_path / "metrics.csv"
    path.write_bytes(content)
    checked(path)


@SETTINGS
@given(st.binary(max_size=60), st.integers(1, 10**9))
@example(b'{"status": "done", "num_steps": "x"}', 5)
@example(b'{"status": "done", "num_steps": 1e999}', 5)
@example(b'{"status": ["done"], "num_steps": 9}', 5)
@example(b"[" * 100_000, 5)
@example(b"null", 5)
def test_run_json(tmp_path, content, num_steps):
    (tmp_path / "run.json").write_bytes(content)
    assert isinstance(recorded_status(tmp_path, num_steps), Status)
    assert isinstance(read_json(tmp_path / "run.json"), dict)


WORDS = st.sampled_from(
    [
        *("train", "grid", ".", "num_steps", "num_seeds", "=", " = ", "\n", "(", ")"),
        *("[", "{", "'", '"', "@", "%", "#", "/", "\\", ",", ":", "1", "-1", "1e5"),
        *("None", "True", "include", "\t", "  ", "\0", "λ", "'''", "macro"),
    ]
)
BINDINGS = st.one_of(st.text(max_size=30), st.lists(WORDS, max_size=9).map("".join))


@SETTINGS
@given(BINDINGS)
@example("train.num_steps = 10")
@example("train.num_steps = 'x")
@example("train.num_steps = (" * 500)
@example("train.num_steps = " + "(" * 5000)
@example("include 'nowhere.gin'")
@example("include ''")
@example("\0")
def test_bindings_of_a_grid(binding):
    try:
        preset = read_preset("quick", [binding])
    except InputError as error:
        assert len(str(error).splitlines()) == 1
        return
    assert preset.num_steps >= 1 and preset.num_seeds >= 1
    assert "/" not in preset.label and "\0" not in preset.label


@pytest.mark.parametrize("content", ["\xff", "train.num_steps = \n", "\0"])
def test_a_preset_that_is_no_gin(tmp_path, content):
    (tmp_path / "mine.gin").write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError) as caught:
        read_preset("mine", directory=tmp_path)
    assert len(str(caught.value).splitlines()) == 1
