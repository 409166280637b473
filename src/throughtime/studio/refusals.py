"""How the studio says no: one sentence as JSON, whatever went wrong."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from throughtime.errors import MissingExtraError, ModelFolderError, ThroughTimeError


class RefusedError(ThroughTimeError):
    """A request that isn't served.

    Args:
        status: of HTTP.
        message: one sentence.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Problem(BaseModel):
    """What went wrong."""

    error: str = Field(description="One sentence: what is wrong, and what would be right.")


RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "Something in the request can't be used."},
    404: {"model": Problem, "description": "There is no such model."},
    409: {"model": Problem, "description": "The model is for another task, or not trained far enough."},
    413: {"model": Problem, "description": "Too large."},
    422: {"model": Problem, "description": "An argument is missing or out of its range."},
    503: {"model": Problem, "description": "Too busy, or it took too long."},
}


def refused(status: int, message: str) -> JSONResponse:
    """The answer that carries a sentence."""
    return JSONResponse({"error": message}, status)


def handle_refusals(app: FastAPI) -> None:
    """Let every error of an app be answered by one sentence."""

    @app.exception_handler(ThroughTimeError)
    def _ours(_: Request, error: Exception) -> JSONResponse:
        if isinstance(error, RefusedError):
            return refused(error.status, str(error))
        if isinstance(error, MissingExtraError):
            return refused(501, str(error))
        return refused(409 if isinstance(error, ModelFolderError) else 400, str(error))

    @app.exception_handler(RequestValidationError)
    def _invalid(_: Request, error: Exception) -> JSONResponse:
        first = error.errors()[0] if isinstance(error, RequestValidationError) else {}
        return refused(422, explained(first))

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: Exception) -> JSONResponse:
        status = error.status_code if isinstance(error, HTTPException) else 500
        if status == 404:
            return refused(404, f"there is nothing at {request.url.path}; see /docs for what there is")
        if status == 405:
            return refused(405, f"{request.url.path} can't be asked by {request.method}; see /docs")
        return refused(status, str(getattr(error, "detail", error)))

    @app.exception_handler(Exception)
    def _unexpected(_: Request, error: Exception) -> JSONResponse:
        logging.getLogger("throughtime.studio").error("a request failed", exc_info=error)
        return refused(500, f"{type(error).__name__}: {error} (this looks like a mistake in throughtime)")


def explained(error: dict[str, Any]) -> str:
    """One sentence for what pydantic says of an argument."""
    place = [str(part) for part in error.get("loc", ()) if part not in {"body", "query", "path"}]
    name = f"`{'.'.join(place)}`" if place else "the request"
    message = str(error.get("msg", "can't be used"))
    kind = error.get("type")
    if kind == "missing":
        return f"{name} is missing" if place else "the request has no content; send JSON"
    if kind == "json_invalid":
        return "the request is no JSON"
    if kind in {"model_attributes_type", "dict_type"} and not place:
        return "the request must be a JSON object, sent as application/json"
    if kind == "extra_forbidden":
        return f"{name} is no argument here; see /docs for those that there are"
    given = error.get("input")
    shown = f", got {given!r}" if isinstance(given, int | float | str) and len(str(given)) <= 60 else ""
    return f"{name}: {message[:1].lower()}{message[1:]}{shown}"
