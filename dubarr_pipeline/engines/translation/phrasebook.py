"""Set phrases that mean something else than their words: "Come on!", "Look out!", "What's up?"."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files

SENTENCE_PARTS = re.compile(r"^(?P<phrase>.+?)(?P<called>,\s+[A-Z][\w' -]*)?(?P<end>[.!?…]*)\s*$")


@cache
def phrasebook(source: str, target: str) -> dict[str, str]:
    """Return the set phrases of a pair of base languages, lower case and without their end mark."""
    text = files("dubarr_pipeline.engines.translation").joinpath("phrases.json").read_text("utf-8")
    return {
        phrase: entry[target]
        for entry in json.loads(text)
        if source in entry and target in entry
        for phrase in entry[source]
    }


def set_phrase(sentence: str, source: str, target: str) -> str | None:
    """Translate a sentence that is nothing but set phrases, maybe with a name called after them.

    Returns:
        The translation with the sentence's own end mark, or None if it is more than that.
    """
    parts = SENTENCE_PARTS.match(re.sub(r"[\"()]", "", sentence).strip())
    if parts is None:
        return None
    book, called = phrasebook(source, target), parts["called"] or ""
    for phrase, rest in ((parts["phrase"] + called, ""), (parts["phrase"], called)):
        whole = _looked_up([phrase.replace(",", "")], book) or _looked_up(phrase.split(","), book)
        if whole:
            return whole + rest + parts["end"]
    return None


def _looked_up(phrases: list[str], book: dict[str, str]) -> str | None:
    found = [book.get(phrase.strip().casefold()) for phrase in phrases]
    if None in found:
        return None
    text = ", ".join(phrase.casefold() for phrase in found if phrase)
    return text[:1].upper() + text[1:]
