"""The API reference is complete: every public module has its place, once."""

from __future__ import annotations

import re
from collections import Counter

from book.chapters import DOCS, ROOT


def public_modules() -> set[str]:
    """Dotted names of all modules without an underscore, packages left out."""
    names = set()
    for path in (ROOT / "attention_guide").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if not any(part.startswith("_") for part in parts):
            names.add(".".join(parts))
    return names


def test_every_public_module_is_documented_once() -> None:
    pages = (DOCS / "reference").glob("*.md")
    listed = Counter(
        name
        for page in pages
        for name in re.findall(r"^::: ([\w.]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert set(listed) == public_modules()
    assert not [name for name, times in listed.items() if times > 1]
