"""How far what was heard in a take lies from what it should say."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

LEAST_LETTERS = 8
"""Of a shorter line ("No.", "Sí, mamá.") one misheard sound is most; it is not judged by words."""


def word_error(heard: str, said: str) -> float | None:
    """Return the share of a line that was heard otherwise, or None for a line too short to judge.

    The lesser of word error and letter error: each is the least number of words (letters) to put
    in, leave out and exchange (Levenshtein 1966), over those of `said`. So neither compounds
    written apart nor the spelling of a name count as other words; repeated and made-up speech
    does, and may exceed 1. Upper case, accents and punctuation do not count.
    """
    wanted, found = _words(said), _words(heard)
    letters = "".join(wanted)
    if len(letters) < LEAST_LETTERS:
        return None
    by_word = distance(found, wanted) / len(wanted)
    return min(by_word, distance("".join(found), letters) / len(letters)) if by_word else 0.0


def distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the least number of items to put in, leave out and exchange to make one the other."""
    row = list(range(len(other) + 1))
    for at, item in enumerate(one, start=1):
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
