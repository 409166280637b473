from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from throughtime.data import little_world, little_world_analogies
from throughtime.word2vec import AnalogySection, Word2VecTrainer, WordVectors, count_vocabulary, evaluate_analogies


@pytest.mark.parametrize("options", [{}, {"architecture": "cbow", "learning_rate": 0.05}, {"negatives": 0}])
def test_words_of_the_little_world_are_learned_from_their_context(options: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "little-world.txt"
    path.write_text(little_world().text, encoding="utf-8")
    vocabulary = count_vocabulary([path])
    trainer = Word2VecTrainer(vocabulary, [path], size=50, threads=1, **options)
    assert [report.fraction for report in trainer.rounds(epochs=5)][-1] == 1
    vectors = WordVectors(vocabulary.words, trainer.vectors.numpy(), vocabulary.counts)
    assert vectors.analogy(["king", "woman"], ["man"])[0][0] == "queen"
    sections = [AnalogySection(name, questions) for name, questions in little_world_analogies().items()]
    for score in evaluate_analogies(vectors, sections).sections:
        assert score.coverage == 1
        assert score.accuracy > 0.9, score.name
