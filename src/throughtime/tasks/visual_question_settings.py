"""The settings of networks that answer questions about pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from throughtime.data import QuestionColumns
from throughtime.errors import counted
from throughtime.tasks.image_features import ImageSettings
from throughtime.tasks.network_training import CellName
from throughtime.tasks.settings import Duration, Positive, Probability


class Settings(ImageSettings):
    """Settings of a network that answers questions about pictures. What is None is chosen from the data."""

    image_column: str | None = None
    """The column that names the picture's file, by its name or by its number from 1; recognised by default."""
    question_column: str | None = None
    """The column of the question."""
    answer_column: str | None = None
    """The column of the answer; several people's answers stand with | between them."""
    images: str | None = None
    """The folder that the names of pictures start from; that of the table by default."""
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the pictures that is kept for validation where no validation file is given."""

    answers: Literal["list", "sequence"] = "list"
    """Whether an answer is one of a list, or written word by word by the decoder of captions."""
    num_answers: Positive = 3000
    """Answers to choose from at most, the most frequent ones (list)."""
    answer_tokens: Literal["word", "char"] = "word"
    """What an answer is written in: words or characters (sequence)."""
    max_length: Positive = 30
    """Words or characters that are written at most; longer answers are left out of the training (sequence)."""
    min_count: Positive = 1
    """How often a word of the questions must occur to be known."""
    combination: Literal["joined", "attention", "relation", "sequential"] = "attention"
    """How picture and question come together: joined, stacked attention, a relation network of all pairs of places, or
    sequential attention, which pairs a place that it finds with each of the others."""
    embedding_size: Positive = 64
    """Features of a word's vector."""
    cell: CellName = "lstm"
    hidden_size: Positive = 128
    """Units of the recurrent layer that reads the question."""
    num_layers: Positive = 1
    """Recurrent layers, one above the other."""
    joint_size: Positive = 256
    """Units of what combines picture and question, and of the layer after it."""
    hops: Positive = 2
    """How often the question looks at the picture (attention, sequential)."""
    relation_layers: Annotated[int, Field(ge=2)] = 4
    """Layers of the network of a pair of places (relation, sequential)."""
    dropout: Probability = 0.2
    """Probability of dropping a unit before the last layers."""

    channels: tuple[Positive, ...] = (32, 64, 64, 64)
    """Filters of each stage of the own convolutional network, each of which halves height and width."""
    time_budget: Duration | None = None
    """Time to train at most, such as 90s, 10m or 1h30m; training ends sooner when it has read enough."""
    batch_size: Positive = 128
    """Questions of a batch, of each process."""
    together: Positive = 8
    """Questions about a picture that stand together in a batch at most; it is looked at once for all of them."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    matrix_learning_rate: Annotated[float, Field(gt=0)] = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.01

    @property
    def columns(self) -> QuestionColumns:
        """Where the rows of tables have what."""
        folder = Path(self.images) if self.images else None
        return QuestionColumns(self.image_column, self.question_column, self.answer_column, folder)

    @property
    def network_name(self) -> str:
        """The network's parts, for people to read."""
        how = {
            "joined": "joined",
            "attention": f"stacked attention, {counted(self.hops, 'hop')}",
            "relation": f"relation network of {self.relation_layers} layers",
            "sequential": f"sequential attention, {counted(self.hops, 'hop')}, pairs by {self.relation_layers} layers",
        }[self.combination]
        writes = ", written answers" if self.answers == "sequence" else ""
        looks = self.backbone or f"CNN {' - '.join(map(str, self.channels))}"
        return f"{looks} + {self.cell.upper()} {self.num_layers} x {self.hidden_size}, {how}{writes}"
