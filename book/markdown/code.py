"""Outputs and prompts: marked for the eye and for screen readers, and never copied."""

from __future__ import annotations

import re
from typing import Any

from markdown import Markdown
from markdown.postprocessors import Postprocessor
from markdown.preprocessors import Preprocessor

_OUTPUT = re.compile(r'<div class="(?P<classes>(?:[\w-]+ )*output (?:[\w-]+ )*highlight)">')


class Outputs(Postprocessor):
    """Label what `text {.output}` fences became, and take the copy button from them."""

    def run(self, text: str) -> str:
        return _OUTPUT.sub(
            r'<div class="\g<classes> no-copy" role="group" aria-label="Output">', text
        )


class Doctests(Preprocessor):
    """Fence the bare `>>>` examples of docstrings, which Markdown takes for quotations."""

    def run(self, lines: list[str]) -> list[str]:
        out: list[str] = []
        closing: str | None = None  # what ends the block we are in: a fence, or a blank line
        for line in lines:
            text = line.strip()
            if closing is None and text.startswith(">>>"):
                indent = line[: len(line) - len(line.lstrip())]
                out.append(f"{indent}```pycon")
                closing = ""
            elif closing == "" and not text:
                out.append(f"{indent}```")
                closing = None
            elif fence := re.match(r"`{3,}|~{3,}", text):
                if closing is None:
                    closing = fence[0]
                elif closing and text.startswith(closing):
                    closing = None
            out.append(line)
        return [*out, f"{indent}```"] if closing == "" else out


def register(md: Markdown, _: dict[str, Any]) -> None:
    """Prompts before superfences (25); outputs once the stash is back in the text (30)."""
    md.preprocessors.register(Doctests(md), "book-doctests", 26)
    md.postprocessors.register(Outputs(md), "book-outputs", 5)
