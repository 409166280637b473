"""Attention over a batch of encoded sources: additive (Bahdanau et al. 2015), dot and general (Luong et al. 2015)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from throughtime.errors import ArgumentError, check_choice, check_positive_integer, check_shape
from throughtime.sequence import SequenceBatch


@dataclass(frozen=True)
class Memory:
    """What attention looks at: encoded sources, their keys projected once for all queries.

    Attributes:
        values: shape (batch, source, value size): what is averaged.
        keys: shape (batch, source, key size): what queries are compared with.
        padding: shape (batch, 1, source), bool, True behind each source's end; None where all are equally long.
    """

    values: Tensor
    keys: Tensor
    padding: Tensor | None

    def select(self, rows: Tensor) -> Memory:
        """The memory of some sources alone; rows of shape (sources,), int64."""
        padding = None if self.padding is None else self.padding[rows]
        return replace(self, values=self.values[rows], keys=self.keys[rows], padding=padding)


@dataclass(frozen=True)
class Look:
    """What attention saw.

    Attributes:
        contexts: the average of the values under the weights, shape (batch, target, value size).
        weights: shape (batch, target, source).
        probabilities: that the weights were drawn with, of the same shape; None where they carry the gradient
            themselves: in soft attention and straight through.
    """

    contexts: Tensor
    weights: Tensor
    probabilities: Tensor | None = None


class Attention(nn.Module, ABC):
    """Weights over the source's steps for each query, and the average of the source's values under them.

    The queries of one source are taken together, in one matrix product a source. A subclass says what the keys are,
    and how a query is compared with them if not by the inner product; ``memory`` prepares a batch of sources once,
    ``forward`` looks at it any number of times.

    Hard attention looks at one step of the source alone: in training at one that is drawn with the weights'
    probabilities, else at the one of the largest weight. Of what was drawn no gradient flows back. Either the objective
    weighs the probabilities by what came of the draws ("reinforce", Xu et al. 2015, equations 11 to 13; see
    ``training.ReinforcedObjective``), or the gradient goes to the weights as if they had been used themselves
    ("straight-through", Bengio et al. 2013, https://arxiv.org/abs/1308.3432), which is biased and varies less.

    Args:
        query_size: features of a query.
        value_size: features of a source's step.

    Attributes:
        hard: "reinforce" or "straight-through" for hard attention; None, unless it is set, for soft attention.

    Raises:
        ArgumentError: for a size below 1.
    """

    def __init__(self, query_size: int, value_size: int) -> None:
        super().__init__()
        check_positive_integer("query_size", query_size)
        check_positive_integer("value_size", value_size)
        self.query_size = query_size
        self.value_size = value_size
        self.hard: str | None = None

    @abstractmethod
    def project_keys(self, values: Tensor) -> Tensor:
        """Keys of shape (batch, source, key size) for values of shape (batch, source, value size)."""

    def compare(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Energies of shape (batch, target, source) for queries of shape (batch, target, query size)."""
        return torch.bmm(queries, keys.to(queries.dtype).transpose(1, 2))

    def memory(self, source: SequenceBatch) -> Memory:
        """Prepare encoded sources, values of shape (source, batch, value size), to be looked at."""
        check_shape("source.values", source.values.shape, ("source", "batch", self.value_size))
        mask = source.mask()
        values = source.values.transpose(0, 1).contiguous()
        return Memory(values, self.project_keys(values), None if mask is None else ~mask.t().unsqueeze(1))

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Look at the memory once for each query.

        Args:
            queries: shape (batch, target, query_size).
            memory: of the same batch.

        Returns:
            The contexts, shape (batch, target, value_size), and the weights, shape (batch, target, source), which
            are zero in the padding and sum to 1.

        Raises:
            ArgumentError: if the shape of the queries does not fit.
        """
        seen = self.look(queries, memory)
        return seen.contexts, seen.weights

    def look(self, queries: Tensor, memory: Memory) -> Look:
        """As ``forward``, with the probabilities of what was drawn, too."""
        check_shape("queries", queries.shape, (len(memory.values), "target", self.query_size))
        energies = self.compare(queries, memory.keys)
        if memory.padding is not None:
            energies = energies.masked_fill(memory.padding, -torch.inf)
        weights, probabilities = energies.softmax(-1), None
        if self.hard is not None:
            drawn = self.draw(weights.detach()) if self.training else weights.argmax(-1)
            single = one_hot(drawn, weights.shape[-1]).to(weights.dtype)
            if self.hard == "reinforce":
                weights, probabilities = single, weights
            else:
                weights = single + weights - weights.detach()
        return Look(torch.bmm(weights.to(memory.values.dtype), memory.values), weights, probabilities)

    def draw(self, probabilities: Tensor) -> Tensor:
        """A step of the source for each query, shape (batch, target), int64, from (batch, target, source)."""
        return torch.multinomial(probabilities.flatten(0, 1).float(), 1).view(probabilities.shape[:2])

    def extra_repr(self) -> str:
        """Describe the sizes in the module's repr."""
        return f"{self.query_size}, {self.value_size}"


class AdditiveAttention(Attention):
    """A small network compares: v · tanh(W q + U k), Bahdanau et al. (2015), https://arxiv.org/abs/1409.0473.

    Args:
        query_size: features of a query.
        value_size: features of a source's step.
        hidden_size: units of the small network; as many as a query has features if None.

    Raises:
        ArgumentError: for a size below 1.

    >>> attention = AdditiveAttention(6, 4)
    >>> memory = attention.memory(SequenceBatch(torch.randn(5, 2, 4), torch.tensor([5, 3])))
    >>> context, weights = attention(torch.randn(2, 7, 6), memory)
    >>> context.shape, weights.shape, bool((weights[1, :, 3:] == 0).all())
    (torch.Size([2, 7, 4]), torch.Size([2, 7, 5]), True)
    """

    def __init__(self, query_size: int, value_size: int, hidden_size: int | None = None) -> None:
        super().__init__(query_size, value_size)
        hidden_size = query_size if hidden_size is None else hidden_size
        check_positive_integer("hidden_size", hidden_size)
        self.query = nn.Linear(query_size, hidden_size)
        self.key = nn.Linear(value_size, hidden_size, bias=False)
        self.energy = nn.Linear(hidden_size, 1, bias=False)

    def project_keys(self, values: Tensor) -> Tensor:  # noqa: D102
        return self.key(values)

    def compare(self, queries: Tensor, keys: Tensor) -> Tensor:  # noqa: D102
        sums = self.query(queries).unsqueeze(2) + keys.unsqueeze(1)
        return self.energy(torch.tanh(sums)).squeeze(-1)


class DotAttention(Attention):
    """The inner product of query and key, Luong et al. (2015), https://arxiv.org/abs/1508.04025.

    Where a query and a source's step are of different sizes there is no such product; ``GeneralAttention`` fits them.

    Args:
        query_size: features of a query.
        value_size: features of a source's step, as many.

    Raises:
        ArgumentError: for a size below 1, or sizes that differ.
    """

    def __init__(self, query_size: int, value_size: int) -> None:
        super().__init__(query_size, value_size)
        if query_size != value_size:
            raise ArgumentError(
                f"dot attention needs queries and values of one size, got {query_size} and {value_size}; "
                "use general attention"
            )

    def project_keys(self, values: Tensor) -> Tensor:  # noqa: D102
        return values


class GeneralAttention(Attention):
    """A bilinear product, q · W k, Luong et al. (2015), https://arxiv.org/abs/1508.04025.

    Args:
        query_size: features of a query.
        value_size: features of a source's step.

    Raises:
        ArgumentError: for a size below 1.
    """

    def __init__(self, query_size: int, value_size: int) -> None:
        super().__init__(query_size, value_size)
        self.key = nn.Linear(value_size, query_size, bias=False)

    def project_keys(self, values: Tensor) -> Tensor:  # noqa: D102
        return self.key(values)


HARD_ATTENTIONS = ("reinforce", "straight-through")
"""How hard attention gets its gradient."""

ATTENTIONS: dict[str, type[Attention]] = {
    "additive": AdditiveAttention,
    "dot": DotAttention,
    "general": GeneralAttention,
}


def build_attention(name: str, query_size: int, value_size: int, *, hard: str | None = None) -> Attention:
    """Make the attention of that name: soft, or hard with a gradient of that name.

    Raises:
        ArgumentError: for an unknown name, or sizes that it can't compare.
    """
    check_choice("attention", name, ATTENTIONS)
    if hard is not None:
        check_choice("hard_attention", hard, HARD_ATTENTIONS)
    attention = ATTENTIONS[name](query_size, value_size)
    attention.hard = hard
    return attention
