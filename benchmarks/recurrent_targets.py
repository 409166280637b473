"""What `recurrent.py` measures against: the shapes, and for each figure the target and the higher aim."""

from __future__ import annotations

from typing import NamedTuple


class Shape(NamedTuple):
    batch: int
    input_size: int
    hidden_size: int

    def __str__(self) -> str:
        return f"{self.batch},{self.input_size},{self.hidden_size}"


class Target(NamedTuple):
    """A ratio that is to be reached, and the one that is hoped for; ``at_most`` where a low ratio is the good one."""

    goal: float
    aim: float | None = None
    at_most: bool = False

    def reached_by(self, ratio: float) -> bool:
        """Whether the ratio is as good as the goal."""
        return ratio <= self.goal if self.at_most else ratio >= self.goal

    def __str__(self) -> str:
        goal = f"{'≤' if self.at_most else '≥'} {self.goal:g}"
        return goal if self.aim is None else f"{goal} ({self.aim:g})"


SHAPES = (
    Shape(1, 64, 64),
    Shape(32, 64, 128),
    Shape(32, 256, 256),
    Shape(64, 512, 512),
    Shape(1, 512, 512),
    Shape(16, 1024, 1024),
)
TIME = 100
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}

# (target, aim) for each of SHAPES, in their order, of the peer's time over ours.
_RATIOS: dict[tuple[str, str, str], tuple[tuple[float, float] | None, ...]] = {
    ("layers", "GRU", "train"): ((15, 40), (3.5, 6), (2.1, 4), (1.5, 2.7), (5, 8), (1.8, 3)),
    ("layers", "GRU", "inference"): ((14, 25), (3.5, 6), (2, 4), (1.9, 3), (2.2, 3), (1.9, 3)),
    ("layers", "LSTM", "train"): ((2.5, 6), (1.3, 2.2), (1.35, 2.2), (1.25, 2.2), (1.4, 2.2), (1.2, 1.8)),
    ("layers", "LSTM", "inference"): ((3, 6), (1.5, 2.5), (1.15, 2), (1.35, 2.2), (1.25, 1.8), (1.4, 2)),
    ("bfloat16", "GRU", "train"): (None, (9, 15), (5.5, 9), (3.2, 6), None, (3.8, 6)),
    ("bfloat16", "LSTM", "train"): (None, (2.1, 4), (1.6, 3), (1.7, 3), None, (2.3, 3.5)),
}
_PYTHON_LOOP = dict(zip(SHAPES, (40, 11, 5, 8, 6, 3), strict=True))
_STREAMING_FLOAT32 = {64: 10, 256: 4, 512: 1.4}

OTHER_CELL = Target(1.3, at_most=True)
REGULARISATION = Target(1.15, at_most=True)
RAGGED = Target(1.1, at_most=True)
NOT_SLOWER = Target(1)
# How far the largest error may exceed the peer's: both are of the peer's precision, and bfloat16 has much to lose.
ERROR_LIMITS = {"float32": 2.0, "bfloat16": 1.0}


def layer_target(section: str, layer: str, work: str, shape: Shape) -> Target | None:
    """Look up what a layer is to reach against torch.nn in ``section`` ("layers" or "bfloat16")."""
    if shape not in SHAPES:
        return None
    if section == "layers" and layer == "RNN":
        return Target(5 if shape.batch == 1 else 1.5)
    ratios = _RATIOS.get((section, layer, work))
    pair = ratios[SHAPES.index(shape)] if ratios else None
    return Target(*pair) if pair else None


def python_loop_target(shape: Shape) -> Target | None:
    return Target(_PYTHON_LOOP[shape]) if shape in _PYTHON_LOOP else None


def streaming_target(size: int, weights: str, peer: str) -> Target | None:
    """Look up what a step at batch 1 is to reach against torch.nn's cells, and against its LSTM called with T = 1."""
    if peer == "LSTM, T = 1":
        return Target(15) if size == 512 else None
    if peer not in {"LSTMCell", "GRUCell"}:
        return None
    if weights == "bfloat16":
        return Target(5) if size == 512 else None
    goal = _STREAMING_FLOAT32.get(size) if weights == "float32" else None
    return Target(goal) if goal else None
