"""Whatever metrics.csv holds, it is a table or damaged, and says so in one sentence."""

import math
import pathlib
import tempfile

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from smoothie_tf.experiments import results

QUICK = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
HEADER = ",".join(results.METRICS)
CELLS = st.one_of(
    st.integers().map(str),
    st.floats().map(repr),
    st.sampled_from(["", " ", "nan", "inf", "-inf", "1e400", "1_0", "0x1", '"1"', "٣"]),
    st.text(max_size=4),
)
ROWS = st.lists(CELLS, min_size=9, max_size=11).map(",".join)
FILES = st.one_of(
    st.binary(max_size=200),
    st.lists(ROWS, max_size=4).map(
        lambda rows: "\n".join([HEADER, *rows, ""]).encode(errors="replace")
    ),
    st.lists(st.sampled_from(results.METRICS), max_size=12).map(
        lambda columns: (",".join(columns) + "\n").encode()
    ),
)


def read(content):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "metrics.csv"
        path.write_bytes(content)
        return results.read_metrics(path)


@QUICK
@example(f"{HEADER}\ninf,1,1,1,1,1,1,1,1,1\n".encode())
@example(f"{HEADER}\n1.5,1,1,1,1,1,1,1,1,1\n".encode())
@example(f"{HEADER},step\n1,1,1,1,1,1,1,1,1,1,2\n".encode())
@given(FILES)
def test_any_bytes(content):
    try:
        table = read(content)
    except results.DamagedRunError as error:
        assert " is damaged: " in str(error) and len(str(error).splitlines()) == 1
    else:
        assert tuple(table.columns) == results.METRICS
        assert table["step"].dtype == np.int64
        assert (np.diff(table["step"]) > 0).all()


@QUICK
@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6),
    st.data(),
)
def test_a_file_cut_anywhere_gives_its_whole_rows(values, data):
    rows = [f"{100 * (i + 1)},{value!r},,,,,,,,\n" for i, value in enumerate(values)]
    text = "".join([HEADER + "\n", *rows])
    end = data.draw(st.integers(len(HEADER) + 1, len(text)))
    table = read(text[:end].encode())
    whole = text[:end].count("\n") - 1
    assert table["step"].tolist() == [100 * (i + 1) for i in range(whole)]
    for mine, value in zip(table["evaluation_return_mean"], values, strict=False):
        assert math.isclose(mine, value, rel_tol=0) or mine == value
