from __future__ import annotations

import pytest
from sacrebleu.metrics.bleu import BLEU

from throughtime.errors import ArgumentError
from throughtime.tasks.caption_scores import caption_tokens, score_captions

WRITTEN = ["a brown dog runs through the green grass", "two men play chess in the park", "a red car"]
KNOWN = [
    ["A brown dog runs across green grass.", "The dog is running on the grass."],
    ["Two men are playing chess in a park.", "Old men playing chess."],
    ["A blue bus on the street.", "The bus stops."],
]


@pytest.mark.parametrize(
    ("caption", "stanford"),  # as Stanford's tokeniser cuts them, punctuation left out as COCO's evaluation does
    [
        ("A man doesn't ride the boy's well-known bike, here.", "a man does n't ride the boy 's well-known bike here"),
        ("He can't see 3.5 km/h; it's O.K.", "he ca n't see 3.5 km/h it 's o.k."),
        ('A "red" ball & a blue one...', "a red ball & a blue one"),
        ("the girls' team won't stop, they've 20% left", "the girls team wo n't stop they 've 20 % left"),
        ("T-shirt wearing man's dog , jumping .", "t-shirt wearing man 's dog jumping"),
        ("a 5-year-old girl in a U.S. flag", "a 5-year-old girl in a u.s. flag"),
        ("I'll go; you'd better", "i 'll go you 'd better"),
        ("$5 bill #1", "$ 5 bill # 1"),
        ("a five o'clock shadow", "a five o'clock shadow"),
    ],
)
def test_captions_are_cut_as_stanford_s_tokeniser_cuts_them(caption: str, stanford: str) -> None:
    assert caption_tokens(caption) == stanford.split()


def test_bleu_is_sacrebleu_s_of_the_same_tokens() -> None:
    scores = score_captions(WRITTEN, KNOWN)
    cut = [[" ".join(caption_tokens(several[place])) for several in KNOWN] for place in range(2)]
    for order, found in enumerate((scores.bleu_1, scores.bleu_2, scores.bleu_3, scores.bleu_4), 1):
        bleu = BLEU(tokenize="none", max_ngram_order=order, smooth_method="none")
        assert found == pytest.approx(bleu.corpus_score(WRITTEN, cut).score, abs=1e-5)
    assert scores.signature.startswith("nrefs:2|case:lc|tok:throughtime-ptb|punct:no|cider:d|scorer:pycocoevalcap-")


def test_a_caption_that_is_its_reference_gets_the_most_there_is() -> None:
    # CIDEr-D of an exact match is 10 for each order of n-grams that the caption has, here all four.
    said = ["a brown dog runs through grass", "two men play chess outside now", "some birds fly over the water"]
    scores = score_captions(said, [[one.capitalize() + "."] for one in said])
    assert scores.bleu_4 == pytest.approx(100)
    assert scores.rouge_l == pytest.approx(100)
    assert scores.cider == pytest.approx(1000)
    nothing = score_captions(["x y z"] * 3, [[one] for one in said])
    assert nothing.cider == nothing.rouge_l == 0


def test_empty_captions_score_nothing_and_break_nothing() -> None:
    assert score_captions(["", "", "..."], KNOWN).bleu_1 == pytest.approx(0, abs=1e-4)
    with pytest.raises(ArgumentError, match="`references` must be as many as the captions, 1, got 3"):
        score_captions(["a"], KNOWN)
