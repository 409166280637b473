from __future__ import annotations

import pytest
import torch

from throughtime.errors import ArgumentError
from throughtime.nn import LockedDropout
from throughtime.sequence import SequenceBatch


@pytest.mark.parametrize("batch_first", [False, True])
def test_a_feature_is_dropped_at_every_step_or_at_none(batch_first: bool) -> None:
    x = torch.rand(7, 400, 5) + 1
    given = x.transpose(0, 1) if batch_first else x
    output = LockedDropout(0.3, batch_first=batch_first)(given)
    factors = (output.transpose(0, 1) if batch_first else output) / x
    torch.testing.assert_close(factors, factors[:1].expand_as(factors))
    kept = factors[0] > 0
    torch.testing.assert_close(factors[0][kept], torch.full_like(factors[0][kept], 1 / 0.7))
    assert abs(kept.float().mean() - 0.7) < 4 * (0.3 * 0.7 / 2000) ** 0.5  # four standard errors


def test_nothing_is_dropped_in_evaluation_and_everything_at_one() -> None:
    x = torch.rand(3, 2, 4)
    assert LockedDropout(0.5).eval()(x) is x
    assert not LockedDropout(1.0)(x).any()


def test_a_sequence_batch_keeps_its_lengths() -> None:
    sequence = SequenceBatch(torch.ones(3, 2, 4), torch.tensor([1, 3]))
    dropped = LockedDropout(0.5)(sequence)
    assert dropped.lengths is sequence.lengths
    assert torch.equal(dropped.values[0], dropped.values[2])


def test_a_probability_outside_its_range_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"`p` must be a number in \[0, 1\], got -0.1"):
        LockedDropout(-0.1)
