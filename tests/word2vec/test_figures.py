from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from throughtime.errors import ArgumentError
from throughtime.word2vec.figures import plot_analogies, plot_words
from throughtime.word2vec.vectors import WordVectors

# The fonts that come with matplotlib have no Japanese.
pytestmark = pytest.mark.filterwarnings("ignore:Glyph")

PAIRS = [("man", "woman"), ("king", "queen"), ("uncle", "aunt"), ("$x_1$", "日")]


@pytest.fixture
def vectors() -> WordVectors:
    rng = np.random.default_rng(5)
    firsts = rng.standard_normal((4, 20))
    seconds = firsts + 2 * np.eye(20)[3] + 0.1 * rng.standard_normal((4, 20))
    return WordVectors([word for pair in zip(*PAIRS, strict=True) for word in pair], np.concatenate([firsts, seconds]))


def points(figure: Figure) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.asarray(cast("PathCollection", figure.axes[0].collections[0]).get_offsets())


def labels(figure: Figure) -> list[Annotation]:
    return [text for text in figure.axes[0].texts if isinstance(text, Annotation) and text.get_text()]


def test_arrows_go_the_same_way(vectors: WordVectors) -> None:
    figure = plot_analogies(vectors, PAIRS[:3])
    drawn = [label.get_text() for label in labels(figure)]
    assert drawn == ["man", "woman", "king", "queen", "uncle", "aunt"]
    place = points(figure)
    arrows = place[1::2] - place[::2]
    assert (arrows[:, 0] > 3 * abs(arrows[:, 1])).all()


def test_no_label_hides_a_point_or_another_label(vectors: WordVectors) -> None:
    figure = plot_words(vectors, vectors.words[:7])
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [label.get_window_extent(renderer) for label in labels(figure)]
    spots = figure.axes[0].transData.transform(points(figure))
    assert len(boxes) == 7
    for number, box in enumerate(boxes):
        assert not any(box.contains(x, y) for x, y in spots)
        assert not box.count_overlaps(boxes[number + 1 :])
        assert figure.bbox.contains(*box.min)
        assert figure.bbox.contains(*box.max)


def test_a_map_shows_the_principal_components(vectors: WordVectors) -> None:
    units = vectors.vectors / np.linalg.norm(vectors.vectors, axis=1, keepdims=True)
    place = points(plot_words(vectors, vectors.words))
    np.testing.assert_allclose(place.mean(axis=0), 0, atol=1e-6)
    variances = np.linalg.eigvalsh(np.cov(units.T))[::-1][:2]
    np.testing.assert_allclose(place.var(axis=0, ddof=1), variances, rtol=1e-4)


@pytest.mark.parametrize(("name", "magic"), [("map.png", b"\x89PNG"), ("map.svg", b"<?xml"), ("map", b"\x89PNG")])
def test_the_file_is_of_the_format_that_its_name_says(
    name: str, magic: bytes, vectors: WordVectors, tmp_path: Path
) -> None:
    plot_analogies(vectors, PAIRS, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(magic)


def test_one_word_and_one_pair_are_enough(vectors: WordVectors) -> None:
    assert points(plot_words(vectors, ["man"])).shape == (1, 2)
    assert points(plot_analogies(vectors, [("man", "woman")])).shape == (2, 2)
    assert points(plot_analogies(vectors, [("man", "man")])).shape == (1, 2)


def test_what_cannot_be_drawn_is_refused(vectors: WordVectors, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="`pairs` must have at least one pair"):
        plot_analogies(vectors, [])
    with pytest.raises(ArgumentError, match="`words` must be at least one word"):
        plot_words(vectors, [])
    with pytest.raises(ArgumentError, match="`word` 'boy' is not among the 8 words"):
        plot_analogies(vectors, [("man", "boy")])
    with pytest.raises(ArgumentError, match=r"`format` must be one of .*, got 'pgn'; did you mean 'png'"):
        plot_words(vectors, ["man"], tmp_path / "map.pgn")
