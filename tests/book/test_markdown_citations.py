"""Citations link to the bibliography, and the bibliography links back."""

from __future__ import annotations

from pathlib import Path

import pytest

from book.markdown import PageError
from book.markdown.citations import cited
from tests.book.markdown_tools import LittleBook

BIB = r"""
@inproceedings{vaswani2017,
  author = {Vaswani, Ashish and Shazeer, Noam and Kaiser, {\L}ukasz},
  title = {Attention Is All You Need},
  booktitle = {Advances in Neural Information Processing Systems}, volume = {30},
  year = {2017}, eprint = {1706.03762}
}
@article{luong2015,
  author = {Luong, Minh-Thang and Pham, Hieu}, title = {Effective {A}pproaches},
  journal = {A Journal}, volume = {1}, number = {2}, pages = {3--4}, year = {2015},
  doi = {10.1000/x}
}
@misc{luong2015other,
  author = {Luong, Minh-Thang and Pham, Hieu}, title = {Another?}, year = {2015},
  url = {https://www.example.org/x/}
}
"""
REFERENCES = "# References\n\n<!-- bibliography -->\n"
ALL = "[@vaswani2017; @luong2015; @luong2015other]"


@pytest.fixture
def book(tmp_path: Path) -> LittleBook:
    book = LittleBook(tmp_path)
    book.write("appendix/references.bib", BIB)
    book.write("appendix/references.md", REFERENCES)
    return book


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("[@vaswani2017]", "(Vaswani et al., 2017)"),
        ("[@vaswani2017, section 3.2.1]", "(Vaswani et al., 2017, section 3.2.1)"),
        ("[@vaswani2017; @luong2015]", "(Vaswani et al., 2017; Luong and Pham, 2015a)"),
        ("[see @vaswani2017, p. 3; also @luong2015other]",
         "(see Vaswani et al., 2017, p. 3; also Luong and Pham, 2015b)"),
        ("Vaswani et al. [-@vaswani2017]", "Vaswani et al. (2017)"),
        ("[-@vaswani2017, section 3]", "(2017, section 3)"),
    ],
)  # fmt: skip
def test_forms(book: LittleBook, source: str, text: str) -> None:
    assert book.tree(source).text_content().strip() == text


def test_each_place_has_an_anchor_and_a_link(book: LittleBook) -> None:
    links = book.tree("[@luong2015] and [@luong2015]").xpath("//a")
    assert [a.get("id") for a in links] == ["cite-luong2015-1", "cite-luong2015-2"]
    assert {a.get("href") for a in links} == {"../appendix/references.md#luong2015"}
    assert "Effective Approaches. A Journal 1(2), 3–4. doi:10.1000/x" in links[0].get("title")


def test_code_and_comments_are_no_citations(book: LittleBook) -> None:
    text = "`[@nokey]`\n\n```text\n[@nokey]\n```\n\n<!-- [@nokey] -->\n\nme@example.org [x](y.md)"
    assert "citation" not in book.page(text)
    assert not cited(text)


@pytest.mark.parametrize("text", ["One.\n\nTwo [@nokey].", "One.\n\n!!! note\n    [-@nokey, p. 2]"])
def test_an_unknown_key_fails(book: LittleBook, text: str) -> None:
    with pytest.raises(PageError, match=r"docs/theory/page\.md:\d: no entry 'nokey'") as caught:
        book.page(text)
    assert caught.value.line == 3 + text[: text.index("nokey")].count("\n") + 1


def test_references_list_everything_with_links_both_ways(book: LittleBook) -> None:
    book.write("theory/a.md", f"---\nchapter: 3\n---\n# A title\n\n{ALL} and [@luong2015]")
    book.write("start/b.md", "# Elsewhere\n\n[@vaswani2017]")
    from lxml import html

    tree = html.fragment_fromstring(book.convert("appendix/references.md"), create_parent="main")
    entries = {li.get("id"): li for li in tree.xpath("//ul[@class='references']/li")}
    assert list(entries) == ["luong2015", "luong2015other", "vaswani2017"]
    hrefs = [a.get("href") for a in entries["luong2015"].xpath(".//a")]
    assert hrefs == [
        "https://doi.org/10.1000/x",
        "../theory/a.md#cite-luong2015-1",
        "../theory/a.md#cite-luong2015-2",
    ]
    vaswani = entries["vaswani2017"]
    assert "Kaiser, Ł. (2017). Attention Is All You Need. Advances" in vaswani.text_content()
    assert "Cited in 3. A title; Elsewhere." in vaswani.text_content()
    assert vaswani.xpath(".//a/@href")[0] == "https://arxiv.org/abs/1706.03762"


def test_every_back_link_leads_to_an_anchor_that_exists(book: LittleBook) -> None:
    text = f"# A\n\n{ALL}\n\n```text\n[@luong2015]\n```\n\n`[@luong2015]` [@luong2015]"
    page = book.page(text)
    listing = book.convert("appendix/references.md")
    for part in listing.split("page.md#")[1:]:
        assert f'id="{part.split(chr(34))[0]}"' in page


def test_an_entry_that_nobody_cites_fails(book: LittleBook) -> None:
    book.write("theory/a.md", "# A\n\n[@vaswani2017; @luong2015]")
    with pytest.raises(PageError, match="'luong2015other' is never cited") as caught:
        book.convert("appendix/references.md")
    assert (caught.value.page, caught.value.line) == ("docs/appendix/references.bib", 13)


@pytest.mark.parametrize(
    ("bib", "reason"),
    [
        ("@misc{a1,\n title={T}, year={2000}, url={u}}", "lacks author"),
        ("@misc{a1,\n author={A, B}, title={T}, year={2000}}", "lacks doi, eprint or url"),
        ("@misc{a1,\n author={A, B}, url={u}}", "lacks title, year"),
        ("@misc{a1, title={T}}\n@misc{a1, title={T}}", "repeated"),
        ("@misc{a1, title={T", "premature end of file"),
    ],
)
def test_a_bad_bibliography_fails(book: LittleBook, bib: str, reason: str) -> None:
    book.write("appendix/references.bib", bib)
    with pytest.raises(PageError, match=reason):
        book.page("[@a1]")
