from __future__ import annotations

from itertools import combinations
from random import Random

import numpy as np
import pytest

from throughtime.data import is_right, mentions, sample_scenes, scene_captions
from throughtime.data.sample_scenes import COLOURS, COMBINATIONS, RELATIONS, Scene, SceneObject
from throughtime.errors import ArgumentError

SCENES = sample_scenes(60, seed=3)


def test_each_shape_is_drawn_where_it_is_said_to_be_in_its_colour() -> None:
    for scene in SCENES[:20]:
        pixels = scene.pixels().astype(int)
        assert pixels.shape == (64, 64, 3)
        for one in scene.objects:
            top, left, bottom, right = one.box
            middle = pixels[round(one.row), round(one.column)]
            assert abs(middle - COLOURS[one.colour]).max() < 30
            assert 0 <= top < bottom <= 64
            assert 0 <= left < right <= 64
        apart = np.ones((64, 64), bool)
        for one in scene.objects:
            top, left, bottom, right = (round(edge) for edge in one.box)
            apart[max(top - 1, 0) : bottom + 2, max(left - 1, 0) : right + 2] = False
        assert abs(pixels[apart] - scene.ground).max() < 35


def test_kinds_have_the_areas_that_geometry_gives_them() -> None:
    for kind, area in (
        ("circle", np.pi),
        ("triangle", 2.0),
        ("cross", 2 * 4 * 0.33 - 4 * 0.33**2),
        ("square", 4 * 0.86**2),
    ):
        one = SceneObject(kind, "blue", "large", 32, 32, 20)
        pixels = Scene((one,), 64, 240, 0).pixels()
        covered = (240 - pixels[..., 0].astype(float)) / (240 - COLOURS["blue"][0])
        assert covered.sum() / 20**2 == pytest.approx(area, rel=0.04)


def test_shapes_stand_apart_and_every_pair_has_a_relation_and_its_reverse() -> None:
    for scene in SCENES:
        assert len({(one.colour, one.kind) for one in scene.objects}) == len(scene.objects)
        for one, other in combinations(scene.objects, 2):
            relation = one.relation(other)
            assert relation is not None
            assert other.relation(one) == RELATIONS[relation]
    first = SceneObject("circle", "red", "small", 10, 10, 5)
    second = SceneObject("circle", "red", "small", 10, 40, 5)
    assert first.relation(second) == "left"
    assert SceneObject("circle", "red", "small", 40, 40, 5).relation(first) is None


def test_captions_are_right_for_their_scene_and_wrong_for_one_that_differs_in_anything() -> None:
    random = Random(0)  # noqa: S311 - no secrets here
    for scene in SCENES:
        captions = scene_captions(scene, 5, random)
        assert len(set(captions)) == 5
        assert all(is_right(caption, scene) for caption in captions)
        one = scene.objects[0]
        colour = next(name for name in COLOURS if name != one.colour)
        changed = SceneObject(one.kind, colour, one.size, one.row, one.column, one.radius)
        other = Scene((changed, *scene.objects[1:]), 64, scene.ground, scene.seed)
        assert not any(is_right(caption, other) for caption in captions)
        more = Scene((*scene.objects, changed), 64, scene.ground, scene.seed)
        assert not any(is_right(caption, more) for caption in captions)
        for caption in captions:
            found = mentions(caption, scene)
            assert {mention.object for mention in found} == set(scene.objects)
            words = caption.split()
            assert all(
                words[word] in {"circle", "disc", "square", "box", "triangle", "wedge", "cross", "plus"}
                for word, _ in found
            )


@pytest.mark.parametrize(
    "caption",
    [
        "",
        "a small red circle small",
        "small red circle",
        "a a small red circle",
        "a small red circle is",
        "a red circle",
    ],
)
def test_what_the_grammar_does_not_have_is_no_right_caption(caption: str) -> None:
    scene = Scene((SceneObject("circle", "red", "small", 30, 30, 6),), 64, 240, 0)
    assert is_right("a small red circle", scene)
    assert is_right("there is a little red disc", scene)
    assert not is_right(caption, scene)


def test_combinations_can_be_held_out_and_asked_for() -> None:
    held_out = {("red", "circle"), ("blue", "cross")}
    without = sample_scenes(80, combinations=COMBINATIONS - held_out)
    assert not any((one.colour, one.kind) in held_out for scene in without for one in scene.objects)
    asked = sample_scenes(30, combinations=COMBINATIONS - held_out, must_have=held_out)
    assert all(any((one.colour, one.kind) in held_out for one in scene.objects) for scene in asked)
    with pytest.raises(ArgumentError, match="must pair a colour and a kind"):
        sample_scenes(1, combinations={("red", "pentagon")})


def test_a_seed_gives_the_same_scenes() -> None:
    assert sample_scenes(5, seed=7) == sample_scenes(5, seed=7)
    assert sample_scenes(5, seed=7) != sample_scenes(5, seed=8)
    assert (SCENES[0].pixels() == SCENES[0].pixels()).all()
