"""Ctrl-C and termination, noted so that a run can end in good order; a second one ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any


@contextmanager
def interrupts() -> Generator[threading.Event]:
    """Give an event that is set when the process is interrupted (SIGINT, SIGTERM) in the meantime.

    Outside the main thread, where signals can't be caught, it is never set.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def note(number: int, _: object) -> None:
        event.set()
        signal.signal(number, previous[number])

    previous: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in previous:
        signal.signal(number, note)
    try:
        yield event
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
