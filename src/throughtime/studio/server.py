"""The studio's server: its routes, its page, and how it is started."""

from __future__ import annotations

import gc
import secrets
import socket
import webbrowser
from pathlib import Path
from threading import Timer

import uvicorn
from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from throughtime.errors import ArgumentError
from throughtime.studio import (
    anomaly_routes,
    inside_routes,
    language_routes,
    picture_routes,
    run_routes,
    sentence_routes,
    sequence_routes,
    series_routes,
    vector_routes,
    video_routes,
)
from throughtime.studio.guard import LOOPBACK, Guard
from throughtime.studio.limits import Limits
from throughtime.studio.refusals import RESPONSES, handle_refusals
from throughtime.studio.shelf import Shelf
from throughtime.studio.work import Studio
from throughtime.version import __version__

STATIC = Path(__file__).parent / "static"
PORT = 8765
DEFAULTS = Limits()


def make_app(shelf: Shelf, *, limits: Limits = DEFAULTS, token: str | None = None) -> FastAPI:
    """Make the server of some models; any ASGI server runs it.

    Args:
        shelf: the models.
        limits: how much is taken on.
        token: that requests must carry; None where none is needed, which is right on 127.0.0.1 alone: then requests for
            other names than 127.0.0.1 and localhost are refused.
    """
    app = FastAPI(
        title="throughtime studio",
        version=__version__,
        description="Trained recurrent networks by JSON. Everything is computed here; no other host is asked anything.",
        docs_url=None,
        redoc_url=None,
        responses=RESPONSES,
    )
    app.state.studio = Studio(shelf, limits)
    handle_refusals(app)
    for routes in (
        run_routes,
        language_routes,
        sentence_routes,
        sequence_routes,
        vector_routes,
        series_routes,
        anomaly_routes,
        picture_routes,
        video_routes,
        inside_routes,
    ):
        app.include_router(routes.router)

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    @app.get("/docs", include_in_schema=False)
    def documentation() -> FileResponse:
        return FileResponse(STATIC / "docs.html")

    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_middleware(Guard, token=token, limits=limits)
    return app


def serve(
    shelf: Shelf,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    token: str | None = None,
    opens_browser: bool = False,
    limits: Limits = DEFAULTS,
) -> None:
    """Serve until Ctrl-C.

    Args:
        shelf: the models.
        host: the address to listen at. At any but 127.0.0.1 a token is required.
        port: to listen at; 0 for any that is free; 8765, or any if that is taken, by default.
        token: that requests must carry; made up where one is required and none given.
        opens_browser: whether to show the page in the browser.
        limits: how much is taken on.

    Raises:
        ArgumentError: where the address can't be listened at.
    """
    is_local = host in LOOPBACK
    if token is None and not is_local:
        token = secrets.token_urlsafe(24)
    listener = listen(host, port)
    address = f"[{host}]" if ":" in host else host
    shown = {"0.0.0.0": socket.gethostname(), "[::]": socket.gethostname()}.get(address, address)  # noqa: S104 - compared
    # What stands behind # stays in the browser: no server and no log sees it.
    url = f"http://{shown}:{listener.getsockname()[1]}/" + (f"#token={token}" if token else "")
    print(f"The studio is at {url}\nCtrl-C ends it.", flush=True)  # noqa: T201 - the address is what a user waits for
    app = make_app(shelf, limits=limits, token=token)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    if opens_browser:
        opening = Timer(0.5, webbrowser.open, (url,))
        opening.daemon = True
        opening.start()
    # What stands until the end needn't be looked through again and again, which takes long enough to be felt. By the
    # second look the collector learns how little is left, so that it doesn't wait for more to come together.
    gc.collect()
    gc.freeze()
    gc.collect()
    try:
        with listener:
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        gc.unfreeze()


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens; see ``serve``."""
    ports = (PORT, 0) if port is None else (port,)
    for place, number in enumerate(ports):
        try:
            family = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0][0]
            return socket.create_server((host, number), family=family, backlog=512)
        except (OSError, OverflowError) as error:
            if place == len(ports) - 1:
                reason = getattr(error, "strerror", None) or str(error)
                raise ArgumentError(f"can't listen at {host}, port {number} ({reason}); give another --port") from error
    raise AssertionError
