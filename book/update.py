"""Rewrite the outputs of pages, in fences and under prompts, from the run; touch nothing else."""

from __future__ import annotations

import doctest
from pathlib import Path

from sybil.evaluators.doctest import NUMBER, OutputChecker

from book import press
from book.chapters import ROOT, Block, parse


def update(paths: list[Path]) -> list[Path]:
    """Bring the outputs on `paths` up to date; the changed pages.

    From a block that raises on, a page keeps what it has: nothing is known of it.
    """
    changed = []
    for path, result in press.run(paths).items():
        chapter = parse(path)
        text = chapter.text
        for block, outcome in reversed(list(zip(chapter.blocks, result.blocks, strict=True))):
            if outcome.rewritten is not None:
                text = _with_prompts(text, block, outcome.rewritten)
            elif block.kind == "python" and outcome.finished and not outcome.skipped:
                text = _with_output(text, block, outcome.stdout)
        if text != chapter.text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def _with_prompts(text: str, block: Block, code: str) -> str:
    first, *_, last = text[block.start : block.end].splitlines()
    body = [(block.indent + line).rstrip() for line in code.splitlines()]
    return text[: block.start] + "\n".join([first, *body, last]) + text[block.end :]


def _with_output(text: str, block: Block, stdout: str) -> str:
    if block.output_span is None:
        return (
            text
            if not stdout
            else text[: block.end] + "\n\n" + _fence(block, stdout) + text[block.end :]
        )
    start, end = block.output_span
    if not stdout:
        return text[: block.end] + text[end:]
    expected = block.expected or ""
    # An ellipsis or a rounded number that still matches is the author's choice: keep it.
    if OutputChecker().check_output(expected, stdout, doctest.ELLIPSIS | NUMBER):
        return text
    return text[:start] + _fence(block, stdout) + text[end:]


def _fence(block: Block, stdout: str) -> str:
    lines = ["```text {.output}", *stdout.rstrip("\n").splitlines(), "```"]
    return "\n".join((block.indent + line).rstrip() for line in lines)


def main(paths: list[str]) -> None:
    """`python -m book update [PAGE …]`."""
    chosen = [Path(p).resolve() for p in paths] or press.executable_pages()
    for path in update(chosen):
        print(f"book: rewrote the outputs of {path.relative_to(ROOT)}")
    for result in press.run(chosen, quiet=True).values():
        for block in result.blocks:
            if not block.finished:
                where = f"{result.path.relative_to(ROOT)}:{block.line}"
                raise press.PageFailed(f"{where}: outputs from here on stay: {block.error}")
