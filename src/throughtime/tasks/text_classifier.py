"""A text classifier to hold in the hand: fit it, judge it, let it classify and explain, save it, load it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from throughtime.data import LabelledText, Tokenizer, find_labelled, normalised
from throughtime.errors import ArgumentError, check_choice
from throughtime.models import RecurrentTextClassifier
from throughtime.nn import Embedding
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.classification_evaluation import beside_texts
from throughtime.tasks.classifier import Classifier, Prediction, read_targets
from throughtime.tasks.language_cards import text_classifier_card
from throughtime.tasks.network_training import Run
from throughtime.tasks.pretrained_vectors import given_vectors, learned_vectors, start_embedding
from throughtime.tasks.text_classification import (
    TASK,
    ClassifiedText,
    Settings,
    build_model,
    load_data,
    open_data,
    predict,
)
from throughtime.tasks.text_classifier_sizing import EMBEDDING_SIZE, learns_vectors, size_settings
from throughtime.training import ModelFolder
from throughtime.word2vec import WordVectors


@dataclass(frozen=True)
class Contribution:
    """What a word does to the prediction.

    Attributes:
        word: as it stands in the text.
        change: by how much the word raises the log-odds of the explained class: what they are with it, less what they
            are without it.
    """

    word: str
    change: float


@dataclass(frozen=True)
class Explanation:
    """Why a text was given its label.

    Attributes:
        label: the class that is explained.
        probability: of the class.
        contributions: of each word, in the order of the text.
    """

    label: str
    probability: float
    contributions: tuple[Contribution, ...]


class TextClassifier(Classifier[RecurrentTextClassifier, Settings, LabelledText]):
    """A trained text classifier.

    Attributes:
        network: gives a score for each class.
        tokenizer: the vocabulary.
        targets: the classes.
        settings: all settings that it was trained with.
        folder: where it stands on disk.
        device: where it computes.
        is_main: False in all but one of the processes that trained it together.
    """

    TASK = TASK
    SETTINGS = Settings
    WANTED = "a file or folder of labelled texts"
    PREPARE = staticmethod(load_data)
    OPEN = staticmethod(open_data)
    EXAMPLES = LabelledText
    CARD = staticmethod(text_classifier_card)

    def __init__(
        self,
        network: RecurrentTextClassifier,
        tokenizer: Tokenizer,
        targets: ClassTargets,
        settings: Settings,
        folder: ModelFolder,
        device: torch.device,
    ) -> None:
        super().__init__(network, targets, settings, folder, device)
        self.tokenizer = tokenizer

    @classmethod
    def read(cls, sources: Sequence[LabelledText | Path | str], settings: Settings) -> dict[str, LabelledText]:
        """The parts of a labelled data set of texts; see ``data.find_labelled``."""
        return find_labelled(sources, columns=settings.columns, encoding=settings.encoding)

    @classmethod
    def _checked(cls, settings: Settings, run: Run) -> Settings:
        given_vectors(settings.vectors, settings.embedding_size)
        return settings

    @classmethod
    def _parts(cls, data: ClassifiedText) -> tuple[Tokenizer, ClassTargets]:
        return data.tokenizer, data.targets

    @classmethod
    def _read_parts(cls, folder: ModelFolder, settings: Settings) -> tuple[Tokenizer, ClassTargets]:
        return Tokenizer.load(folder.tokenizer_file), read_targets(folder, settings)

    @classmethod
    def _built(cls, settings: Settings, parts: tuple[Any, ...]) -> RecurrentTextClassifier:
        tokenizer, targets = parts
        return build_model(settings, tokenizer.vocabulary_size, len(targets.classes))

    @classmethod
    def _fresh(cls, data: ClassifiedText, settings: Settings, run: Run) -> tuple[Settings, RecurrentTextClassifier]:
        settings = settings.replaced(own_vectors=learns_vectors(settings, sum(map(len, data.train))))
        vectors = (
            _learned_vectors(data, settings, run)
            if settings.own_vectors
            else given_vectors(settings.vectors, settings.embedding_size)
        )
        size = vectors.vectors.shape[1] if vectors else None
        settings = size_settings(settings, len(data.splits.train), run.processes, vector_size=size)
        network = cls._network(settings, data, run)
        if vectors and isinstance(network.embedding, Embedding):
            coverage = start_embedding(network.embedding, data.tokenizer, vectors)
            run.display.line(f"{coverage.found:,} of {coverage.total:,} words ({coverage.fraction:.1%}) have a vector")
        _forget_unknown(network, data.tokenizer)
        return settings, network

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Classify texts.

        Raises:
            ArgumentError: where one string is given in place of a list, or a text is no text.
        """
        if isinstance(texts, str):
            raise ArgumentError("`texts` must be a list of strings, got a string")
        return self.predictions(self._of_texts(texts)) if texts else []

    def probabilities(self, examples: LabelledText) -> Tensor:
        """Probabilities of the classes, shape (examples, classes)."""
        return self._of_texts(examples.texts)

    def _of_texts(self, texts: Sequence[str]) -> Tensor:
        return predict(self.network, texts, self.tokenizer, self.targets, self.settings)

    def _beside(self, train: LabelledText, examples: LabelledText) -> dict[str, Tensor]:
        return beside_texts(train, examples.texts, self.targets)

    def explain(self, text: str, label: str | None = None) -> Explanation:
        """Show what each word of a text does to the prediction, by leaving the words out, one at a time.

        Args:
            text: the text, of which all is read however long.
            label: the class to explain; the likeliest by default.

        Raises:
            ArgumentError: where there is no such class, or no word in the text.
        """
        words = normalised(text, lower=False).split()
        if not words:
            raise ArgumentError("`text` must have a word in it to explain, got none")
        without = [" ".join(words[:place] + words[place + 1 :]) for place in range(len(words))]
        texts = [" ".join(words), *without]
        probabilities = self._of_texts(texts).double()
        if label is None:
            label = self.targets.classes[int(probabilities[0].argmax())]
        check_choice("label", label, self.targets.classes)
        own = probabilities[:, self.targets.classes.index(label)]
        odds = torch.logit(own, eps=1e-9)
        changes = (odds[0] - odds[1:]).tolist()
        return Explanation(
            label, float(own[0]), tuple(Contribution(word, change) for word, change in zip(words, changes, strict=True))
        )


@torch.no_grad()
def _forget_unknown(network: RecurrentTextClassifier, tokenizer: Tokenizer) -> None:
    """Make the unknown word one that says nothing, as dropped words are: the training texts may have none of it."""
    if isinstance(network.embedding, Embedding) and tokenizer.unknown_id is not None:
        network.embedding.weight[tokenizer.unknown_id] = 0


def _learned_vectors(data: ClassifiedText, settings: Settings, run: Run) -> WordVectors:
    run.display.update("learning word vectors", 0.0)
    words = [data.tokenizer.token(index) for index in range(data.tokenizer.vocabulary_size)]
    sentences = [[words[index] for index in tokens.tolist()] for tokens in data.train]
    return learned_vectors(sentences, settings.embedding_size or EMBEDDING_SIZE, seed=settings.seed)
