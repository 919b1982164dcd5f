"""Text as it is read on a page, made into text as it is said."""

from __future__ import annotations


def speakable(text: str, language: str) -> str:  # noqa: ARG001 - numbers come next
    """The text without what no voice can say."""
    return " ".join(text.split())


def clauses(text: str, limit: int) -> tuple[str, ...]:  # noqa: ARG001
    """The text in pieces of at most `limit` characters."""
    return (text,)
