"""A captioner to hold in the hand: fit it, let it caption pictures, judge it, save it, load it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from throughtime.data import (
    PARTS,
    CaptionColumns,
    CaptionedImages,
    Frames,
    Picture,
    SentenceTokenizer,
    chosen_part,
    find_captioned,
)
from throughtime.errors import ArgumentError, check_choice, check_range
from throughtime.models import Captioner as Network
from throughtime.tasks.caption_evaluation import Evaluation, beside_captions, evaluate_captions
from throughtime.tasks.caption_scores import check_caption_scorers
from throughtime.tasks.captioning import (
    TASK,
    CaptionData,
    Settings,
    build_model,
    enough_epochs,
    fit,
    load_data,
    open_data,
    open_tokenizer,
)
from throughtime.tasks.image_features import PictureReader, open_pictures
from throughtime.tasks.model_card import weights_of
from throughtime.tasks.model_runs import read_settings, save_copy, write_settings
from throughtime.tasks.network_training import Run
from throughtime.tasks.picture_cards import captioner_card
from throughtime.tasks.pretrained_vectors import given_vectors, start_embedding
from throughtime.tasks.sequence_search import Alignment, Search, alignments, search_sequences, teacher_forced_loss
from throughtime.tasks.trainable_model import TrainableModel
from throughtime.training import ModelFolder, choose_device, choose_precision


@dataclass(frozen=True)
class Caption:
    """What is said about a picture.

    Attributes:
        text: the caption.
        score: what it was ranked by.
        log_probability: of its tokens and its end, in nats.
        pieces: its tokens.
        attention: how much each of the pieces, and the end, looked at each place of the picture, shape (pieces + 1,
            rows, columns); None where it wasn't asked for, and without attention.
        others: the next best captions, the best of them first.
    """

    text: str
    score: float
    log_probability: float
    pieces: tuple[str, ...] = ()
    attention: Alignment | None = None
    others: tuple[Caption, ...] = field(default=())

    def __str__(self) -> str:
        return self.text


class Captioner(TrainableModel[Network, Settings, CaptionedImages]):
    """A trained captioner.

    Attributes:
        network: gives scores of each next word about a picture.
        reader: from pictures to what the network gets.
        tokenizer: the vocabulary.
        settings: all settings that it was trained with.
        folder: where it stands on disk.
        device: where it computes.
        is_main: False in all but one of the processes that trained it together.
    """

    TASK = TASK
    SETTINGS = Settings
    WANTED = "pictures with captions"

    def __init__(
        self,
        network: Network,
        reader: PictureReader,
        tokenizer: SentenceTokenizer,
        settings: Settings,
        folder: ModelFolder,
        device: torch.device,
    ) -> None:
        super().__init__(network, settings, folder, device)
        self.reader = reader
        self.tokenizer = tokenizer

    @classmethod
    def _checked(cls, settings: Settings, run: Run) -> Settings:
        check_caption_scorers()
        given_vectors(settings.vectors, settings.embedding_size)
        return settings

    @classmethod
    def _prepare(cls, sources: Sequence[CaptionedImages | Path | str], settings: Settings, run: Run) -> None:
        load_data(sources, settings, run)

    @classmethod
    def _open(cls, folder: ModelFolder, settings: Settings) -> CaptionData:
        return open_data(folder, settings)

    @classmethod
    def _network(cls, settings: Settings, data: CaptionData, run: Run) -> Network:
        torch.manual_seed(settings.seed)
        return build_model(settings, data.reader, data.tokenizer.vocabulary_size).to(run.processes.device)

    @classmethod
    def _fresh(cls, data: CaptionData, settings: Settings, run: Run) -> tuple[Settings, Network]:
        vectors = given_vectors(settings.vectors, settings.embedding_size)
        changes: dict[str, object] = {"precision": choose_precision(settings.precision, run.processes.device)}
        if vectors:
            changes["embedding_size"] = vectors.vectors.shape[1]
        if settings.epochs is settings.steps is settings.time_budget is None:
            changes["epochs"] = float(enough_epochs(len(data.splits.train)))
        settings = settings.replaced(**changes)
        network = cls._network(settings, data, run)
        if vectors:
            coverage = start_embedding(network.decoder.embedding, data.tokenizer.tokenizer, vectors)
            run.display.line(f"{coverage.found:,} of {coverage.total:,} words ({coverage.fraction:.1%}) have a vector")
        return settings, network

    @classmethod
    def _told(cls, network: Network, data: CaptionData, settings: Settings) -> str:
        return f"{settings.network_name}; {weights_of(network)}, dropout {settings.dropout}"

    @classmethod
    def _fit(cls, network: Network, data: CaptionData, settings: Settings, run: Run) -> object:
        return fit(network, data, settings, run)

    @classmethod
    def _made(cls, network: Network, data: CaptionData, settings: Settings, run: Run) -> Self:
        model = cls(network, data.reader, data.tokenizer, settings, run.folder, run.processes.device)
        return model.finish(run, lambda: captioner_card(run.folder, settings, data, network))

    @classmethod
    def load(cls, folder: Path | str, *, device: str = "auto") -> Self:
        """Load a model folder, on any device whatever it was trained on.

        Raises:
            ModelFolderError: where the folder is missing, damaged, foreign or of a newer format.
        """
        place = ModelFolder(folder)
        settings = read_settings(place, TASK, Settings)
        chosen = choose_device(device)
        reader, tokenizer = PictureReader.load(place), open_tokenizer(place, settings)
        network = build_model(settings, reader, tokenizer.vocabulary_size)
        place.load_weights(network, chosen)
        return cls(network, reader, tokenizer, settings, place, chosen)

    def save(self, folder: Path | str) -> None:
        """Write the model, without its training state and data, into a new folder.

        Raises:
            ModelFolderError: where something stands there already.
        """
        target = ModelFolder(folder)
        save_copy(self.folder, target, self.network)
        self.tokenizer.tokenizer.save(target.tokenizer_file)
        self.reader.save(target)
        write_settings(target, TASK, self.settings)

    def caption(self, pictures: Sequence[Picture | str], *, attention: bool = False, **search: Any) -> list[Caption]:
        """Say what is in pictures.

        Args:
            pictures: files, or pixels, uint8, of shape (height, width) or (height, width, channel).
            attention: whether to tell where the network looked.
            **search: see ``Search``: beam_size, n_best, length_penalty, block_ngrams, temperature and more.

        Raises:
            ArgumentError: where one picture's name is given in place of a list, or for a search that can't be.
            DataError: naming the picture, where one can't be read.
        """
        if isinstance(pictures, str | Path):
            raise ArgumentError("`pictures` must be a list of pictures, got one name")
        how = self._search(search)
        if not pictures:
            return []
        own = [Path(picture) if isinstance(picture, str) else picture for picture in pictures]
        places = [str(one) if isinstance(one, Path) else f"pictures[{row}]" for row, one in enumerate(own)]
        return self._captions(self.reader.frames(own, places), how, attention=attention)

    def captions_of(self, frames: Frames, *, attention: bool = False, **search: Any) -> list[Caption]:
        """``caption`` of pictures as the network gets them."""
        return self._captions(frames, self._search(search), attention=attention)

    def evaluate(
        self,
        *data: CaptionedImages | Path | str,
        part: str | None = None,
        columns: CaptionColumns | None = None,
        examples: int = 10,
        **search: Any,
    ) -> Evaluation:
        """How good the captions are, beside the nearest picture's caption and the most common one.

        Args:
            *data: files, folders, or ``CaptionedImages``; if none is given, a part of the model's own data.
            part: which: of the model's own data valid by default; of other data the only one, or else test.
            columns: where the rows of a table have picture and caption; as in the training data by default.
            examples: how many captions to give, taken at equal distances.
            **search: see ``Search``.

        Raises:
            DataError: where the data can't be read.
            ModelFolderError: where the model's own data is asked for and not there any more.
        """
        check_choice("part", part or "valid", PARTS)
        check_range("examples", examples, low=0)
        how = self._search(search)
        if data:
            images = self._found(data, part, columns)
            places = [example.place for example in images.examples]
            frames = self.reader.frames(images.pictures, places)
        else:
            images = CaptionedImages.load(self.folder.tokens / f"{part or 'valid'}.jsonl", part or "valid")
            frames = open_pictures(self.folder, part or "valid")
        begun = time.perf_counter()
        captions = [one.text for one in self._captions(frames, how)]
        seconds = time.perf_counter() - begun
        first = self.tokenizer.encode_all(example.captions[0] for example in images.examples)
        known = self.folder.tokens / "train.jsonl"
        beside = {}
        if known.exists():
            train = CaptionedImages.load(known, "train")
            beside = beside_captions(frames, open_pictures(self.folder, "train"), train.captions)
        name = "drawn" if how.temperature is not None else f"beam {how.beam_size}"
        return evaluate_captions(
            f"{self.settings.decoder_name}, {name}",
            captions,
            images,
            beside,
            nats_per_token=teacher_forced_loss(self.network, frames, first, precision="32"),
            seconds=seconds,
            examples=np.linspace(0, len(images) - 1, min(examples, len(images))).astype(int).tolist(),
        )

    def _search(self, options: dict[str, Any]) -> Search:
        for name in options:
            check_choice("search", name, Search.__dataclass_fields__)
        chosen: dict[str, Any] = {"max_length": self.settings.max_length, "replace_unknown": False, **options}
        return Search(**chosen)

    def _captions(self, frames: Frames, how: Search, *, attention: bool = False) -> list[Caption]:
        found = search_sequences(self.network, frames, how, self.tokenizer)
        weights: list[Alignment] | None = None
        if attention:
            tokens = [np.array(several[0].tokens, dtype=np.int64) for several in found]
            weights = alignments(self.network, frames, tokens)
        captions: list[Caption] = []
        for row, several in enumerate(found):
            best, *others = (
                Caption(
                    self.tokenizer.decode(one.tokens),
                    one.score,
                    one.log_probability,
                    tuple(self.tokenizer.tokenizer.token(token) for token in one.tokens),
                )
                for one in several
            )
            looked = None if weights is None else weights[row].reshape(-1, *self.network.images.grid)
            captions.append(Caption(best.text, best.score, best.log_probability, best.pieces, looked, tuple(others)))
        return captions

    def _found(
        self, data: Sequence[CaptionedImages | Path | str], part: str | None, columns: CaptionColumns | None
    ) -> CaptionedImages:
        found = find_captioned(data, columns or self.settings.columns)
        return chosen_part(found, part)
