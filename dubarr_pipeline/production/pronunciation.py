"""Names and terms respelled for a voice that would say them wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dubarr_pipeline.timeline.script import Term


def pronounced(text: str, terms: Iterable[Term], language: str) -> str:
    """Put in how the glossary spells its terms for a voice; whole words, longer terms first."""
    says = {
        term.translations.get(language, term.source): say
        for term in terms
        if (say := term.pronunciations.get(language))
    }
    if not says:
        return text
    listed = "|".join(re.escape(term) for term in sorted(says, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{listed})(?!\w)", lambda found: says[found.group()], text)
