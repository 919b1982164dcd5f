"""Ends of sentences, subtitles that break off in the middle of one, and texts that are too long."""

import re
from collections.abc import Sequence
from itertools import pairwise

_END = re.compile(r"[.!?…。！？؟।]+[\"'”’»)\]]*$")
_ELLIPSIS_END = re.compile(r"(?:\.{2,}|…)[\"'”’»)\]]*$")
_OPENERS = "\"'“‘«¿¡([-–—"
_ABBREVIATIONS = frozenset(
    (
        "mr mrs ms dr prof st sr jr sgt lt col gen capt cmdr rev hon vs etc vol fig inc ltd co "
        "mt ft approx dept gov sen rep messrs mme mlle sra srta dra d u.s u.k u.n a.m p.m e.g i.e"
    ).split()
)


_NUMBER_SIGN = re.compile(r"(?:^|\s)no\.$", re.IGNORECASE)
"""An abbreviation before a number only, and a whole answer elsewhere."""
_STUCK = re.compile(r"(\S.{0,80}?)(?:\W+\1){3,}(?!\w)", re.IGNORECASE | re.DOTALL)


def is_stuck(text: str) -> bool:
    """Return whether the same words stand four times in a row: a model that went round in them."""
    return bool(_STUCK.search(text))


def ends_sentence(text: str) -> bool:
    """Return whether a text ends where a sentence does; an ellipsis may go on."""
    last = (text.split() or [""])[-1]
    bare = last.strip(_OPENERS).rstrip(".").casefold()
    short = bare in _ABBREVIATIONS or (len(bare) == 1 and bare.isalpha())
    ends = _END.search(text) and not _ELLIPSIS_END.search(text)
    return bool(ends) and not (short and last.endswith("."))


def continues(before: str, after: str) -> bool:
    """Return whether `after` continues the sentence that `before` began."""
    is_number = bool(_NUMBER_SIGN.search(before)) and after[:1].isdigit()
    if not before or not after or (ends_sentence(before) and not is_number):
        return False
    first = after.lstrip(_OPENERS + ". …")[:1]
    trailing = after.startswith(("...", "…"))
    if first.islower() or trailing:
        return True
    # No mark, a comma or an abbreviation: names and "I" may follow in capitals; some scripts have
    # none. After an ellipsis a capital begins something new.
    return not _ELLIPSIS_END.search(before)


def sentence_starts(words: list[str]) -> list[int]:
    """Indexes of the words, after the first, at which a new sentence begins."""
    return [
        i
        for i in range(1, len(words))
        if ends_sentence(words[i - 1])
        and not words[i].lstrip(_OPENERS)[:1].islower()
        and not (_NUMBER_SIGN.search(words[i - 1]) and words[i][:1].isdigit())
    ]


def join_texts(before: str, after: str) -> str:
    """Put two halves of a sentence together; the dots that only say "goes on" are left out."""
    if after.startswith(("...", "…")):
        before = re.sub(r"(?:\.{2,}|…)$", "", before).rstrip() or before
        after = after.lstrip(".… ") or after
    return f"{before} {after}"


BORDERS = (
    re.compile(r"(?<=[.!?。！？؟।])\s*(?=\S)"),
    re.compile(r"(?<=[;:\uff1b\uff1a])\s*(?=\S)"),
    re.compile(r"(?<=[,،、\uff0c])\s*(?=\S)"),
    re.compile(r"\s+"),
)
"""Borders to cut a text at, best first: sentences, clauses, phrases, words."""


def pieces(text: str, limit: int, borders: Sequence[re.Pattern[str]]) -> list[str]:
    """Cut a text into pieces of at most `limit` characters, at the best borders there are.

    Nothing but blanks at the cuts is lost. Only a word longer than the limit is cut inside.

    Args:
        text: the blanks at its ends are dropped.
        limit: at least 1.
        borders: patterns at whose ends the text may be cut, best first.
    """
    text = text.strip()
    if len(text) <= limit:
        return [text] if text else []
    if not borders:
        return [text[start : start + limit] for start in range(0, len(text), limit)]
    # Chinese and Japanese part no words by spaces.
    space = " " if " " in text else ""
    packed: list[str] = []
    for start, end in pairwise([0, *(cut.end() for cut in borders[0].finditer(text)), len(text)]):
        part = text[start:end].strip()
        if part and packed and len(packed[-1]) + 1 + len(part) <= limit:
            packed[-1] = f"{packed[-1]}{space}{part}"
        else:
            packed += pieces(part, limit, borders[1:])
    return packed
