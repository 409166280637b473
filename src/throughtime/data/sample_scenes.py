"""Generated scenes: a few coloured shapes of two sizes, whose places are known, drawn by numpy alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import product
from random import Random

import numpy as np
import numpy.typing as npt

from throughtime.data.images import Pixels
from throughtime.errors import ArgumentError, check_positive_integer, check_range

COLOURS = {
    "red": (214, 39, 40),
    "green": (44, 160, 44),
    "blue": (40, 90, 200),
    "yellow": (240, 200, 30),
    "purple": (148, 70, 190),
    "grey": (120, 120, 120),
}
"""The colours of shapes: red, green and blue from 0 to 255."""
KINDS = ("circle", "square", "triangle", "cross")
"""The kinds of shapes."""
SIZES = {"small": 0.09, "large": 0.17}
"""Half the width of a shape, as a share of the scene's side."""
RELATIONS = {"left": "right", "right": "left", "above": "below", "below": "above"}
"""Where one shape is from another's view, and where the other is then."""
COMBINATIONS = frozenset(product(COLOURS, KINDS))
"""All colours with all kinds."""

CLEARER = 1.4
_SUPERSAMPLING = 3
_TRIES = 200


@dataclass(frozen=True)
class SceneObject:
    """A shape of a scene.

    Attributes:
        kind: one of KINDS.
        colour: one of COLOURS.
        size: one of SIZES.
        row: of its centre, in pixels from the top.
        column: of its centre, in pixels from the left.
        radius: half its width, in pixels.
    """

    kind: str
    colour: str
    size: str
    row: float
    column: float
    radius: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Top, left, bottom and right, in pixels."""
        return self.row - self.radius, self.column - self.radius, self.row + self.radius, self.column + self.radius

    def relation(self, other: SceneObject) -> str | None:
        """Where this shape is from the other's view: left, right, above or below; None where it is neither clearly."""
        right, down = self.column - other.column, self.row - other.row
        if abs(right) > CLEARER * abs(down):
            return "right" if right > 0 else "left"
        if abs(down) > CLEARER * abs(right):
            return "below" if down > 0 else "above"
        return None

    def covers(self, rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Whether points, in pixels, lie within the shape."""
        down, right = (rows - self.row) / self.radius, (columns - self.column) / self.radius
        inside = np.maximum(abs(down), abs(right)) <= 1
        if self.kind == "circle":
            return down**2 + right**2 <= 1
        if self.kind == "triangle":
            return inside & (abs(right) <= (down + 1) / 2)
        if self.kind == "cross":
            return inside & (np.minimum(abs(down), abs(right)) <= 0.33)
        return np.maximum(abs(down), abs(right)) <= 0.86


@dataclass(frozen=True)
class Scene:
    """Shapes on a light ground, none of them over another.

    Attributes:
        objects: the shapes; no two are alike in colour and kind.
        side: height and width, in pixels.
        ground: how light the ground is, from 0 to 255.
        seed: of the noise that lies over it.
    """

    objects: tuple[SceneObject, ...]
    side: int
    ground: int
    seed: int

    def pixels(self) -> Pixels:
        """Draw the scene, shape (side, side, 3)."""
        steps = (np.arange(self.side * _SUPERSAMPLING) + 0.5) / _SUPERSAMPLING
        rows, columns = np.meshgrid(steps, steps, indexing="ij")
        fine = np.full((*rows.shape, 3), float(self.ground))
        for one in self.objects:
            fine[one.covers(rows, columns)] = COLOURS[one.colour]
        blocks = fine.reshape(self.side, _SUPERSAMPLING, self.side, _SUPERSAMPLING, 3)
        noise = np.random.default_rng(self.seed).normal(0, 5, (self.side, self.side, 3))
        return (blocks.mean((1, 3)) + noise).clip(0, 255).astype(np.uint8)


def sample_scenes(
    count: int,
    *,
    seed: int = 0,
    side: int = 64,
    objects: tuple[int, int] = (1, 3),
    combinations: Collection[tuple[str, str]] = COMBINATIONS,
    must_have: Collection[tuple[str, str]] = (),
) -> list[Scene]:
    """Make scenes, in each of which the shapes stand clearly beside, above or below one another.

    Args:
        count: how many.
        seed: of the choices.
        side: height and width, in pixels.
        objects: how many shapes a scene has, at least and at most.
        combinations: which colours may have which kinds.
        must_have: of these combinations each scene has one at least, beside those above.

    Raises:
        ArgumentError: for a number or a combination that can't be.
    """
    check_positive_integer("count", count)
    check_range("side", side, low=16)
    check_range("objects", objects[0], low=1)
    check_range("objects", objects[1], low=objects[0], high=6)
    known, wanted = sorted(combinations), sorted(must_have)
    for combination in (*known, *wanted):
        if combination not in COMBINATIONS:
            raise ArgumentError(f"`combinations` must pair a colour and a kind, got {combination!r}")
    if len(known) + len(wanted) < objects[1]:
        raise ArgumentError(f"`combinations` must be at least {objects[1]}, got {len(known) + len(wanted)}")
    random = Random(seed)  # noqa: S311 - no secrets here
    return [_scene(random, side, random.randint(*objects), known, wanted) for _ in range(count)]


def _scene(random: Random, side: int, count: int, known: list[tuple[str, str]], wanted: list[tuple[str, str]]) -> Scene:
    while True:
        first = [random.choice(wanted)] if wanted else []
        others = random.sample([one for one in known if one not in first], count - len(first))
        chosen = first + others
        random.shuffle(chosen)
        placed = _placed(random, side, chosen)
        if placed is not None:
            return Scene(placed, side, random.randint(225, 250), random.randrange(2**31))


def _placed(random: Random, side: int, chosen: list[tuple[str, str]]) -> tuple[SceneObject, ...] | None:
    placed: list[SceneObject] = []
    tries = 0
    while len(placed) < len(chosen) and tries < _TRIES:
        tries += 1
        colour, kind = chosen[len(placed)]
        size = random.choice(list(SIZES))
        radius = SIZES[size] * side
        row, column = (random.uniform(radius + 1, side - radius - 1) for _ in range(2))
        one = SceneObject(kind, colour, size, row, column, radius)
        if all(one.relation(other) and _apart(one, other) for other in placed):
            placed.append(one)
    return tuple(placed) if len(placed) == len(chosen) else None


def _apart(one: SceneObject, other: SceneObject) -> bool:
    gap = max(abs(one.row - other.row), abs(one.column - other.column))
    return gap > one.radius + other.radius + 2
