"""Labs keep their cells and lose the template's scripts and foreign addresses."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import nbformat
import pytest
from lxml import html
from mkdocs_jupyter.convert import nb2html

from book.markdown import PageError
from book.markdown.labs import clean


def rendered(tmp_path: Path, *markdown: str, code: str = "x = 1") -> str:
    v4 = nbformat.v4
    cells = [v4.new_markdown_cell(text) for text in markdown]
    output = v4.new_output("stream", name="stdout", text="costs $5 and $10\n")
    cells.append(v4.new_code_cell(code, execution_count=1, outputs=[output]))
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    path = tmp_path / "lab.ipynb"
    nbformat.write(v4.new_notebook(cells=cells), path)
    return nb2html(str(path), execute=False)


def test_formulas_are_set_and_nothing_foreign_stays(tmp_path: Path) -> None:
    raw = rendered(tmp_path, "# A\n\nWidth $d_k$ of **all $x$** and\n\n$$\na < b\n$$\n\n`$y$`")
    page = clean(raw, "docs/labs/lab.ipynb")
    tree = html.fragment_fromstring(page)
    assert len(tree.xpath("//*[contains(@class, 'arithmatex')]")) == 3
    assert len(tree.xpath("//*[contains(@class, 'equation')]")) == 1
    assert "<code>$y$</code>" in page
    assert "costs $5 and $10" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert not tree.xpath("//script | //style")
    assert len(page) < 20_000 < len(raw)


def test_code_cells_look_like_the_books_code(tmp_path: Path) -> None:
    code = 'def f(x):\n    return f"{x}"'
    tree = html.fragment_fromstring(clean(rendered(tmp_path, code=code), "lab"))
    cells = tree.xpath("//div[@class='highlight']/pre/code")
    assert [cell.text_content().strip() for cell in cells] == [code]


@pytest.mark.parametrize("text", ["An $\\undefined$ one", "*A* $$\n\\undefined\n$$"])
def test_a_bad_formula_in_a_lab_fails_with_the_number_of_its_cell(
    tmp_path: Path, text: str
) -> None:
    lab = rendered(tmp_path, "One", "Two $x$", text)
    with pytest.raises(PageError, match=r"docs/labs/x\.ipynb: cell 3: formula .*Undefined control"):
        clean(lab, "docs/labs/x.ipynb")


def test_figures_are_described_by_the_label_that_their_run_gave_them() -> None:
    def lab(svg: str) -> str:
        data = b64encode(svg.encode()).decode()
        return f'<div class="jupyter-wrapper"><img src="data:image/svg+xml;base64,{data}"></div>'

    page = clean(lab('<svg xmlns="http://www.w3.org/2000/svg" aria-label="One bar."/>'), "lab")
    assert html.fragment_fromstring(page).xpath("//img/@alt") == ["One bar."]
    with pytest.raises(PageError, match="without `alt`"):
        clean(lab('<svg xmlns="http://www.w3.org/2000/svg"/>'), "lab")


def test_cells_are_counted_with_those_of_code(tmp_path: Path) -> None:
    v4 = nbformat.v4
    cells = [
        v4.new_markdown_cell("# A"),
        v4.new_code_cell("x = 1", execution_count=1),
        v4.new_code_cell("x", execution_count=2, outputs=[v4.new_output("stream", text="1")]),
        v4.new_markdown_cell("Now $\\undefined$"),
    ]
    nbformat.write(v4.new_notebook(cells=cells), tmp_path / "lab.ipynb")
    with pytest.raises(PageError, match="lab: cell 4: formula"):
        clean(nb2html(str(tmp_path / "lab.ipynb"), execute=False), "lab")


def test_an_image_without_a_text_fails() -> None:
    with pytest.raises(PageError, match="without `alt`"):
        clean('<div class="jupyter-wrapper"><img src="data:,"></div>', "lab")


def test_a_changed_template_is_noticed() -> None:
    with pytest.raises(PageError, match="template has changed"):
        clean("<div></div>", "lab")
