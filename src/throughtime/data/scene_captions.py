"""What can be said of a generated scene: captions from a grammar with synonyms, and whether one is right."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import permutations
from random import Random
from typing import NamedTuple

from throughtime.data.sample_scenes import COLOURS, KINDS, RELATIONS, SIZES, Scene, SceneObject
from throughtime.errors import check_positive_integer

_SYNONYMS = {
    "circle": ("circle", "disc"),
    "square": ("square", "box"),
    "triangle": ("triangle", "wedge"),
    "cross": ("cross", "plus"),
    "small": ("small", "little"),
    "large": ("large", "big"),
    "grey": ("grey", "gray"),
    "left": ("to the left of", "left of"),
    "right": ("to the right of", "right of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
}
_MEANINGS = {word: word for word in COLOURS} | {
    said: meaning for meaning, several in _SYNONYMS.items() for said in several
}
_BEGINNINGS = ("there is ", "the picture shows ")


def _any(meanings: Iterable[str]) -> str:
    said = sorted((said for said, meaning in _MEANINGS.items() if meaning in set(meanings)), key=len, reverse=True)
    return f"({'|'.join(said)})"


_SHAPE = f"a {_any(SIZES)} {_any(COLOURS)} {_any(KINDS)}"
_PLACE = f"{_any(RELATIONS)} {_SHAPE}"
_CAPTION = re.compile(
    f"(?:(?:{'|'.join(_BEGINNINGS)}){_SHAPE}|{_SHAPE}(?: is(?= ))?)((?: {_PLACE}(?: and {_PLACE})*)?)"
)


class Mention(NamedTuple):
    """A word of a caption that names a shape.

    Attributes:
        word: its place in the caption, from 0.
        object: the shape that it names; None where the scene has none such.
    """

    word: int
    object: SceneObject | None


def scene_captions(scene: Scene, count: int, random: Random) -> tuple[str, ...]:
    """Captions that are right, and different where there are so many.

    One shape is described; of several, one is said to be left of, right of, above or below each of the others.

    Args:
        scene: what is described.
        count: how many.
        random: of the choices.

    Raises:
        ArgumentError: where ``count`` is no positive integer.
    """
    check_positive_integer("count", count)
    found: dict[str, None] = {}
    for _ in range(20 * count):
        found[_caption(scene, random)] = None
        if len(found) == count:
            break
    return tuple(found)


def is_right(caption: str, scene: Scene) -> bool:
    """Whether the caption is one that the grammar has and that says nothing false of the scene and leaves nothing out.

    >>> from throughtime.data.sample_scenes import SceneObject
    >>> disc = SceneObject("circle", "red", "small", 30, 10, 6)
    >>> scene = Scene((disc, SceneObject("square", "blue", "large", 32, 45, 11)), 64, 240, 0)
    >>> is_right("a little red disc is left of a big blue box", scene), is_right("a small red circle", scene)
    (True, False)
    """
    return _CAPTION.fullmatch(caption) is not None and _meaning(caption) in set(_meanings(scene))


def mentions(caption: str, scene: Scene) -> list[Mention]:
    """The words of a caption that name a kind of shape, each with the shape that it and its colour mean."""
    found: list[Mention] = []
    colour = ""
    for place, word in enumerate(caption.split()):
        meaning = _MEANINGS.get(word, word)
        if meaning in COLOURS:
            colour = meaning
        elif meaning in KINDS:
            own = [one for one in scene.objects if (one.colour, one.kind) == (colour, meaning)]
            found.append(Mention(place, own[0] if own else None))
    return found


def _caption(scene: Scene, random: Random) -> str:
    objects = list(scene.objects)
    random.shuffle(objects)
    first, *others = objects
    begin = random.choice(("", *_BEGINNINGS))
    described = _described(first, random)
    if not others:
        return begin + described
    places = [f"{_said(_relation(first, other), random)} {_described(other, random)}" for other in others]
    verb = " is " if not begin and random.random() < 0.5 else " "
    return f"{begin}{described}{verb}{' and '.join(places)}"


def _described(one: SceneObject, random: Random) -> str:
    return f"a {_said(one.size, random)} {_said(one.colour, random)} {_said(one.kind, random)}"


def _said(meaning: str, random: Random) -> str:
    return random.choice(_SYNONYMS.get(meaning, (meaning,)))


def _relation(one: SceneObject, other: SceneObject) -> str:
    return one.relation(other) or "beside"


def _meanings(scene: Scene) -> Iterator[tuple[str, ...]]:
    """What all right captions mean, in order."""
    for first, *others in permutations(scene.objects):
        words = [first.size, first.colour, first.kind]
        for other in others:
            words += [_relation(first, other), other.size, other.colour, other.kind]
        yield tuple(words)


def _meaning(caption: str) -> tuple[str, ...]:
    """The sizes, colours, kinds and relations of a caption, in order."""
    return tuple(_MEANINGS[said] for said in re.findall(rf"\b{_any(_MEANINGS.values())}\b", caption))
