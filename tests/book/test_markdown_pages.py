"""Glossary links, markers, comments and outputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from book.markdown import PageError
from book.markdown.glossary import terms
from tests.book.markdown_tools import LittleBook

GLOSSARY = """# Glossary

key {: #key }
:   What a position *offers* to `others`, of width $\\sqrt{d_k}$;
    see [query](#query) [@vaswani2017].

query {: #query }
:   What a position asks for.
"""


@pytest.fixture
def book(tmp_path: Path) -> LittleBook:
    book = LittleBook(tmp_path)
    book.write("appendix/glossary.md", GLOSSARY)
    return book


def test_a_term_shows_its_definition(book: LittleBook) -> None:
    link = book.tree("A [key](../appendix/glossary.md#key).").xpath("//a")[0]
    assert link.get("title") == "key: What a position offers to others, of width √d_k; see query."
    assert link.get("class") == "term"


def test_a_link_to_the_whole_glossary_is_no_term(book: LittleBook) -> None:
    assert (
        book.tree("The [glossary](../appendix/glossary.md).").xpath("//a")[0].get("title") is None
    )


def test_an_unknown_term_fails(book: LittleBook) -> None:
    with pytest.raises(PageError, match=r"docs/theory/page\.md:6: no term 'value'"):
        book.page("One.\n\nA [value](../appendix/glossary.md#value).")


def test_a_term_is_defined_once() -> None:
    with pytest.raises(PageError, match=r"docs/g\.md:10: the term 'key' is defined twice"):
        terms(GLOSSARY + "\nkey {: #key }\n:   Again.\n", "docs/g.md")


def test_every_term_of_the_real_glossary_is_read() -> None:
    from book.markdown.context import DOCS

    source = (DOCS / "appendix/glossary.md").read_text(encoding="utf-8")
    assert len(terms(source, "glossary")) == source.count("\n:   ")


MARKED = """<!-- needs: gpu; twin: #twin -->
```python
x = 1
```

```text {.output}
1
```
"""


@pytest.mark.parametrize("indent", ["", "    "])
def test_a_marker_becomes_a_badge_that_names_the_twin(book: LittleBook, indent: str) -> None:
    prefix = "!!! note\n" if indent else ""
    text = prefix + "".join(indent + line + "\n" for line in MARKED.splitlines())
    tree = book.tree(text)
    badge = tree.xpath("//p[contains(@class, 'needs-gpu')]")[0]
    assert badge.xpath("a/@href") == ["#twin"]
    assert "GPU" in badge.text_content()
    assert tree.xpath("//code")[0].text_content() == "x = 1\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<!-- needs: tpu -->\n```python\n1\n```", "`needs: gpu` or `needs: network`"),
        ("<!-- needs: gpu -->\n```python\n1\n```", "names its tested twin"),
        ("<!-- needs: gpu; twin: #a -->\n\nText.", "line before a fence"),
        ("<!-- invisible-code: perl\n1\n-->", "invisible code is Python"),
        ("<!-- never closed\n\nText.", "never closed"),
    ],
)
def test_a_bad_marker_fails(book: LittleBook, text: str, reason: str) -> None:
    with pytest.raises(PageError, match=reason) as caught:
        book.page("Text.\n\n" + text)
    assert caught.value.line == 6


def test_comments_never_reach_the_page(book: LittleBook) -> None:
    text = (
        "Text.\n<!-- invisible-code: python\nassert 1 -- 2\n\nassert x\n-->\n\n- item\n\n"
        "    <!-- invisible-code: python\n    assert y\n    -->\n\n<!-- a note -->\n\nEnd."
    )
    page = book.page(text)
    assert "assert" not in page
    assert "<!--" not in page
    assert "note" not in page
    assert "End." in page


def test_comments_that_a_page_shows_stay(book: LittleBook) -> None:
    shown = "<!-- invisible-code: python\nassert x\n-->"
    page = book.page(f"```markdown\n{shown}\n```\n\nInline `<!-- needs: gpu -->`.")
    assert "invisible-code" in page
    assert "&lt;!-- needs: gpu --&gt;" in page


def test_outputs_are_labelled_and_not_copied(book: LittleBook) -> None:
    tree = book.tree("```python\nprint(1)\n```\n\n```text {.output}\n1\n```")
    code, output = tree.xpath("//div")
    assert {"output", "highlight", "no-copy"} <= set(output.get("class").split())
    assert output.get("aria-label") == "Output"
    assert "no-copy" not in code.get("class")


@pytest.mark.parametrize("indent", ["", "    "])
def test_bare_examples_of_docstrings_become_code(book: LittleBook, indent: str) -> None:
    lines = ["Text.", "", ">>> x = 1", ">>> x", "1", "", "More.", "", ">>> x + 1", "2"]
    prefix = '!!! note "Example"\n' if indent else ""
    tree = book.tree(prefix + "\n".join(indent + line if line else "" for line in lines))
    assert [c.text_content() for c in tree.xpath("//code")] == [
        ">>> x = 1\n>>> x\n1\n",
        ">>> x + 1\n2\n",
    ]
    assert not tree.xpath("//blockquote")


def test_prompts_inside_fences_stay_as_they_are(book: LittleBook) -> None:
    codes = book.tree("```pycon\n>>> 1\n1\n\n>>> 2\n2\n```\n\nText.").xpath("//code")
    assert [c.text_content() for c in codes] == [">>> 1\n1\n\n>>> 2\n2\n"]
