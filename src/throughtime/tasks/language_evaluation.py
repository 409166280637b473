"""How well a language model predicts a text, always beside what counting alone gives."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Self

from throughtime.data import TokenCounts, TokenFile, Tokens
from throughtime.errors import ArgumentError
from throughtime.models import NGramModel, RecurrentLanguageModel
from throughtime.tasks.language_modelling import total_loss
from throughtime.training import perplexity


@dataclass(frozen=True)
class EvaluationRow:
    """How well one model predicts a text.

    Attributes:
        model: which.
        nats_per_token: mean cross-entropy.
        perplexity: its exponential.
        bits_per_character: total cross-entropy over the text's characters; comparable between tokenisations.
        bits_per_byte: the same over its bytes of UTF-8.
    """

    model: str
    nats_per_token: float
    perplexity: float
    bits_per_character: float
    bits_per_byte: float

    @classmethod
    def of(cls, model: str, nats: float, counts: TokenCounts) -> Self:
        """The row of a model that needs so many nats for the text after its first token."""
        mean = nats / (counts.tokens - 1)
        # The first token, which nothing precedes, is counted as if it cost the mean.
        bits = mean * counts.tokens / math.log(2)
        return cls(model, mean, perplexity(mean), bits / counts.characters, bits / counts.bytes)


@dataclass(frozen=True)
class Evaluation:
    """A text's evaluation: the model first, then the baselines.

    Attributes:
        counts: what the text amounts to.
        rows: the model's, the unigram model's and the n-gram model's.
    """

    counts: TokenCounts
    rows: tuple[EvaluationRow, ...]


def evaluate_tokens(
    network: RecurrentLanguageModel,
    file: TokenFile,
    tokens: Tokens,
    *,
    train: Tokens | None,
    name: str,
    ngram_order: int,
    precision: str,
    lanes: int,
) -> Evaluation:
    """Evaluate a network on tokens, and n-gram models of its training text beside it.

    Args:
        network: in evaluation mode.
        file: where the tokens come from; their characters and bytes are taken to be spread evenly over it.
        tokens: the first tokens of the file, or all of them.
        train: the training text; without it there are no n-gram rows.
        name: of the network, for its row.
        ngram_order: of the stronger of the two n-gram models.
        precision: 32 or bf16.
        lanes: in which the text is read side by side.

    Raises:
        ArgumentError: where there are fewer than two tokens.
    """
    if len(tokens) < 2:
        raise ArgumentError("the text has a single token; give at least two, so that one can be predicted")
    part = len(tokens) / len(file)
    whole = file.counts
    counts = TokenCounts(
        len(tokens), round(whole.characters * part), round(whole.bytes * part), round(whole.unknown * part)
    )
    device = next(network.parameters()).device
    rows = [
        EvaluationRow.of(name, total_loss(network, tokens, precision=precision, device=device, lanes=lanes), counts)
    ]
    for order in (1, ngram_order):
        if train is None:
            break
        ngrams = NGramModel(train, vocabulary_size=network.vocabulary_size, order=order)
        label = "unigram" if order == 1 else f"{order}-gram, Kneser-Ney"
        rows.append(EvaluationRow.of(label, ngrams.total_nats(tokens), counts))
    return Evaluation(counts, tuple(rows))


def summary(evaluation: Evaluation) -> dict[str, object]:
    """An evaluation as plain values, for JSON."""
    return {"text": asdict(evaluation.counts), "rows": [asdict(row) for row in evaluation.rows]}
