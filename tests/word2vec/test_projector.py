from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from throughtime.errors import ArgumentError
from throughtime.word2vec import WordVectors, write_projector


def test_the_projector_reads_as_many_words_as_vectors(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    vectors = WordVectors(["a", "b\tc", "日", "d", "e"], matrix)
    assert write_projector(vectors, tmp_path, most=4) == 4
    read = np.loadtxt(tmp_path / "vectors.tsv", delimiter="\t")
    np.testing.assert_allclose(read, matrix[:4], rtol=1e-5)
    assert (tmp_path / "metadata.tsv").read_text(encoding="utf-8").splitlines() == ["a", "b c", "日", "d"]
    assert 'tensor_path: "vectors.tsv"' in (tmp_path / "projector_config.pbtxt").read_text(encoding="utf-8")
    with pytest.raises(ArgumentError, match="there is no folder"):
        write_projector(vectors, tmp_path / "nowhere")
