"""The book's Markdown: formulas, citations, figures, glossary, markers and outputs.

One extension, `book.markdown`, on top of the stock ones that `mkdocs.yml` lists. It needs
`attr_list`, `pymdownx.superfences` and `pymdownx.arithmatex` (generic) beside it.
"""

from __future__ import annotations

from typing import Any

from markdown import Extension, Markdown

from book.markdown import citations, code, comments, figures, glossary, maths, references, titles
from book.markdown.errors import PageError

__all__ = ["BookExtension", "PageError", "makeExtension"]


class BookExtension(Extension):
    """Registers every part of the book's Markdown."""

    def __init__(self, **kwargs: Any) -> None:
        self.config = {
            "bibliography": ["appendix/references.bib", "The BibTeX file, below docs/"],
            "references": ["appendix/references.md", "The page that lists it, below docs/"],
            "glossary": ["appendix/glossary.md", "The page that defines terms, below docs/"],
        }
        super().__init__(**kwargs)

    def extendMarkdown(self, md: Markdown) -> None:
        """Register the parts; each names its own priority."""
        config = self.getConfigs()
        for part in (maths, citations, references, figures, glossary, comments, code, titles):
            part.register(md, config)


def makeExtension(**kwargs: Any) -> BookExtension:
    """What Python-Markdown calls to load `book.markdown`."""
    return BookExtension(**kwargs)
