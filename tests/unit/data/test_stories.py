"""Stories: spans that are the answers, and answers that a second reader of the text finds."""

import itertools

import pytest

from attention_guide.data.stories import KINDS, draw_stories, standard_splits


@pytest.fixture(scope="module")
def splits():
    return standard_splits()


def place_of(sentences, person):
    moves = [s for s in sentences if s.startswith(f"{person} ") and " to the " in s]
    return moves[-1].split(" to the ")[1].removesuffix(" .")


def second_answer(story):
    words = story.question.split()
    if story.kind == KINDS[0]:
        return place_of(story.sentences, words[2])
    thing = words[-2]
    last = max(i for i, s in enumerate(story.sentences) if s.endswith(f"the {thing} ."))
    person = story.sentences[last].split()[0]
    if story.kind == KINDS[2]:
        return person
    dropped = " put down " in story.sentences[last]
    return place_of(story.sentences[: last if dropped else None], person)


def test_the_span_is_the_answer_and_a_second_reader_finds_it(splits):
    for story in itertools.chain(*splits.values()):
        assert story.passage[story.start : story.end] == story.answer == second_answer(story)


def test_the_supports_alone_give_the_same_answer(splits):
    for story in splits["test"]:
        short = tuple(story.sentences[i] for i in story.supports)
        assert second_answer(story._replace(sentences=short)) == story.answer
        assert story.supports == tuple(sorted(set(story.supports)))


def test_the_answer_stands_in_a_supporting_sentence(splits):
    for story in splits["long"]:
        at, place = 0, None
        for i, sentence in enumerate(story.sentences):
            if at <= story.start < at + len(sentence):
                place = i
            at += len(sentence) + 1
        assert place in story.supports


def test_every_kind_comes_as_often_and_no_story_twice(splits):
    kinds = [story.kind for story in splits["train"]]
    assert max(map(kinds.count, KINDS)) - min(map(kinds.count, KINDS)) <= 20
    keys = [{(s.sentences, s.question) for s in part} for part in splits.values()]
    assert [len(k) for k in keys] == [len(part) for part in splits.values()]
    assert not keys[0] & keys[1]
    assert {len(story.sentences) for story in splits["long"]} == {20}


def test_nobody_takes_what_somebody_has_or_from_elsewhere(splits):
    for story in splits["long"]:
        held, place, left = {}, {}, {}
        for sentence in story.sentences:
            person, thing = sentence.split()[0], sentence.split()[-2]
            if " to the " in sentence:
                place[person] = sentence.split(" to the ")[1]
            elif " put down " in sentence:
                assert held.pop(thing) == person
                left[thing] = place[person]
            else:
                assert thing not in held
                assert left.pop(thing, place[person]) == place[person]
                held[thing] = person


def test_a_seed_gives_the_same_stories_and_too_short_ones_are_refused():
    assert draw_stories(5, seed=3) == draw_stories(5, seed=3) != draw_stories(5, seed=4)
    with pytest.raises(ValueError, match="length: expected at least 3"):
        draw_stories(1, length=2)
    with pytest.raises(ValueError, match="n: expected an int of at least 0; got -1"):
        draw_stories(-1)
