"""Data to try each task with, for a newcomer who has none at hand."""

from __future__ import annotations

from throughtime.data.text import TextInMemory


def python_language_reference() -> TextInMemory:
    """Real English prose that is on every Python machine: the language reference of the standard library.

    About half a million characters, from ``pydoc_data.topics``, in the order of the topics' names.
    """
    from pydoc_data.topics import topics  # noqa: PLC0415 - half a megabyte that only this needs

    text = "\n".join(topics[name] for name in sorted(topics))
    return TextInMemory(text, "the Python language reference")
