"""Computing in threads, so that the server answers meanwhile: for each model one request after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

import anyio
import anyio.to_thread
from fastapi import Depends, Request

from throughtime.studio.batched_writing import Writer
from throughtime.studio.limits import Limits
from throughtime.studio.refusals import RefusedError
from throughtime.studio.shelf import Entry, Model, Shelf
from throughtime.tasks import language_modelling

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

    async def writer(self, name: str | None) -> Writer:
        """Who writes with a language model.

        Raises:
            RefusedError: where there is no such model.
        """
        entry = self.shelf.entry(name, language_modelling.TASK)
        await anyio.to_thread.run_sync(entry.model)
        return self._writers.setdefault(entry.name, Writer(entry, self.limits))

    async def ask(self, entry: Entry, kind: type[Model], question: Callable[[Model], Result]) -> Result:
        """Let a model compute something.

        Args:
            entry: whose model.
            kind: of the model.
            question: what to compute with it, in another thread.

        Raises:
            RefusedError: where too many wait, or it takes too long.
        """

        def answer() -> Result:
            model = self.shelf.loaded(entry, kind)
            with entry.turn():
                return question(model)

        if self._pending >= self.limits.waiting:
            raise RefusedError(503, f"{self._pending} requests are waiting already; try again later")
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(max(2, len(self.shelf.entries)))
        self._pending += 1
        try:
            with anyio.fail_after(self.limits.seconds):
                return await anyio.to_thread.run_sync(answer, abandon_on_cancel=True, limiter=self._limiter)
        except TimeoutError as error:
            message = f"this took longer than {self.limits.seconds:g} seconds; ask for less"
            raise RefusedError(503, message) from error
        finally:
            self._pending -= 1


def _studio(request: Request) -> Studio:
    return request.app.state.studio


TheStudio = Annotated[Studio, Depends(_studio)]
"""The studio, as an argument of a route."""


async def read_body(request: Request) -> bytes:
    """What was sent, as bytes; it is kept in memory alone."""
    return await request.body()


Body = Annotated[bytes, Depends(read_body)]
"""The bytes of a request, as an argument of a route."""
