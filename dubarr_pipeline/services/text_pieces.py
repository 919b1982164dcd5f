"""A text cut for a voice that takes only so many characters at once."""

from __future__ import annotations

import re
from itertools import pairwise

_BORDERS = (
    re.compile(r"(?<=[.!?…。！？؟।])[\"'”’»)\]]*\s*"),
    re.compile(r"(?<=[,;:—、，；：،])\s*"),
    re.compile(r"\s+"),
)
"""Where a text may be cut, best first: after sentences, after clauses, between words."""


def text_pieces(text: str, limit: int) -> list[str]:
    """Cut a text into pieces of at most `limit` characters, none empty, nothing lost but blanks.

    Pieces end with sentences where they can, else with clauses, else with words; only a word that
    is longer than the limit is cut itself.
    """
    return _cut(text.strip(), limit, 0)


def _cut(text: str, limit: int, border: int) -> list[str]:
    if len(text) <= limit:
        return [text] if text else []
    if border == len(_BORDERS):
        return [text[start : start + limit] for start in range(0, len(text), limit)]
    packed: list[str] = []
    for start, end in _parts(text, border):
        part = text[start:end].strip()
        if packed and len(packed[-1]) + 1 + len(part) <= limit:
            packed[-1] = f"{packed[-1]} {part}"
        else:
            packed += _cut(part, limit, border + 1)
    return packed


def _parts(text: str, border: int) -> list[tuple[int, int]]:
    ends = [found.end() for found in _BORDERS[border].finditer(text) if found.end() < len(text)]
    marks = [0, *(end for end in ends if end), len(text)]
    return list(pairwise(marks))
