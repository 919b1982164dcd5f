"""Ends of sentences, and subtitles that break off in the middle of one."""

import re

_END = re.compile(r"[.!?…。！？؟।]+[\"'”’»)\]]*$")
_ELLIPSIS_END = re.compile(r"(?:\.{2,}|…)[\"'”’»)\]]*$")
_OPENERS = "\"'“‘«¿¡([-–—"
_ABBREVIATIONS = frozenset(
    (
        "mr mrs ms dr prof st sr jr sgt lt col gen capt cmdr rev hon vs etc no vol fig inc ltd co "
        "mt ft approx dept gov sen rep messrs mme mlle sra srta dra d u.s u.k u.n a.m p.m e.g i.e"
    ).split()
)


def ends_sentence(text: str) -> bool:
    """Return whether a text ends where a sentence does; an ellipsis may go on."""
    last = (text.split() or [""])[-1]
    bare = last.strip(_OPENERS).rstrip(".").casefold()
    short = bare in _ABBREVIATIONS or (len(bare) == 1 and bare.isalpha())
    ends = _END.search(text) and not _ELLIPSIS_END.search(text)
    return bool(ends) and not (short and last.endswith("."))


def continues(before: str, after: str) -> bool:
    """Return whether `after` continues the sentence that `before` began."""
    if not before or not after or ends_sentence(before):
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
        if ends_sentence(words[i - 1]) and not words[i].lstrip(_OPENERS)[:1].islower()
    ]


def join_texts(before: str, after: str) -> str:
    """Put two halves of a sentence together; the dots that only say "goes on" are left out."""
    if after.startswith(("...", "…")):
        before = re.sub(r"(?:\.{2,}|…)$", "", before).rstrip() or before
        after = after.lstrip(".… ") or after
    return f"{before} {after}"
