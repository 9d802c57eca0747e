"""MkDocs hook: adds linked files outside `docs/` to the site.

In the repository, pages link to files by relative paths, which code hosts resolve. By
default MkDocs includes only `docs/`. This hook

- adds pages for Markdown files outside `docs/` that pages link to or `nav` lists,
- adds a page for the tutorial's notebook, with its saved outputs,
- copies other linked files, such as figures, tables and source files,
- changes links to folders to addresses below `extra.repository`; without that setting,
  only the text of the link remains,
- warns if a linked path does not exist or is outside the repository, so a strict build
  fails.
"""

import base64
import functools
import logging
import pathlib
import re

import nbconvert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
# README.md is renamed because docs/index.md becomes the site's index.html.
_RENAMED = {"README.md": "overview.md", "docs/tutorial.ipynb": "tutorial.md"}
_LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^()\s]+)\)")
_CODE = re.compile(r"^( *)(```|~~~).*?^\1\2 *$|(`+)(?!`).+?(?<!`)\3(?!`)", re.M | re.S)
_log = logging.getLogger("mkdocs.plugins.links")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds Markdown files outside `docs/` that pages link to or `nav` lists."""
    sources = {name: source for source, name in _RENAMED.items()}
    for name in _pages_of(config.nav):
        path = ROOT / sources.get(name, name)
        if not files.get_file_from_path(name) and path.is_file():
            files.append(_file(config, path))
    waiting = [file for file in files if file.is_documentation_page()]
    while waiting:
        page = waiting.pop()
        source = pathlib.Path(page.abs_src_path)
        for _, target in _LINK.findall(_markdown(source)):
            path = _path(source, target)
            if path is None or not path.is_relative_to(ROOT):
                continue
            if not _name(path).endswith(".md") or not path.is_file():
                continue
            if files.get_file_from_path(_name(path)) is None:
                files.append(_file(config, path))
                waiting.append(files.get_file_from_path(_name(path)))
    return files


def on_page_read_source(page: Page, config: MkDocsConfig) -> str:
    """Returns the Markdown of a page or a notebook."""
    return _markdown(pathlib.Path(page.file.abs_src_path))


def on_page_markdown(
    markdown: str, page: Page, config: MkDocsConfig, files: Files
) -> str:
    """Converts links between files of the repository to links within the site."""
    source = pathlib.Path(page.file.abs_src_path)
    folder = pathlib.PurePosixPath(page.file.src_uri).parent

    def replace(match):
        text, target = match.groups()
        path = _path(source, target)
        if path is None:
            return match.group()
        if not path.is_relative_to(ROOT):
            _log.warning(
                "%s links to %s, which is outside the repository.", source, target
            )
            return match.group()
        if not path.exists():
            _log.warning("%s links to %s, which does not exist.", source, target)
            return match.group()
        if path.is_dir():
            address = config.extra.get("repository")
            if not address:
                return text[1:-1]
            return f"{text}({address}/{path.relative_to(ROOT).as_posix()})"
        name = _name(path)
        if files.get_file_from_path(name) is None:
            files.append(_file(config, path))
        up = "../" * len(folder.parts)
        _, mark, anchor = target.partition("#")
        return f"{text}({up}{name}{mark}{anchor})"

    # Links in code blocks are not changed.
    parts, end = [], 0
    for code in _CODE.finditer(markdown):
        if code.group(3):  # Inline code may be the text of a link.
            continue
        parts += [_LINK.sub(replace, markdown[end : code.start()]), code.group()]
        end = code.end()
    return "".join([*parts, _LINK.sub(replace, markdown[end:])])


def _pages_of(nav):
    if isinstance(nav, str):
        return [nav]
    values = nav.values() if isinstance(nav, dict) else nav or []
    return [name for value in values for name in _pages_of(value)]


def _path(source, target):
    """Returns the path that a link points to; None if it is an address."""
    if re.match(r"[a-z][a-z0-9+.-]*:|#|/|<", target, re.I):
        return None
    return (source.parent / target.partition("#")[0]).resolve()


def _name(path):
    """Returns the path of a file on the site."""
    if renamed := _RENAMED.get(path.relative_to(ROOT).as_posix()):
        return renamed
    return path.relative_to(DOCS if DOCS in path.parents else ROOT).as_posix()


def _file(config, path):
    return File.generated(config, _name(path), abs_src_path=str(path))


@functools.cache
def _markdown(path):
    """Reads a page; images of a notebook are embedded in the Markdown."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8-sig")
    text, resources = nbconvert.MarkdownExporter().from_filename(str(path))
    for name, picture in resources["outputs"].items():
        data = base64.b64encode(picture).decode()
        text = text.replace(f"]({name})", f"](data:image/png;base64,{data})")
    return text
