"""A script cut into parts that fit the window of a language model: every segment in exactly one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import TypeVar

from dubarr_pipeline.timeline.script import Segment

_T = TypeVar("_T")

_LETTERS_PER_TOKEN = 3.0
"""Latin letters without marks; tokenizers of today's models reach 4 to 4.5 on English."""
_TOKENS_PER_LETTER = 1.5
"""All other letters: the worst that a model with a large vocabulary does to CJK or Cyrillic."""


def estimate_tokens(text: str) -> int:
    """Guess from above how many tokens a language model makes of a text; 0 for an empty one.

    Spaces belong to the words after them; digits and signs count one each.
    """
    plain = sum(1 for sign in text if sign.isascii() and sign.isalpha())
    other = sum(1 for sign in text if not sign.isascii())
    spaces = text.count(" ")
    signs = len(text) - plain - other - spaces
    return ceil(plain / _LETTERS_PER_TOKEN + spaces / 4 + _TOKENS_PER_LETTER * other + signs)


def script_line(segment: Segment) -> str:
    """A segment as the model reads it: ``12|SPEAKER_00|What did you say?``, on one line."""
    kind = "" if segment.kind == "speech" else f"[{segment.kind}] "
    return f"{segment.index}|{segment.speaker}|{kind}{' '.join(segment.text.split())}"


def cut(items: Sequence[_T], weigh: Callable[[_T], int], most: int) -> Iterator[tuple[_T, ...]]:
    """Cut a sequence into runs that weigh at most so much; what is heavier alone stands alone."""
    part: list[_T] = []
    weight = 0
    for item in items:
        heavy = weigh(item)
        if part and weight + heavy > most:
            yield tuple(part)
            part, weight = [], 0
        part.append(item)
        weight += heavy
    if part:
        yield tuple(part)


def script_parts(segments: Sequence[Segment], most_tokens: int) -> tuple[tuple[Segment, ...], ...]:
    """Cut a script into parts of at most so many tokens each, in order, nothing left out."""
    return tuple(cut(segments, segment_tokens, most_tokens))


def segment_tokens(segment: Segment) -> int:
    """What a segment takes of the window: its line in quotes, with a comma and a line break."""
    return estimate_tokens(script_line(segment)) + 4


def clip_tokens(text: str, most: int) -> str:
    """The longest beginning of a text that is surely no longer than so many tokens."""
    return text if estimate_tokens(text) <= most else text[: max(0, int(most / 1.5))]
