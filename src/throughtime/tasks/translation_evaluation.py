"""How good translations are, always beside what copying the source gives."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class EvaluationRow:
    """How good one way to translate is.

    Attributes:
        model: which.
        bleu: of the corpus, from 0 to 100.
        chrf: of the corpus, from 0 to 100.
    """

    model: str
    bleu: float
    chrf: float


@dataclass(frozen=True)
class Evaluation:
    """An evaluation of translations.

    Attributes:
        sentences: how many.
        rows: the model's, by beam search and by greedy search, and that of the copied source.
        nats_per_token: mean cross-entropy of the references' tokens.
        bleu_signature: how sacrebleu computed BLEU.
        chrf_signature: how sacrebleu computed chrF.
        seconds: that the first row's translations took.
        examples: some sentences: source, translation, reference.
    """

    sentences: int
    rows: tuple[EvaluationRow, ...]
    nats_per_token: float
    bleu_signature: str
    chrf_signature: str
    seconds: float
    examples: tuple[tuple[str, str, str], ...]


def summary(evaluation: Evaluation) -> dict[str, object]:
    """An evaluation as plain values, for JSON."""
    return asdict(evaluation)
