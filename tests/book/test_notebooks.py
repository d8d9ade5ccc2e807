"""Each chapter's notebook and script hold the page's own blocks, and run with the wheel alone."""

from __future__ import annotations

import ast
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest

from book import chapters, downloads, notebooks, press
from book.wheel_env import WheelEnvironment
from book.worker import OPTIONS, OutputChecker

CHAPTERS = chapters.numbered_chapters()
LABS = sorted((chapters.DOCS / "labs").glob("*.ipynb"))
EXTRA = {"install", "show"}
WHEEL = "https://book.example/guide/downloads/attention_guide-0.1.0-py3-none-any.whl"

by_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.slug)


def _written(chapter: chapters.Chapter, folder: Path, url: str | None = WHEEL) -> tuple[Path, Path]:
    return notebooks.write(chapter, _result(chapter), folder, url)


def _result(chapter: chapters.Chapter) -> press.PageResult:
    return press.run([chapter.path], quiet=True)[chapter.path]


def _unrun(chapter: chapters.Chapter) -> press.PageResult:
    """A result in which every block prints what the page shows."""
    blocks = tuple(
        press.BlockResult(b.line, b.expected or "", None, None, 0.0, True) for b in chapter.blocks
    )
    return press.PageResult(chapter.path, "key", blocks, 0.0)


def _cells(notebook: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return found


def _code(notebook: Path) -> list[dict[str, Any]]:
    return [
        c
        for c in _cells(notebook)
        if c["cell_type"] == "code" and not EXTRA & set(c["metadata"].get("tags", ()))
    ]


def test_the_four_chapters_are_here() -> None:
    assert {c.meta["chapter"] for c in CHAPTERS} >= {3, 12, 28, 41}


@by_chapter
def test_code_cells_are_the_blocks_of_the_page(chapter: chapters.Chapter, tmp_path: Path) -> None:
    notebook, _ = _written(chapter, tmp_path)
    cells = _code(notebook)
    assert len(cells) == len(chapter.blocks)
    for cell, block in zip(cells, chapter.blocks, strict=True):
        source = "".join(cell["source"])
        if block.needs:
            branch = ast.parse(source).body[-1]
            assert isinstance(branch, ast.If)
            want = [ast.dump(n) for n in ast.parse(block.code).body]
            assert [ast.dump(n) for n in branch.body] == want
        else:
            assert source == block.code.rstrip("\n")
        hidden = cell["metadata"].get("jupyter", {}).get("source_hidden", False)
        assert hidden == (block.kind == "invisible")


@by_chapter
def test_outputs_are_those_of_the_run(chapter: chapters.Chapter, tmp_path: Path) -> None:
    notebook, _ = _written(chapter, tmp_path)
    for cell, result in zip(_code(notebook), _result(chapter).blocks, strict=True):
        printed = "".join(o["text"] for o in cell["outputs"] if o["output_type"] == "stream")
        drawn = [o["data"]["image/svg+xml"] for o in cell["outputs"] if "data" in o]
        assert printed == result.stdout
        assert len(drawn) == (result.figure is not None)
        assert all('aria-label="' in svg and "<svg " in svg for svg in drawn)


@by_chapter
def test_script_holds_the_cells_of_the_notebook(chapter: chapters.Chapter, tmp_path: Path) -> None:
    notebook, script = _written(chapter, tmp_path)
    read = jupytext.read(script, fmt="py:percent").cells
    cells = _cells(notebook)
    assert read[0].source.startswith("# The Attention Guide")
    assert [(c.cell_type, c.source.rstrip()) for c in read[1:]] == [
        (c["cell_type"], re.sub(r"[ ]+$", "", "".join(c["source"]), flags=re.M)) for c in cells
    ]


@by_chapter
@pytest.mark.parametrize("url", [None, WHEEL], ids=["no-address", "address"])
def test_files_are_valid_and_the_same_each_time(
    chapter: chapters.Chapter, url: str | None, tmp_path: Path
) -> None:
    first = [f.read_bytes() for f in _written(chapter, tmp_path / "a", url)]
    second = [f.read_bytes() for f in _written(chapter, tmp_path / "b", url)]
    assert first == second
    notebook = nbformat.reads(first[0].decode("utf-8"), as_version=4)
    nbformat.validate(notebook)
    assert len({c["id"] for c in notebook.cells}) == len(notebook.cells)


@by_chapter
def test_text_cells_show_in_jupyter(chapter: chapters.Chapter, tmp_path: Path) -> None:
    notebook, _ = _written(chapter, tmp_path, None)
    page_only = re.compile(
        r"^ *(?:!!!|\?\?\?|===) |\{:|\{\s?\.|<!--|\[-?@|^---$|\]\((?!https?:)|\]\[|[\x00\x01]", re.M
    )
    literal = re.compile(r"^ *(`{3,}).*?^ *\1$|`[^`]+`|\$\$.+?\$\$|\$[^$\n]+\$", re.M | re.S)
    for cell in _cells(notebook):
        if cell["cell_type"] == "markdown":
            text = literal.sub("", "".join(cell["source"]))
            found = page_only.search(text)
            assert not found, text[max(0, found.start() - 80) : found.end() + 80]


@pytest.fixture(scope="session")
def wheel_environment() -> WheelEnvironment:
    return WheelEnvironment()


@by_chapter
def test_runs_with_the_wheel_alone(
    chapter: chapters.Chapter, tmp_path: Path, wheel_environment: WheelEnvironment
) -> None:
    files = _written(chapter, tmp_path)
    done = wheel_environment.passed(*files)
    if done.exists():  # these very bytes have passed here: nothing runs twice for one key
        return
    with ThreadPoolExecutor(2) as pool:
        (tmp_path / "script").mkdir()  # each in a folder of its own: a page may write files
        script = pool.submit(wheel_environment.run, str(files[1]), cwd=tmp_path / "script")
        notebook = pool.submit(wheel_environment.notebook, files[0], tmp_path / "notebook")
    printed = script.result()
    cells = [
        c
        for c in notebook.result()["cells"]  # type: ignore[attr-defined]
        if c["cell_type"] == "code" and not EXTRA & set(c["metadata"].get("tags", ()))
    ]
    for cell, block in zip(cells, chapter.blocks, strict=True):
        outputs = cell["outputs"]
        got = "".join("".join(o["text"]) for o in outputs if o.get("name") == "stdout")
        if block.expected is not None and not block.needs:
            assert OutputChecker().check_output(block.expected, got, OPTIONS), got
            first = next(line for line in block.expected.splitlines() if line.strip())
            assert "..." in first or re.search(r"\d", first) or first.rstrip() in printed
        assert any("image/png" in o.get("data", {}) for o in outputs) == bool(block.figure)
    done.parent.mkdir(parents=True, exist_ok=True)
    done.touch()


@pytest.mark.parametrize("lab", LABS, ids=lambda p: p.stem)
def test_lab_is_committed_without_outputs_and_runs_with_the_wheel_alone(
    lab: Path, tmp_path: Path, wheel_environment: WheelEnvironment
) -> None:
    for cell in _cells(lab):
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    download = notebooks.write_lab(lab, tmp_path / lab.name, WHEEL)
    nbformat.validate(nbformat.read(download, as_version=4))
    done = wheel_environment.passed(download)
    if not done.exists():
        wheel_environment.notebook(download, tmp_path / "run")
        done.parent.mkdir(parents=True, exist_ok=True)
        done.touch()


def test_environment_has_the_wheel_and_not_the_repository(
    wheel_environment: WheelEnvironment,
) -> None:
    where = wheel_environment.run("-c", "import attention_guide as a; print(a.__file__)").strip()
    assert Path(where).is_relative_to(wheel_environment.folder)
    with pytest.raises(AssertionError, match="No module named 'book'"):
        wheel_environment.run("-c", "import book")


def test_install_cell_says_what_to_do_where_no_address_is_known() -> None:
    source = notebooks.install_cell(None).source.replace("attention_guide", "not_a_module_here", 1)
    with pytest.raises(ModuleNotFoundError, match=r"Download its wheel .* '\.\[book\]'"):
        exec(source, {})
    exec(notebooks.install_cell(None).source, {})  # says nothing where the package is installed


def test_the_install_cell_names_the_wheel_that_lies_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "OUT", tmp_path)
    results = {c.path: _unrun(c) for c in CHAPTERS}
    site = "https://book.example/guide"
    found = downloads.make(results, {lab: lab for lab in LABS}, site)
    (wheel,) = (name for name in found if name.endswith(".whl"))
    written = [path for name, path in found.items() if name.endswith(".ipynb")]
    assert len(written) == len(CHAPTERS) + len(LABS)
    for notebook in written:
        (install,) = (c for c in _cells(notebook) if "install" in c["metadata"].get("tags", ()))
        assert f'wheel = "{site}/downloads/{wheel}"\n' in "".join(install["source"])


PAGE = '''---
chapter: 3
---
# A `title`

See [@key2017, section 3; @other2020] and Key [-@key2017], [a *term*](../appendix/glossary.md#term),
[(3.1)](#eq-3.1), [`attention`][attention_guide.attention], `[code](x.md)`, $a[i](j)$.[^1]

!!! note "Mind"

    A line.

```python
print("one")
```

```text {.output}
one
```

<!-- invisible-code: python
assert True
-->

Table: Numbers

| a |
|---|
| 1 |

### Exercise 3.1: do {: #exercise-3-1 }

??? solution "Solution 3.1"

    Because.

    ```python
    y = """a
    b"""
    ```

    Done.

### Exercise 3.2: more

??? quiz "A. `yes`"

    Right.

<!-- needs: gpu; twin: #here -->
```python
s = """x
y"""
print(s)
```

[^1]: A note.
'''


def _sample(url: str | None) -> list[notebooks.Cell]:
    chapter = chapters.parse(chapters.DOCS / "theory" / "sample.md", PAGE)
    return notebooks.chapter_cells(
        chapter,
        _unrun(chapter),
        url,
        cite=lambda key: ("Key et al.", "2017", f"https://doi.org/{key}"),
    )


def test_page_syntax_becomes_what_jupyter_shows() -> None:
    text = [c.source for c in _sample(None) if c.kind == "markdown"]
    key = "[Key et al., 2017](https://doi.org/key2017)"
    other = "[Key et al., 2017](https://doi.org/other2020)"
    assert text[0] == (
        f"# 3. A `title`\n\nSee ({key}, section 3; {other}) and Key "
        "([2017](https://doi.org/key2017)), a *term*,\n(3.1), `attention`, `[code](x.md)`, "
        "$a[i](j)$.<sup>1</sup>\n\n> **Mind**\n>\n> A line."
    )
    assert text[1].startswith("**Table 3.1:** Numbers\n\n| a |")
    assert text[1].endswith("### Exercise 3.1: do")
    assert text[2:5] == ["#### Solution 3.1", "Because.", "Done."]
    assert "<summary>A. <code>yes</code></summary>\n\nRight.\n\n</details>" in text[5]
    assert text[-1] == "<sup>1</sup> A note."


def test_links_are_absolute_where_the_address_is_known() -> None:
    text = _sample(WHEEL)[0].source
    assert "[a *term*](https://book.example/guide/appendix/glossary/#term)" in text
    assert "[(3.1)](https://book.example/guide/theory/sample/#eq-3.1)" in text


def test_folds_assertions_and_blocks_with_needs() -> None:
    cells = _sample(None)
    fold = next(c for c in cells if c.source == "#### Solution 3.1")
    assert fold.collapsed  # a heading of a higher level follows the fold
    assert next(c for c in cells if c.source.startswith("y =")).tags == ("solution",)
    guarded = next(c for c in cells if "needs-gpu" in c.tags)
    assert guarded.source.endswith('# this block needs a GPU\n    s = """x\ny"""\n    print(s)')
    check = next(c for c in cells if "check" in c.tags)
    assert check.source == "assert True"
