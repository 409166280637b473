"""``throughtime studio``: a page and a JSON API for trained models."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from throughtime.errors import MissingExtraError, check_range
from throughtime.freed_memory import give_back_freed_memory

TOKEN_VARIABLE = "THROUGHTIME_TOKEN"  # noqa: S105 - its name


def studio(
    *models: Path,
    host: str = "127.0.0.1",
    port: int | None = None,
    browser: bool = True,
    device: str = "auto",
    seconds: float = 120.0,
) -> int:
    """Show models in a page, and answer for them by JSON.

    What is computed and sent stays on this machine. At another address than 127.0.0.1 a token is required: that in the
    environment variable THROUGHTIME_TOKEN, else a new one, which is told with the address.

    Args:
        models: Model folders of any tasks, also of runs that are being trained.
        host: The address to listen at; 0.0.0.0 for all of this machine's.
        port: The port; 8765, or any that is free, by default.
        browser: Open the page in the browser.
        device: Where to compute: auto, cpu, cuda, mps.
        seconds: That a request may take.
    """
    check_range("seconds", seconds, low=0, low_open=True)
    for package in ("fastapi", "uvicorn"):
        if find_spec(package) is None:
            raise MissingExtraError("the studio", package, "studio")
    give_back_freed_memory()
    from throughtime.studio import Shelf, serve  # noqa: PLC0415 - an extra
    from throughtime.studio.limits import Limits  # noqa: PLC0415 - as above

    serve(
        Shelf(models, device=device),
        host=host,
        port=port,
        token=os.environ.get(TOKEN_VARIABLE) or None,
        opens_browser=browser,
        limits=Limits(seconds=seconds),
    )
    return 0
