"""A text that is being written: from drawn tokens to pieces of text, and these to whoever waits for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from throughtime.data import Ids, Tokenizer
from throughtime.decoding import Sampling, StopFilter
from throughtime.errors import ThroughTimeError


@dataclass(frozen=True)
class Piece:
    """Some text that was written.

    Attributes:
        text: one token's, or that of several which make a character together or might have become a stop string.
        surprise: -log of the probability of the tokens since the piece before by the model, in nats, whatever they were
            drawn by.
    """

    text: str
    surprise: float


Told = Piece | str | ThroughTimeError
"""What comes of a text: a piece, and in the end why it ended, "length", "stop" or "time", or what went wrong."""


@dataclass(frozen=True)
class WriteRequest:
    """What is to be written.

    Attributes:
        prompt: what comes before.
        length: tokens to write at most.
        sampling: how to draw them, as keyword arguments of ``Sampling``.
        stop: the text ends before the first of these strings.
        seed: of the random numbers; any if None.
        seconds: after which the text ends as it is.
    """

    prompt: str
    length: int
    sampling: Mapping[str, Any]
    stop: tuple[str, ...] = ()
    seed: int | None = None
    seconds: float = 120.0


class WrittenText:
    """A text that is being written, for one who waits in an event loop.

    Args:
        request: what is to be written.
        tokenizer: of the model.
        loop: where its pieces are waited for.

    Attributes:
        ids: the prompt's tokens, shape (tokens,); none where it is empty.
        to_read: what the network reads before the first token is drawn, shape (tokens,), which is never empty.
        sampling: how to draw.
        generator: of its random numbers.
        has_ended: whether nothing more is to be written.

    Raises:
        ArgumentError: where the prompt is no text, a stop string is empty, or a number out of range.
    """

    def __init__(self, request: WriteRequest, tokenizer: Tokenizer, loop: asyncio.AbstractEventLoop) -> None:
        self.ids: Ids = tokenizer.encode(request.prompt)
        self.to_read = torch.from_numpy(self.ids if len(self.ids) else tokenizer.encode("\n"))
        unknown = tokenizer.unknown_id
        self.sampling = Sampling(**request.sampling, forbidden=() if unknown is None else (unknown,))
        self.generator = torch.Generator()
        _ = self.generator.seed() if request.seed is None else self.generator.manual_seed(request.seed)
        self.has_ended = False
        self._decoder = tokenizer.decoder()
        for token in self.ids.tolist():
            self._decoder.push(token)
        self._stop = StopFilter(request.stop)
        self._left = request.length
        self._deadline = time.monotonic() + request.seconds
        self._surprise = 0.0
        self._held: list[Told] = []
        self._is_new = True
        self._loop = loop
        self._told: asyncio.Queue[list[Told]] = asyncio.Queue()

    def add(self, token: int, surprise: float, now: float) -> None:
        """Take the next token, and its surprise in nats; at the time that it is now it may have to end."""
        self._left -= 1
        self._surprise += surprise
        self._hold(self._stop.push(self._decoder.push(token)))
        if self._stop.has_ended:
            self._end("stop")
        elif self._left == 0 or now > self._deadline:
            self._hold(self._stop.push(self._decoder.finish()))
            if not self._stop.has_ended:
                self._hold(self._stop.finish())
            self._end("stop" if self._stop.has_ended else "time" if self._left else "length")

    def fail(self, error: ThroughTimeError) -> None:
        """End it by telling what went wrong."""
        if not self.has_ended:
            self._end(error)

    @property
    def is_urgent(self) -> bool:
        """Whether what was held back must not wait: it is the text's first piece, or its end."""
        return bool(self._held) and (self._is_new or self.has_ended)

    def hand_over(self) -> None:
        """Give away what has been held back, from any thread."""
        if not self._held:
            return
        held, self._held, self._is_new = self._held, [], False
        try:
            self._loop.call_soon_threadsafe(self._told.put_nowait, held)
        except RuntimeError:  # the server has ended
            self.has_ended = True

    async def pieces(self) -> AsyncGenerator[list[Piece | str]]:
        """The pieces that have come since, as they come, and in the end why it ended.

        Raises:
            ThroughTimeError: where it went wrong.
        """
        try:
            while True:
                told = await self._told.get()
                while not self._told.empty():
                    told += self._told.get_nowait()
                yield [one for one in told if not isinstance(one, ThroughTimeError)]
                if isinstance(told[-1], ThroughTimeError):
                    raise told[-1]
                if isinstance(told[-1], str):
                    return
        finally:
            self.has_ended = True

    def _hold(self, text: str) -> None:
        if text:
            self._held.append(Piece(text, self._surprise))
            self._surprise = 0.0

    def _end(self, why: str | ThroughTimeError) -> None:
        self._held.append(why)
        self.has_ended = True
