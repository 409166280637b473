from __future__ import annotations

import pytest
import torch

from throughtime.errors import ArgumentError
from throughtime.nn import Embedding


def test_a_dropped_word_is_zero_wherever_it_stands_and_learns_nothing() -> None:
    embedding = Embedding(50, 3, dropout=0.4)
    tokens = torch.randint(50, (40, 20))
    output = embedding(tokens)
    factors = (output / embedding.weight[tokens]).detach()
    of_word = torch.stack([factors[tokens == word][0] for word in range(50)])
    torch.testing.assert_close(factors, of_word[tokens])
    kept = of_word[:, 0] > 0
    torch.testing.assert_close(of_word[kept], torch.full((int(kept.sum()), 3), 1 / 0.6))
    assert 15 < kept.sum() < 45
    output.sum().backward()
    counts = tokens.flatten().bincount(minlength=50)
    assert embedding.weight.grad is not None
    torch.testing.assert_close(embedding.weight.grad[:, 0], counts * kept / 0.6)


def test_without_dropout_and_in_evaluation_it_is_torchs() -> None:
    tokens = torch.randint(10, (4, 5))
    for embedding in (Embedding(10, 3, padding_idx=0), Embedding(10, 3, 0, dropout=0.9).eval()):
        theirs = torch.nn.Embedding(10, 3, padding_idx=0)
        theirs.load_state_dict(embedding.state_dict(), strict=True)
        assert torch.equal(embedding(tokens), theirs(tokens))


def test_a_probability_outside_its_range_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"`dropout` must be a number in \[0, 1\], got 2"):
        Embedding(10, 3, dropout=2)
