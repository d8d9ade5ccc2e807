"""A lab runs anew when what it is made from changes; a failure names the notebook and the cell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from book import labs, notebooks, press
from book.notebooks import Cell

SVG = Cell("code", '%config InlineBackend.figure_formats = ["svg"]')
DRAW = Cell("code", "import matplotlib.pyplot as plt\nprint(6 * 7)\nplt.plot([1, 2]);")


def written(path: Path, *cells: Cell, alt: str | None = None) -> Path:
    """A notebook of these cells, with `alt` in the metadata of the one that draws."""
    notebook = json.loads(notebooks.as_notebook(list(cells)))
    for cell in notebook["cells"]:
        if alt and "plt.plot" in "".join(cell["source"]):
            cell["metadata"]["alt"] = alt
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def test_a_lab_is_executed_the_same_each_time(tmp_path: Path) -> None:
    lab = written(tmp_path / "lab.ipynb", SVG, DRAW, alt="A line that rises.")
    first = notebooks.execute_lab(lab, tmp_path / "first.ipynb").read_text(encoding="utf-8")
    second = notebooks.execute_lab(lab, tmp_path / "second.ipynb").read_text(encoding="utf-8")
    assert "42" in first
    assert 'aria-label=\\"A line that rises.\\"' in first
    assert first == second


def test_a_lab_is_stale_when_what_it_is_made_from_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labs, "ROOT", tmp_path)
    lab = "docs/labs/lab.ipynb"
    matters = [lab, "attention_guide/layers/norm.py", "book/figures.mplstyle", "book/press.py",
               "book/labs.py", "book/notebooks.py"]  # fmt: skip
    others = ["docs/index.md", "attention_guide/__pycache__/norm.pyc"]
    for name in [*matters, *others]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("before")
    known = [labs._key(tmp_path / lab)]
    for name in matters:
        (tmp_path / name).write_text("after")
        known.append(labs._key(tmp_path / lab))
        assert known[-1] not in known[:-1], name
    for name in others:
        (tmp_path / name).write_text("after")
        assert labs._key(tmp_path / lab) == known[-1], name


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a notebook may be written that the press runs: inside the repository."""
    monkeypatch.setattr(labs, "CACHE", tmp_path / "cache")
    path = press.ROOT / "build" / "test-labs" / "lab.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    yield path
    path.unlink()


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (Cell("code", "1 / 0"), "(?s).*ZeroDivisionError"),
        (DRAW, "a figure without `alt`"),
    ],
)
def test_a_failure_names_the_notebook_and_the_cell(lab: Path, last: Cell, reason: str) -> None:
    written(lab, Cell("markdown", "# A lab"), SVG, last)
    with pytest.raises(press.PageFailed) as failure:
        labs.run(lab)
    assert "lab.ipynb: cell 3: " in str(failure.value)
    assert failure.match(reason)
    assert not list(labs.CACHE.rglob("*.ipynb"))


def test_a_file_that_is_no_notebook_fails_by_name(lab: Path) -> None:
    lab.write_text("{}", encoding="utf-8")
    with pytest.raises(press.PageFailed, match=r"test-labs.lab\.ipynb: "):
        labs.run(lab)
