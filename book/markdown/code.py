"""Outputs: marked for the eye and for screen readers, and never copied."""

from __future__ import annotations

import re
from typing import Any

from markdown import Markdown
from markdown.postprocessors import Postprocessor

_OUTPUT = re.compile(r'<div class="(?P<classes>(?:[\w-]+ )*output (?:[\w-]+ )*highlight)">')


class Outputs(Postprocessor):
    """Label what `text {.output}` fences became, and take the copy button from them."""

    def run(self, text: str) -> str:
        return _OUTPUT.sub(
            r'<div class="\g<classes> no-copy" role="group" aria-label="Output">', text
        )


def register(md: Markdown, _: dict[str, Any]) -> None:
    """Run once the stashed fences are back in the text (30)."""
    md.postprocessors.register(Outputs(md), "book-outputs", 5)
