"""What the chapters promise their readers about form, held for every chapter there is."""

from __future__ import annotations

import ast
import re

import pytest

from book.chapters import DOCS, Chapter, numbered_chapters
from book.markdown.glossary import terms

GLOSSARY = "appendix/glossary.md"
# Words that a chapter uses in their everyday sense, and not as the glossary has them.
EVERYDAY = {
    "theory/scaled-dot-product": {"temperature", "bias"},
    "implementation/transformer": {"bias"},
    "ethics/energy": {"memory", "value", "head"},
}
CHAPTERS = numbered_chapters()
NOT_WORDS = (
    r"(?s)\A---\n.*?\n---\n",
    r"(?s)^([ \t]*)(`{3,})[^\n]*\n.*?^\1\2[ \t]*$",  # fences
    r"(?s)<!--.*?-->",
    r"(?s)^ *\$\$.*?\$\$",
    r"\$[^$\n]+\$",
)


def blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def prose(text: str) -> str:
    """What a reader reads as sentences; all else is blanked, and nothing moves."""
    for pattern in (
        *NOT_WORDS,
        r"`[^`\n]+`",
        r"^#.*$",
        r"^ *(?:!!!|\?\?\?).*$",  # titles of boxes
        r"!\[[^\]]*\]\([^)]*\)",
        r"\[-?@[^\]]*\]",
    ):
        text = re.sub(pattern, blank, text, flags=re.MULTILINE)
    return text


def spelt(term: str) -> list[re.Pattern[str]]:
    """A term's forms: singular and plural, and the abbreviation in brackets behind it."""
    name, _, short = re.sub(r"\)$", "", term).partition(" (")
    forms = [name, short] if short.isupper() else [name]
    return [
        re.compile(rf"(?<![\w-]){re.escape(form)}(?:s|es)?(?![\w-])", 0 if form.isupper() else re.I)
        for form in forms
    ]


def first_uses(text: str, names: dict[str, str]) -> dict[str, int]:
    """Where each term is first used in prose, the longest terms first, outside of other links."""
    text = re.sub(r"\[[^\]]*\](?:\((?![^)]*glossary\.md#)[^)]*\)|\[[^\]]*\])", blank, text)
    text = re.sub(r"\]\([^)]*\)", blank, text)
    found: dict[str, int] = {}
    for slug, name in sorted(names.items(), key=lambda item: -len(item[1])):
        for pattern in spelt(name):
            if match := pattern.search(text):
                found[slug] = min(match.start(), found.get(slug, len(text)))
            text = pattern.sub(blank, text)
    return found


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.slug)
def test_a_terms_first_use_links_to_the_glossary(chapter: Chapter) -> None:
    source = (DOCS / GLOSSARY).read_text(encoding="utf-8")
    names = {slug: text.split(":")[0] for slug, text in terms(source, GLOSSARY).items()}
    text = prose(chapter.text)
    linked = re.finditer(r"\[([^\]]*)\]\([^)]*glossary\.md#([\w-]+)\)", text)
    places = {(m[2], range(*m.span())) for m in linked}
    for slug, at in first_uses(text, names).items():
        if slug not in EVERYDAY.get(chapter.slug, ()):
            line = text.count("\n", 0, at) + 1
            here = any(name == slug and at in place for name, place in places)
            assert here, f"{chapter.slug}.md, line {line}: {names[slug]!r} is no link: {slug}"


def test_everyday_words_are_terms_and_used() -> None:
    source = (DOCS / GLOSSARY).read_text(encoding="utf-8")
    names = {slug: text.split(":")[0] for slug, text in terms(source, GLOSSARY).items()}
    for chapter in CHAPTERS:
        used = first_uses(prose(chapter.text), names)
        assert EVERYDAY.get(chapter.slug, set()) <= used.keys(), chapter.slug


CUT = (
    r"delve|crucial(?:ly)?|in this section,? we will|it is important to note|powerful|simply|just"
    r"|obviously|state-of-the-art|significantly"
)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.slug)
class TestAnatomy:
    """The order of a chapter, and how much of each part there is."""

    def sections(self, chapter: Chapter) -> dict[str, str]:
        """Headings of the second level, with what stands below each."""
        text = re.sub(r"(?ms)^(`{3,}).*?^\1[ \t]*$", blank, chapter.text)
        _, *parts = re.split(r"(?m)^## ", text)
        return {part.partition("\n")[0].strip(): part for part in parts}

    def test_the_parts_come_in_order(self, chapter: Chapter) -> None:
        wanted = ["What goes wrong", "In the wild", "Exercises", "Quiz", "What to remember",
                  "Further reading"]  # fmt: skip
        found = [name for name in self.sections(chapter) if name.startswith(tuple(wanted))]
        assert [name.partition(":")[0] for name in found] == wanted

    def test_it_opens_with_code_and_says_what_for(self, chapter: Chapter) -> None:
        box = chapter.text.index('!!! abstract "What you will be able to do"')
        assert "```python" in chapter.text[:box]
        goals = re.match(r"(?:    - [^\n]+\n)+", chapter.text[box:].partition("\n")[2])
        assert goals is not None
        assert 3 <= goals[0].count("    - ") <= 5
        rest = chapter.text[box:].partition("\n\n")[2].partition("\n\n")[0]
        assert re.search(r"\]\(", rest), "prerequisites are links"
        assert chapter.meta["minutes"] > 0

    def test_exercises_quiz_and_summary(self, chapter: Chapter) -> None:
        sections = self.sections(chapter)
        exercises = re.findall(r"(?m)^### Exercise .*$", sections["Exercises"])
        solutions = re.findall(r"(?m)^\?\?\? solution ", sections["Exercises"])
        assert len(exercises) >= 4
        assert len(solutions) >= len(exercises) - 1
        questions = re.split(r"(?m)^\*\*.+\*\*$", sections["Quiz"])[1:]
        assert len(questions) >= 3
        for question in questions:
            assert len(re.findall(r"(?m)^\?\?\? quiz ", question)) >= 2
        assert 1 <= len(re.findall(r"(?m)^(?:-|\d\.) ", sections["What to remember"])) <= 5

    def test_blocks_are_short(self, chapter: Chapter) -> None:
        for block in chapter.blocks:
            if block.kind != "invisible":
                lines = block.code.rstrip("\n").count("\n") + 1
                assert lines <= 25, f"{chapter.slug}.md, line {block.line}: {lines} lines"

    def test_pictures_have_words(self, chapter: Chapter) -> None:
        for match in re.finditer(r"!\[([^\]]*)\]\(figures/[^)]*\)\n\n(.{8})", chapter.text):
            assert len(match[1].split()) >= 8, match[1]
            assert match[2].startswith("Figure: "), match[1]

    def test_tables_have_captions(self, chapter: Chapter) -> None:
        text = re.sub(r"(?ms)^([ \t]*)(`{3,})[^\n]*\n.*?^\1\2[ \t]*$", blank, chapter.text)
        for match in re.finditer(r"(?m)(.*)\n\n *\|.*\n *\|[ :|-]+\|$", text):
            assert match[1].lstrip().startswith("Table: "), match[0]

    def test_no_private_names_of_the_package(self, chapter: Chapter) -> None:
        for block in chapter.blocks:
            for node in ast.walk(ast.parse(block.code)):
                if isinstance(node, ast.ImportFrom) and node.module:
                    names = [*node.module.split("."), *(alias.name for alias in node.names)]
                    private = [n for n in names if n.startswith("_") and n != "__future__"]
                    assert not private, (block.line, private)
                if isinstance(node, ast.Attribute) and not node.attr.endswith("__"):
                    own = isinstance(node.value, ast.Name) and node.value.id == "self"
                    assert own or not node.attr.startswith("_"), (block.line, node.attr)

    def test_the_voice(self, chapter: Chapter) -> None:
        text = prose(chapter.text)
        assert (found := re.search(rf"(?i)\b(?:{CUT})\b", text)) is None, found
        running = re.sub(r"(?m)^ *\*\*.+\*\*$|\*\*(?:You need|Time)\*\*", "", text)
        assert len(re.findall(r"\*\*[^*\n]+\*\*", running)) <= 1

    def test_the_length(self, chapter: Chapter) -> None:
        """Every word but those of code and formulas: headings, captions, quiz and all."""
        text = chapter.text
        for pattern in (*NOT_WORDS, r"\]\([^)]*\)", r"\{:[^}]*\}"):
            text = re.sub(pattern, " ", text, flags=re.MULTILINE)
        words = len(re.findall(r"\w[\w'’.,-]*", text))
        assert 1_800 <= words <= 4_000, words
