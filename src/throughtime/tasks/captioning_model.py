"""What every captioner is to hold in the hand: fit it, let it caption, judge it, save it, load it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch

from throughtime.data import PARTS, CaptionColumns, CaptionedExamples, Frames, SentenceTokenizer, chosen_part
from throughtime.errors import ArgumentError, check_choice, check_range
from throughtime.models import DescribingNetwork
from throughtime.tasks.caption_evaluation import Evaluation, beside_captions, evaluate_captions
from throughtime.tasks.caption_scores import check_caption_scorers
from throughtime.tasks.captioning import CaptionData, Seen, Settings, enough_epochs, fit, open_tokenizer
from throughtime.tasks.image_features import PictureReader
from throughtime.tasks.model_card import weights_of
from throughtime.tasks.network_training import Run
from throughtime.tasks.picture_cards import captioner_card
from throughtime.tasks.pretrained_vectors import given_vectors, start_embedding
from throughtime.tasks.sequence_search import Alignment, Search, alignments, search_sequences, teacher_forced_loss
from throughtime.tasks.trainable_model import TrainableModel
from throughtime.training import ModelFolder, choose_precision

Network = TypeVar("Network", bound=DescribingNetwork)
Examples = TypeVar("Examples", bound=CaptionedExamples[Any])


@dataclass(frozen=True)
class Caption:
    """What is said about a picture or a video.

    Attributes:
        text: the caption.
        score: what it was ranked by.
        log_probability: of its tokens and its end, in nats.
        pieces: its tokens.
        attention: how much each of the pieces, and the end, looked at each place of the picture, shape (pieces + 1,
            rows, columns), or at each frame of the video, shape (pieces + 1, frames); None where it wasn't asked for,
            and without attention.
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


class CaptioningModel(TrainableModel[Network, Settings, Examples], ABC, Generic[Network, Examples]):
    """A trained captioner; a subclass says what is captioned.

    Attributes:
        EXAMPLES: what it learns from, a ``CaptionedExamples`` that can be made and loaded.
        NEAREST: what the row of the nearest example's caption is called.
        network: gives scores of each next word.
        reader: from pictures to what the network gets.
        tokenizer: the vocabulary.
        settings: all settings that it was trained with.
        folder: where it stands on disk.
        device: where it computes.
        is_main: False in all but one of the processes that trained it together.
    """

    SETTINGS = Settings
    FIT = staticmethod(fit)
    CARD = staticmethod(captioner_card)
    EXAMPLES: ClassVar[Any]
    NEAREST: ClassVar[str]

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
    @abstractmethod
    def find(cls, sources: Sequence[Examples | Path | str], columns: CaptionColumns) -> dict[str, Examples]:
        """The parts of a captioned data set, train, valid or test; see ``data.find_captioned``."""

    @abstractmethod
    def _seen(self, examples: Examples) -> Seen:
        """What the network gets; of the model's own data it stands in the folder."""

    @abstractmethod
    def _pictures(self, seen: Any) -> Frames:
        """A picture for each, to compare them by."""

    @abstractmethod
    def _looked(self, weights: Alignment) -> Alignment:
        """Weights of shape (words, places) as a ``Caption`` has them."""

    @classmethod
    def _parts(cls, data: CaptionData) -> tuple[PictureReader, SentenceTokenizer]:
        return data.reader, data.tokenizer

    @classmethod
    def _read_parts(cls, folder: ModelFolder, settings: Settings) -> tuple[PictureReader, SentenceTokenizer]:
        return PictureReader.load(folder), open_tokenizer(folder, settings)

    @classmethod
    def _fresh(cls, data: CaptionData, settings: Settings, run: Run) -> tuple[Settings, Network]:
        vectors = given_vectors(settings.vectors, settings.embedding_size)
        changes: dict[str, object] = {"precision": choose_precision(settings.precision, run.processes.device)}
        if vectors:
            changes["embedding_size"] = vectors.vectors.shape[1]
        if settings.is_open_ended:
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

    def _own(self, part: str) -> Examples:
        return self.EXAMPLES.load(self.folder.tokens / f"{part}.jsonl", part)

    def _caption(self, given: Sequence[Any], attention: bool, search: dict[str, Any]) -> list[Caption]:
        unit = self.EXAMPLES.UNIT
        if isinstance(given, str | Path):
            raise ArgumentError(f"`{unit}s` must be a list of {unit}s, got one name")
        how = self._search(search)
        if not len(given):
            return []
        return self._captions(self._seen(self.EXAMPLES.of(given, [""] * len(given))), how, attention=attention)

    def captions_of(self, seen: Seen, *, attention: bool = False, **search: Any) -> list[Caption]:
        """Say what is in pictures or videos as the network gets them; ``search`` as of ``caption``."""
        return self._captions(seen, self._search(search), attention=attention)

    def evaluate(
        self,
        *data: Examples | Path | str,
        part: str | None = None,
        columns: CaptionColumns | None = None,
        examples: int = 10,
        **search: Any,
    ) -> Evaluation:
        """How good the captions are, beside the nearest training example's caption and the most common one.

        Args:
            *data: files, folders, or captioned examples; if none is given, a part of the model's own data.
            part: which: of the model's own data valid by default; of other data the only one, or else test.
            columns: where the rows of a table have what; as in the training data by default.
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
            asked = chosen_part(self.find(data, columns or self.settings.columns), part)
        else:
            asked = self._own(part or "valid")
        seen = self._seen(asked)
        begun = time.perf_counter()
        captions = [one.text for one in self._captions(seen, how)]
        seconds = time.perf_counter() - begun
        first = self.tokenizer.encode_all(own[0] for own in asked.captions)
        beside: dict[str, Sequence[str]] = {}
        if (self.folder.tokens / "train.jsonl").exists():
            train = self._own("train")
            pictures, known = self._pictures(seen), self._pictures(self._seen(train))
            beside = beside_captions(pictures, known, train.captions, nearest=self.NEAREST)
        name = "drawn" if how.temperature is not None else f"beam {how.beam_size}"
        return evaluate_captions(
            f"{self.settings.decoder_name}, {name}",
            captions,
            asked,
            beside,
            nats_per_token=teacher_forced_loss(self.network, seen, first, precision="32"),
            seconds=seconds,
            examples=np.linspace(0, len(asked) - 1, min(examples, len(asked))).astype(int).tolist(),
        )

    def _search(self, options: dict[str, Any]) -> Search:
        for name in options:
            check_choice("search", name, Search.__dataclass_fields__)
        chosen: dict[str, Any] = {"max_length": self.settings.max_length, "replace_unknown": False, **options}
        return Search(**chosen)

    def _captions(self, seen: Seen, how: Search, *, attention: bool = False) -> list[Caption]:
        found = search_sequences(self.network, seen, how, self.tokenizer)
        weights: list[Alignment] | None = None
        if attention:
            tokens = [np.array(several[0].tokens, dtype=np.int64) for several in found]
            weights = alignments(self.network, seen, tokens)
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
            looked = None if weights is None else self._looked(weights[row])
            captions.append(Caption(best.text, best.score, best.log_probability, best.pieces, looked, tuple(others)))
        return captions
