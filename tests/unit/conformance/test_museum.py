"""Every specimen is exposed by the property that its label names, and mended passes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from attention_guide.conformance import PROPERTIES, check
from attention_guide.conformance.museum import SPECIMENS, Specimen

IDS = [s.name for s in SPECIMENS]
# The historic bugs that the museum was begun for.
HISTORIC = {
    "DL4Proteins-notebooks#12",
    "LLMs-from-scratch#925",
    "LLMs-from-scratch#1008",
    "LLMs-from-scratch#1061",
    "ViT#1",
    "annotated-transformer#109",
    "d2l-en#2423",
    "happy-llm#141",
    "keras-io#1046",
    "nanochat#452",
    "pytorch#27968",
    "pytorch#41508",
    "pytorch#108108",
    "pytorch-seq2seq#96",
    "text#894",
    "tutorials#2478",
    "x-transformers#219",
}
PAGE = Path(__file__).resolve().parents[3] / "docs" / "appendix" / "museum.md"


@pytest.mark.parametrize("specimen", SPECIMENS, ids=IDS)
def test_the_named_property_fails_and_the_mended_form_passes(specimen: Specimen) -> None:
    failed = {outcome.name for outcome in check(specimen.broken).failures}
    assert specimen.exposed_by in failed
    report = check(specimen.mended)
    assert report.passed, str(report)


def test_the_labels_are_complete() -> None:
    assert len(set(IDS)) == len(IDS)
    names = {p.name for p in PROPERTIES}
    for specimen in SPECIMENS:
        assert specimen.exposed_by in names
        assert re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", specimen.source)
        assert specimen.story.endswith(".")


def test_at_least_twelve_are_of_the_historic_list() -> None:
    assert len({s.source.partition("/")[2] for s in SPECIMENS} & HISTORIC) >= 12


def test_the_page_describes_every_specimen_and_links_its_source() -> None:
    described = re.findall(
        r"^- \*\*(.+?)\.\*\* .*\[(\S+) #(\d+)\]\(https://github\.com/(\S+)/issues/(\d+)\)$",
        PAGE.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    for _, shown, number, repository, linked in described:
        assert (shown, number) == (repository, linked)
    on_page = {name.replace("`", "").casefold(): f"{r}#{n}" for name, _, _, r, n in described}
    assert on_page == {s.name.casefold(): s.source for s in SPECIMENS}
