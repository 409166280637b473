from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from throughtime.errors import ArgumentError
from throughtime.nn import ATTENTIONS, AdditiveAttention, Attention, DotAttention, GeneralAttention, build_attention
from throughtime.sequence import SequenceBatch


def energy(attention: Attention, query: Tensor, value: Tensor) -> Tensor:
    """The papers' equations, for one query and one step of a source."""
    if isinstance(attention, AdditiveAttention):
        mixed = attention.query.weight @ query + attention.query.bias + attention.key.weight @ value
        return (attention.energy.weight @ torch.tanh(mixed)).squeeze()
    if isinstance(attention, GeneralAttention):
        return query @ attention.key.weight @ value
    return query @ value


@pytest.mark.parametrize("name", ATTENTIONS)
@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4), targets=st.integers(1, 3))
@settings(max_examples=20)
def test_attention_is_that_of_the_paper_and_sees_no_padding(name: str, lengths: list[int], targets: int) -> None:
    attention = build_attention(name, 6, 6 if name == "dot" else 4).double()
    values = torch.randn(max(lengths), len(lengths), attention.value_size, dtype=torch.float64)
    queries = torch.randn(len(lengths), targets, 6, dtype=torch.float64)
    memory = attention.memory(SequenceBatch(values, torch.tensor(lengths)))
    contexts, weights = attention(queries, memory)
    for row, length in enumerate(lengths):
        own = values[:length, row]
        for target in range(targets):
            energies = torch.stack([energy(attention, queries[row, target], value) for value in own])
            expected = energies.softmax(0)
            torch.testing.assert_close(weights[row, target, :length], expected)
            assert (weights[row, target, length:] == 0).all()
            torch.testing.assert_close(contexts[row, target], expected @ own)


def test_scaled_dot_products_are_those_of_torch() -> None:
    values, queries = torch.randn(5, 3, 8), torch.randn(3, 2, 8)
    lengths = torch.tensor([5, 2, 4])
    context, _ = DotAttention(8, 8)(queries, DotAttention(8, 8).memory(SequenceBatch(values, lengths)))
    mask = (torch.arange(5) < lengths.unsqueeze(1)).unsqueeze(1)
    keys = values.transpose(0, 1)
    theirs = torch.nn.functional.scaled_dot_product_attention(queries * math.sqrt(8), keys, keys, attn_mask=mask)
    torch.testing.assert_close(context, theirs)


def test_a_part_of_a_memory_is_the_memory_of_the_part() -> None:
    attention = GeneralAttention(6, 4)
    values, lengths = torch.randn(5, 3, 4), torch.tensor([5, 2, 4])
    queries = torch.randn(2, 1, 6)
    rows = torch.tensor([2, 0])
    part = attention.memory(SequenceBatch(values, lengths)).select(rows)
    alone = attention.memory(SequenceBatch(values[:, rows], lengths[rows]))
    torch.testing.assert_close(attention(queries, part), attention(queries, alone))


@pytest.mark.parametrize(
    ("name", "sizes", "message"),
    [
        ("dot", (6, 4), "dot attention needs queries and values of one size, got 6 and 4; use general attention"),
        ("generel", (6, 4), "`attention` must be one of .*; did you mean 'general'?"),
        ("additive", (0, 4), "`query_size` must be a positive integer, got 0"),
    ],
)
def test_attention_that_cannot_be_is_one_sentence(name: str, sizes: tuple[int, int], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        build_attention(name, *sizes)


def test_queries_of_another_batch_are_refused() -> None:
    attention = DotAttention(4, 4)
    memory = attention.memory(SequenceBatch(torch.randn(5, 3, 4)))
    with pytest.raises(ArgumentError, match=r"`queries` must have shape \(3, target, 4\), got \(2, 1, 4\)"):
        attention(torch.randn(2, 1, 4), memory)
