"""The smaller sets: right answers, disjoint splits, and cards that warn."""

import datetime
import importlib
from dataclasses import replace

import pytest
import torch
from torch import nn

from attention_guide.data import corpora, dates, number_splits, sequences
from attention_guide.data.cards import Card, DataChangedWarning, Seen, checksum, installed
from attention_guide.train import Checkpoints, History


def test_copying_and_sorting_have_the_right_answers():
    assert all(a == b for a, b in sequences.copy_pairs(50, min_length=1, max_length=6))
    for text, ordered in sequences.sort_pairs(50, seed=3):
        assert list(ordered) == sorted(text)
        assert "".join(text[i] for i in sequences.sort_alignment(text)) == ordered
    assert sequences.sort_alignment("aba") == [0, 2, 1]


@pytest.mark.parametrize("make", [
    lambda: sequences.standard_splits("copy"), lambda: sequences.standard_splits("sort"),
])  # fmt: skip
def test_no_string_is_in_both_splits(make):
    train, test = ({source for source, _ in pairs} for pairs in make().values())
    assert not train & test


def test_no_date_and_no_number_is_in_both_splits():
    for splits, key in (
        (dates.standard_splits(), lambda triple: triple[2]),
        (number_splits.standard_splits(), lambda pair: tuple(pair[0])),
    ):
        train, test = (set(map(key, part)) for part in splits.values())
        assert not train & test


@pytest.mark.parametrize("language", dates.LANGUAGES)
def test_every_date_can_be_read_back(language):
    # A second way to the date: the day and the year are the numbers, the month is by comparing.
    for date in dates.draw_dates(12, seed=5):
        for style in dates.STYLES:
            text = dates.date_text(date, language, style)
            first = dates.date_text(date.replace(day=1), language, "long")
            months = [
                dates.date_text(datetime.date(date.year, month, 1), language, "long")
                for month in range(1, 13)
            ]
            assert months.index(first) + 1 == date.month
            assert len(set(months)) == 12
            assert str(date.day) in text
            assert str(date.year) in text


def test_dates_are_in_range_drawn_once_and_written_for_machines():
    drawn = dates.draw_dates(3_000)
    assert len(set(drawn)) == 3_000
    assert min(drawn) >= dates.FIRST
    assert max(drawn) <= dates.LAST
    pairs = dates.date_pairs(drawn[:200], target="de")
    assert {pair.language for pair in pairs} == set(dates.LANGUAGES)
    assert pairs[0].target == dates.date_text(drawn[0], "de")
    assert dates.date_text(drawn[0], "iso") == drawn[0].isoformat()


def test_dates_name_what_is_wrong():
    day = datetime.date(2024, 3, 1)
    with pytest.raises(ValueError, match=r"language: expected one of en, de, .* or iso, got 'xx'"):
        dates.date_text(day, "xx")
    with pytest.raises(ValueError, match="style: expected one of long, full, got 'short'"):
        dates.date_text(day, "en", "short")
    with pytest.raises(ValueError, match="n: expected 0 to 73049"):
        dates.draw_dates(100_000)
    for wrong in (datetime.datetime(2024, 3, 1), "2024-03-01"):
        for language in ("iso", "en"):
            with pytest.raises(TypeError, match=r"date: expected a datetime\.date; got"):
                dates.date_text(wrong, language)


def test_the_corpus_says_which_python_it_is_of():
    corpus = corpora.pydoc_topics()
    assert corpus.card.versions == installed("python")
    assert corpus.card.checksum == checksum(corpora.standard_splits())
    assert not set(corpus.train) & set(corpus.validation)


def test_going_on_with_another_pythons_texts_warns(tmp_path, monkeypatch):
    model = nn.Linear(1, 1)
    adam = torch.optim.Adam(model.parameters())
    there = Checkpoints(tmp_path, parts={"data": Seen(corpora.pydoc_topics().card)})
    there.save(model, adam, History())
    assert there.load(model, adam) == History()  # the same Python: not a word
    module = importlib.import_module("pydoc_data.topics")
    monkeypatch.setattr(module, "topics", {**module.topics, "assert": "Another text."})
    monkeypatch.setattr("platform.python_version", lambda: "3.99.0")
    here = Checkpoints(tmp_path, parts={"data": Seen(corpora.pydoc_topics().card)})
    with pytest.warns(DataChangedWarning, match=r"pydoc-topics.*\(python 3\.99\.0\) here"):
        here.load(model, adam)


def test_a_python_without_topics_is_told_what_to_do(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(corpora.importlib, "import_module", missing)
    with pytest.raises(ModuleNotFoundError, match="a full installation has"):
        corpora.pydoc_topics()


def test_other_versions_explain_a_difference_and_the_same_do_not():
    data = {"all": ["a"]}
    card = Card("t", "T.", "Here.", "CC0", {"all": 1}, checksum({"all": ["b"]}))
    with pytest.raises(ValueError, match="expected checksum"):
        replace(card, versions=installed("torch")).check(data)
    with pytest.warns(DataChangedWarning, match=r"the card is of torch 0\.0, here is torch"):
        assert not replace(card, versions={"torch": "0.0"}).check(data)
    assert replace(card, checksum=checksum(data)).check(data)
