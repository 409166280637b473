"""Which classifier goes with what the user gave: texts or sequences of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from throughtime.data import LabelledSequences, LabelledText, SequenceColumns, holds_sequences
from throughtime.errors import ModelFolderError
from throughtime.tasks.sequence_classifier import SequenceClassifier
from throughtime.tasks.text_classifier import TextClassifier
from throughtime.training import ModelFolder

AnyClassifier = type[TextClassifier] | type[SequenceClassifier]


def classifier_for(
    sources: Sequence[LabelledText | LabelledSequences | Path | str], columns: SequenceColumns | None = None
) -> AnyClassifier:
    """The classifier for labelled data.

    Args:
        sources: files, folders, or examples.
        columns: where a table has what, if the user said so.
    """
    return SequenceClassifier if holds_sequences(sources, columns or SequenceColumns()) else TextClassifier


def load_classifier(folder: Path | str, *, device: str = "auto") -> TextClassifier | SequenceClassifier:
    """Load a classifier of either kind.

    Raises:
        ModelFolderError: where the folder is missing, damaged, of another task or of a newer format.
    """
    task = ModelFolder(folder).read_config()["task"]
    for classifier in (TextClassifier, SequenceClassifier):
        if task == classifier.TASK:
            return classifier.load(folder, device=device)
    raise ModelFolderError(f"{folder}: holds a model for {task}, not for text or sequence classification")
