"""What requests have in common."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from throughtime.data import Pixels, read_picture
from throughtime.studio.limits import MOST_CHARACTERS, MOST_PIXELS
from throughtime.studio.refusals import RefusedError

Name = Annotated[str | None, Query(description="The model; may be left out where only one is for this task.")]
Beam = Annotated[int, Query(ge=1, le=32, description="Texts that the search follows side by side.")]
Text = Annotated[str, Field(max_length=MOST_CHARACTERS)]


class Asked(BaseModel):
    """A request with JSON, which says nothing that isn't understood."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(None, description="The model; may be left out where only one is for this task.")


def content_of(kind: str, description: str, *, required: bool = True) -> dict[str, Any]:
    """How OpenAPI describes a request whose body is a file's content."""
    content = {kind: {"schema": {"type": "string", "format": "binary"}}}
    return {"requestBody": {"description": description, "content": content, "required": required}}


PICTURE = content_of("application/octet-stream", "The content of a picture's file: PNG, JPEG, WebP, GIF and more.")


def picture_of(content: bytes) -> Pixels:
    """The picture in a request's body.

    Raises:
        RefusedError: where there is none.
        DataError: where it can't be read, or has too many pixels.
    """
    if not content:
        raise RefusedError(400, "send the content of a picture's file as the body of the request")
    return read_picture(content, most_pixels=MOST_PIXELS)
