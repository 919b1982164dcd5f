"""Which heard word is which written one: the best way to lay two rows of words beside each other.

Needleman & Wunsch 1970, with a band: words that lie too far apart in time are never one, so that a
film takes time and memory in proportion to its length.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from dubarr_pipeline.timeline.phantom_words import plain
from dubarr_pipeline.timeline.script import Word

_SAME = 2.0
_GAP = -0.5


@dataclass(frozen=True, slots=True)
class Pair:
    """A heard word and a written one by their numbers; None where the other has no partner.

    `alike` tells that both are the same word, or nearly.
    """

    heard: int | None
    written: int | None
    alike: bool = False


@lru_cache(maxsize=100_000)
def likeness(one: str, other: str) -> float:
    """Matching letters over all letters of two spellings, 0 to 1 (Ratcliff & Obershelp 1988)."""
    if one == other:
        return 1.0
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return 0.0 if matcher.real_quick_ratio() < _HOPELESS else matcher.ratio()


_HOPELESS = 0.3


def pair_words(
    heard: Sequence[Word], written: Sequence[Word], reach: int, alike: float
) -> list[Pair]:
    """Return every heard and every written word exactly once, both in their order.

    Args:
        heard: in order of their starts.
        written: in order of their starts, on the same clock; their times are estimates.
        reach: samples that the two words of a pair lie apart at most.
        alike: likeness (0 to 1) from which two spellings may be a pair.
    """
    bands = _bands(heard, written, reach)
    keys = [plain(word.text) for word in written]
    rows = [_first_row(bands[0])]
    for number, word in enumerate(heard):
        gains = _Gains(plain(word.text), keys, alike)
        rows.append(_next_row(rows[-1], bands[number + 1], gains))
    return _trace(rows, len(heard), len(written))


@dataclass(frozen=True, slots=True)
class _Row:
    """The best scores of the first words heard against the first `first`... written."""

    first: int
    scores: list[float]
    steps: list[str]

    def score(self, count: int) -> float:
        at = count - self.first
        return self.scores[at] if 0 <= at < len(self.scores) else float("-inf")


@dataclass(frozen=True, slots=True)
class _Gains:
    """What one heard word gains beside any written one."""

    key: str
    keys: Sequence[str]
    alike: float

    def of(self, written: int) -> float:
        like = likeness(self.key, self.keys[written])
        return _SAME * like if like >= self.alike else float("-inf")


def _bands(heard: Sequence[Word], written: Sequence[Word], reach: int) -> list[tuple[int, int]]:
    """For the first 0, 1, ... heard words: between how many and how many written are over."""
    middles = [word.span.start + word.span.end for word in written]
    lows, highs = [0], [0]
    for word in heard:
        middle = word.span.start + word.span.end
        lows.append(max(lows[-1], bisect_left(middles, middle - 2 * reach)))
        highs.append(max(highs[-1], bisect_right(middles, middle + 2 * reach)))
    highs[-1] = len(written)
    # A row must reach the place where the next one begins.
    return [
        (low, max(high, lows[min(number + 1, len(lows) - 1)]))
        for number, (low, high) in enumerate(zip(lows, highs, strict=True))
    ]


def _first_row(band: tuple[int, int]) -> _Row:
    count = band[1] + 1
    return _Row(0, [_GAP * i for i in range(count)], ["written"] * count)


def _next_row(above: _Row, band: tuple[int, int], gains: _Gains) -> _Row:
    scores: list[float] = []
    steps: list[str] = []
    for count in range(band[0], band[1] + 1):
        best, step = above.score(count) + _GAP, "heard"
        if count and (both := above.score(count - 1) + gains.of(count - 1)) > best:
            best, step = both, "both"
        if scores and scores[-1] + _GAP > best:
            best, step = scores[-1] + _GAP, "written"
        scores.append(best)
        steps.append(step)
    return _Row(band[0], scores, steps)


def _trace(rows: Sequence[_Row], heard: int, written: int) -> list[Pair]:
    pairs: list[Pair] = []
    while heard or written:
        step = rows[heard].steps[written - rows[heard].first] if heard else "written"
        if step == "both":
            heard, written = heard - 1, written - 1
            pairs.append(Pair(heard, written, True))
        elif step == "heard":
            heard -= 1
            pairs.append(Pair(heard, None))
        else:
            written -= 1
            pairs.append(Pair(None, written))
    return pairs[::-1]
