"""Griffe extension: sessions (>>>) in docstrings become blocks of code, wherever in a docstring they stand."""

from __future__ import annotations

import re
from typing import Any

import griffe

SESSION = re.compile(r"^>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)


class DocstringSessions(griffe.Extension):
    """Fences the sessions of every object's docstring."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite one docstring."""
        if obj.docstring:
            obj.docstring.value = SESSION.sub(lambda session: f"```pycon\n{session[0]}\n```", obj.docstring.value)
