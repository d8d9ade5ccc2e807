"""The one MkDocs hook: a thin adaptor that runs stale pages and hands their results to the build.

Everything it does is a function of the press; `mkdocs serve` and `mkdocs build` work through it.
"""

from __future__ import annotations

import os
import re
import sys
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from book import downloads, labs, minilm, mkdocs_lines, press, scripts, source_links  # noqa: E402  (MkDocs loads hooks without the repository on the path)
from book.build import OFFLINE, PDF, changed, commit, days  # noqa: E402
from book.chapters import DOCS  # noqa: E402
from book.markdown import labs as notebook_html  # noqa: E402

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

_results: dict[Path, press.PageResult] = {}
_labs: dict[Path, Path] = {}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Facts for the footer: version, commit, days of the runs, versions of torch and numpy."""
    mkdocs_lines.install(Path(config.docs_dir))
    config.extra["build"] = {
        "version": metadata.version("attention-guide"),
        "commit": commit(),
        "changed": changed(),
        "days": [],
        "torch": metadata.version("torch").split("+")[0],
        "numpy": metadata.version("numpy"),
        "pdf": PDF.exists(),
        "offline": _offline_zip().exists(),
    }
    # MkDocs warns of an edit address without a repository to join it to.
    config.edit_uri = "edit/main/docs/" if config.repo_url else ""
    return config


def on_pre_build(config: MkDocsConfig) -> None:
    """Run the stale pages; a failing block stops the build with page, line and reason."""
    try:
        _results.update(press.run_or_raise(press.executable_pages()))
        _labs.update({path: labs.run(path) for path in labs.labs()})
    except press.PageFailed as error:
        raise PluginError(f"the book's code fails\n{error}") from None
    runs = [result.date for result in _results.values()]
    runs += [executed.stat().st_mtime for executed in _labs.values()]
    config.extra["build"]["days"] = days(runs)


@event_priority(100)  # before mkdocs-jupyter looks for notebooks
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the figures, notebooks, scripts and the wheel: made by the run, not committed."""
    for source, executed in _labs.items():
        uri = source.relative_to(DOCS).as_posix()
        _replace(files, uri, File(uri, str(executed.parents[1]), config.site_dir,
                                  config.use_directory_urls))  # fmt: skip
    for path, result in _results.items():
        if path.is_relative_to(DOCS):
            folder = path.parent.relative_to(DOCS)
            for figure in result.figures:
                _add(files, config, (folder / "figures" / figure.name).as_posix(), figure)
    for name, source in downloads.make(_results, _labs, config.site_url or "").items():
        _add(files, config, f"downloads/{name}", source)
    for name, source in minilm.files(offline=bool(config.extra.get("offline"))).items():
        _add(files, config, f"assets/playground/minilm/{name}", source)
    for source in (PDF, _offline_zip()):
        if source.exists() and not config.extra.get("offline"):
            _add(files, config, f"downloads/{source.name}", source)
    for file in [file for file in files if scripts.is_lighter(file.src_uri)]:
        text = scripts.without_comments(file.content_string)
        _replace(files, file.src_uri, File.generated(config, file.src_uri, content=text))
    _mend_search(files, config)
    return files


@event_priority(-50)  # after mkdocs-jupyter has rendered the notebook
def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Clean the labs of what their template would fetch; link the reference to its sources."""
    if page.file.src_uri.endswith(".ipynb"):
        return notebook_html.clean(html, f"docs/{page.file.src_uri}")
    if config.repo_url and page.file.src_uri.startswith("reference/"):
        return source_links.add(html, config.repo_url, config.extra["build"]["commit"])
    return html


def _add(files: Files, config: MkDocsConfig, uri: str, source: Path) -> None:
    _replace(files, uri, File.generated(config, uri, abs_src_path=str(source)))


def _replace(files: Files, uri: str, file: File) -> None:
    previous = files.get_file_from_path(uri)
    if previous:
        files.remove(previous)
    files.append(file)


def _mend_search(files: Files, config: MkDocsConfig) -> None:
    """Keep two terms apart in the theme's search (lunr.js issue 503).

    Lunr tells the nodes of its index by their letters and numbers written one after the other, so
    that a term with digits can be taken for another: words are lost, and some queries raise.
    """
    (worker,) = (f for f in files if fnmatch(f.src_uri, "assets/javascripts/workers/search.*.js"))
    text, mended = re.subn(
        r"(\w)=\1\+(\w)\+(\w)\.id\b", r'\1=\1+\2+\3.id+" "', worker.content_string
    )
    if mended != 1:
        raise PluginError(f"{worker.src_uri}: the theme's search has changed; see {__name__}")
    _replace(files, worker.src_uri, File.generated(config, worker.src_uri, content=text))


def _offline_zip() -> Path:
    return Path(os.environ.get("ATTENTION_GUIDE_OFFLINE_ZIP", OFFLINE))
