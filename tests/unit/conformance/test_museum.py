"""Every specimen is exposed by the property that its label names, and mended passes."""

from __future__ import annotations

import re

import pytest

from attention_guide.conformance import PROPERTIES, check
from attention_guide.conformance.museum import SPECIMENS, Specimen

IDS = [s.name for s in SPECIMENS]


@pytest.mark.parametrize("specimen", SPECIMENS, ids=IDS)
def test_the_named_property_fails_and_the_mended_form_passes(specimen: Specimen) -> None:
    failed = {outcome.name for outcome in check(specimen.broken).failures}
    assert specimen.exposed_by in failed
    report = check(specimen.mended)
    assert report.passed, str(report)


def test_the_labels_are_complete() -> None:
    assert len(SPECIMENS) >= 12
    assert len(set(IDS)) == len(IDS)
    names = {p.name for p in PROPERTIES}
    for specimen in SPECIMENS:
        assert specimen.exposed_by in names
        assert re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", specimen.source)
        assert specimen.story.endswith(".")
