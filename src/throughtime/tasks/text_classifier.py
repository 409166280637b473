"""A text classifier to hold in the hand: fit it, judge it, let it classify and explain, save it, load it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch

from throughtime.data import PARTS, Columns, LabelledText, Tokenizer, find_labelled, normalised
from throughtime.errors import ArgumentError, check_choice
from throughtime.models import RecurrentTextClassifier
from throughtime.nn import Embedding
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.classification_evaluation import Evaluation, beside_texts, evaluate_probabilities
from throughtime.tasks.classification_training import saved_targets
from throughtime.tasks.model_card import text_classifier_card
from throughtime.tasks.model_runs import (
    in_model_folder,
    new_folder,
    read_settings,
    resumed_settings,
    save_copy,
    write_settings,
)
from throughtime.tasks.network_training import Run
from throughtime.tasks.pretrained_vectors import given_vectors, start_embedding
from throughtime.tasks.text_classification import (
    TASK,
    ClassifiedText,
    Settings,
    build_model,
    fit,
    load_data,
    open_data,
    predict,
)
from throughtime.tasks.text_classifier_sizing import size_settings
from throughtime.tasks.trained_model import TrainedModel
from throughtime.tasks.word2vec_model import Word2Vec
from throughtime.training import Display, ModelFolder, choose_device
from throughtime.word2vec import WordVectors


@dataclass(frozen=True)
class Prediction:
    """What a classifier says about a text.

    Attributes:
        labels: the likeliest class; where a text may have several, each that is likelier than not.
        probabilities: of all classes, by name.
    """

    labels: tuple[str, ...]
    probabilities: dict[str, float]


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


class TextClassifier(TrainedModel[RecurrentTextClassifier, Settings]):
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

    def __init__(
        self,
        network: RecurrentTextClassifier,
        tokenizer: Tokenizer,
        targets: ClassTargets,
        settings: Settings,
        folder: ModelFolder,
        device: torch.device,
    ) -> None:
        super().__init__(network, settings, folder, device)
        self.tokenizer = tokenizer
        self.targets = targets

    @classmethod
    def fit(
        cls,
        *data: LabelledText | Path | str,
        output: Path | str | None = None,
        resume: bool = False,
        display: Display | None = None,
        **settings: object,
    ) -> Self:
        """Train a classifier on labelled texts.

        Args:
            *data: files, folders, or ``LabelledText``; files and folders named train, valid and test are those parts.
            output: the model folder to make; a temporary one, kept as long as the model, if None.
            resume: go on with the run in ``output``; the data is then not needed.
            display: shows progress; nothing is shown if None.
            **settings: see ``Settings``.

        Raises:
            ArgumentError: for an unknown setting or a value that can't be used.
            DataError: where the data can't be used.
            ModelFolderError: where the folder can't be used.
            TrainingError: where training fails; what was saved stays.
        """
        return cls.train(data, Settings.of(settings), output=output, resume=resume, display=display)

    @classmethod
    def train(
        cls,
        data: Sequence[LabelledText | Path | str],
        settings: Settings,
        *,
        output: Path | str | None = None,
        resume: bool = False,
        display: Display | None = None,
    ) -> Self:
        """``fit``, with its settings made already."""
        return in_model_folder(output, lambda folder: cls._train(data, settings, folder, resume, display))

    @classmethod
    def _train(
        cls,
        sources: Sequence[LabelledText | Path | str],
        settings: Settings,
        folder: ModelFolder,
        resume: bool,
        display: Display | None,
    ) -> Self:
        with Run.started(folder, settings, display, resume=resume) as run:
            if run.has_begun:
                if sources:
                    run.display.line(f"going on with the texts that were prepared in {folder.tokens}")
                settings = resumed_settings(folder, TASK, settings)
                data = open_data(folder, settings)
                network = _network(settings, data, run)
            else:
                settings, data, network = _begin(sources, settings, run)
            fit(network, data, settings, run)
        model = cls(network, data.tokenizer, data.targets, settings, folder, run.processes.device)
        return model.finish(run, lambda: text_classifier_card(folder, settings, data, network))

    @classmethod
    def load(cls, folder: Path | str, *, device: str = "auto") -> Self:
        """Load a model folder, on any device whatever it was trained on.

        Raises:
            ModelFolderError: where the folder is missing, damaged, foreign or of a newer format.
        """
        place = ModelFolder(folder)
        settings = read_settings(place, TASK, Settings)
        targets = saved_targets(place, settings)
        chosen = choose_device(device)
        tokenizer = Tokenizer.load(place.tokenizer_file)
        network = build_model(settings, tokenizer.vocabulary_size, len(targets.classes))
        place.load_weights(network, chosen)
        return cls(network, tokenizer, targets, settings, place, chosen)

    def save(self, folder: Path | str) -> None:
        """Write the model, without its training state and data, into a new folder.

        Raises:
            ModelFolderError: where something stands there already.
        """
        target = ModelFolder(folder)
        save_copy(self.folder, target, self.network)
        self.tokenizer.save(target.tokenizer_file)
        write_settings(target, TASK, self.settings, classes=self.targets.classes)

    @property
    def name(self) -> str:
        """The stages and their sizes, for tables."""
        return self.settings.stages

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Classify texts.

        Raises:
            ArgumentError: where one string is given in place of a list, or a text is no text.
        """
        if isinstance(texts, str):
            raise ArgumentError("`texts` must be a list of strings, got a string")
        if not texts:
            return []
        probabilities = predict(self.network, texts, self.tokenizer, self.targets, self.settings)
        names = self.targets.names(self.targets.likely(probabilities))
        return [
            Prediction(labels, dict(zip(self.targets.classes, row, strict=True)))
            for labels, row in zip(names, probabilities.tolist(), strict=True)
        ]

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
        probabilities = predict(self.network, texts, self.tokenizer, self.targets, self.settings).double()
        if label is None:
            label = self.targets.classes[int(probabilities[0].argmax())]
        check_choice("label", label, self.targets.classes)
        own = probabilities[:, self.targets.classes.index(label)]
        odds = torch.logit(own, eps=1e-9)
        changes = (odds[0] - odds[1:]).tolist()
        return Explanation(
            label, float(own[0]), tuple(Contribution(word, change) for word, change in zip(words, changes, strict=True))
        )

    def evaluate(
        self,
        *data: LabelledText | Path | str,
        part: str | None = None,
        columns: Columns | None = None,
        baselines: bool = True,
    ) -> Evaluation:
        """How well the model classifies, beside the most frequent class and TF-IDF with logistic regression.

        Args:
            *data: files, folders, or ``LabelledText``; if none is given, a part of the model's own data.
            part: which: of the model's own data valid by default; of other data the only one, or else test.
            columns: where a row has its text and its label; as in the training data by default.
            baselines: whether the other models are learned and shown.

        Raises:
            DataError: where the data can't be read or has a class that the model doesn't know.
            ModelFolderError: where the model's own data is asked for and not there any more.
        """
        check_choice("part", part or "valid", PARTS)
        saved = self.folder.tokens / "train.jsonl"
        train = LabelledText.load(saved, "train") if baselines and saved.exists() else None
        examples = self._found(data, part, columns) if data else self._own(part or "valid")
        probabilities = predict(self.network, examples.texts, self.tokenizer, self.targets, self.settings)
        beside = beside_texts(train, examples.texts, self.targets)
        return evaluate_probabilities(probabilities, examples, self.targets, name=self.name, beside=beside)

    def _own(self, part: str) -> LabelledText:
        return LabelledText.load(self.folder.tokens / f"{part}.jsonl", part)

    def _found(
        self, data: Sequence[LabelledText | Path | str], part: str | None, columns: Columns | None
    ) -> LabelledText:
        found = find_labelled(data, columns=columns or self.settings.columns, encoding=self.settings.encoding)
        if part is None:
            part = "test" if "test" in found else next(iter(found))
        if part not in found:
            raise ArgumentError(f"`part` must be one of those in the data, {', '.join(found)}, got {part!r}")
        return found[part]


def _begin(
    sources: Sequence[LabelledText | Path | str], settings: Settings, run: Run
) -> tuple[Settings, ClassifiedText, RecurrentTextClassifier]:
    """Prepare a new run: its folder, data, settings and network."""
    if not sources:
        missing = f"{run.folder.path}: holds no run to resume" if run.resume else "there are no texts to learn from"
        raise ArgumentError(f"{missing}; give a file or folder of labelled texts, or --sample")
    vectors = given_vectors(settings.vectors, settings.embedding_size)
    with new_folder(run.folder, run.processes, may_exist=run.resume):
        if run.processes.is_main:
            load_data(sources, settings, run)
        run.processes.wait()
        data = open_data(run.folder, settings)
        if settings.own_vectors:
            vectors = _learned_vectors(data, settings, run)
        size = vectors.vectors.shape[1] if vectors else None
        settings = size_settings(settings, len(data.splits.train), run.processes, vector_size=size)
        network = _network(settings, data, run)
    if vectors and isinstance(network.embedding, Embedding):
        coverage = start_embedding(network.embedding, data.tokenizer, vectors)
        run.display.line(f"{coverage.found:,} of {coverage.total:,} words ({coverage.fraction:.1%}) have a vector")
    _forget_unknown(network, data.tokenizer)
    if run.processes.is_main:
        write_settings(run.folder, TASK, settings, classes=data.targets.classes)
    run.processes.wait()
    weights = sum(weight.numel() for weight in network.parameters())
    run.display.line(f"{settings.stages}; {weights:,} weights, dropout {settings.dropout}")
    return settings, data, network


@torch.no_grad()
def _forget_unknown(network: RecurrentTextClassifier, tokenizer: Tokenizer) -> None:
    """Make the unknown word one that says nothing, as dropped words are: the training texts may have none of it."""
    if isinstance(network.embedding, Embedding) and tokenizer.unknown_id is not None:
        network.embedding.weight[tokenizer.unknown_id] = 0


def _learned_vectors(data: ClassifiedText, settings: Settings, run: Run) -> WordVectors:
    run.display.update("learning word vectors", 0.0)
    words = [data.tokenizer.token(index) for index in range(data.tokenizer.vocabulary_size)]
    sentences = [[words[index] for index in tokens.tolist()] for tokens in data.train]
    epochs = min(MOST_WORD2VEC_EPOCHS, max(FEWEST_WORD2VEC_EPOCHS, WORD2VEC_WORDS / sum(map(len, sentences))))
    word2vec = Word2Vec(
        size=settings.embedding_size or EMBEDDING_SIZE,
        epochs=float(epochs),
        seed=settings.seed,
        min_count=1,
        deterministic=True,
    )
    return word2vec.fit(sentences).vectors


def _network(settings: Settings, data: ClassifiedText, run: Run) -> RecurrentTextClassifier:
    torch.manual_seed(settings.seed)
    network = build_model(settings, data.tokenizer.vocabulary_size, len(data.targets.classes))
    return network.to(run.processes.device)
