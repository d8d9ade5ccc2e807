"""Scenes of shapes: pixels, captions and places agree; what is held back is held back."""

from __future__ import annotations

import numpy as np
import pytest

from attention_guide.data.shapes import (
    BACKGROUND,
    COLOURS,
    SHAPES,
    SIZES,
    UNSEEN,
    Scene,
    Thing,
    draw,
    has_unseen,
    outline,
    place,
    scenes,
    standard_splits,
)

SOME = scenes(300)


def test_a_caption_says_what_is_there() -> None:
    for scene in SOME:
        assert scene.caption.startswith(scene.things[0].words)
        assert scene.caption.endswith(scene.things[-1].words)
        if len(scene.things) == 2:
            first, second = scene.things
            middle = scene.caption.removeprefix(first.words).removesuffix(second.words).strip()
            away = {
                "left of": second.x - first.x, "right of": first.x - second.x,
                "above": second.y - first.y, "below": first.y - second.y,
            }  # fmt: skip
            assert away[middle] == max(away.values()) > 0


def test_pixels_have_the_colours_of_the_things_and_no_others() -> None:
    for scene in SOME:
        found = {tuple(pixel) for pixel in scene.image.reshape(-1, 3).tolist()}
        assert found == {BACKGROUND, *(COLOURS[thing.colour] for thing in scene.things)}


def test_things_never_touch_and_are_whole() -> None:
    for scene in SOME:
        masks = [outline(thing) for thing in scene.things]
        assert sum(mask.astype(int) for mask in masks).max() == 1
        for mask in masks:
            rows, columns = np.nonzero(mask)
            assert 1 <= rows.min() <= rows.max() <= 31
            assert 1 <= columns.min() <= columns.max() <= 31


def test_outlines() -> None:
    areas = {shape: int(outline(Thing(shape, "red", "big", 16, 16)).sum()) for shape in SHAPES}
    assert areas["square"] == 15 * 15
    assert areas["triangle"] < areas["circle"] < areas["square"]
    assert abs(areas["circle"] / (np.pi * 7**2) - 1) < 0.05
    triangle = outline(Thing("triangle", "red", "big", 16, 16))
    widths = triangle.sum(axis=1)[9:24]
    assert widths[0] == 1
    assert (np.diff(widths) >= 0).all()


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("hexagon", "red", "big"), "shape"),
        (("circle", "beige", "big"), "colour"),
        (("circle", "red", "huge"), "size"),
    ],
)
def test_what_cannot_be_drawn_is_refused(words: tuple[str, str, str], name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected one of"):
        Thing(*words, 16, 16)


def test_covers_are_the_patches_with_pixels() -> None:
    scene = next(s for s in SOME if len(s.things) == 2)
    for patch in (4, 8, 16):
        n = 32 // patch
        for thing, cover in zip(scene.things, scene.covers(patch), strict=True):
            mask = outline(thing)
            for i in range(n * n):
                row, column = divmod(i, n)
                cell = mask[row * patch : (row + 1) * patch, column * patch : (column + 1) * patch]
                assert cover[i] == cell.any()
    with pytest.raises(ValueError, match="patch_size: expected a divisor of 32, got 5"):
        scene.covers(5)


def test_places() -> None:
    def at(x: int, y: int) -> Thing:
        return Thing("circle", "red", "small", x, y)

    assert place(at(9, 9), at(20, 8)) == "left of"
    assert place(at(20, 9), at(8, 8)) == "right of"
    assert place(at(9, 9), at(8, 20)) == "above"
    assert place(at(9, 20), at(8, 8)) == "below"


def test_splits_share_no_scene_and_no_held_back_pair() -> None:
    splits = standard_splits()
    pictures = {name: {image.tobytes() for image, _ in pairs} for name, pairs in splits.items()}
    assert not pictures["train"] & pictures["test"]
    for name in ("train", "test"):
        for _, caption in splits[name]:
            assert not any(f"{colour} {shape}" in caption for colour, shape in UNSEEN)
    for _, caption in splits["unseen"]:
        assert any(f"{colour} {shape}" in caption for colour, shape in UNSEEN)
    words = {word for _, caption in splits["train"] for word in caption.split()}
    assert {*SHAPES, *COLOURS, *SIZES} <= words
    assert {word for _, caption in splits["unseen"] for word in caption.split()} <= words


def test_a_seed_gives_the_same_scenes() -> None:
    assert scenes(5, seed=1) == scenes(9, seed=1)[:5] != scenes(5, seed=2)
    assert all(has_unseen(scene) for scene in scenes(5, unseen=True))
    assert scenes(0) == []
    with pytest.raises(ValueError, match="n: expected at least 0, got -1"):
        scenes(-1)
    assert Scene((), "nothing").image.shape == draw(()).shape == (32, 32, 3)
