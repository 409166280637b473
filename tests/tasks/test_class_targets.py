from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from throughtime import LabelledText
from throughtime.errors import ArgumentError, DataError
from throughtime.tasks.class_targets import ClassTargets

TRAIN = LabelledText.of(["one", "two", "three", "four"], ["b", "a", "b", "b"], "train")
SEVERAL = LabelledText.of(["one", "two", "three"], [["a", "b"], [], ["b"]], "several")


def test_labels_become_numbers_and_come_back() -> None:
    targets = ClassTargets.of(TRAIN, [], multi_label=False)
    encoded = targets.encode(TRAIN)
    assert encoded.tolist() == [1, 0, 1, 1]
    assert targets.names(encoded) == TRAIN.labels
    several = ClassTargets.of(SEVERAL, [], multi_label=True)
    assert several.encode(SEVERAL).tolist() == [[True, True], [False, False], [False, True]]
    assert several.names(several.encode(SEVERAL)) == SEVERAL.labels


def test_what_has_no_label_cannot_be_judged() -> None:
    targets = ClassTargets(("a", "b"), multi_label=False)
    with pytest.raises(DataError, match="has no label to compare with"):
        targets.encode(LabelledText.of(["one", "two"], ["a", []]))


def test_probabilities_are_shared_out_or_each_on_its_own() -> None:
    scores = torch.randn(4, 2)
    one = ClassTargets(("a", "b")).probabilities(scores)
    torch.testing.assert_close(one.sum(-1), torch.ones(4))
    several = ClassTargets(("a", "b"), multi_label=True)
    torch.testing.assert_close(several.probabilities(scores), torch.sigmoid(scores))
    assert several.likely(torch.tensor([[0.7, 0.2], [0.1, 0.5]])).tolist() == [[True, False], [False, True]]


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    targets = ClassTargets.of(TRAIN, [], multi_label=False)
    encoded = targets.encode(TRAIN)
    weights = targets.weights("balanced", encoded)
    assert weights is not None
    expected = compute_class_weight("balanced", classes=np.array([0, 1]), y=encoded.numpy())
    assert weights.tolist() == pytest.approx(expected.tolist())
    several = ClassTargets.of(SEVERAL, [], multi_label=True)
    balanced = several.weights("balanced", several.encode(SEVERAL))
    assert balanced is not None
    assert balanced.tolist() == [2.0, 0.5]


def test_weights_can_be_spoken() -> None:
    targets = ClassTargets(("a", "b=c"))
    given = targets.weights("b=c=3", torch.tensor([0, 1]))
    assert given is not None
    assert given.tolist() == [1.0, 3.0]
    assert targets.weights(None, torch.tensor([0, 1])) is None
    with pytest.raises(ArgumentError, match="`class_weights` has the class 'd'; there are a, b=c"):
        targets.weights("d=2", torch.tensor([0, 1]))
    for wrong in ("a", "a=0", "a=much", "=", "a=inf"):
        with pytest.raises(ArgumentError, match="class weights are 'balanced', or written like"):
            targets.weights(wrong, torch.tensor([0, 1]))


@pytest.mark.parametrize(
    ("train", "other", "message"),
    [
        (LabelledText.of(["x", "y"], ["a", "a"], "data.csv"), None, r"data\.csv: all 2 examples are labelled 'a'"),
        (SEVERAL, None, r"several\[0\]: must have one label, has 2 \(a, b\); .* need --multi-label"),
        (TRAIN, LabelledText.of(["x"], ["c"], "dev.csv"), r"dev\.csv\[0\]: the label 'c' is not among .*: a, b"),
    ],
)
def test_labels_that_cannot_be_learned_are_one_sentence(
    train: LabelledText, other: LabelledText | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        ClassTargets.of(train, [other] if other else [], multi_label=False)


def test_without_any_label_there_is_nothing_to_learn() -> None:
    with pytest.raises(DataError, match="no example has a label"):
        ClassTargets.of(LabelledText.of(["x", "y"], [[], []]), [], multi_label=True)
