"""Number words: lossless splitting, disjoint draws, and alignments that two sources agree on."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_guide.data.alignments import alignment_error_rate, gold_links, number_pieces
from attention_guide.data.numbers import (
    DIRECTIONS,
    LANGUAGES,
    draw_numbers,
    join_number,
    number_pairs,
    number_vocabulary,
    number_words,
    split_number,
)

numbers = st.integers(0, 999_999)
languages = st.sampled_from(LANGUAGES)


@given(numbers, languages)
@settings(max_examples=500, deadline=None)
def test_splitting_loses_nothing_and_the_grammar_agrees(number, language):
    text = number_words(number, language)
    pieces = split_number(text, language)
    assert join_number(pieces, language) == text
    assert [piece.text for piece in number_pieces(number, language)] == pieces


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_number_below_2000_and_every_round_thousand(language):
    for number in [*range(2000), *range(0, 1_000_000, 1000)]:
        pieces = split_number(number_words(number, language), language)
        assert [piece.text for piece in number_pieces(number, language)] == pieces


@given(numbers, languages)
@settings(max_examples=300, deadline=None)
def test_pieces_say_the_digits_of_the_number_and_no_others(number, language):
    said = {key for piece in number_pieces(number, language) for key in piece.says if key.isdigit()}
    digits = {str(power) for power, digit in enumerate(reversed(str(number))) if digit != "0"}
    # "mille" and "cent" say a one without a word for it, so nothing may be missing either.
    assert said == (digits or {"0"})


@given(numbers, languages, languages)
@settings(max_examples=300, deadline=None)
def test_links_mirror_and_a_language_aligns_with_itself(number, source, target):
    links = gold_links(number, source, target)
    assert {(s, t) for t, s in links} == gold_links(number, target, source)
    if source == target:
        silent = {i for i, piece in enumerate(number_pieces(number, source)) if not piece.says}
        wanted = {(i, i) for i in range(len(number_pieces(number, source)))}
        assert {(i, i) for i in silent} == wanted - links


def test_the_german_units_cross_the_tens():
    assert gold_links(21, "en", "de") == {(0, 2), (1, 1), (2, 0)}
    # four hundred: "quatre" is a hundreds digit; in 80 it is a part of the tens.
    assert gold_links(80, "en", "fr") == {(0, 0), (1, 0), (2, 0)}
    # 71 is sixty-and-eleven: "onze" says the one and a part of the seventy.
    assert gold_links(71, "en", "fr") == {(0, 0), (1, 1), (2, 0), (2, 2)}


@pytest.mark.parametrize(
    ("text", "language"),
    [("einhundertzwo", "de"), ("twenty one hundreds", "en"), ("vingt_un", "fr"), ("21", "en")],
)
def test_text_that_is_no_number_raises(text, language):
    with pytest.raises(ValueError, match="isn't a number in words"):
        split_number(text, language)


@pytest.mark.parametrize("number", [-1, 1_000_000])
def test_numbers_out_of_range_raise(number):
    with pytest.raises(ValueError, match="number: expected"):
        number_words(number, "en")
    with pytest.raises(ValueError, match="number: expected"):
        number_pieces(number, "en")


@pytest.mark.parametrize("number", [1.5, True, "1"])
def test_only_whole_numbers(number):
    with pytest.raises(TypeError, match="number: expected an int"):
        number_words(number, "en")


def test_unknown_language_raises():
    for call in (number_words, number_pieces):
        with pytest.raises(ValueError, match="language: expected one of en, de, fr"):
            call(1, "nl")


@given(st.integers(0, 50), st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_draws_are_distinct_disjoint_and_repeatable(n, seed):
    first = draw_numbers(n, low=10, high=110, seed=seed)
    second = draw_numbers(50, low=10, high=110, seed=seed + 1, exclude=first)
    assert len(set(first)) == n
    assert not set(first) & set(second)
    assert set(first) | set(second) <= set(range(10, 110))
    assert first == draw_numbers(n, low=10, high=110, seed=seed)


def test_draws_reach_the_whole_range_and_no_further():
    assert sorted(draw_numbers(7, low=3, high=12, exclude=[4, 5, 99])) == [3, 6, 7, 8, 9, 10, 11]
    with pytest.raises(ValueError, match="n: expected 0 to 7"):
        draw_numbers(8, low=3, high=12, exclude=[4, 5, 99])
    with pytest.raises(ValueError, match="low, high"):
        draw_numbers(1, low=5, high=5)


def test_six_directions_and_a_closed_vocabulary():
    pairs = number_pairs([0, 81, 971_871])
    assert [(p.source_language, p.target_language) for p in pairs[:6]] == list(DIRECTIONS)
    vocabulary = number_vocabulary()
    for pair in pairs:
        assert pair.source[0] == f"<2{pair.target_language}>"
        assert vocabulary.decode(vocabulary.encode(pair.source)) == pair.source
        assert join_number(pair.target, pair.target_language) == number_words(
            pair.number, pair.target_language
        )


def test_alignment_error_rate_by_hand():
    sure, possible = {(0, 0), (1, 1)}, {(2, 1)}
    assert alignment_error_rate(sure, sure) == 0
    assert alignment_error_rate(sure | possible, sure, possible) == 0
    assert alignment_error_rate({(0, 1), (1, 0)}, sure) == 1
    # A = 3, S = 2, A∩S = 1, A∩P = 2: 1 - 3/5
    assert alignment_error_rate({(0, 0), (2, 1), (1, 0)}, sure, possible) == pytest.approx(0.4)
    with pytest.raises(ValueError, match="at least one link"):
        alignment_error_rate([], [])
