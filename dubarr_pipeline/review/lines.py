"""Lines of a film in one language: the script, what was made of it, and what a person wishes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dubarr_pipeline.edits.history import in_effect
from dubarr_pipeline.review.answers.film_answers import (
    Badge,
    FitAnswer,
    LineRow,
    LineTally,
    TakeRow,
)
from dubarr_pipeline.review.films import FilmView
from dubarr_pipeline.script.model import Segment
from dubarr_pipeline.segments.results import KEPT_ORIGINAL, LineResult, Take
from dubarr_pipeline.spans import to_seconds

UNSCRIPTED = "unscripted"
"""Flag of a line that was heard where the subtitles have nothing."""
_NOT_MENDED = ("comment", "locked")
_Wishes = Mapping[str, Mapping[str, Any]]
"""Id of a line -> field -> value."""


def rows(view: FilmView, language: str) -> tuple[LineRow, ...]:
    """Return every line of a film in a language, by start; none while there is no script."""
    edits = view.edits
    if edits is None:
        return ()
    state = _LanguageState.of(view, language)
    made, rate = view.lines(language), edits.script.rate
    ordered = sorted(edits.script.segments, key=lambda each: (each.span.start, each.index))
    # Where all words were recognised, none of them lacks a script.
    scripted = any(each.source == "subtitles" for each in ordered)
    return tuple(
        _row(each, edits.ids[each.index], made.get(each.index), state, rate, scripted)
        for each in ordered
    )


def tally(lines: tuple[LineRow, ...], orphaned: int) -> LineTally:
    """Count lines by outcome and badge."""

    def having(badge: Badge) -> int:
        return sum(badge in row.badges for row in lines)

    return LineTally(
        lines=sum(row.kind == "speech" for row in lines),
        placed=sum(row.outcome == "placed" for row in lines),
        failed=sum(row.outcome.startswith("failed:") for row in lines),
        kept_original=sum(row.outcome == KEPT_ORIGINAL for row in lines),
        flagged=sum(_is_doubted(row) for row in lines),
        edited=having("edited"),
        locked=having("locked"),
        orphaned=orphaned,
    )


def passes(row: LineRow, wanted: str) -> bool:
    """Return whether a line passes a filter: names joined by commas, of which one is enough.

    ``failed``, ``flagged``, ``unscripted`` (heard, and not in the subtitles), a badge,
    ``problem`` (any of what a person should look at), or ``speaker:ID``.
    """
    names = [each.strip() for each in wanted.split(",") if each.strip()]
    return not names or any(_has(row, name) for name in names)


def _is_doubted(row: LineRow) -> bool:
    return any(flag != UNSCRIPTED for flag in row.flags)


def _has(row: LineRow, name: str) -> bool:
    if name.startswith("speaker:"):
        return row.speaker == name.removeprefix("speaker:")
    failed, doubted = row.outcome.startswith("failed:"), _is_doubted(row)
    found = {
        "failed": failed,
        "flagged": doubted,
        UNSCRIPTED: UNSCRIPTED in row.flags,
        "problem": failed or doubted or "orphaned" in row.badges,
    }
    return found.get(name, name in row.badges)


@dataclass(frozen=True, slots=True)
class _LanguageState:
    """Wishes of people for the lines of a language.

    Attributes:
        wishes: by line: those of the language; those of the source, its text as ``original``.
        unheard: ids of the lines, and of the speakers, whose wishes the finished track lacks.
        candidates: ids of lines that edits of lost lines may belong to.
    """

    wishes: _Wishes
    unheard: frozenset[str]
    candidates: frozenset[str]

    @classmethod
    def of(cls, view: FilmView, language: str) -> _LanguageState:
        own, source = view.documents.get(language), view.documents.get(view.source_language or "")
        orphans = view.edits.orphans.get(language, ()) if view.edits else ()
        wishes: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        for document, text in ((source, "original"), (own, "text")):
            for (target, name, field), fact in in_effect(
                document.facts if document else ()
            ).items():
                if target == "line":
                    wishes[name][text if field == "text" else field] = fact.value
        return cls(
            wishes,
            frozenset(name for _, name, _ in view.unheard(language)),
            frozenset(each.candidate for each in orphans if each.candidate),
        )


def _row(
    line: Segment,
    lasting: str,
    made: LineResult | None,
    state: _LanguageState,
    rate: int,
    scripted: bool,
) -> LineRow:
    wishes = dict(state.wishes.get(lasting, {}))
    badges: list[Badge] = []
    if wishes.keys() - {*_NOT_MENDED}:
        badges.append("edited")
    if not state.unheard.isdisjoint((lasting, line.speaker)):
        badges.append("stale")
    if wishes.get("locked"):
        badges.append("locked")
    if lasting in state.candidates:
        badges.append("orphaned")
    unscripted = (UNSCRIPTED,) if scripted and line.source == "asr" else ()
    return LineRow(
        id=lasting,
        index=line.index,
        start=to_seconds(line.span.start, rate),
        end=to_seconds(line.span.end, rate),
        speaker=line.speaker,
        kind=line.kind,
        original=line.text,
        text=made.text if made else "",
        outcome=made.outcome if made else "",
        why=made.message if made else "",
        flags=(*(made.flags if made else ()), *unscripted),
        fit=_fit(made, rate) if made else None,
        takes=tuple(take_row(take, take is made.take) for take in made.takes) if made else (),
        edits=wishes,
        badges=tuple(badges),
    )


def _fit(made: LineResult, rate: int) -> FitAnswer:
    take = made.take
    return FitAnswer(
        budget_s=round(made.budget_s, 3),
        predicted_s=round(made.predicted_s, 3),
        measured_s=round(take.duration_s, 3) if take else None,
        tempo=round(float(made.tempo), 4) if made.placed else None,
        start=to_seconds(made.start, rate) if made.placed else None,
        length=to_seconds(made.length, rate) if made.placed else None,
    )


def take_row(take: Take, chosen: bool) -> TakeRow:
    """Return a take as the page lists it."""
    seconds = round(take.duration_s, 3)
    return TakeRow(take.sound, take.text, seconds, take.verdict, chosen, take.faults)
