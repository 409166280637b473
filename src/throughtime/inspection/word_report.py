"""A look at word vectors: neighbours, maps, and arrows of analogies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from throughtime.inspection.page import Section
from throughtime.inspection.recurrent_report import Numbers
from throughtime.word2vec import WordVectors, plot_analogies, plot_words

RELATIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "from man to woman": (
        ("man", "woman"), ("king", "queen"), ("boy", "girl"), ("uncle", "aunt"), ("father", "mother"),
        ("brother", "sister"), ("son", "daughter"), ("prince", "princess"), ("husband", "wife"), ("actor", "actress"),
    ),
    "from present to past": (
        ("go", "went"), ("walk", "walked"), ("swim", "swam"), ("sing", "sang"), ("write", "wrote"), ("ride", "rode"),
        ("fly", "flew"), ("take", "took"), ("see", "saw"), ("run", "ran"), ("say", "said"), ("make", "made"),
    ),
    "from country to capital": (
        ("france", "paris"), ("germany", "berlin"), ("italy", "rome"), ("spain", "madrid"), ("russia", "moscow"),
        ("japan", "tokyo"), ("china", "beijing"), ("england", "london"), ("greece", "athens"), ("poland", "warsaw"),
    ),
    "from one to many": (
        ("dog", "dogs"), ("cat", "cats"), ("car", "cars"), ("house", "houses"), ("child", "children"),
        ("man", "men"), ("woman", "women"), ("city", "cities"), ("year", "years"), ("book", "books"),
    ),
}  # fmt: skip
"""English pairs by what is between them."""

FEWEST_PAIRS = 3
MAP_WORDS = 60
NEIGHBOURS = 8


def pairs_in(vectors: WordVectors) -> dict[str, list[tuple[str, str]]]:
    """The relations of which the vectors know enough pairs, in lower case or with capitals."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, pairs in RELATIONS.items():
        own = [
            (first, second)
            for pair in pairs
            for first, second in [pair, (pair[0].capitalize(), pair[1].capitalize())]
            if first in vectors and second in vectors
        ]
        if len(own) >= FEWEST_PAIRS:
            found[name] = own[:8]
    return found


def map_words(vectors: WordVectors, words: Sequence[str], count: int = MAP_WORDS) -> list[str]:
    """What a map shows: the words and their neighbours; without any, frequent words that aren't the most frequent."""
    if not words:
        # The most frequent ones are "the" and "of", which stand everywhere.
        start = min(len(vectors) // 10, 100)
        return list(vectors.words[start : start + count])
    per_word = max(2, count // len(words))
    near = vectors.most_similar(list(words), per_word)
    return list(dict.fromkeys([*words, *(neighbour for own in near for neighbour, _ in own)]))[:count]


def word_sections(vectors: WordVectors, words: Sequence[str], numbers: Numbers) -> list[Section]:
    """What is to be seen in word vectors.

    Args:
        vectors: the vectors.
        words: to look at; frequent ones if there are none.
        numbers: gets what was measured.

    Raises:
        ArgumentError: where a word has no vector.
    """
    shown = list(words) or map_words(vectors, [], 12)
    neighbours = Section("Neighbours")
    neighbours.say("The words whose vectors are nearest, by the cosine.")
    found = vectors.most_similar(shown, NEIGHBOURS)
    rows = [
        (word, ", ".join(f"{other} {cosine:.2f}" for other, cosine in own))
        for word, own in zip(shown, found, strict=True)
    ]
    neighbours.table(("word", "neighbours"), rows)
    numbers["neighbours"] = {
        word: [[other, float(cosine)] for other, cosine in own] for word, own in zip(shown, found, strict=True)
    }
    sections = [neighbours]
    for name, pairs in pairs_in(vectors).items():
        section = Section(f"Arrows {name}")
        section.say("Arrows that lie side by side are what lets analogies be solved by adding and subtracting vectors.")
        section.show(f"arrows_{name.replace(' ', '_')}", partial(plot_analogies, vectors, pairs), f"Pairs {name}.")
        sections.append(section)
    chart = Section("Map")
    around = map_words(vectors, words)
    what = "the words and their neighbours" if words else f"{len(around)} frequent words"
    chart.show("map", partial(plot_words, vectors, around), f"Principal components of the vectors of {what}.")
    sections.append(chart)
    return sections
