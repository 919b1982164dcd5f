"""Cuts a text that is too long for one synthesis call where a speaker would breathe."""

from __future__ import annotations

import re

_BORDERS = (
    re.compile(r"(?<=[.!?。！？؟।])\s*(?=\S)"),
    re.compile(r"(?<=[;:\uff1b\uff1a])\s*(?=\S)"),
    re.compile(r"(?<=[,،、\uff0c])\s*(?=\S)"),
    re.compile(r"\s+"),
)
"""Where to cut, best first: sentences, clauses, phrases, words."""


def clauses(text: str, limit: int) -> tuple[str, ...]:
    """Return the text in pieces of at most `limit` characters, cut at the best borders there are.

    Nothing but white space at the cuts is lost. Only a single word longer than the limit is cut
    inside.

    Raises:
        ValueError: if the limit is not positive.
    """
    if limit < 1:
        raise ValueError(f"a limit of {limit} characters leaves room for nothing")
    return tuple(_cut(" ".join(text.split()), limit, 0))


def _cut(text: str, limit: int, border: int) -> list[str]:
    if len(text) <= limit:
        return [text] if text else []
    if border == len(_BORDERS):
        return [text[at : at + limit] for at in range(0, len(text), limit)]
    pieces: list[str] = []
    for part in _parts(text, border):
        if pieces and len(pieces[-1]) + 1 + len(part) <= limit:
            pieces[-1] = f"{pieces[-1]} {part}" if _spaced(text) else pieces[-1] + part
        else:
            pieces += _cut(part, limit, border + 1)
    return pieces


def _parts(text: str, border: int) -> list[str]:
    return [part for part in _BORDERS[border].split(text) if part]


def _spaced(text: str) -> bool:
    """Whether the text parts words by spaces; Chinese and Japanese do not."""
    return " " in text
