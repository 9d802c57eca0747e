"""The site holds what pages link to, and a link to nothing fails its build."""

import base64
import os
import pathlib
import shutil
import subprocess
import sys

import nbformat
import pytest

ROOT = pathlib.Path(__file__).parents[1]
CONFIG = """
site_name: Small
theme: mkdocs
use_directory_urls: false
hooks: [tools/mkdocs_links.py]
nav: [index.md, results/README.md, overview.md]
validation: {links: {anchors: warn}}
"""
INDEX = """
# Small

[Report](../results/README.md#second) and its [numbers](../results/one.csv), from
[`a function`](../package/a.py) in the [folder](../package); see [here](#small) and
[there](https://example.org/x.md). ![Picture](../results/a.png)

```
[left](../alone.md)
```
"""


@pytest.fixture
def repository(tmp_path):
    tmp_path = tmp_path / "repository"
    tmp_path.mkdir()
    for name in ("docs", "results", "package", "tools"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / "tools" / "mkdocs_links.py", tmp_path / "tools")
    (tmp_path / "mkdocs.yml").write_text(CONFIG)
    (tmp_path / "docs" / "index.md").write_text(INDEX)
    (tmp_path / "README.md").write_text("# Read me\n\n[Home](docs/index.md)\n")
    report = "# Report\n\n## Second\n\n[back](../docs/index.md) [log](more/log.md)\n"
    (tmp_path / "results" / "README.md").write_text(report)
    (tmp_path / "results" / "more").mkdir()
    (tmp_path / "results" / "more" / "log.md").write_text("# Log\n")
    (tmp_path / "results" / "one.csv").write_text("step\n1\n")
    (tmp_path / "results" / "a.png").write_bytes(b"picture")
    (tmp_path / "package" / "a.py").write_text("A = 1\n")
    return tmp_path


def build(repository):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"],
        cwd=repository,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stderr


def test_files_outside_docs_that_are_linked_are_on_the_site(repository):
    code, said = build(repository)
    assert code == 0, said
    site = repository / "site"
    index = (site / "index.html").read_text()
    for link in (
        'href="results/index.html#second"',
        'href="results/one.csv"',
        '<a href="package/a.py"><code>a function</code></a>',
        'src="results/a.png"',
        'href="https://example.org/x.md"',
        "[left](../alone.md)",
        "in the folder; see",  # Without an address of the repository.
    ):
        assert link in index
    report = (site / "results" / "index.html").read_text()
    assert 'href="../index.html"' in report
    assert 'href="more/log.html"' in report
    assert 'href="index.html"' in (site / "overview.html").read_text()
    for name in ("results/one.csv", "results/a.png", "package/a.py"):
        assert (site / name).read_bytes() == (repository / name).read_bytes()


def test_the_tutorial_is_a_page_with_the_outputs_kept_in_it(repository):
    picture = base64.b64encode(b"picture").decode()
    cells = [
        nbformat.v4.new_markdown_cell("# Tutorial\n\n[Report](../results/README.md)"),
        nbformat.v4.new_code_cell(
            "draw()",
            outputs=[nbformat.v4.new_output("display_data", {"image/png": picture})],
        ),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbformat.write(notebook, repository / "docs" / "tutorial.ipynb")
    with open(repository / "docs" / "index.md", "a") as page:
        page.write("\n[Tutorial](tutorial.ipynb)\n")
    with open(repository / "mkdocs.yml", "a") as config:
        config.write('exclude_docs: "*.ipynb"\n')
    code, said = build(repository)
    assert code == 0, said
    site = repository / "site"
    assert 'href="tutorial.html"' in (site / "index.html").read_text()
    page = (site / "tutorial.html").read_text()
    assert 'href="results/index.html"' in page
    assert "draw()" in page
    assert f'src="data:image/png;base64,{picture}"' in page


def test_folders_are_looked_at_in_the_repository(repository):
    with open(repository / "mkdocs.yml", "a") as config:
        config.write("extra: {repository: https://example.org/tree}\n")
    assert build(repository)[0] == 0
    index = (repository / "site" / "index.html").read_text()
    assert '<a href="https://example.org/tree/package">folder</a>' in index


@pytest.mark.parametrize(
    ("link", "warning"),
    [
        ("../results/two.csv", "two.csv, which does not exist"),
        ("../results/README.md#third", "does not contain an anchor '#third'"),
        ("gone.md", "gone.md, which does not exist"),
        ("../../other/outside.md", "outside.md, which is outside the repository"),
        ("../../other", "other, which is outside the repository"),
    ],
)
def test_a_link_to_nothing_fails(repository, link, warning):
    outside = repository.parent / "other" / "outside.md"
    outside.parent.mkdir()
    outside.write_text("# Of another repository\n")
    with open(repository / "docs" / "index.md", "a") as page:
        page.write(f"\n[broken]({link})\n")
    code, said = build(repository)
    assert code == 1
    assert warning in said
