"""Pronunciations of terms: words as a voice needs them spelled, the machine's and a person's."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from dubarr_pipeline.script.model import Term


def pronounced(text: str, terms: Iterable[Term], language: str) -> str:
    """Spell the glossary's terms as a voice needs them; whole words, longer terms first."""
    says = {
        term.translations.get(language, term.source): say
        for term in terms
        if (say := term.pronunciations.get(language))
    }
    if not says:
        return text
    listed = "|".join(re.escape(term) for term in sorted(says, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{listed})(?!\w)", lambda match: says[match.group()], text)


def with_renderings(
    terms: Iterable[Term], language: str, said: Mapping[str, str]
) -> tuple[Term, ...]:
    """Return a glossary with a person's renderings, by term; unknown terms are added."""
    found = {term.source: term for term in terms}
    for source, words in said.items():
        term = found.get(source) or Term(source, "term")
        found[source] = replace(term, translations={**term.translations, language: words})
    return tuple(found.values())


def with_pronunciations(
    terms: Iterable[Term], language: str, said: Mapping[str, str]
) -> tuple[Term, ...]:
    """Return a glossary with a person's spellings for a voice, by term; unknown ones are added."""
    found = {term.source: term for term in terms}
    for source, spelling in said.items():
        term = found.get(source) or Term(source, "term")
        found[source] = replace(term, pronunciations={**term.pronunciations, language: spelling})
    return tuple(found.values())
