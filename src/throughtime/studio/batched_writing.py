"""A language model that writes many texts at once: each step computes the next token of all that are being written.

A recurrent network's state has the same size however long its text is, so texts join and leave between any two steps.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import Any

import torch
from torch import Tensor

from throughtime.data import Ids
from throughtime.decoding import Sampling
from throughtime.errors import ThroughTimeError
from throughtime.studio.limits import Limits
from throughtime.studio.refusals import RefusedError
from throughtime.studio.shelf import Entry, Shelf
from throughtime.tasks.language_model import LanguageModel


@dataclass(frozen=True)
class Piece:
    """Some text that was written.

    Attributes:
        text: one token's, or that of several that make a character together.
        surprise: -log of its probability by the model, in nats, whatever it was drawn by.
    """

    text: str
    surprise: float


@dataclass
class _Text:
    """A text that is being written."""

    prompt: Ids
    length: int
    sampling: Sampling
    generator: torch.Generator
    deadline: float
    loop: asyncio.AbstractEventLoop
    pieces: asyncio.Queue[Piece | str | ThroughTimeError] = field(default_factory=asyncio.Queue)
    is_wanted: bool = True
    written: int = 0
    seen: Tensor = field(default_factory=lambda: torch.zeros(1, 0, dtype=torch.bool))
    decoder: Any = None
    surprise: float = 0.0

    def give(self, what: Piece | str | ThroughTimeError) -> None:
        try:
            self.loop.call_soon_threadsafe(self.pieces.put_nowait, what)
        except RuntimeError:  # the server has ended
            self.is_wanted = False


class Writer:
    """Writes with one model, in a thread that lives while there is something to write.

    Args:
        entry: of a language model.
        limits: how many texts at once, how many may wait, and for how long one may be written.
    """

    def __init__(self, entry: Entry, limits: Limits) -> None:
        self._entry = entry
        self._limits = limits
        self._lock = Lock()
        self._waiting: deque[_Text] = deque()
        self._is_running = False
        self.largest_batch = 0

    async def write(
        self, prompt: str, *, length: int, seed: int | None, sampling: dict[str, Any]
    ) -> AsyncGenerator[list[Piece | str]]:
        """Write on from a prompt.

        The same seed draws by the same random numbers as ``LanguageModel.generate``, whatever is written beside.

        Yields:
            The pieces that have come since, and in the end why it ended: "length" or "time".

        Raises:
            ArgumentError: for a number out of range.
            RefusedError: where too many wait.
        """
        model = Shelf.loaded(self._entry, LanguageModel)
        unknown = model.tokenizer.unknown_id
        how = Sampling(**sampling, forbidden=() if unknown is None else (unknown,))
        generator = torch.Generator()
        _ = generator.manual_seed(seed) if seed is not None else generator.seed()
        ids = model.tokenizer.encode(prompt)
        deadline = time.monotonic() + self._limits.seconds
        text = _Text(ids, length, how, generator, deadline, asyncio.get_running_loop())
        self._begin(text)
        return self._pieces(text)

    async def _pieces(self, text: _Text) -> AsyncGenerator[list[Piece | str]]:
        try:
            while True:
                found = [await text.pieces.get()]
                while not text.pieces.empty():
                    found.append(text.pieces.get_nowait())
                yield [one for one in found if not isinstance(one, ThroughTimeError)]
                if isinstance(found[-1], ThroughTimeError):
                    raise found[-1]
                if isinstance(found[-1], str):
                    return
        finally:
            text.is_wanted = False

    def _begin(self, text: _Text) -> None:
        with self._lock:
            if len(self._waiting) >= self._limits.waiting:
                raise RefusedError(503, f"{len(self._waiting)} texts are waiting to be written; try again later")
            self._waiting.append(text)
            if not self._is_running:
                self._is_running = True
                Thread(target=self._run, name=f"writer of {self._entry.name}", daemon=True).start()

    def _run(self) -> None:
        """Step after step until nothing is left; new weights are taken up between texts alone."""
        texts: list[_Text] = []
        state: Any = None
        scores = torch.zeros(0, 0)
        model: LanguageModel | None = None
        while True:
            with self._lock:
                joining = [self._waiting.popleft() for _ in range(self._room(len(texts)))]
                if not texts and not joining:
                    self._is_running = False
                    return
            try:
                if model is None or not texts:
                    model = Shelf.loaded(self._entry, LanguageModel)
                with self._entry.turn(), torch.inference_mode():
                    texts, state, scores = _joined(model, texts, state, scores, joining)
                    self.largest_batch = max(self.largest_batch, len(texts))
                    texts, state, scores = _step(model, texts, state, scores)
            except Exception as error:
                is_ours = isinstance(error, ThroughTimeError)
                told = error if is_ours else RefusedError(500, f"{type(error).__name__}: {error}")
                for text in {id(one): one for one in [*texts, *joining]}.values():
                    text.give(told)
                texts = []

    def _room(self, count: int) -> int:
        return min(len(self._waiting), self._limits.side_by_side - count)


def _joined(
    model: LanguageModel, texts: list[_Text], state: Any, scores: Tensor, joining: list[_Text]
) -> tuple[list[_Text], Any, Tensor]:
    """Read the prompts of new texts, and put their states beside those of the others."""
    for text in joining:
        ids = text.prompt
        start = torch.from_numpy(ids if len(ids) else model.tokenizer.encode("\n")).to(model.device)
        own, begun = model.network(start.unsqueeze(1))
        text.seen = torch.zeros(1, model.tokenizer.vocabulary_size, dtype=torch.bool)
        text.seen[0, torch.from_numpy(ids)] = True
        text.decoder = model.tokenizer.decoder()
        for token in ids.tolist():
            text.decoder.push(token)
        state = _beside(state, begun) if texts else begun
        scores = torch.cat([scores, own[-1].float()]) if texts else own[-1].float()
        texts = [*texts, text]
    return texts, state, scores


def _step(model: LanguageModel, texts: list[_Text], state: Any, scores: Tensor) -> tuple[list[_Text], Any, Tensor]:
    """Draw the next token of each text, give it away, and let the network read those that go on."""
    surprises = -scores.log_softmax(-1).cpu()
    tokens: list[int] = []
    kept: list[int] = []
    for row, text in enumerate(texts):
        if not text.is_wanted:
            continue
        try:
            token = int(text.sampling.draw(scores[row : row + 1], text.seen, text.generator))
        except ThroughTimeError as error:
            text.give(error)
            continue
        text.written += 1
        text.surprise += float(surprises[row, token])
        _give_piece(text, text.decoder.push(token))
        is_late = time.monotonic() > text.deadline
        if text.written >= text.length or is_late:
            _give_piece(text, text.decoder.finish())
            text.give("length" if text.written >= text.length else "time")
            continue
        tokens.append(token)
        kept.append(row)
    if not kept:
        return [], None, scores[:0]
    if len(kept) < len(texts):
        state = _chosen(state, torch.tensor(kept, device=model.device))
    new, state = model.network(torch.tensor([tokens], device=model.device), state)
    return [texts[row] for row in kept], state, new[0].float()


def _give_piece(text: _Text, piece: str) -> None:
    if piece:
        text.give(Piece(piece, text.surprise))
        text.surprise = 0.0


def _beside(state: Any, other: Any) -> Any:
    """States of two batches as one; the batch is the axis before the last."""
    if isinstance(state, Tensor):
        return torch.cat([state, other], dim=1)
    return tuple(_beside(own, new) for own, new in zip(state, other, strict=True))


def _chosen(state: Any, rows: Tensor) -> Any:
    if isinstance(state, Tensor):
        return state.index_select(1, rows)
    return tuple(_chosen(own, rows) for own in state)
