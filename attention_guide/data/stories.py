"""Stories with questions: who went where with what, and the words that answer."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from attention_guide.data.cards import Card
from attention_guide.functional import _checks

PEOPLE: Final = ("Amina", "Ben", "Chen", "Daria", "Emre", "Farah", "Goran", "Hana")
PLACES: Final = (
    "kitchen", "back garden", "office", "old library", "cellar", "small attic room", "studio",
    "entrance hall",
)  # fmt: skip
OBJECTS: Final = ("apple", "book", "key", "lamp", "ball", "map")
KINDS: Final = ("where is a person", "where is an object", "who has an object")

CARD: Final = Card(
    name="stories",
    description="A story of 8 sentences, a question, and the words of the story that answer it.",
    source="A simulated house, seed 0; a kind of task of Weston et al. (2015), our own words.",
    licence="MIT",
    splits={"train": 3_000, "test": 300, "long": 300},
    checksum="92f4cc476f47306d94f0d00df497a71f7f3d34d1870d9bf3a480b23c7a8cd54d",
    notes="`long` has stories of 20 sentences, longer than any in training.",
)


class Story(NamedTuple):
    """A story, a question about its end, and where the answer stands.

    Attributes:
        sentences: The sentences; the passage is these, joined by spaces.
        question: The question.
        answer: The answer, as it stands in the passage.
        start: Where it begins in the passage, in characters.
        end: Where it ends, one past its last character.
        supports: The sentences that the answer follows from, by number; the last one of them
            that names the answer holds it.
        kind: Which of `KINDS` the question is.
    """

    sentences: tuple[str, ...]
    question: str
    answer: str
    start: int
    end: int
    supports: tuple[int, ...]
    kind: str

    @property
    def passage(self) -> str:
        """The whole text."""
        return " ".join(self.sentences)


def draw_stories(n: int, *, length: int = 8, seed: int = 0) -> list[Story]:
    """Draw `n` different stories, the kinds of question in turn.

    Args:
        n: How many.
        length: Sentences in each, at least 3.
        seed: Seed of the draw.

    Returns:
        The stories.

    Raises:
        TypeError: `n` isn't an int.
        ValueError: `n` is negative, or `length` is less than 3.

    Source:
        The kind of task is that of Weston et al. (2015), arXiv:1502.05698.

    Examples:
        >>> story = draw_stories(1)[0]
        >>> story.passage[story.start : story.end] == story.answer
        True
    """
    _checks.integer("n", n, least=0)
    if length < 3:
        raise ValueError(f"length: expected at least 3 sentences, got {length}")
    generator = random.Random(f"{seed}:{length}")
    found: dict[tuple[tuple[str, ...], str], Story] = {}
    while len(found) < n:
        story = _story(generator, length, KINDS[len(found) % len(KINDS)])
        if story is not None:
            found.setdefault((story.sentences, story.question), story)
    return list(found.values())


def standard_splits() -> dict[str, list[Story]]:
    """The splits that the card describes.

    Returns:
        Split name to stories.

    Examples:
        >>> {name: len(stories) for name, stories in standard_splits().items()} == CARD.splits
        True
    """
    stories = draw_stories(3_300)
    return {
        "train": stories[:3_000],
        "test": stories[3_000:],
        "long": draw_stories(300, length=20, seed=1),
    }


@dataclass
class _House:
    """Who is where and has what, and the sentence that said so."""

    generator: random.Random
    sentences: list[str] = field(default_factory=list)
    at: dict[str, tuple[str, int]] = field(default_factory=dict)  # person: place, sentence
    held: dict[str, tuple[str, int]] = field(default_factory=dict)  # object: person, sentence
    left: dict[str, tuple[str, int, int]] = field(default_factory=dict)  # place, move, drop

    def go_on(self) -> None:
        """One more sentence: somebody moves, takes something or puts it down."""
        takes, drops = self._takes(), sorted(self.held)
        draw = self.generator.random()
        if takes and draw < 0.35:
            self._take(*self.generator.choice(takes))
        elif drops and draw < 0.5:
            self._drop(self.generator.choice(drops))
        else:
            self._move(self.generator.choice(PEOPLE))

    def _takes(self) -> list[tuple[str, str]]:
        # What nobody has touched can be anywhere; what was put down is where it was put.
        return [
            (person, thing)
            for person, (place, _) in sorted(self.at.items())
            for thing in OBJECTS
            if thing not in self.held and self.left.get(thing, (place,))[0] == place
        ]

    def _move(self, person: str) -> None:
        before = self.at.get(person, ("", -1))[0]
        place = self.generator.choice([p for p in PLACES if p != before])
        verb = self.generator.choice(("went", "walked", "moved"))
        self.at[person] = place, len(self.sentences)
        self.sentences.append(f"{person} {verb} to the {place} .")

    def _take(self, person: str, thing: str) -> None:
        verb = self.generator.choice(("took", "picked up"))
        self.left.pop(thing, None)
        self.held[thing] = person, len(self.sentences)
        self.sentences.append(f"{person} {verb} the {thing} .")

    def _drop(self, thing: str) -> None:
        person, _ = self.held.pop(thing)
        place, move = self.at[person]
        self.left[thing] = place, move, len(self.sentences)
        self.sentences.append(f"{person} put down the {thing} .")

    def ask(self, kind: str) -> tuple[str, str, int, tuple[int, ...]] | None:
        """Question, answer, the sentence that holds it, and all that it follows from."""
        if kind == KINDS[0]:
            person = self.generator.choice(sorted(self.at))
            place, said = self.at[person]
            return f"Where is {person} ?", place, said, (said,)
        if kind == KINDS[2]:
            if not self.held:
                return None
            thing = self.generator.choice(sorted(self.held))
            person, said = self.held[thing]
            return f"Who has the {thing} ?", person, said, (said,)
        seen = sorted({*self.held, *self.left})
        if not seen:
            return None
        thing = self.generator.choice(seen)
        question = f"Where is the {thing} ?"
        if thing in self.left:
            place, move, drop = self.left[thing]
            return question, place, move, (move, drop)
        person, taken = self.held[thing]
        place, move = self.at[person]
        return question, place, move, tuple(sorted((move, taken)))


def _story(generator: random.Random, length: int, kind: str) -> Story | None:
    house = _House(generator)
    while len(house.sentences) < length:
        house.go_on()
    asked = house.ask(kind)
    if asked is None:
        return None
    question, answer, said, supports = asked
    start = _offset(house.sentences, said) + house.sentences[said].index(answer)
    sentences = tuple(house.sentences)
    return Story(sentences, question, answer, start, start + len(answer), supports, kind)


def _offset(sentences: Sequence[str], number: int) -> int:
    return sum(len(sentence) + 1 for sentence in sentences[:number])
