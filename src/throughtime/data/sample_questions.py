"""Generated questions about pictures: a simple set like easy-VQA's, and Sort-of-CLEVR, which needs relations."""

from __future__ import annotations

from random import Random

import numpy as np

from throughtime.data.images import Pixels
from throughtime.data.visual_questions import VisualQuestions
from throughtime.errors import check_positive_integer

COLOURS = {
    "black": (0, 0, 0),
    "grey": (128, 128, 128),
    "red": (230, 30, 30),
    "blue": (30, 60, 230),
    "green": (30, 160, 50),
    "yellow": (235, 215, 30),
    "teal": (0, 150, 150),
    "brown": (140, 80, 30),
}
"""The colours of the simple questions' shapes: red, green and blue from 0 to 255."""
SHAPES = ("circle", "rectangle", "triangle")

CLEVR_COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 160, 0),
    "blue": (0, 0, 255),
    "orange": (255, 156, 0),
    "grey": (128, 128, 128),
    "yellow": (255, 255, 0),
}
"""The colours of Sort-of-CLEVR's six objects."""
CLEVR_SIDE = 75
CLEVR_RADIUS = 5
NON_RELATIONAL, RELATIONAL = "non-relational", "relational"


def sample_questions(pictures: int = 1_000, *, seed: int = 0, side: int = 64) -> VisualQuestions:
    """Pictures with one coloured shape, and questions about its colour, its shape, and whether something is there.

    Like easy-VQA (V. Zhou, 2019): thirteen answers, about as many questions with yes as with no.

    Args:
        pictures: how many.
        seed: of the choices.
        side: height and width, in pixels.

    Raises:
        ArgumentError: where a number is no positive integer.
    """
    check_positive_integer("pictures", pictures)
    check_positive_integer("side", side)
    random = Random(seed)  # noqa: S311 - no secrets here
    drawn: list[Pixels] = []
    questions: list[tuple[int, str, str]] = []
    for number in range(pictures):
        shape, colour = random.choice(SHAPES), random.choice(list(COLOURS))
        drawn.append(_simple_picture(random, shape, COLOURS[colour], side))
        questions += [(number, question, answer) for question, answer in _simple_questions(random, shape, colour)]
    return VisualQuestions.of(drawn, questions, name="generated questions")


def sort_of_clevr(pictures: int = 1_000, *, seed: int = 0, questions_each: int = 10) -> VisualQuestions:
    """Sort-of-CLEVR (Santoro et al. 2017): six objects, each of another colour; questions with and without relations.

    Pictures of 75 x 75 pixels, with circles and squares. Without a relation: the shape of an object, and whether it is
    on the left or at the top. With one: the shape of the object nearest to it, and farthest from it, and how many have
    its shape. Ten answers. Half of the questions are of either kind.

    Args:
        pictures: how many.
        seed: of the choices.
        questions_each: of either kind about each picture.

    Raises:
        ArgumentError: where a number is no positive integer.
    """
    check_positive_integer("pictures", pictures)
    check_positive_integer("questions_each", questions_each)
    random = Random(seed)  # noqa: S311 - no secrets here
    drawn: list[Pixels] = []
    questions: list[tuple[int, str, str]] = []
    kinds: list[str] = []
    for number in range(pictures):
        objects = _clevr_objects(random)
        drawn.append(_clevr_picture(objects))
        for kind, asks in ((NON_RELATIONAL, _non_relational), (RELATIONAL, _relational)):
            for _ in range(questions_each):
                questions.append((number, *asks(random, objects)))
                kinds.append(kind)
    return VisualQuestions.of(drawn, questions, kinds=kinds, name="Sort-of-CLEVR")


def _simple_picture(random: Random, shape: str, colour: tuple[int, int, int], side: int) -> Pixels:
    ground = [random.randint(225, 255) for _ in range(3)]
    picture = np.full((side, side, 3), ground, dtype=np.float64)
    rows, columns = np.mgrid[:side, :side] + 0.5
    half_height, half_width = (random.uniform(0.13, 0.3) * side for _ in range(2))
    if shape == "circle":
        half_width = half_height
    top, left = (random.uniform(half, side - half) for half in (half_height, half_width))
    down, right = (rows - top) / half_height, (columns - left) / half_width
    if shape == "circle":
        inside = down**2 + right**2 <= 1
    elif shape == "rectangle":
        inside = np.maximum(abs(down), abs(right)) <= 1
    else:
        inside = (abs(down) <= 1) & (abs(right) <= (down + 1) / 2)
    picture[inside] = colour
    return picture.astype(np.uint8)


def _simple_questions(random: Random, shape: str, colour: str) -> list[tuple[str, str]]:
    other_shape = random.choice([one for one in SHAPES if one != shape])
    other_colour = random.choice([one for one in COLOURS if one != colour])
    asked_shape, asked_colour = random.choice((shape, other_shape)), random.choice((colour, other_colour))
    yes = {True: "yes", False: "no"}
    found = [
        (random.choice((f"what color is the {shape}?", "what is the color of the shape?")), colour),
        (random.choice(("what shape is in the image?", "what shape does the image contain?")), shape),
        (random.choice((f"is there a {asked_shape}?", f"does the image contain a {asked_shape}?")),
         yes[asked_shape == shape]),
        (random.choice((f"is there a {asked_colour} shape?", f"is a {asked_colour} shape present?")),
         yes[asked_colour == colour]),
        (f"does the image not contain a {asked_shape}?", yes[asked_shape != shape]),
        (f"is no {asked_colour} shape present?", yes[asked_colour != colour]),
    ]  # fmt: skip
    return random.sample(found, 5)


_Objects = dict[str, tuple[str, int, int]]
"""Of each colour: circle or square, and the row and column of the centre."""


def _clevr_objects(random: Random) -> _Objects:
    """Place the objects, none over another, so that it is clear which is nearest to each, and which farthest."""
    while True:
        objects: _Objects = {}
        for colour in CLEVR_COLOURS:
            objects[colour] = random.choice(("circle", "square")), *_free_place(random, objects)
        if all(len(_by_distance(objects, colour)) == len(objects) - 1 for colour in objects):
            return objects


def _free_place(random: Random, objects: _Objects) -> tuple[int, int]:
    while True:
        row, column = (random.randint(CLEVR_RADIUS, CLEVR_SIDE - CLEVR_RADIUS - 1) for _ in range(2))
        if all(max(abs(row - y), abs(column - x)) > 2 * CLEVR_RADIUS for _, y, x in objects.values()):
            return row, column


def _by_distance(objects: _Objects, colour: str) -> dict[int, str]:
    """The shapes of the other objects by the square of their distance."""
    _, row, column = objects[colour]
    return {(y - row) ** 2 + (x - column) ** 2: shape for name, (shape, y, x) in objects.items() if name != colour}


def _clevr_picture(objects: _Objects) -> Pixels:
    picture = np.full((CLEVR_SIDE, CLEVR_SIDE, 3), 255, dtype=np.uint8)
    rows, columns = np.mgrid[:CLEVR_SIDE, :CLEVR_SIDE]
    for colour, (shape, row, column) in objects.items():
        down, right = abs(rows - row), abs(columns - column)
        inside = down**2 + right**2 <= CLEVR_RADIUS**2 if shape == "circle" else np.maximum(down, right) <= CLEVR_RADIUS
        picture[inside] = CLEVR_COLOURS[colour]
    return picture


def _non_relational(random: Random, objects: _Objects) -> tuple[str, str]:
    colour = random.choice(list(objects))
    shape, row, column = objects[colour]
    middle = CLEVR_SIDE / 2
    return random.choice((
        (f"what is the shape of the {colour} object?", shape),
        (f"is the {colour} object on the left?", "yes" if column < middle else "no"),
        (f"is the {colour} object at the top?", "yes" if row < middle else "no"),
    ))  # fmt: skip


def _relational(random: Random, objects: _Objects) -> tuple[str, str]:
    colour = random.choice(list(objects))
    shape, others = objects[colour][0], _by_distance(objects, colour)
    alike = sum(other == shape for other, _, _ in objects.values())
    return random.choice((
        (f"what is the shape of the object nearest to the {colour} object?", others[min(others)]),
        (f"what is the shape of the object farthest from the {colour} object?", others[max(others)]),
        (f"how many objects have the shape of the {colour} object?", str(alike)),
    ))  # fmt: skip
