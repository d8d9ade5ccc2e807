"""The packed BERT of the site: whole, small enough, made once, and missed in one clear line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from book import minilm, weights


def index(files: dict[str, Path]) -> str:
    return files["index.js"].read_text("utf-8").splitlines()[1]


@pytest.fixture(scope="module")
def files() -> dict[str, Path]:
    if not weights.laid():
        pytest.fail("the weights aren't there: `make setup` lays them (or python book/weights.py)")
    return minilm.files()


def test_shards_are_what_the_index_says(files: dict[str, Path]) -> None:
    known = json.loads(index(files).removeprefix("LiveBert.site.index = ").rstrip(";"))
    assert len(known["shards"]) > 4
    total = 0
    for shard in known["shards"]:
        content = files[shard["name"]].read_bytes()
        assert len(content) == shard["bytes"] <= minilm.SHARD_BYTES
        assert hashlib.sha256(content).hexdigest() == shard["sha256"]
        total += len(content)
    assert set(files) == {"index.js", *(shard["name"] for shard in known["shards"])}
    assert 20_000_000 < total <= minilm.LIMIT_BYTES
    content = b"".join(files[shard["name"]].read_bytes() for shard in known["shards"])
    pieces = content[known["vocabulary"] :].decode().split("\n")
    assert len(pieces) == 30_522
    assert pieces[101] == "[CLS]"


def test_they_are_made_once(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "write", lambda *_: pytest.fail("packed again"))
    monkeypatch.setattr(minilm, "_key", lambda: files["index.js"].parent.name)
    assert minilm.files() == files


def test_missing_weights_are_said_in_a_line_and_break_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(weights, "laid", lambda: False)
    found = minilm.files()
    assert list(found) == ["index.js"]
    assert "built without the model" in index(found)
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert line.startswith("book: no weights of sentence-transformers/all-MiniLM-L6-v2 in ")


def test_the_unzipped_edition_carries_none(capsys: pytest.CaptureFixture[str]) -> None:
    found = minilm.files(offline=True)
    assert list(found) == ["index.js"]
    assert index(found).startswith('LiveBert.site.missing = "This edition has no room')
    assert capsys.readouterr().err == ""
