"""BLEU and chrF, by sacrebleu alone, with the signatures that say how they were computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TranslationScores:
    """How near translations are to their references, from 0 to 100.

    Attributes:
        bleu: Papineni et al. (2002), of the corpus.
        chrf: Popović (2015), of the corpus.
        bleu_signature: how sacrebleu computed it.
        chrf_signature: how sacrebleu computed it.
    """

    bleu: float
    chrf: float
    bleu_signature: str
    chrf_signature: str


def score_translations(
    hypotheses: Sequence[str], references: Sequence[str], *, lower: bool, characters: bool = False
) -> TranslationScores:
    """Compare translations with a reference each.

    Args:
        hypotheses: the translations, as text that reads naturally.
        references: as many.
        lower: whether case doesn't count.
        characters: whether BLEU's tokens are characters, for languages without spaces.
    """
    from sacrebleu.metrics.bleu import BLEU  # noqa: PLC0415 - slow to import
    from sacrebleu.metrics.chrf import CHRF  # noqa: PLC0415

    bleu = BLEU(lowercase=lower, tokenize="char" if characters else "13a")
    chrf = CHRF(lowercase=lower)
    found: list[Any] = [metric.corpus_score(list(hypotheses), [list(references)]) for metric in (bleu, chrf)]
    signatures = [str(metric.get_signature()) for metric in (bleu, chrf)]
    return TranslationScores(found[0].score, found[1].score, signatures[0], signatures[1])
