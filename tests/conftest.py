"""Fixtures that several test folders share."""

from __future__ import annotations

from pathlib import Path

import pytest

from book import build


@pytest.fixture(scope="session")
def built_site() -> Path:
    """`site/`, built from the sources as they are."""
    return build.site()


@pytest.fixture(scope="session")
def built_pdf() -> Path:
    """`dist/the-attention-guide.pdf`, built from the sources as they are."""
    return build.pdf()
