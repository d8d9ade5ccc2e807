"""Pictures of coloured shapes with captions: an image–text world whose every word can be checked.

Everything is whole numbers from Python's own generator, so that a seed gives the same pixels on
every machine.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from attention_guide.data.cards import Card

SIDE: Final = 32
SHAPES: Final = ("circle", "square", "triangle")
# Okabe and Ito's colours, which people with any colour vision tell apart, as (red, green, blue).
COLOURS: Final = {
    "red": (213, 94, 0),
    "yellow": (240, 228, 66),
    "green": (0, 158, 115),
    "blue": (0, 114, 178),
    "pink": (204, 121, 167),
}
SIZES: Final = {"small": 4, "big": 7}
BACKGROUND: Final = (24, 24, 24)
# Held back: no training scene has these pairs of colour and shape.
UNSEEN: Final = (("red", "triangle"), ("blue", "circle"), ("pink", "square"))

CARD: Final = Card(
    name="shapes",
    description="A picture of 32 × 32 pixels with one or two coloured shapes, and its caption.",
    source="Drawn and described by rules, seed 0.",
    licence="MIT",
    splits={"train": 3_000, "test": 500, "unseen": 500},
    checksum="ad170a68933619983c100ac15bff5c19b91afc0d5c4ab33e54ae7d14dd83dc85",
    notes=(
        "No scene is in two splits. Each scene of `unseen` has a pair of colour and shape that no "
        "other split has, while all its colours and all its shapes are known."
    ),
)


@dataclass(frozen=True)
class Thing:
    """One shape in a scene.

    Attributes:
        shape: One of `SHAPES`.
        colour: One of `COLOURS`.
        size: One of `SIZES`.
        x: Column of its middle, in pixels from the left.
        y: Row of its middle, in pixels from the top.

    Raises:
        ValueError: An unknown shape, colour or size.
    """

    shape: str
    colour: str
    size: str
    x: int
    y: int

    def __post_init__(self) -> None:
        for name, known in (("shape", SHAPES), ("colour", COLOURS), ("size", SIZES)):
            value = getattr(self, name)
            if value not in known:
                raise ValueError(f"{name}: expected one of {', '.join(known)}, got {value!r}")

    @property
    def words(self) -> str:
        """What a caption calls it.

        Examples:
            >>> Thing("circle", "red", "big", 8, 8).words
            'a big red circle'
        """
        return f"a {self.size} {self.colour} {self.shape}"


@dataclass(frozen=True)
class Scene:
    """A picture, what is in it, and a sentence that says so.

    Attributes:
        things: One or two, the one that the caption names first in front.
        caption: The sentence.
    """

    things: tuple[Thing, ...]
    caption: str

    @property
    def image(self) -> NDArray[np.uint8]:
        """The picture, `(32, 32, 3)`, see `draw`."""
        return draw(self.things)

    def covers(self, patch_size: int) -> list[NDArray[np.bool_]]:
        """Which patches each thing touches: where a good model looks when it says its name.

        Args:
            patch_size: Pixels of a patch's side, a divisor of 32.

        Returns:
            For each thing, one bool a patch, left to right, then down, as `PatchEmbedding` has
            them.

        Raises:
            ValueError: The patches don't divide the picture.

        Examples:
            >>> scene = Scene((Thing("square", "red", "small", 8, 8),), "a small red square")
            >>> scene.covers(16)[0].tolist()
            [True, False, False, False]
        """
        if patch_size < 1 or SIDE % patch_size:
            raise ValueError(f"patch_size: expected a divisor of {SIDE}, got {patch_size}")
        n = SIDE // patch_size
        found = []
        for thing in self.things:
            cells = outline(thing).reshape(n, patch_size, n, patch_size)
            found.append(cells.any(axis=(1, 3)).reshape(-1))
        return found


def outline(thing: Thing) -> NDArray[np.bool_]:
    """The pixels of a thing, `(32, 32)`.

    Args:
        thing: The thing.

    Returns:
        `True` where it is.

    Examples:
        >>> int(outline(Thing("square", "red", "small", 16, 16)).sum())  # 9 by 9
        81
    """
    rows, columns = np.mgrid[:SIDE, :SIDE]
    down, right, radius = rows - thing.y, columns - thing.x, SIZES[thing.size]
    if thing.shape == "circle":
        inside = down**2 + right**2 <= radius**2
    elif thing.shape == "square":
        inside = np.maximum(abs(down), abs(right)) <= radius
    else:  # a triangle, its tip above
        inside = (abs(down) <= radius) & (2 * abs(right) <= down + radius)
    return np.asarray(inside, dtype=np.bool_)


def draw(things: tuple[Thing, ...]) -> NDArray[np.uint8]:
    """Paint a scene.

    Args:
        things: What is in it; the last is painted on top.

    Returns:
        Red, green and blue from 0 to 255, `(32, 32, 3)`.

    Examples:
        >>> picture = draw((Thing("circle", "blue", "big", 10, 20),))
        >>> picture[20, 10].tolist(), picture[0, 0].tolist()
        ([0, 114, 178], [24, 24, 24])
    """
    picture = np.empty((SIDE, SIDE, 3), dtype=np.uint8)
    picture[:] = BACKGROUND
    for thing in things:
        picture[outline(thing)] = COLOURS[thing.colour]
    return picture


def place(first: Thing, second: Thing) -> str:
    """Where the first stands, seen from the second, on the axis where they are farther apart.

    Args:
        first: The thing that the sentence is about.
        second: The thing that it is compared with.

    Returns:
        "left of", "right of", "above" or "below".

    Examples:
        >>> place(Thing("circle", "red", "big", 8, 8), Thing("square", "red", "big", 24, 9))
        'left of'
    """
    across, down = first.x - second.x, first.y - second.y
    if abs(across) >= abs(down):
        return "left of" if across < 0 else "right of"
    return "above" if down < 0 else "below"


def draw_scene(generator: random.Random) -> Scene:
    """One scene: one or two things in different quarters of the picture.

    Args:
        generator: Where the chance comes from.

    Returns:
        The scene.

    Examples:
        >>> draw_scene(random.Random(3)) == draw_scene(random.Random(3))
        True
    """
    quarters = [(8, 8), (24, 8), (8, 24), (24, 24)]
    generator.shuffle(quarters)
    things = []
    for x, y in quarters[: generator.randint(1, 2)]:
        shape, colour = generator.choice(SHAPES), generator.choice(list(COLOURS))
        size = generator.choice(list(SIZES))
        # A big one fills its quarter but for a pixel.
        play = 8 - SIZES[size] - 1
        things.append(
            Thing(
                shape,
                colour,
                size,
                x + generator.randint(-play, play),
                y + generator.randint(-play, play),
            )
        )
    if len(things) == 1:
        return Scene(tuple(things), things[0].words)
    first, second = things
    return Scene(tuple(things), f"{first.words} {place(first, second)} {second.words}")


def has_unseen(scene: Scene) -> bool:
    """Whether a scene has a pair of colour and shape that is held back.

    Examples:
        >>> has_unseen(Scene((Thing("circle", "blue", "big", 8, 8),), "a big blue circle"))
        True
    """
    return any((thing.colour, thing.shape) in UNSEEN for thing in scene.things)


def scenes(n: int, *, unseen: bool = False, seed: int = 0) -> list[Scene]:
    """Draw `n` different scenes.

    Args:
        n: How many, at least 0.
        unseen: Whether each is to have a held-back pair of colour and shape, or none.
        seed: Seed of the draw.

    Returns:
        The scenes; no two have the same things at the same places.

    Raises:
        ValueError: `n` is negative.

    Examples:
        >>> [scene.caption.split()[0] for scene in scenes(2)]
        ['a', 'a']
    """
    if n < 0:
        raise ValueError(f"n: expected at least 0, got {n}")
    generator = random.Random(f"shapes:{unseen}:{seed}")
    found: dict[frozenset[Thing], Scene] = {}
    while len(found) < n:
        scene = draw_scene(generator)
        if has_unseen(scene) is unseen:
            # The picture is the same whichever thing the caption begins with.
            found.setdefault(frozenset(scene.things), scene)
    return list(found.values())


def standard_splits() -> dict[str, list[tuple[NDArray[np.uint8], str]]]:
    """The splits that the card describes: pictures `(32, 32, 3)` and captions.

    Examples:
        >>> {name: len(pairs) for name, pairs in standard_splits().items()}
        {'train': 3000, 'test': 500, 'unseen': 500}
    """
    seen = scenes(3_500)
    parts = {"train": seen[:3_000], "test": seen[3_000:], "unseen": scenes(500, unseen=True)}
    return {name: [(s.image, s.caption) for s in drawn] for name, drawn in parts.items()}
