"""Puts what the documentation links to outside `docs/` on the site.

In the repository a page links to any file by its relative path, which code hosts
follow. On the site there is `docs/` alone, so this hook

- makes pages of Markdown files outside it that pages link to, and of those in `nav`,
- makes a page of the tutorial's notebook, with the outputs that are kept in it,
- copies other files that are linked: pictures, tables, sources,
- leads links to folders to `extra.repository`, or leaves their text alone without it,
- and warns, which fails a strict build, where a path does not exist.
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
# The site's index.html is that of docs/index.md.
_RENAMED = {"README.md": "overview.md", "docs/tutorial.ipynb": "tutorial.md"}
_LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^()\s]+)\)")
_CODE = re.compile(r"^( *)(```|~~~).*?^\1\2 *$|(`+)(?!`).+?(?<!`)\3(?!`)", re.M | re.S)
_log = logging.getLogger("mkdocs.plugins.links")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the Markdown files outside `docs/` that are linked, or in `nav`."""
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
            if path is None or not _name(path).endswith(".md") or not path.is_file():
                continue
            if files.get_file_from_path(_name(path)) is None:
                files.append(_file(config, path))
                waiting.append(files.get_file_from_path(_name(path)))
    return files


def on_page_read_source(page: Page, config: MkDocsConfig) -> str:
    """Returns the Markdown of a page, also of one that is a notebook."""
    return _markdown(pathlib.Path(page.file.abs_src_path))


def on_page_markdown(
    markdown: str, page: Page, config: MkDocsConfig, files: Files
) -> str:
    """Makes links between files of the repository links between those of the site."""
    source = pathlib.Path(page.file.abs_src_path)
    folder = pathlib.PurePosixPath(page.file.src_uri).parent

    def replace(match):
        text, target = match.groups()
        path = _path(source, target)
        if path is None:
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

    # Code is left as it is.
    parts, end = [], 0
    for code in _CODE.finditer(markdown):
        if code.group(3):  # Code within a line may be a link's text.
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
    """Returns the file that a link leads to, unless it leads out of the repository."""
    if re.match(r"[a-z][a-z0-9+.-]*:|#|/|<", target, re.I):
        return None
    return (source.parent / target.partition("#")[0]).resolve()


def _name(path):
    """Returns what a file is called on the site."""
    renamed = _RENAMED.get(path.relative_to(ROOT).as_posix())
    return (
        renamed or path.relative_to(DOCS if DOCS in path.parents else ROOT).as_posix()
    )


def _file(config, path):
    return File.generated(config, _name(path), abs_src_path=str(path))


@functools.cache
def _markdown(path):
    """Reads a page; a notebook's pictures become part of its text."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8-sig")
    text, resources = nbconvert.MarkdownExporter().from_filename(str(path))
    for name, picture in resources["outputs"].items():
        data = base64.b64encode(picture).decode()
        text = text.replace(f"]({name})", f"](data:image/png;base64,{data})")
    return text
