"""A language model to hold in the hand: fit it, judge text by it, let it write, save it, load it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import torch
from torch import Tensor

from throughtime.data import (
    PARTS,
    Text,
    TextSource,
    TokenFile,
    Tokenizer,
    find_texts,
    write_tokens,
)
from throughtime.decoding import Sampling, sample, stop_at
from throughtime.errors import ArgumentError, check_choice, check_positive_integer
from throughtime.models import RecurrentLanguageModel
from throughtime.tasks.language_cards import language_model_card
from throughtime.tasks.language_evaluation import Evaluation, evaluate_tokens
from throughtime.tasks.language_model_sizing import size_settings
from throughtime.tasks.language_modelling import (
    TASK,
    Settings,
    build_model,
    fit,
    load_data,
    open_data,
)
from throughtime.tasks.model_runs import in_model_folder, new_folder, read_settings, resumed_settings, write_settings
from throughtime.tasks.network_training import Run
from throughtime.tasks.pretrained_vectors import given_vectors, start_embedding
from throughtime.tasks.trained_model import TrainedModel
from throughtime.training import Display, ModelFolder, choose_device, choose_precision
from throughtime.word2vec import WordVectors

EVALUATION_LANES = 16
NGRAM_ORDERS = {"char": 7, "byte": 7, "word": 5, "bpe": 5}


class LanguageModel(TrainedModel[RecurrentLanguageModel, Settings]):
    """A trained recurrent language model.

    Attributes:
        network: gives scores for each next token.
        tokenizer: the vocabulary.
        settings: all settings that it was trained with.
        folder: where it stands on disk.
        device: where it computes.
        is_main: False in all but one of the processes that trained it together.
    """

    def __init__(
        self,
        network: RecurrentLanguageModel,
        tokenizer: Tokenizer,
        settings: Settings,
        folder: ModelFolder,
        device: torch.device,
    ) -> None:
        super().__init__(network, settings, folder, device)
        self.tokenizer = tokenizer

    @classmethod
    def fit(
        cls,
        *text: TextSource | Path | str,
        output: Path | str | None = None,
        resume: bool = False,
        init_from: Path | str | None = None,
        display: Display | None = None,
        **settings: object,
    ) -> Self:
        """Train a model on text.

        Args:
            *text: files, folders, or ``TextInMemory``; files named train, valid and test are those parts.
            output: the model folder to make; a temporary one, kept as long as the model, if None.
            resume: go on with the run in ``output``; the text is then not needed.
            init_from: a model folder to start from; its vocabulary grows by what is new in the text.
            display: shows progress; nothing is shown if None.
            **settings: see ``Settings``.

        Raises:
            ArgumentError: for an unknown setting or a value that can't be used.
            DataError: where the text can't be used.
            ModelFolderError: where the folder can't be used.
            TrainingError: where training fails; what was saved stays.
        """
        return cls.train(
            text, Settings.of(settings), output=output, resume=resume, init_from=init_from, display=display
        )

    @classmethod
    def train(
        cls,
        text: Sequence[TextSource | Path | str],
        settings: Settings,
        *,
        output: Path | str | None = None,
        resume: bool = False,
        init_from: Path | str | None = None,
        display: Display | None = None,
    ) -> Self:
        """``fit``, with its settings made already."""
        return in_model_folder(output, lambda folder: cls._train(text, settings, folder, resume, init_from, display))

    @classmethod
    def _train(
        cls,
        text: Sequence[TextSource | Path | str],
        settings: Settings,
        folder: ModelFolder,
        resume: bool,
        init_from: Path | str | None,
        display: Display | None,
    ) -> Self:
        with Run.started(folder, settings, display, resume=resume) as run:
            if run.has_begun:
                # The command that began a run, with --resume added, goes on with it.
                if text:
                    run.display.line(f"going on with the text that was prepared in {folder.tokens}")
                settings = resumed_settings(folder, TASK, settings)
                data = open_data(folder)
                network = _network(settings, data.tokenizer, run.processes.device)
            else:
                settings, network = _begin(text, settings, run, init_from)
                data = open_data(folder)
            fit(network, data, settings, run)
        model = cls(network, data.tokenizer, settings, folder, run.processes.device)
        return model.finish(run, lambda: language_model_card(folder, settings, data, network))

    @classmethod
    def load(cls, folder: Path | str, *, device: str = "auto") -> Self:
        """Load a model folder, on any device whatever it was trained on.

        Raises:
            ModelFolderError: where the folder is missing, damaged, foreign or of a newer format.
        """
        place = ModelFolder(folder)
        settings = read_settings(place, TASK, Settings)
        chosen = choose_device(device)
        tokenizer = Tokenizer.load(place.tokenizer_file)
        network = build_model(settings, tokenizer.vocabulary_size)
        place.load_weights(network, chosen)
        return cls(network, tokenizer, settings, place, chosen)

    def evaluate(
        self,
        *text: TextSource | Path | str,
        part: str = "valid",
        encoding: str | None = None,
        lanes: int = EVALUATION_LANES,
    ) -> Evaluation:
        """How well the model predicts a text, beside a unigram and an n-gram model of its training text.

        Args:
            *text: files, folders, or ``TextInMemory``; if none is given, a part of the model's own data: the whole
                test part, or as much of another as validation reads.
            part: which: valid, test or train.
            encoding: of the files; the one of the training text by default.
            lanes: in which the text is read side by side, each warmed up by 256 tokens; 1 is exact.

        Raises:
            DataError: where the text can't be read.
            ArgumentError: where it has fewer than two tokens.
        """
        check_positive_integer("lanes", lanes)
        check_choice("part", part, PARTS)
        train = self.folder.tokens / "train.npy"
        # A file that is mapped into memory can't be removed on Windows.
        with TemporaryDirectory(prefix="throughtime-", ignore_cleanup_errors=True) as scratch:
            path = self.folder.tokens / f"{part}.npy"
            if text:
                path = Path(scratch) / "text.npy"
                found = [find_texts(source, encoding=encoding or self.settings.encoding) for source in text]
                write_tokens(path, self.tokenizer, Text(tuple(chain.from_iterable(found))))
            file = TokenFile(path)
            return evaluate_tokens(
                self.network,
                file,
                file.ids if text or part == "test" else file.ids[: self.settings.validation_tokens],
                train=TokenFile(train).ids if train.exists() else None,
                name=self.name,
                ngram_order=NGRAM_ORDERS[self.settings.tokens],
                precision=choose_precision("auto", self.device) if self.settings.precision == "bf16" else "32",
                lanes=lanes,
            )

    @property
    def name(self) -> str:
        """Cell and size, for tables."""
        return f"{self.settings.cell.upper()} {self.settings.num_layers} x {self.settings.hidden_size}"

    def generate(
        self,
        prompt: str = "",
        *,
        length: int = 500,
        stop: Sequence[str] = (),
        seed: int | None = None,
        **sampling: Any,
    ) -> Iterator[str]:
        """Write on from a prompt; each piece of text is given as it comes, and costs the same however long the text is.

        Args:
            prompt: what comes before; where it is empty, the text begins as after a line end.
            length: tokens to write at most.
            stop: the text ends before the first of these strings.
            seed: of the random numbers; a new text each time if None.
            **sampling: temperature, top_k, top_p, min_p, repetition_penalty; see ``Sampling``.

        Raises:
            ArgumentError: for a number out of range.
        """
        check_positive_integer("length", length)
        stop_at((), stop)
        unknown = self.tokenizer.unknown_id
        how = Sampling(**sampling, forbidden=() if unknown is None else (unknown,))
        generator = torch.Generator()
        _ = generator.manual_seed(seed) if seed is not None else generator.seed()
        return stop_at(self._pieces(prompt, length, how, generator), stop)

    def _pieces(self, prompt: str, length: int, how: Sampling, generator: torch.Generator) -> Iterator[str]:
        decoder = self.tokenizer.decoder()
        ids = self.tokenizer.encode(prompt)
        start = torch.from_numpy(ids if len(ids) else self.tokenizer.encode("\n")).to(self.device)
        with torch.inference_mode():
            scores, state = self.network(start.unsqueeze(1))
        seen = torch.zeros(1, self.tokenizer.vocabulary_size, dtype=torch.bool, device=self.device)
        for token in ids.tolist():
            seen[0, token] = True
            decoder.push(token)
        tokens = sample(self._next_step, state, scores[-1].float(), how, length=length, generator=generator, seen=seen)
        for token in tokens:
            piece = decoder.push(int(token))
            if piece:
                yield piece
        yield decoder.finish()

    @torch.inference_mode()
    def _next_step(self, state: Any, token: Tensor) -> tuple[Any, Tensor]:
        scores, state = self.network(token.unsqueeze(0), state)
        return state, scores[0].float()


def _begin(
    text: Sequence[TextSource | Path | str], settings: Settings, run: Run, init_from: Path | str | None
) -> tuple[Settings, RecurrentLanguageModel]:
    """Prepare a new run: its folder, data, settings and network."""
    if not text:
        missing = f"{run.folder.path}: holds no run to resume" if run.resume else "there is no text to learn from"
        raise ArgumentError(f"{missing}; give a text file, or --sample")
    settings, parent, vectors = _started_from(init_from, settings)
    with new_folder(run.folder, run.processes, may_exist=run.resume):
        if run.processes.is_main:
            load_data(text, settings, run, tokenizer=parent and parent.tokenizer)
        run.processes.wait()
        data = open_data(run.folder)
        settings = size_settings(settings, data, run.processes)
        network = _network(settings, data.tokenizer, run.processes.device)
    if vectors:
        coverage = start_embedding(network.embedding, data.tokenizer, vectors)
        run.display.line(f"{coverage.found:,} of {coverage.total:,} words ({coverage.fraction:.1%}) have a vector")
    elif parent:
        network.inherit(parent.network)
    if run.processes.is_main:
        write_settings(run.folder, TASK, settings)
    arithmetic = {"32": "32-bit", "bf16": "bfloat16"}[settings.precision]
    run.display.line(
        f"{settings.cell.upper()}, {settings.num_layers} x {settings.hidden_size} units, "
        f"{sum(weight.numel() for weight in network.parameters()):,} weights, vocabulary of "
        f"{data.tokenizer.vocabulary_size:,}, dropout {settings.dropout}, {arithmetic} arithmetic"
    )
    return settings, network


def _started_from(
    init_from: Path | str | None, settings: Settings
) -> tuple[Settings, LanguageModel | None, WordVectors | None]:
    """The model or the word vectors that a run starts from, and the settings that follow from them."""
    if init_from is not None:
        if settings.vectors is not None:
            raise ArgumentError("give one of `init_from` and `vectors`: a model to start from has an embedding")
        parent = LanguageModel.load(init_from)
        return _inherited(parent.settings, settings), parent, None
    vectors = given_vectors(settings.vectors, settings.embedding_size)
    if vectors is None:
        return settings, None, None
    return settings.replaced(embedding_size=vectors.vectors.shape[1]), None, vectors


def _network(settings: Settings, tokenizer: Tokenizer, device: torch.device) -> RecurrentLanguageModel:
    torch.manual_seed(settings.seed)
    return build_model(settings, tokenizer.vocabulary_size).to(device)


def _inherited(parent: Settings, given: Settings) -> Settings:
    """A model that is trained further keeps its network; how it is trained is said anew."""
    fixed = ("tokens", "split_punctuation", "cell", "hidden_size", "num_layers", "embedding_size", "tied")
    for name in given.model_fields_set & set(fixed):
        if getattr(given, name) != getattr(parent, name):
            raise ArgumentError(f"`{name}` is {getattr(parent, name)} in the model to start from; leave it out")
    return given.replaced(**{name: getattr(parent, name) for name in fixed})
