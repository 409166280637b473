"""How good captions are, always beside what needs no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from throughtime.data import CaptionedExamples, Frames
from throughtime.tasks.caption_scores import CaptionScores, score_captions
from throughtime.tasks.image_features import nearest_pictures


@dataclass(frozen=True)
class EvaluationRow:
    """How good one way to caption is.

    Attributes:
        model: which.
        scores: of its captions.
    """

    model: str
    scores: CaptionScores

    @property
    def bleu_1(self) -> float:
        """BLEU of single words, from 0 to 100."""
        return self.scores.bleu_1

    @property
    def bleu_4(self) -> float:
        """BLEU of up to four words in a row, from 0 to 100."""
        return self.scores.bleu_4

    @property
    def cider(self) -> float:
        """CIDEr-D, times 100 as papers give it."""
        return self.scores.cider


@dataclass(frozen=True)
class Evaluation:
    """An evaluation of captions.

    Attributes:
        count: how many pictures or videos.
        unit: which of the two, picture or video.
        rows: the model's, then those of the caption of the training example that is nearest, and of the most common
            caption; without training data the model's alone.
        nats_per_token: mean cross-entropy of the tokens of each one's first reference.
        seconds: that the model's captions took.
        examples: some of them: place, caption, references.
    """

    count: int
    unit: str
    rows: tuple[EvaluationRow, ...]
    nats_per_token: float
    seconds: float
    examples: tuple[tuple[str, str, tuple[str, ...]], ...]


def beside_captions(
    asked: Frames, known: Frames, captions: Sequence[Sequence[str]], *, nearest: str
) -> dict[str, Sequence[str]]:
    """What stands beside a captioner.

    Args:
        asked: the pictures to caption.
        known: those to learn from.
        captions: of the known ones.
        nearest: what the row of the nearest known one's caption is called.
    """
    rows = nearest_pictures(asked, known)
    counts = Counter(caption for several in captions for caption in several)
    common = counts.most_common(1)[0][0]
    return {nearest: [captions[int(row)][0] for row in rows], "most common caption": [common] * len(asked)}


def evaluate_captions(
    name: str,
    captions: Sequence[str],
    asked: CaptionedExamples[Any],
    beside: Mapping[str, Sequence[str]],
    *,
    nats_per_token: float,
    seconds: float,
    examples: Sequence[int],
) -> Evaluation:
    """Score a model's captions, and those of what stands beside it.

    Args:
        name: of the model.
        captions: that it wrote.
        asked: what was captioned, with its references.
        beside: other captions, by the name of what wrote them.
        nats_per_token: what the model thinks of the references.
        seconds: that the captions took.
        examples: which to show.
    """
    written: dict[str, Sequence[str]] = {name: captions, **beside}
    rows = tuple(EvaluationRow(model, score_captions(own, asked.captions)) for model, own in written.items())
    shown = tuple((asked.places[row], captions[row], asked.captions[row]) for row in examples)
    return Evaluation(len(asked), asked.UNIT, rows, nats_per_token, seconds, shown)


def summary(evaluation: Evaluation) -> dict[str, object]:
    """An evaluation as plain values, for JSON."""
    return asdict(evaluation)
