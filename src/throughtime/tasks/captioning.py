"""Captioning: from a picture to a sentence, one to many.

An encoder makes vectors of a picture's places. Their mean starts the translator's decoder, which feeds each word back
as its next input; with attention it also looks at the places, at each word anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, Self, TypeVar

import numpy as np
import torch
from pydantic import Field, model_validator

from throughtime.data import (
    CaptionBatches,
    CaptionColumns,
    CaptionedExamples,
    CaptionedImages,
    CaptionedVideos,
    Ids,
    SentenceTokenizer,
    Sequences,
    Splits,
    Tokenizer,
    find_captioned,
    load_splits,
    normalised,
    save_splits,
    split_captioned,
    train_tokenizer,
)
from throughtime.errors import ArgumentError, DataError, counted
from throughtime.models import Captioner, DescribingNetwork
from throughtime.tasks.caption_scores import score_captions
from throughtime.tasks.image_features import (
    ImageSettings,
    PictureReader,
    build_image_encoder,
    choose_reader,
    open_pictures,
    prepare_pictures,
)
from throughtime.tasks.network_training import CellName, Run, optimizers_of, train_network
from throughtime.tasks.sequence_search import teacher_forced_loss, write_greedily
from throughtime.tasks.settings import Positive, Probability
from throughtime.training import ModelFolder, Position, ReinforcedObjective, TranslationObjective, Validation

TASK = "captioning"
FEWEST_PICTURES = 4
MOST_TOGETHER = 5

Examples = TypeVar("Examples", CaptionedImages, CaptionedVideos)


class Settings(ImageSettings):
    """Settings of a captioner. What is None is chosen from the data."""

    image_column: str | None = None
    """The column that names the picture's file, by its name or by its number from 1; recognised by default."""
    caption_column: str | None = None
    """The column of the caption."""
    images: str | None = None
    """The folder that the pictures' names start from; that of the captions, or one beside it, by default."""
    validation_pictures: Positive = 1000
    """Pictures kept for validation where there is no validation part, a tenth at most; captioned at each validation."""
    split_by: Literal["picture", "caption"] = "picture"
    """Whether pictures that share a caption go to one part together (caption)."""

    tokens: Literal["word", "char", "byte", "bpe"] = "word"
    """What a token is: a word, a character, a byte, or a byte-pair encoding's piece."""
    lower: bool = True
    """Whether all is brought to lower case."""
    vocabulary_size: Positive | None = None
    """How many tokens to know at most."""
    min_count: Positive = 1
    """How often a character or word must occur to be in the vocabulary."""
    max_length: Positive = 50
    """Captions of more tokens are left out of the training, and none is written."""

    channels: tuple[Positive, ...] = (32, 64, 128)
    convolutions: Positive = 1
    cell: CellName = "lstm"
    embedding_size: Positive | None = None
    """Features of a word's vector; 128, or those of the word vectors that are given."""
    vectors: str | None = None
    """Word vectors to start from: a file of any format, or a model folder (word)."""
    hidden_size: Positive = 256
    """Units of each recurrent layer of the decoder, and features of a place."""
    num_layers: Positive = 1
    """Recurrent layers of the decoder."""
    attention: Literal["additive", "general", "dot", "none"] = "additive"
    """How the decoder looks at the picture; none is Show and Tell."""
    attention_order: Literal["before", "after"] = "before"
    """Whether attention comes before the decoder's step, as in Show, Attend and Tell, or after it."""
    hard_attention: Literal["reinforce", "straight-through"] | None = None
    """Look at one place at a time, which is drawn in training, and how to learn to draw; soft attention if None."""
    entropy_weight: Annotated[float, Field(ge=0)] = 0.002
    """How much it is worth in training that the places are drawn from many (reinforce)."""
    input_feeding: bool = False
    """Whether what attention gave is part of the next step's input (after)."""
    attention_penalty: Annotated[float, Field(ge=0)] = 0.1
    """How much it costs not to look at each place once in all (doubly stochastic attention); not with reinforce."""
    tied: bool = True
    """Whether the output layer shares the words' embedding."""
    dropout: Probability = 0.3
    """Probability of dropping a unit after the places' layer, the embedding and before the output."""

    label_smoothing: Probability = 0.0
    """Share of the target's probability that is spread over the vocabulary."""
    scheduled_sampling: Probability = 0.0
    """How often, in the end, the decoder's inputs are its own outputs in training; 0 is teacher forcing."""
    scheduled_sampling_after: Annotated[float, Field(ge=1)] = 1000.0
    """Updates over which that share rises."""
    together: Positive | None = None
    """Captions of each picture in a batch; as many as most pictures have, up to 5, by default."""
    select_by: Literal["cider", "bleu_4", "loss"] = "cider"
    """What decides on the weights that are kept; CIDEr-D and BLEU-4 are of what is written freely."""
    batch_size: Positive = 32
    """Pictures of a batch, of each process."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    matrix_learning_rate: Annotated[float, Field(gt=0)] = 0.02
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    warmup: Annotated[int, Field(ge=0)] = 50

    @model_validator(mode="after")
    def _goes_together(self) -> Settings:
        if self.vectors is not None and self.tokens != "word":
            raise ArgumentError("word vectors need `tokens` 'word'")
        if self.attention == "none":
            for name in ("hard_attention", "input_feeding"):
                if getattr(self, name):
                    raise ArgumentError(f"`{name}` needs `attention`, which is 'none'")
        if self.input_feeding and self.attention_order == "before":
            raise ArgumentError("`input_feeding` needs `attention_order` 'after'")
        return self

    @property
    def chosen_attention(self) -> str | None:
        """The kind of attention, if there is any."""
        return None if self.attention == "none" else self.attention

    @property
    def columns(self) -> CaptionColumns:
        """Where the rows of tables have picture and caption."""
        return CaptionColumns(self.image_column, self.caption_column, Path(self.images) if self.images else None)

    @property
    def decoder_name(self) -> str:
        """Cell, size and attention, for tables."""
        hard = "hard " if self.hard_attention else ""
        looks = "no attention" if self.attention == "none" else f"{hard}{self.attention} attention"
        return f"{self.cell.upper()} {self.num_layers} x {self.hidden_size}, {looks}"

    @property
    def network_name(self) -> str:
        """Encoder and decoder, for people to read."""
        encoder = f"convolutional {' - '.join(map(str, self.channels))}"
        if self.backbone is not None:
            encoder = f"{Path(self.backbone).name}, {'fine-tuned' if self.fine_tune else 'frozen'}"
        order = "" if self.attention == "none" else f" {self.attention_order} the step"
        return f"{encoder}; {self.decoder_name}{order}"


class Seen(Sequences, Protocol):
    """Pictures, or videos, as a network gets them."""

    def chosen(self, rows: Sequence[int]) -> Self:
        """Some of them."""
        ...


@dataclass(frozen=True)
class CaptionData:
    """A set of pictures or videos with captions, as a network gets it.

    Attributes:
        splits: its parts, without the pictures themselves.
        seen: the pictures, or videos, of each part.
        tokenizer: the vocabulary.
        reader: from other pictures to what the network gets.
        settings: what is left out of the training.
    """

    splits: Splits[CaptionedExamples[Any]]
    seen: Splits[Seen]
    tokenizer: SentenceTokenizer
    reader: PictureReader
    settings: Settings

    @cached_property
    def train(self) -> tuple[Seen, list[list[Ids]]]:
        """What is to learn from, and the tokens of its captions, shape (length,); too long ones are left out."""
        most = self.settings.max_length
        tokens = [
            [own for own in self.tokenizer.encode_all(several) if 0 < len(own) <= most]
            for several in self.splits.train.captions
        ]
        kept = [row for row, several in enumerate(tokens) if several]
        return self.seen.train.chosen(kept), [tokens[row] for row in kept]

    @cached_property
    def valid(self) -> tuple[Seen, list[tuple[str, ...]]]:
        """The part of the validation that is captioned each time, and its references."""
        few = range(min(self.settings.validation_pictures, len(self.splits.valid)))
        return self.seen.valid.chosen(few), self.splits.valid.captions[: len(few)]


def load_data(sources: Sequence[CaptionedImages | Path | str], settings: Settings, run: Run) -> None:
    """Find pictures with captions, tell what was understood, learn the words, and write the pictures as they are read.

    Args:
        sources: files, folders, or ``CaptionedImages``.
        settings: where a row has its picture and its caption, what a token is, and how pictures are read.
        run: its folder gets tokenizer.json, tokens/ and how pictures are read, its display shows what was understood.

    Raises:
        DataError: naming file and line, where the data can't be read or there is nothing to learn from it.
    """
    run.display.update("looking for the pictures", 0.0)
    splits = split_given(find_captioned(sources, settings.columns), settings, run)
    reader = choose_reader(splits.train.pictures, settings, spatial=settings.attention != "none")
    named = {name: (part.pictures, part.places) for name, part in splits.parts().items()}
    broken = prepare_pictures(reader, named, settings, run)
    kept = {
        name: part.chosen(np.setdiff1d(np.arange(len(part)), broken[name]).tolist())
        for name, part in splits.parts().items()
    }
    keep_captions(Splits(kept["train"], kept["valid"], kept.get("test")), reader, settings, run)


def split_given(parts: dict[str, Examples], settings: Settings, run: Run) -> Splits[Examples]:
    """The parts of what was found; what there is to tell of them is shown.

    Raises:
        DataError: where there is too little to learn from.
    """
    for part in parts.values():
        for remark in part.remarks:
            run.display.line(remark)
    splits = split_captioned(
        parts, settings.validation_pictures, seed=settings.seed, by_caption=settings.split_by == "caption"
    )
    train = splits.train
    if len(train) < FEWEST_PICTURES:
        have = counted(len(train), train.UNIT)
        raise DataError(f"{train.name}: has {have} to learn from, at least {FEWEST_PICTURES} are needed")
    return splits


def keep_captions(splits: Splits[Examples], reader: PictureReader, settings: Settings, run: Run) -> None:
    """Learn the words of captions, write both, and tell what was understood."""
    learned = train_tokenizer(
        settings.tokens,
        (f" {normalised(caption, lower=settings.lower)}\n" for several in splits.train.captions for caption in several),
        vocabulary_size=settings.vocabulary_size,
        min_count=settings.min_count,
        split_punctuation=True,
    )
    learned.save(run.folder.tokenizer_file)
    save_splits(splits, run.folder.tokens)
    for name, part in splits.parts().items():
        run.display.line(f"{name}: {part.summary()}")
    how = reader.preprocessing
    colours = "grey" if how.channels == 1 else "in colour"
    run.display.line(
        f"pictures of {how.height} x {how.width} pixels, {colours}; "
        f"vocabulary of {counted(learned.vocabulary_size, settings.tokens)}"
    )
    first = splits.train.examples[0]
    run.display.line(f"first {splits.train.UNIT}: {first.place} | {first.captions[0][:100]}")


def open_data(folder: ModelFolder, settings: Settings) -> CaptionData:
    """Open the data that ``load_data`` wrote.

    Raises:
        ModelFolderError: where it is missing or damaged.
    """
    splits = load_splits(folder.tokens, CaptionedImages.load)
    pictures = {name: open_pictures(folder, name) for name in splits.parts()}
    seen = Splits(pictures["train"], pictures["valid"], pictures.get("test"))
    return CaptionData(splits, seen, open_tokenizer(folder, settings), PictureReader.load(folder), settings)


def open_tokenizer(folder: ModelFolder, settings: Settings) -> SentenceTokenizer:
    """The vocabulary of a model.

    Raises:
        ModelFolderError: where it is missing or damaged.
    """
    return SentenceTokenizer(Tokenizer.load(folder.tokenizer_file), lower=settings.lower)


def build_model(settings: Settings, reader: PictureReader, vocabulary_size: int) -> Captioner:
    """Make the network, with fresh weights but for a backbone."""
    return Captioner(build_image_encoder(reader, settings), vocabulary_size, **decoder_options(settings))


def decoder_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments for a ``DescribingNetwork``."""
    return {
        "cell": settings.cell,
        "embedding_size": settings.embedding_size or 128,
        "hidden_size": settings.hidden_size,
        "num_layers": settings.num_layers,
        "attention": settings.chosen_attention,
        "attention_order": settings.attention_order,
        "input_feeding": settings.input_feeding,
        "hard_attention": settings.hard_attention,
        "dropout": settings.dropout,
        "tied": settings.tied,
    }


def fit(network: DescribingNetwork, data: CaptionData, settings: Settings, run: Run) -> Position:
    """Train the network; the folder keeps the best weights, the log and what a resumed run needs.

    Raises:
        TrainingError: where the loss or the gradient is not finite.
    """
    frames, captions = data.train
    batches = CaptionBatches(
        frames,
        captions,
        end=data.tokenizer.end,
        batch_size=settings.batch_size,
        together=settings.together or min(MOST_TOGETHER, int(np.median([len(several) for several in captions]))),
        seed=settings.seed,
        rank=run.processes.rank,
        world_size=run.processes.count,
    )
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    return train_network(
        network,
        objective_of(network, settings),
        batches,
        partial(validate, network, data, settings, run),
        settings,
        run,
        optimizers=optimizers_of(trained, network.hidden_matrices(), settings),
        most_epochs=enough_epochs(len(frames)),
    )


def objective_of(network: DescribingNetwork, settings: Settings) -> TranslationObjective:
    """What training lowers."""
    options: dict[str, Any] = {
        "label_smoothing": settings.label_smoothing,
        "own_share": settings.scheduled_sampling,
        "own_after": settings.scheduled_sampling_after,
    }
    if settings.hard_attention == "reinforce":
        return ReinforcedObjective(network, entropy_weight=settings.entropy_weight, **options)
    return TranslationObjective(network, attention_penalty=settings.attention_penalty, **options)


def enough_epochs(pictures: int) -> int:
    """How many passes over so many pictures are enough, fewer where there are more.

    >>> enough_epochs(1_000), enough_epochs(8_000), enough_epochs(1_000_000)
    (100, 25, 4)
    """
    return min(100, max(4, round(200_000 / pictures)))


@torch.inference_mode()
def validate(network: DescribingNetwork, data: CaptionData, settings: Settings, run: Run) -> Validation:
    """Judge the network on the validation part: its loss on the first captions, and what it writes freely.

    The scores are of greedy search, with nothing of the references given away.
    """
    frames, references = data.valid
    first = data.tokenizer.encode_all(several[0] for several in references)
    loss = teacher_forced_loss(network, frames, first, precision=settings.precision)
    found = write_greedily(network, frames, unknown=data.tokenizer.unknown_id, max_length=settings.max_length)
    scores = score_captions([data.tokenizer.decode(one.tokens) for one in found], references)
    figures = {"bleu_4": run.processes.first(scores.bleu_4), "cider": run.processes.first(scores.cider)}
    return Validation(run.processes.first(loss), figures, figures.get(settings.select_by))
