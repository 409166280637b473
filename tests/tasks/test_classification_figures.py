from __future__ import annotations

from pathlib import Path

import pytest
import torch

from throughtime.tasks.classification_figures import (
    accuracy,
    calibration,
    class_figures,
    confusion,
    expected_calibration_error,
    macro_f1,
    plot_confusion,
)

RIGHT = torch.tensor([0, 0, 0, 1, 1, 2])
LIKELY = torch.tensor([0, 0, 1, 1, 2, 2])


def test_figures_are_what_their_definitions_say() -> None:
    assert accuracy(LIKELY, RIGHT) == pytest.approx(4 / 6)
    # precision 1, 1/2, 1/2; recall 2/3, 1/2, 1
    assert macro_f1(LIKELY, RIGHT) == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)
    table = class_figures(LIKELY, RIGHT, ["x", "y", "z"])
    assert [(row.label, row.precision, row.examples) for row in table] == [("x", 1, 3), ("y", 0.5, 2), ("z", 0.5, 1)]
    assert confusion(LIKELY, RIGHT, 3) == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]


def test_of_several_labels_all_must_be_right() -> None:
    right = torch.tensor([[True, False], [True, True], [False, False]])
    likely = torch.tensor([[True, False], [True, False], [False, False]])
    assert accuracy(likely, right) == pytest.approx(2 / 3)
    assert macro_f1(likely, right) == pytest.approx(0.5)
    assert [row.recall for row in class_figures(likely, right, ["x", "y"])] == [1, 0]


def test_calibration_compares_what_was_promised_with_what_came_true() -> None:
    # Eight predictions at 0.75 of which six are right, and four at 0.95 of which two are.
    probabilities = torch.tensor([[0.75, 0.25]] * 8 + [[0.05, 0.95]] * 4)
    targets = torch.tensor([0] * 6 + [1] * 2 + [1, 1, 0, 0])
    bins = calibration(probabilities, targets)
    assert [one.predictions for one in bins] == [0, 0, 0, 0, 0, 0, 0, 8, 0, 4]
    assert bins[7].accuracy == 0.75
    assert expected_calibration_error(bins) == pytest.approx(4 / 12 * (0.95 - 0.5), abs=1e-6)
    certain = calibration(torch.eye(3), torch.arange(3))
    assert expected_calibration_error(certain) == 0


def test_calibration_of_several_labels_takes_each_yes_and_no() -> None:
    probabilities = torch.tensor([[0.95, 0.25], [0.95, 0.25]])
    bins = calibration(probabilities, torch.tensor([[True, False], [True, True]]))
    assert sum(one.predictions for one in bins) == 4
    assert expected_calibration_error(bins) == pytest.approx(0.5 * 0.05 + 0.5 * (0.75 - 0.5), abs=1e-6)


@pytest.mark.parametrize("count", [2, 40])
def test_the_picture_of_confusion_is_a_png(tmp_path: Path, count: int) -> None:
    plot_confusion([[1] * count] * count, [f"class {number}" for number in range(count)], tmp_path / "confusion.png")
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")
