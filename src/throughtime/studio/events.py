"""Server-sent events: the form in which answers come piece by piece (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Mapping

from fastapi.responses import StreamingResponse

ALIVE = ": alive\n\n"
"""A comment that keeps a silent connection open."""


def event(name: str, data: Mapping[str, object]) -> str:
    """One event, its data as JSON on a single line."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def event_stream(events: AsyncIterable[str]) -> StreamingResponse:
    """The answer that consists of events."""
    return StreamingResponse(events, media_type="text/event-stream", headers={"x-accel-buffering": "no"})
