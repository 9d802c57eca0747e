"""The tutorial runs from its first cell to its last, in an empty folder."""

import pathlib
import re

import nbclient
import nbformat

TUTORIAL = pathlib.Path(__file__).parents[1] / "docs" / "tutorial.ipynb"


def _text(notebook):
    return "".join(
        output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )


def test_runs_under_the_notebooks_own_backend(tmp_path):
    notebook = nbformat.read(TUTORIAL, as_version=4)
    kept = _text(notebook)
    # Every cell, with shorter runs.
    for cell in notebook.cells:
        for steps, fewer in (("8000", "2000"), ("3000", "1500")):
            cell.source = cell.source.replace(
                f"--num_steps {steps}", f"--num_steps {fewer}"
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
