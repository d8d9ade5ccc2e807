"""Fixtures that several test folders share."""

from __future__ import annotations

from pathlib import Path

import pytest

from attention_guide.checkpoints import Pretrained, load
from attention_guide.checkpoints.pretrained import MINILM
from book import build
from book.weights import WEIGHTS


@pytest.fixture(scope="session")
def built_site() -> Path:
    """`site/`, built from the sources as they are."""
    return build.site()


@pytest.fixture(scope="session")
def built_pdf() -> Path:
    """`dist/the-attention-guide.pdf`, built from the sources as they are."""
    return build.pdf()


@pytest.fixture(scope="session")
def pretrained() -> Pretrained:
    """The real all-MiniLM-L6-v2, from where the set-up laid it."""
    if not (WEIGHTS / MINILM / "config.json").is_file():
        pytest.fail("the weights aren't there: `make setup` lays them (or python book/weights.py)")
    return load(MINILM)
