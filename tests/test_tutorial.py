"""The tutorial runs from its first cell to its last, in an empty folder."""

import pathlib
import re

import nbclient
import nbformat

TUTORIAL = pathlib.Path(__file__).parents[1] / "docs" / "tutorial.ipynb"

SHORTER = (
    ("--num_steps 8000", "--num_steps 2000"),
    ("--num_steps 3000", "--num_steps 1500"),
    ("--seeds 2", "--seeds 1"),
    (
        "'train.evaluation_interval = 500'",
        "train.evaluation_interval=500 --gin_bindings train.evaluation_episodes=2"
        " --gin_bindings train.use_xla=False",
    ),
    (
        "figure2 --seeds 1",
        "figure2 --seeds 1 --gin_bindings train.num_steps=1500"
        " --gin_bindings train.use_xla=False",
    ),
)


def _text(notebook):
    return "".join(
        output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )


def test_runs_under_the_notebooks_own_backend(tmp_path):
    notebook = nbformat.read(TUTORIAL, as_version=4)
    kept = _text(notebook)
    # Every cell, with shorter runs and fewer of them.
    for cell in notebook.cells:
        for whole, part in SHORTER:
            cell.source = cell.source.replace(whole, part)
    assert all(
        any(part in cell.source for cell in notebook.cells) for _, part in SHORTER
    )
    client = nbclient.NotebookClient(
        notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    for text in (kept, _text(notebook)):
        assert "Results are in tutorial/pendulum." in text
        assert "The policy is in tutorial/policy" in text
        assert re.search(r"Return of one episode: \d+", text)
    pictures = ("figure2/figure2.png", "comparison/comparison.png")
    assert all((tmp_path / "tutorial" / each).is_file() for each in pictures)
