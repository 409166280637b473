"""word2vec to hold in the hand: fit it to a text, ask for its vectors, save it, load it, go on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from throughtime.data import CorpusSource
from throughtime.errors import ArgumentError
from throughtime.tasks.language_cards import word2vec_card
from throughtime.tasks.model_runs import new_folder, read_settings, resumed_settings, write_settings
from throughtime.tasks.word2vec import TASK, Settings, TextData, build_model, fit, load_data, predict
from throughtime.training import Display, ModelFolder, Processes, load_tree, read_metrics, save_loss_curve
from throughtime.word2vec import VECTORS_FILE, Vocabulary, Word2VecTrainer, WordVectors


class Word2Vec:
    """Learns word vectors.

    >>> sentences = [["the", "king", "rules"], ["the", "queen", "rules"]] * 50
    >>> model = Word2Vec(size=10, epochs=2, threads=1).fit(sentences)
    >>> model.vectors.most_similar("king", 1)[0][0] in model.vectors
    True

    Args:
        **settings: see ``Settings``.

    Attributes:
        settings: all of them.
        is_main: False in all but one of the processes that train together.

    Raises:
        ArgumentError: for an unknown setting or a value that can't be used.
    """

    def __init__(self, **settings: object) -> None:
        self.settings = Settings.of(settings)
        self.is_main = True
        self._vectors: WordVectors | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """An untrained model with settings that are made already."""
        model = cls()
        model.settings = settings
        return model

    @property
    def vectors(self) -> WordVectors:
        """The vectors that were learned.

        Raises:
            ArgumentError: before ``fit``.
        """
        if self._vectors is None:
            raise ArgumentError("this Word2Vec has learned nothing yet; call fit(text)")
        return self._vectors

    def fit(
        self,
        *text: CorpusSource,
        output: Path | str | None = None,
        resume: bool = False,
        init_from: Path | str | None = None,
        display: Display | None = None,
    ) -> Self:
        """Learn from a text.

        Args:
            *text: files, folders, "-" for standard input, ``TextInMemory``; or one iterable of sentences, each a
                sequence of words, which is read once.
            output: the model folder to make; the vectors are kept in memory alone if None.
            resume: go on with the run in ``output``, with the same text.
            init_from: a model folder, or a file of word vectors, to start from; words that are new in the text are
                added, with fresh vectors.
            display: shows progress; nothing is shown if None.

        Raises:
            ArgumentError: where a setting doesn't go with what is gone on with.
            DataError: where the text can't be used.
            ModelFolderError: where the folder can't be used.
        """
        if not text:
            again = "the text that the run began with" if resume else "a text file, or --sample"
            raise ArgumentError(f"there is no text to learn from; give {again}")
        processes = Processes.join("cpu")
        self.is_main = processes.is_main
        if processes.count > 1 and self.settings.time_budget:
            raise ArgumentError("several processes must train equally long; give `epochs` in place of `time_budget`")
        folder = ModelFolder(output) if output is not None else None
        display = display if display and processes.is_main else Display(quiet=True)
        with display:
            # The data holds the temporary files that the trainer reads.
            data, trainer = self._begin(text, folder, processes, display, resume=resume, init_from=init_from)
            finished = fit(trainer, self.settings, folder, processes=processes, display=display)
        del data
        self._vectors = predict(trainer)
        if folder and processes.is_main:
            save_loss_curve(read_metrics(folder.metrics_file), folder.figure_file, per="nats per word")
            word2vec_card(folder, self.settings, trainer)
            if not finished:
                display.line("interrupted and saved; the same command with --resume goes on from there")
        processes.wait()
        return self

    def _begin(
        self,
        text: Sequence[CorpusSource],
        folder: ModelFolder | None,
        processes: Processes,
        display: Display,
        *,
        resume: bool,
        init_from: Path | str | None,
    ) -> tuple[TextData, Word2VecTrainer]:
        if resume and folder and folder.config_file.exists():
            self.settings = resumed_settings(folder, TASK, self.settings)
            data = load_data(text, self.settings, display=display)
            saved = WordVectors.load(folder.path)
            data = TextData(data.corpus, _vocabulary(saved, data.vocabulary))
            trainer = build_model(data, self.settings, processes)
            trainer.load_state(load_tree(folder.state_file))
            return data, trainer
        parent = None if init_from is None else WordVectors.load(init_from)
        if parent:
            self.settings = _inherited(parent, self.settings)
        with new_folder(folder, processes, may_exist=resume):
            data = load_data(text, self.settings, display=display)
            if parent:
                grown = _vocabulary(parent, data.vocabulary).extended(data.vocabulary)
                new = len(grown) - len(parent)
                display.line(f"{len(parent):,} words have vectors already, {new:,} are new")
                data = TextData(data.corpus, grown)
            trainer = build_model(data, self.settings, processes, parent=parent)
        if folder and processes.is_main:
            folder.tokens.rmdir()  # the text is read where it lies
            write_settings(folder, TASK, self.settings)
        return data, trainer

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Load a model folder.

        Raises:
            ModelFolderError: where the folder is missing, damaged, foreign or of a newer format.
            DataError: where its vectors are damaged.
        """
        place = ModelFolder(folder)
        model = cls.of(read_settings(place, TASK, Settings))
        model._vectors = WordVectors.load(place.path)
        return model

    def save(self, folder: Path | str) -> None:
        """Write the vectors and the settings into a new folder.

        Raises:
            ModelFolderError: where something stands there already.
            ArgumentError: before ``fit``.
        """
        vectors, target = self.vectors, ModelFolder(folder)
        target.create()
        target.tokens.rmdir()
        vectors.save(target.path / VECTORS_FILE)
        write_settings(target, TASK, self.settings)


def _vocabulary(vectors: WordVectors, of_text: Vocabulary) -> Vocabulary:
    """The words of vectors that are trained on; words of unknown count are taken for rare ones."""
    rare = np.full(len(vectors), of_text.counts[-1])
    counts = rare if vectors.counts is None else vectors.counts
    return Vocabulary(vectors.words, counts, of_text.text_words, of_text.sentences, of_text.forgotten)


def _inherited(parent: WordVectors, given: Settings) -> Settings:
    size = parent.vectors.shape[1]
    if "size" in given.model_fields_set and given.size != size:
        raise ArgumentError(f"`size` is {size} in the vectors to start from; leave it out")
    return given.replaced(size=size)
