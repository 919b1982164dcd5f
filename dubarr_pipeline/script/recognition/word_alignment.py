"""Alignment of two rows of words: pairs of heard and written words, and the error of a take.

Pairs are those of Needleman & Wunsch 1970, with a band: words that are too far apart in time are
never one, so that a film takes time and memory in proportion to its length.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from math import inf

from dubarr_pipeline.script.model import Word
from dubarr_pipeline.script.recognition.hallucinations import plain

_SAME = 2.0
_GAP = -0.5


@dataclass(frozen=True, slots=True)
class Pair:
    """A heard and a written word, by number or None; `alike`: they are the same, or nearly."""

    heard: int | None
    written: int | None
    alike: bool = False


@lru_cache(maxsize=100_000)
def likeness(one: str, other: str) -> float:
    """Return matching letters over all letters of two spellings (Ratcliff & Obershelp 1988)."""
    if one == other:
        return 1.0
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return 0.0 if matcher.real_quick_ratio() < _UNLIKE else matcher.ratio()


_UNLIKE = 0.3


def pair_words(
    heard: Sequence[Word], written: Sequence[Word], reach: int, alike: float
) -> list[Pair]:
    """Return every heard and every written word exactly once, both in their order.

    Written times are estimates. Words of a pair lie at most `reach` samples apart, and are at least
    `alike` (0 to 1).
    """
    bands = _bands(heard, written, reach)
    keys = [plain(word.text) for word in written]
    count = bands[0][1] + 1
    rows = [_ScoreRow(0, [_GAP * i for i in range(count)], ["written"] * count)]
    for number, word in enumerate(heard):
        first, last = bands[number + 1]
        likes = {at: likeness(plain(word.text), keys[at]) for at in range(max(0, first - 1), last)}
        gains = {at: _SAME * like for at, like in likes.items() if like >= alike}
        rows.append(_next_row(rows[-1], bands[number + 1], gains))
    pairs: list[Pair] = []
    left, right = len(heard), len(written)
    while left or right:
        step = rows[left].steps[right - rows[left].first] if left else "written"
        left -= step != "written"
        right -= step != "heard"
        one, other = left if step != "written" else None, right if step != "heard" else None
        pairs.append(Pair(one, other, step == "both"))
    return pairs[::-1]


@dataclass(frozen=True, slots=True)
class _ScoreRow:
    """The best scores of the first words heard against the first `first`... written."""

    first: int
    scores: list[float]
    steps: list[str]

    def score(self, count: int) -> float:
        at = count - self.first
        return self.scores[at] if 0 <= at < len(self.scores) else -inf


def _bands(heard: Sequence[Word], written: Sequence[Word], reach: int) -> list[tuple[int, int]]:
    """Return bounds on the written words that are over after the first 0, 1, ... heard ones."""
    middles = [word.span.start + word.span.end for word in written]
    lows, highs = [0], [0]
    for word in heard:
        middle = word.span.start + word.span.end
        # Bounds never go back, although the times of single words may.
        lows.append(max(lows[-1], bisect_left(middles, middle - 2 * reach)))
        highs.append(max(highs[-1], bisect_right(middles, middle + 2 * reach)))
    highs[-1] = len(written)
    # A row must reach the place where the next one begins.
    return [
        (low, max(high, lows[min(number + 1, len(lows) - 1)]))
        for number, (low, high) in enumerate(zip(lows, highs, strict=True))
    ]


def _next_row(above: _ScoreRow, band: tuple[int, int], gains: Mapping[int, float]) -> _ScoreRow:
    scores: list[float] = []
    steps: list[str] = []
    for count in range(band[0], band[1] + 1):
        best, step = above.score(count) + _GAP, "heard"
        if count and (both := above.score(count - 1) + gains.get(count - 1, -inf)) > best:
            best, step = both, "both"
        if scores and scores[-1] + _GAP > best:
            best, step = scores[-1] + _GAP, "written"
        scores.append(best)
        steps.append(step)
    return _ScoreRow(band[0], scores, steps)


LEAST_LETTERS = 8
"""Of a shorter line ("No.", "Sí, mamá.") one misheard sound is most; it is not judged by words."""


def word_error(heard: str, said: str) -> float | None:
    """Return the share of a line that was heard otherwise, or None for a line too short to judge.

    The lesser of word error and letter error: each is the least number of words (letters) to put
    in, leave out and exchange (Levenshtein 1966), over those of `said`. So neither compounds
    written apart nor the spelling of a name count as other words; repeated and made-up speech
    does, and may exceed 1. Upper case, accents and punctuation do not count.
    """
    wanted, spoken = _words(said), _words(heard)
    letters = "".join(wanted)
    if len(letters) < LEAST_LETTERS:
        return None
    by_word = distance(spoken, wanted) / len(wanted)
    return min(by_word, distance("".join(spoken), letters) / len(letters)) if by_word else 0.0


def distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the least number of items to put in, leave out and exchange to make one the other."""
    row = list(range(len(other) + 1))
    for at, item in enumerate(one, start=1):
        # One row is enough: only the cell to the upper left is needed from the last one.
        before, row[0] = row[0], at
        for column, wanted in enumerate(other, start=1):
            exchanged = before + (item != wanted)
            before = row[column]
            row[column] = min(exchanged, before + 1, row[column - 1] + 1)
    return row[-1]


def _words(text: str) -> list[str]:
    bare = "".join(
        sign
        for sign in unicodedata.normalize("NFKD", text.casefold())
        if unicodedata.category(sign) not in ("Mn", "Cf")
    )
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFC", bare))
