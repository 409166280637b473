"""Settings of a translator: its data, its network, how it is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from throughtime.errors import ArgumentError
from throughtime.tasks.network_training import CellName, TrainingSettings
from throughtime.tasks.settings import Positive, Probability

TokenKind = Literal["bpe", "word", "char", "byte"]


class Settings(TrainingSettings):
    """Settings of a translator. What is None is chosen from the data."""

    source: str | None = None
    """The source's language, as in the ends of the files' names; or its column, by name or by number from 1."""
    target: str | None = None
    """The target's language or column."""
    autoencode: bool = False
    """Whether the network learns to reproduce sentences, one a line of plain text, from its state alone."""
    encoding: str | None = None
    """The files' encoding; UTF-8, or else recognised and told, by default."""
    validation_pairs: Positive = 1000
    """Pairs kept for validation where no validation file is given, a tenth at most; and decoded at each validation."""

    tokens: TokenKind = "bpe"
    """What a token is: a byte-pair encoding's piece, a word, a character, or a byte."""
    source_tokens: TokenKind | None = None
    """What a token of the source is, where it differs."""
    target_tokens: TokenKind | None = None
    """What a token of the target is, where it differs."""
    lower: bool = False
    """Whether all is brought to lower case."""
    split_punctuation: bool = True
    """Whether punctuation marks are words of their own (word)."""
    joint: bool | None = None
    """Whether both languages have one vocabulary and one embedding; as a byte-pair encoding does by default."""
    vocabulary_size: Positive | None = None
    """How many tokens to know at most in each vocabulary."""
    min_count: Positive = 1
    """How often a character or word must occur to be in the vocabulary."""
    max_length: Positive = 100
    """Pairs with a sentence of more tokens are left out of the training."""
    max_ratio: Annotated[float, Field(gt=1)] = 9.0
    """Pairs of which one sentence has more than so many times the other's tokens, and ten, are left out."""

    cell: CellName = "lstm"
    embedding_size: Positive = 256
    """Features of a token's vector."""
    hidden_size: Positive = 512
    """Units of each recurrent layer of the decoder, and of both directions of the encoder together."""
    encoder_hidden_size: Positive | None = None
    """Units of each direction of the encoder, where they are to be others."""
    num_layers: Positive = 1
    """Recurrent layers of the encoder, and of the decoder."""
    bidirectional: bool = True
    """Whether the encoder reads from both ends."""
    attention: Literal["general", "additive", "dot", "none"] | None = None
    """How the decoder looks at the source; general, or none in an autoencoder, by default."""
    attention_order: Literal["after", "before"] = "after"
    """Whether attention comes after the decoder's step (Luong et al. 2015) or before it (Bahdanau et al. 2015)."""
    input_feeding: bool = False
    """Whether what attention gave is part of the next step's input, which makes training slower (after)."""
    tied: bool = True
    """Whether the output layer shares the target embedding's weights."""
    dropout: Probability = 0.4
    """Probability of dropping a unit after the embeddings, between the layers and before the output."""

    label_smoothing: Probability = 0.1
    """Share of the target's probability that is spread over the vocabulary."""
    scheduled_sampling: Probability = 0.0
    """How often, in the end, the decoder's inputs are its own outputs in training; 0 is teacher forcing."""
    scheduled_sampling_after: Annotated[float, Field(ge=1)] = 1000.0
    """Updates over which that share rises."""
    average: Positive = 5
    """How many of the best validations' weights are averaged in the end, if that is better; 1 leaves it out."""
    select_by: Literal["bleu", "chrf", "loss"] = "bleu"
    """What decides on the weights that are kept and when to stop; BLEU and chrF are of what is written freely."""
    batch_tokens: Positive = 2000
    """Tokens of a batch's targets, of each process."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    matrix_learning_rate: Annotated[float, Field(gt=0)] = 0.02
    warmup: Annotated[int, Field(ge=0)] = 100

    @model_validator(mode="after")
    def _goes_together(self) -> Settings:
        if self.autoencode and self.attention not in {None, "none"}:
            raise ArgumentError(
                f"`autoencode` goes through the state alone; leave out `attention`, got {self.attention!r}"
            )
        if self.autoencode and (self.source or self.target):
            raise ArgumentError("`autoencode` learns from plain sentences; leave out `source` and `target`")
        if self.joint and self.kinds[0] != self.kinds[1]:
            raise ArgumentError(f"`joint` needs one kind of token on both sides, got {' and '.join(self.kinds)}")
        if self.input_feeding and (self.chosen_attention is None or self.attention_order == "before"):
            raise ArgumentError("`input_feeding` needs attention, and its `attention_order` 'after'")
        return self

    @property
    def kinds(self) -> tuple[str, str]:
        """What a token of the source is, and of the target."""
        return self.source_tokens or self.tokens, self.target_tokens or self.tokens

    @property
    def is_joint(self) -> bool:
        """Whether there is one vocabulary."""
        return self.autoencode or (self.kinds == ("bpe", "bpe") if self.joint is None else self.joint)

    @property
    def chosen_attention(self) -> str | None:
        """The kind of attention, if there is any."""
        if self.attention is None:
            return None if self.autoencode else "general"
        return None if self.attention == "none" else self.attention

    @property
    def network_name(self) -> str:
        """Cell, size and attention, for people to read."""
        attention = "without attention"
        if self.chosen_attention:
            feeding = " and input feeding" if self.input_feeding else ""
            before = " before the step" if self.attention_order == "before" else ""
            attention = f"with {self.chosen_attention} attention{before}{feeding}"
        return f"{self.cell.upper()} {self.num_layers} x {self.hidden_size} {attention}"
