"""Generated reviews, of which a classifier learns in seconds whether they praise or complain."""

from __future__ import annotations

from random import Random

from throughtime.data.labelled_text import Example, LabelledText
from throughtime.errors import check_positive_integer

_THINGS = (
    "film",
    "book",
    "meal",
    "hotel",
    "concert",
    "phone",
    "chair",
    "museum",
    "coffee",
    "lamp",
    "garden",
    "bicycle",
)
_PARTS = ("the beginning", "the end", "the service", "the price", "the colour", "the sound", "every detail", "the idea")
_GOOD = ("wonderful", "charming", "excellent", "delightful", "brilliant", "lovely", "superb", "pleasant")
_BAD = ("dreadful", "boring", "terrible", "disappointing", "awful", "clumsy", "tedious", "annoying")
_PLAIN = ("large", "green", "modern", "quiet", "famous", "small", "foreign", "wooden")
_FORMS = (
    "the {plain} {thing} was {word} .",
    "a {word} {thing} , and {part} was {plain} .",
    "we found {part} of the {thing} {word} .",
    "my aunt called the {plain} {thing} {word} .",
    "{part} of this {thing} is {word} , says my {plain} neighbour .",
)
_TURNS = (
    "i expected a {other} {thing} , but it was {word} .",
    "not {other} at all : the {thing} was {word} .",
    "some call the {thing} {other} ; it is {word} .",
    "the {thing} is anything but {other} .",
)


def sample_reviews(count: int = 2_000, *, seed: int = 0) -> LabelledText:
    """Reviews of things, labelled "good" or "bad".

    In some, a word of praise or blame is taken back, so that no single word tells.

    Args:
        count: how many reviews.
        seed: of the choices.

    Raises:
        ArgumentError: where ``count`` is no positive integer.
    """
    check_positive_integer("count", count)
    random = Random(seed)  # noqa: S311 - no secrets here
    return LabelledText(tuple(_review(random, number) for number in range(count)), "generated reviews")


def _review(random: Random, number: int) -> Example:
    label = random.choice(("good", "bad"))
    own, others = (_GOOD, _BAD) if label == "good" else (_BAD, _GOOD)
    words = {
        "word": random.choice(own),
        "other": random.choice(others),
        "thing": random.choice(_THINGS),
        "part": random.choice(_PARTS),
        "plain": random.choice(_PLAIN),
    }
    forms = _TURNS if random.random() < 0.4 else _FORMS
    return Example(random.choice(forms).format(**words), (label,), f"generated reviews:{number + 1}")
