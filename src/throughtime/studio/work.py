"""Computing in threads, so that the server answers meanwhile: for each model one request after the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Annotated, TypeVar

import anyio
import anyio.to_thread
from fastapi import Depends, Request

from throughtime.studio.batched_writing import Writer
from throughtime.studio.limits import Limits
from throughtime.studio.refusals import RefusedError
from throughtime.studio.shelf import Entry, Model, Shelf
from throughtime.studio.written_text import Piece, WriteRequest, WrittenText
from throughtime.tasks.language_model import LanguageModel

Result = TypeVar("Result")


class Studio:
    """What the routes share.

    Attributes:
        shelf: the models.
        limits: how much is taken on.
    """

    def __init__(self, shelf: Shelf, limits: Limits) -> None:
        self.shelf = shelf
        self.limits = limits
        self._pending = 0
        self._limiter: anyio.CapacityLimiter | None = None
        self._writers: dict[str, Writer] = {}

    def writer(self, entry: Entry) -> Writer:
        """Who writes with a language model."""
        return self._writers.setdefault(entry.name, Writer(entry, self.limits))

    async def write(self, entry: Entry, request: WriteRequest) -> AsyncGenerator[list[Piece | str]]:
        """Let a language model write.

        The same seed draws by the same random numbers as ``LanguageModel.generate``, whatever is written beside.

        Returns:
            As of ``WrittenText.pieces``.

        Raises:
            RefusedError: where the model has no weights yet, or too many wait.
            ArgumentError: as of ``WrittenText``.
        """
        loop = asyncio.get_running_loop()

        def begin() -> WrittenText:
            model = self.shelf.loaded(entry, LanguageModel)
            text = WrittenText(request, model.tokenizer, loop)
            self.writer(entry).begin(text)
            return text

        return (await anyio.to_thread.run_sync(begin)).pieces()

    async def ask(self, entry: Entry, kind: type[Model], question: Callable[[Model], Result]) -> Result:
        """Let a model compute something.

        Args:
            entry: whose model.
            kind: of the model.
            question: what to compute with it, in another thread.

        Raises:
            RefusedError: where too many wait, or it takes too long.
        """
        seconds = self.limits.seconds
        deadline = time.monotonic() + seconds

        def answer() -> Result:
            model = self.shelf.loaded(entry, kind)
            with entry.turn(deadline - time.monotonic()):  # who asked has gone after that
                return question(model)

        if self._pending >= self.limits.waiting:
            raise RefusedError(503, f"{self._pending} requests are waiting already; try again later")
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(max(2, len(self.shelf.entries)))
        self._pending += 1
        try:
            with anyio.fail_after(seconds):
                return await anyio.to_thread.run_sync(answer, abandon_on_cancel=True, limiter=self._limiter)
        except TimeoutError as error:
            message = f"this took longer than {seconds:g} seconds; ask for less"
            raise RefusedError(503, message) from error
        finally:
            self._pending -= 1


async def _studio(request: Request) -> Studio:  # a plain function would be run in a thread
    return request.app.state.studio


TheStudio = Annotated[Studio, Depends(_studio)]
"""The studio, as an argument of a route."""


async def read_body(request: Request) -> bytes:
    """What was sent, as bytes; it is kept in memory alone."""
    return await request.body()


Body = Annotated[bytes, Depends(read_body)]
"""The bytes of a request, as an argument of a route."""
