"""Word vectors for TensorBoard's embedding projector, and https://projector.tensorflow.org, which reads the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from throughtime.errors import ArgumentError, check_positive_integer
from throughtime.files import write_text
from throughtime.word2vec.vectors import WordVectors

VECTORS, METADATA, CONFIGURATION = "vectors.tsv", "metadata.tsv", "projector_config.pbtxt"


def write_projector(vectors: WordVectors, folder: Path | str, *, most: int = 10_000) -> int:
    """Write vectors.tsv, metadata.tsv and projector_config.pbtxt into a folder that exists.

    ``tensorboard --logdir FOLDER`` shows them under "Projector".

    Args:
        vectors: the words' vectors.
        folder: where to write.
        most: how many of the most frequent words; the projector becomes slow with many.

    Returns:
        How many words were written.

    Raises:
        ArgumentError: where the folder isn't there.
    """
    check_positive_integer("most", most)
    place = Path(folder)
    if not place.is_dir():
        raise ArgumentError(f"there is no folder {str(folder)!r} to write the projector's files to; make it first")
    words = list(vectors.words[:most])
    rows = np.asarray(vectors.vectors[:most], dtype=np.float32)
    lines = ["\t".join(f"{value:.6g}" for value in row) for row in rows.tolist()]
    write_text(place / VECTORS, "\n".join(lines) + "\n")
    # One column of metadata has no heading; a tab in a word would make two of it.
    write_text(place / METADATA, "\n".join(word.replace("\t", " ").replace("\n", " ") for word in words) + "\n")
    configuration = f'embeddings {{\n  tensor_path: "{VECTORS}"\n  metadata_path: "{METADATA}"\n}}\n'
    write_text(place / CONFIGURATION, configuration)
    return len(words)
