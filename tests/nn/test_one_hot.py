from __future__ import annotations

import pytest
import torch
from torch.nn.functional import linear, one_hot

from throughtime.errors import ArgumentError
from throughtime.nn import OneHot, OneHotLinear


@pytest.mark.parametrize("shape", [(), (4,), (3, 5), (0, 2)])
def test_one_hot_is_torchs_as_floats(shape: tuple[int, ...]) -> None:
    ids = torch.randint(7, shape)
    assert torch.equal(OneHot(7)(ids), one_hot(ids, 7).float())
    assert OneHot(7, dtype=torch.float64)(ids).dtype == torch.float64


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(), (4,), (3, 5)])
def test_a_look_up_is_linear_on_one_hot_vectors_gradients_included(shape: tuple[int, ...], bias: bool) -> None:
    ours = OneHotLinear(7, 2, bias).double()
    theirs = torch.nn.Linear(7, 2, bias).double()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    ids = torch.randint(7, shape)
    expected = linear(one_hot(ids, 7).double(), theirs.weight, theirs.bias)
    output = ours(ids)
    torch.testing.assert_close(output, expected)
    weights = torch.randn_like(expected)
    (output * weights).sum().backward()
    (expected * weights).sum().backward()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad)


@pytest.mark.parametrize("layer", [OneHot(7), OneHotLinear(7, 2)])
@pytest.mark.parametrize("wrong", [7, -1])
def test_ids_out_of_range_are_refused(layer: torch.nn.Module, wrong: int) -> None:
    with pytest.raises(ArgumentError, match=rf"`input` must be ids in \[0, 6\], got {wrong}"):
        layer(torch.tensor([[0, wrong], [6, 1]]))
    with pytest.raises(ArgumentError, match=r"must be ids of dtype torch.int64, got torch.float32"):
        layer(torch.zeros(2))


def test_sizes_are_checked() -> None:
    with pytest.raises(ArgumentError, match="`num_embeddings` must be a positive integer, got 0"):
        OneHot(0)
    with pytest.raises(ArgumentError, match="`out_features` must be a positive integer, got 0"):
        OneHotLinear(3, 0)


@pytest.mark.parametrize("layer", [OneHot(7), OneHotLinear(7, 2)])
def test_layers_compile_whole(layer: torch.nn.Module) -> None:
    ids = torch.randint(7, (3, 2))
    torch.testing.assert_close(torch.compile(layer, fullgraph=True, backend="eager")(ids), layer(ids))
