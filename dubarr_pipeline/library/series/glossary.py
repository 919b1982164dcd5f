"""The glossary of a series: how its terms were rendered first, for all episodes that follow."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from dubarr_pipeline.library.series.corrections import PeoplesWord
from dubarr_pipeline.script.model import Context, Term


def with_series_terms(
    context: Context, terms: Iterable[Term], word: PeoplesWord, own: Collection[str]
) -> Context:
    """Return a film's context with the renderings of its series.

    Args:
        context: of the film, with its own glossary.
        terms: of the series, those that the film takes.
        word: what people said of the series: it counts before all of them.
        own: terms that a person wrote for this film: they stay.
    """
    series = {term.source: term for term in terms}
    for source in {*word.renderings, *word.pronunciations}:
        known = series.get(source, Term(source, "term"))
        series[source] = _over(
            known,
            Term(source, "", word.renderings.get(source, {}), word.pronunciations.get(source, {})),
        )
    glossary = [
        _over(term, series[term.source]) if term.source in series.keys() - {*own} else term
        for term in context.glossary
    ]
    known = {term.source for term in glossary}
    more = (term for source, term in sorted(series.items()) if source not in known)
    return replace(context, glossary=(*glossary, *more))


def merged_glossary(series: Iterable[Term], film: Iterable[Term]) -> tuple[Term, ...]:
    """Return the glossary of a series with the terms of a film that have a rendering.

    What was rendered first stays.
    """
    found = {term.source: term for term in series}
    for term in film:
        if term.translations or term.pronunciations:
            found[term.source] = _over(term, found.get(term.source, term))
    return tuple(found[source] for source in sorted(found))


def _over(term: Term, better: Term) -> Term:
    """Return a term with the renderings of another, where that has any."""
    return replace(
        term,
        translations={**term.translations, **better.translations},
        pronunciations={**term.pronunciations, **better.pronunciations},
    )
