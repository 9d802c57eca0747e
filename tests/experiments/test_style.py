import os
import pathlib
import subprocess
import sys

import matplotlib
from matplotlib import image

from smoothie_tf.experiments.drawing import style

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_draws_as_itself_whatever_the_users_settings_are(tmp_path):
    paths = [tmp_path / name for name in ("plain.png", "own.png")]
    # LaTeX is not installed here; with it, the fonts would be others.
    own = {"text.usetex": True, "lines.linewidth": 9.0, "figure.facecolor": "red"}
    for path, settings in zip(paths, ({}, own), strict=True):
        with (
            matplotlib.rc_context(settings),
            style.picture(path, figsize=(2.0, 1.0)) as figure,
        ):
            figure.subplots().plot([0, 1], [0, 1])
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert image.imread(paths[0]).shape == (200, 400, 4)


def test_leaves_settings_and_pyplot_to_whoever_draws_in_a_notebook(tmp_path):
    program = """
import sys
from matplotlib import rcParams
from smoothie_tf.experiments.drawing import curves, style
from smoothie_tf.experiments.theory import ablations, figure2, section3
from smoothie_tf.experiments.theory import neighbours_escape
# To read the backend chooses one, and imports pyplot.
names = set(rcParams) - {"backend"}
before = {name: rcParams[name] for name in names}
with style.picture(sys.argv[1], figsize=(1, 1)) as figure:
    figure.subplots()
assert {name: rcParams[name] for name in names} == before
assert "matplotlib.pyplot" not in sys.modules
"""
    path = tmp_path / "empty.png"
    subprocess.run([sys.executable, "-c", program, path], check=True)
    assert path.stat().st_size


def test_figure_1_in_a_cell_of_a_notebook_whose_backend_is_not_installed(tmp_path):
    # What `!python reproduce/figure1.py` is run with.
    backend = "module://matplotlib_inline.backend_inline_that_is_not_here"
    settings = tmp_path / "matplotlibrc"
    settings.write_text("text.usetex: True\n")
    environment = {**os.environ, "MPLBACKEND": backend, "MATPLOTLIBRC": str(settings)}
    subprocess.run(
        [sys.executable, ROOT / "reproduce" / "figure1.py", "--out_dir", tmp_path],
        env=environment,
        check=True,
    )
    assert (tmp_path / "figure1.png").stat().st_size > 10_000


def test_every_figure_is_made_by_the_one_function():
    # Optuna draws by pyplot; its figures are closed at once.
    others = {"search_results.py": ("pyplot", ".savefig("), "style.py": (".savefig(",)}
    for folder in ("smoothie_tf", "benchmarks", "reproduce"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8").replace("imports pyplot", "")
            for word in ("pyplot", "matplotlib.use", ".savefig("):
                assert word not in text or word in others.get(path.name, ()), path
            assert "\nfrom matplotlib import pyplot" not in text, path
