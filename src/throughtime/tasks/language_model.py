"""A language model to hold in the hand: fit it, judge text by it, let it write, save it, load it."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import torch
from torch import Tensor

from throughtime.data import (
    Text,
    TextSource,
    TokenFile,
    Tokenizer,
    find_texts,
    write_tokens,
)
from throughtime.decoding import Sampling, sample, stop_at
from throughtime.errors import ArgumentError, ModelFolderError, check_choice, check_positive_integer
from throughtime.models import RecurrentLanguageModel
from throughtime.tasks.language_evaluation import Evaluation, evaluate_tokens
from throughtime.tasks.language_model_sizing import size_settings
from throughtime.tasks.language_modelling import (
    RESUMABLE,
    TASK,
    Settings,
    build_model,
    fit,
    load_data,
    open_data,
)
from throughtime.tasks.model_card import language_model_card
from throughtime.tasks.pretrained_vectors import start_embedding
from throughtime.training import Display, ModelFolder, Processes, choose_device, choose_precision
from throughtime.word2vec import WordVectors

EVALUATION_LANES = 16
NGRAM_ORDERS = {"char": 7, "byte": 7, "word": 5, "bpe": 5}


class LanguageModel:
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
        self.network = network.to(device).eval()
        self.tokenizer = tokenizer
        self.settings = settings
        self.folder = folder
        self.device = device
        self.is_main = True

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
        temporary = Path(tempfile.mkdtemp(prefix="throughtime-")) if output is None else None
        try:
            model = cls._train(text, settings, ModelFolder(output or temporary or ""), resume, init_from, display)
        except BaseException:
            if temporary:
                shutil.rmtree(temporary, ignore_errors=True)
            raise
        if temporary:
            weakref.finalize(model, shutil.rmtree, temporary, ignore_errors=True)
        return model

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
        if settings.threads:
            torch.set_num_threads(settings.threads)
        processes = Processes.join(settings.device)
        display = display if display and processes.is_main else Display(quiet=True)
        with display:
            if resume and folder.config_file.exists():
                # The command that began a run, with --resume added, goes on with it.
                if text:
                    display.line(f"going on with the text that was prepared in {folder.tokens}")
                settings = _resumed(folder, settings)
                data = open_data(folder)
                network = _network(settings, data.tokenizer, processes.device)
            else:
                settings, network = _begin(text, settings, folder, processes, display, init_from, may_exist=resume)
                data = open_data(folder)
            fit(network, data, settings, folder, processes=processes, display=display, resume=resume)
        folder.load_weights(network, processes.device)
        model = cls(network, data.tokenizer, settings, folder, processes.device)
        model.is_main = processes.is_main
        if processes.is_main:
            language_model_card(folder, settings, data, network)
        processes.wait()
        return model

    @classmethod
    def load(cls, folder: Path | str, *, device: str = "auto") -> Self:
        """Load a model folder, on any device whatever it was trained on.

        Raises:
            ModelFolderError: where the folder is missing, damaged, foreign or of a newer format.
        """
        place = ModelFolder(folder)
        config = place.read_config()
        if config["task"] != TASK:
            raise ModelFolderError(f"{place.path}: holds a model for {config['task']}, not for {TASK}")
        settings = _saved_settings(place)
        chosen = choose_device(device)
        tokenizer = Tokenizer.load(place.tokenizer_file)
        network = build_model(settings, tokenizer.vocabulary_size)
        place.load_weights(network, chosen)
        return cls(network, tokenizer, settings, place, chosen)

    def save(self, folder: Path | str) -> None:
        """Write the model, without its training state and data, into a new folder.

        Raises:
            ModelFolderError: where something stands there already.
        """
        target = ModelFolder(folder)
        target.create()
        target.save_weights(self.network)
        self.tokenizer.save(target.tokenizer_file)
        target.write_config(TASK, {"settings": self.settings.model_dump(exclude_none=True)})
        target.tokens.rmdir()
        for name in (self.folder.card_file, self.folder.metrics_file, self.folder.figure_file):
            if name.exists():
                (target.path / name.name).write_bytes(name.read_bytes())

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
        check_choice("part", part, ("train", "valid", "test"))
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
    text: Sequence[TextSource | Path | str],
    settings: Settings,
    folder: ModelFolder,
    processes: Processes,
    display: Display,
    init_from: Path | str | None,
    *,
    may_exist: bool,
) -> tuple[Settings, RecurrentLanguageModel]:
    """Prepare a new run: its folder, data, settings and network."""
    if not text:
        missing = f"{folder.path}: holds no run to resume" if may_exist else "there is no text to learn from"
        raise ArgumentError(f"{missing}; give a text file, or --sample")
    settings, parent, vectors = _started_from(init_from, settings)
    if processes.is_main:
        folder.create(may_exist=may_exist)
    try:
        if processes.is_main:
            load_data(text, settings, folder, display=display, tokenizer=parent and parent.tokenizer)
        processes.wait()
        data = open_data(folder)
        settings = size_settings(settings, data, processes)
        network = _network(settings, data.tokenizer, processes.device)
    except BaseException:
        if processes.is_main:
            folder.discard()
        raise
    if vectors:
        coverage = start_embedding(network.embedding, data.tokenizer, vectors)
        display.line(f"{coverage.found:,} of {coverage.total:,} words ({coverage.fraction:.1%}) have a vector")
    elif parent:
        network.inherit(parent.network)
    if processes.is_main:
        folder.write_config(TASK, {"settings": settings.model_dump(exclude_none=True)})
    arithmetic = {"32": "32-bit", "bf16": "bfloat16"}[settings.precision]
    display.line(
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
    if settings.vectors is None:
        return settings, None, None
    vectors = WordVectors.load(settings.vectors)
    size = vectors.vectors.shape[1]
    if settings.embedding_size not in {None, size}:
        raise ArgumentError(f"`embedding_size` is {size}, that of the `vectors`, got {settings.embedding_size}")
    return settings.replaced(embedding_size=size), None, vectors


def _network(settings: Settings, tokenizer: Tokenizer, device: torch.device) -> RecurrentLanguageModel:
    torch.manual_seed(settings.seed)
    return build_model(settings, tokenizer.vocabulary_size).to(device)


def _saved_settings(folder: ModelFolder) -> Settings:
    try:
        return Settings.of(folder.read_config()["settings"])
    except (KeyError, TypeError, ArgumentError) as error:
        raise ModelFolderError(f"{folder.config_file}: its settings are damaged ({error})") from error


def _resumed(folder: ModelFolder, given: Settings) -> Settings:
    """The settings of a run that goes on: as they were, but for its limits and where it computes."""
    saved = _saved_settings(folder)
    for name in given.model_fields_set - RESUMABLE:
        if getattr(given, name) != getattr(saved, name):
            raise ArgumentError(
                f"`{name}` stays as the run began ({getattr(saved, name)}) when it is resumed; leave it out, "
                "or begin a new run"
            )
    limits = {"epochs", "steps", "time_budget"}
    changed = {name: getattr(given, name) for name in given.model_fields_set & RESUMABLE}
    kept = saved.model_dump(exclude_unset=True, exclude=limits if limits & changed.keys() else set[str]())
    return Settings.of({**kept, **changed})


def _inherited(parent: Settings, given: Settings) -> Settings:
    """A model that is trained further keeps its network; how it is trained is said anew."""
    fixed = ("tokens", "split_punctuation", "cell", "hidden_size", "num_layers", "embedding_size", "tied")
    for name in given.model_fields_set & set(fixed):
        if getattr(given, name) != getattr(parent, name):
            raise ArgumentError(f"`{name}` is {getattr(parent, name)} in the model to start from; leave it out")
    return given.replaced(**{name: getattr(parent, name) for name in fixed})
