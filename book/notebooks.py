"""Each chapter as a notebook and a script, from the same parse and the same run as its page."""

from __future__ import annotations

import ast
import doctest
import hashlib
import html
import io
import json
import os
import re
import tempfile
import tokenize
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

from book.chapters import DOCS, ROOT, Block, Chapter
from book.markdown import bibliography
from book.notebook_text import Cite, Piece, pieces
from book.press import BlockResult, PageFailed, PageResult

LAB_TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Cell:
    """One cell; `block` is the number of the page's block that it holds."""

    kind: str  # "markdown" or "code"
    source: str
    block: int | None = None
    tags: tuple[str, ...] = ()
    collapsed: bool = False
    outputs: list[dict[str, Any]] = field(default_factory=list)


def write(
    chapter: Chapter,
    result: PageResult,
    out_dir: Path,
    wheel_url: str | None,
    *,
    site_url: str | None = None,
    cite: Cite | None = None,
) -> tuple[Path, Path]:
    """Write `<slug>.ipynb` and `<slug>.py` below `out_dir`; the same input gives the same bytes."""
    cells = chapter_cells(chapter, result, wheel_url, site_url=site_url, cite=cite)
    notebook, script = (out_dir / f"{chapter.slug}{suffix}" for suffix in (".ipynb", ".py"))
    notebook.parent.mkdir(parents=True, exist_ok=True)
    _write_atomically(notebook, as_notebook(cells))
    _write_atomically(script, as_script(cells, chapter))
    return notebook, script


def chapter_cells(
    chapter: Chapter,
    result: PageResult,
    wheel_url: str | None,
    *,
    site_url: str | None = None,
    cite: Cite | None = None,
) -> list[Cell]:
    """The page as cells: title, installation, then text and blocks in the page's order."""
    results = {b.line: b for b in result.blocks}
    if site_url is None and wheel_url and "/downloads/" in wheel_url:
        site_url = wheel_url.rpartition("/downloads/")[0]
    found = pieces(chapter, cite or _bibliography(), site_url)
    cells: list[Cell] = []
    for position, piece in enumerate(found):
        if piece.block is None:
            collapsed = piece.opens and _closes(found, position)
            cells.append(Cell("markdown", piece.text, collapsed=collapsed))
        else:
            block = chapter.blocks[piece.block]
            alt = _alt_text(chapter, block)
            cells += _block_cells(piece, block, results[block.line], alt)
    cells.insert(1 if cells and cells[0].kind == "markdown" else 0, install_cell(wheel_url))
    if any(b.figure for b in chapter.blocks):
        cells.append(_SHOW)
    return cells


def install_cell(wheel_url: str | None) -> Cell:
    """Installs the package where it is missing, or says how where no address is known."""
    if wheel_url:
        action = f"""
            wheel = {json.dumps(wheel_url)}
            packages = f"attention-guide[book] @ {{wheel}}"
            command = [sys.executable, "-m", "pip", "install", "--quiet", packages]
            subprocess.run(command, check=True)"""
        imports = "import importlib.util\nimport subprocess\nimport sys\n"
    else:
        action = """
            raise ModuleNotFoundError(
                "this notebook needs the book's package. Download its wheel from the book's "
                "site (downloads/) and run: python -m pip install 'WHEEL_FILE[book]'; in a "
                "copy of the repository: python -m pip install '.[book]'"
            )"""
        imports = "import importlib.util\n"
    body = dedent(action).strip("\n").replace("\n", "\n    ")
    source = f'{imports}\nif importlib.util.find_spec("attention_guide") is None:\n    {body}'
    return Cell("code", source, tags=("install",))


def _bibliography() -> Cite:
    """Looks a key up in the book's one bibliography."""
    entries = bibliography.load(DOCS / "appendix" / "references.bib", "references.bib")

    def cite(key: str) -> tuple[str, str, str]:
        entry = entries[key]
        return entry.names, entry.year, entry.link

    return cite


# In a notebook each figure stands under its cell; a script opens the windows at the end.
_SHOW = Cell("code", "import matplotlib.pyplot as plt\n\nplt.show()", tags=("show",))


def _closes(found: list[Piece], position: int) -> bool:
    """True where a heading that ends the fold follows it: only then may it start collapsed.

    A collapsed heading hides every cell down to the next heading of its level or above.
    """
    level = len(found[position].text) - len(found[position].text.lstrip("#"))
    for piece in found[position + 1 :]:
        if piece.opens:
            return piece.text.startswith("#" * level + " ")
        if not piece.folded:
            heading = re.match(r"(#{1,6}) ", piece.text)
            return heading is not None and len(heading[1]) <= level
    return True


def _alt_text(chapter: Chapter, block: Block) -> str:
    if block.figure_span is None:
        return ""
    link = re.search(r"!\[([^\]]*)\]", chapter.text[slice(*block.figure_span)])
    return link[1] if link else ""


def _block_cells(piece: Piece, block: Block, result: BlockResult, alt: str) -> list[Cell]:
    number = piece.block
    code = block.code.rstrip("\n")
    if block.kind == "invisible":
        return [Cell("code", code, number, ("check", "hide-input"))]
    tags = ("solution",) if piece.folded else ()
    if block.kind == "doctest":
        examples = doctest.DocTestParser().get_examples(block.code)
        return [
            Cell("code", e.source.rstrip("\n"), number, tags, outputs=_stream(e.want))
            for e in examples
        ]
    if block.needs:
        guarded = _guarded(code, block.needs)
        return [Cell("code", guarded, number, (*tags, f"needs-{block.needs}"))]
    outputs = _stream(result.stdout)
    if result.figure:
        svg = _described(result.figure.read_text(encoding="utf-8"), alt)
        data = {"image/svg+xml": svg, "text/plain": alt or "<Figure>"}
        outputs.append({"output_type": "display_data", "data": data, "metadata": {}})
    return [Cell("code", code, number, tags, outputs=outputs)]


def _stream(text: str) -> list[dict[str, Any]]:
    return [{"output_type": "stream", "name": "stdout", "text": text}] if text else []


def _described(svg: str, alt: str) -> str:
    """The figure with its alt text, which no notebook format carries for it."""
    label = html.escape(alt, quote=True)
    return re.sub(r"<svg ", f'<svg role="img" aria-label="{label}" ', svg, count=1)


def _guarded(code: str, needs: str) -> str:
    """The same statements, run only where a GPU is found or the network is asked for."""
    inside = _lines_inside_strings(code)
    indented = "\n".join(
        line if number in inside or not line else f"    {line}"
        for number, line in enumerate(code.splitlines(), start=1)
    )
    if needs == "gpu":
        head = "import torch\n\nif torch.cuda.is_available():  # this block needs a GPU\n"
    else:
        head = (
            "import os\n\n"
            'if os.environ.get("ATTENTION_GUIDE_NETWORK"):  # this block needs the network\n'
        )
    guarded = head + indented
    branch = ast.parse(guarded).body[-1]
    assert isinstance(branch, ast.If)
    if [ast.dump(n) for n in branch.body] != [ast.dump(n) for n in ast.parse(code).body]:
        raise ValueError(f"a block that needs a {needs} changes its meaning when indented:\n{code}")
    return guarded


def _lines_inside_strings(code: str) -> set[int]:
    """Lines that begin inside a string of several lines, which indenting would change."""
    inside: set[int] = set()
    opened: list[int] = []
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        name = tokenize.tok_name[token.type]
        if name == "STRING":
            inside.update(range(token.start[0] + 1, token.end[0] + 1))
        elif name in {"FSTRING_START", "TSTRING_START"}:
            opened.append(token.start[0])
        elif name in {"FSTRING_END", "TSTRING_END"}:
            inside.update(range(opened.pop() + 1, token.end[0] + 1))
    return inside


def as_notebook(cells: list[Cell]) -> str:
    """The cells as a Jupyter notebook of format 4.5, its cell ids made from their place."""
    found: list[dict[str, Any]] = []
    for number, cell in enumerate(cells):
        digest = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        metadata: dict[str, Any] = {"tags": list(cell.tags)} if cell.tags else {}
        if "hide-input" in cell.tags:
            metadata["jupyter"] = {"source_hidden": True}
        if cell.collapsed:
            metadata["jp-MarkdownHeadingCollapsed"] = True
        entry: dict[str, Any] = {
            "id": f"{number:03d}-{digest}",
            "cell_type": cell.kind,
            "metadata": metadata,
            "source": cell.source.splitlines(keepends=True),
        }
        if cell.kind == "code":
            entry |= {"execution_count": None, "outputs": cell.outputs}
        found.append(entry)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {
        "cells": found,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def as_script(cells: list[Cell], chapter: Chapter) -> str:
    """The cells as a Python file in the percent format, which editors run cell by cell."""
    parts = [f"# The Attention Guide: {chapter.title}\n"]
    for cell in cells:
        tags = f" tags={json.dumps(list(cell.tags))}" if cell.tags else ""
        if cell.kind == "markdown":
            lines = "\n".join(f"# {line}".rstrip() for line in cell.source.splitlines())
            parts.append(f"# %% [markdown]{tags}\n{lines}\n")
        else:
            parts.append(f"# %%{tags}\n{cell.source}\n")
    return "\n".join(parts)


def write_lab(executed: Path, out: Path, wheel_url: str | None) -> Path:
    """An executed lab as a download: the same cells, with the installation after the title."""
    notebook = json.loads(executed.read_text(encoding="utf-8"))
    install = json.loads(as_notebook([install_cell(wheel_url)]))["cells"]
    notebook["cells"][1:1] = install
    out.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True)
    _write_atomically(out, text + "\n")
    return out


def execute_lab(path: Path, out: Path) -> Path:
    """Run a lab's notebook from top to bottom and write it, with its outputs, to `out`.

    Raises:
        PageFailed: A cell raises; the message names its number, the first cell's being 1.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    running = 1

    def begin(*, cell: Any, cell_index: int) -> None:
        nonlocal running
        running = cell_index + 1

    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=LAB_TIMEOUT_SECONDS,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            record_timing=False,  # the same run gives the same bytes
            allow_errors=False,
            on_cell_start=begin,
        )
        try:
            client.execute(env=_lab_environment())
        except Exception as error:  # nbclient raises many kinds, and none says which cell
            raise PageFailed(f"cell {running}: {error}") from error
    notebook.metadata = {
        key: value for key, value in notebook.metadata.items() if key in {"kernelspec", "title"}
    } | {"language_info": {"name": "python"}}
    _describe(notebook)
    nbformat.validate(notebook)
    out.parent.mkdir(parents=True, exist_ok=True)
    _write_atomically(out, nbformat.writes(notebook) + "\n")  # type: ignore[no-untyped-call]
    return out


def _describe(notebook: Any) -> None:
    """Give each figure the text that stands as `alt` in the metadata of the cell that drew it."""
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            if "image/svg+xml" in output.get("data", {}):
                if "alt" not in cell.metadata:
                    raise PageFailed(f"cell {number}: a figure without `alt` in its metadata")
                svg = output.data["image/svg+xml"]
                output.data["image/svg+xml"] = _described(svg, cell.metadata["alt"])


def _lab_environment() -> dict[str, str]:
    """As a page's process has it: one thread, byte-stable figures without a date."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(ROOT),
        "MATPLOTLIBRC": str(Path(__file__).with_name("figures.mplstyle")),
        "SOURCE_DATE_EPOCH": "0",
        "IPYTHONDIR": str(ROOT / ".cache" / "ipython"),
    }


def _write_atomically(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    os.replace(temporary, path)
