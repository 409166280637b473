"""Text brought to one form before it is cut into tokens."""

from __future__ import annotations

import re

_SPACE = re.compile(r"(?:<br\s*/?>|\s)+", re.IGNORECASE)


def normalised(text: str, *, lower: bool = True) -> str:
    r"""A text on one line, in lower case if asked, where HTML's line breaks are white space like any other.

    >>> normalised("Great!<br /><br />Really\n great. ")
    'great! really great.'
    """
    line = _SPACE.sub(" ", text).strip()
    return line.lower() if lower else line
