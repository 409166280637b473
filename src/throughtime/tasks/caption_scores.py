"""BLEU, ROUGE-L and CIDEr-D of captions, by the scorers of pycocoevalcap behind a tokeniser of our own: no Java."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from throughtime.errors import ArgumentError, check_installed

_CONTRACTED = re.compile(r"(?<=\w)(n't|'(?:s|re|ve|ll|d|m))\b")
_WORD = re.compile(r"(?:[a-z]\.){2,}|o'\w+|n't|'(?:s|re|ve|ll|d|m)\b|\w+(?:[-./&]\w+)*|[$£€%#&@+*/=~^<>|\\_]")


@dataclass(frozen=True)
class CaptionScores:
    """How near captions are to their references.

    Attributes:
        bleu_1: Papineni et al. (2002), of the corpus, of single words, from 0 to 100.
        bleu_2: of up to two words in a row.
        bleu_3: of up to three.
        bleu_4: of up to four.
        rouge_l: Lin (2004), mean over the captions, from 0 to 100.
        cider: CIDEr-D of Vedantam et al. (2015), mean over the captions, from 0 to 1000 as papers give it times 100.
        signature: how they were computed.
    """

    bleu_1: float
    bleu_2: float
    bleu_3: float
    bleu_4: float
    rouge_l: float
    cider: float
    signature: str


def caption_tokens(caption: str) -> list[str]:
    """The words of a caption as the evaluation of COCO has them: lower case, no punctuation, contractions parted.

    It follows the Penn Treebank's rules as Stanford's tokeniser has them, which needs Java, but for brackets: that one
    keeps them as -lrb- and -rrb-, here they are left out.

    >>> caption_tokens("A man doesn't ride the boy's well-known bike, here.")
    ['a', 'man', 'does', "n't", 'ride', 'the', 'boy', "'s", 'well-known', 'bike', 'here']
    """
    plain = caption.lower().replace("\u2019", "'")
    return _WORD.findall(_CONTRACTED.sub(r" \1", plain))


def check_caption_scorers() -> None:
    """Raise MissingExtraError unless captions can be scored here."""
    check_installed("scoring captions", "pycocoevalcap", "vision")


def score_captions(captions: Sequence[str], references: Sequence[Sequence[str]]) -> CaptionScores:
    """Compare captions with one or several references each.

    Args:
        captions: one for each picture.
        references: those of each picture, at least one.

    Raises:
        ArgumentError: where there are not as many references as captions, or none at all.
        MissingExtraError: where pycocoevalcap is not installed.
    """
    if len(captions) != len(references) or not captions:
        raise ArgumentError(f"`references` must be as many as the captions, {len(captions)}, got {len(references)}")
    check_caption_scorers()
    from pycocoevalcap.bleu.bleu import Bleu  # noqa: PLC0415 - an extra
    from pycocoevalcap.cider.cider import Cider  # noqa: PLC0415
    from pycocoevalcap.rouge.rouge import Rouge  # noqa: PLC0415

    # The scorers part the words at spaces, and can't take a caption without any.
    written = {row: [" ".join(caption_tokens(caption)) or "."] for row, caption in enumerate(captions)}
    known = {row: [" ".join(caption_tokens(one)) or "." for one in several] for row, several in enumerate(references)}
    scorers: tuple[Any, ...] = (Bleu(4), Rouge(), Cider())
    bleu = [100 * float(one) for one in scorers[0].compute_score(known, written, verbose=0)[0]]
    rouge, cider = (float(scorer.compute_score(known, written)[0]) for scorer in scorers[1:])
    counts = {len(several) for several in references}
    per_picture = str(counts.pop()) if len(counts) == 1 else "var"
    signature = (
        f"nrefs:{per_picture}|case:lc|tok:throughtime-ptb|punct:no|cider:d|"
        f"scorer:pycocoevalcap-{version('pycocoevalcap')}"
    )
    return CaptionScores(bleu[0], bleu[1], bleu[2], bleu[3], 100 * rouge, 100 * cider, signature)
