"""Calls by which a translator works in a spreadsheet or with subtitles: lines out, facts in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

from starlette.responses import Response

from dubarr_pipeline.edits.document import add_facts
from dubarr_pipeline.edits.history import in_effect
from dubarr_pipeline.edits.model import EditsRefused, StaleRevision
from dubarr_pipeline.edits.sheets import (
    SheetChanges,
    SheetLine,
    export_csv,
    export_srt,
    import_csv,
    import_srt,
    sheet_lines,
)
from dubarr_pipeline.edits.workbooks import export_xlsx, import_xlsx
from dubarr_pipeline.errors import RequestRefused
from dubarr_pipeline.review.answers.film_answers import EditsAnswer, ImportAnswer, NamedErrors
from dubarr_pipeline.review.calls import FILM, Asked, Query, RestCall, json_response
from dubarr_pipeline.review.films import FilmView
from dubarr_pipeline.review.mending import fact_document, known_document, named_errors
from dubarr_pipeline.review.room import ReviewRoom

Format = Literal["csv", "xlsx", "srt"]
_TYPES: Mapping[str, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "srt": "application/x-subrip; charset=utf-8",
}
_OUT: Mapping[str, Callable[[Sequence[SheetLine]], bytes]] = {
    "csv": export_csv,
    "xlsx": export_xlsx,
    "srt": export_srt,
}
_IN: Mapping[str, Callable[[bytes, Sequence[SheetLine]], SheetChanges]] = {
    "csv": import_csv,
    "xlsx": import_xlsx,
}


def _lines(view: FilmView, language: str) -> tuple[SheetLine, ...]:
    if view.edits is None:
        raise RequestRefused(409, "no_script", "there is no script yet: dub the film first")
    texts = {index: line.text for index, line in view.lines(language).items()}
    offset_s = view.sound.audio.offset_s if view.sound else 0.0
    return sheet_lines(view.edits, language, texts, offset_s)


def export_sheet(room: ReviewRoom, asked: Asked) -> Response:
    """Return the lines of a language as CSV, Excel's XLSX, or SRT."""
    view, form = room.view(asked.key), asked.names["format"]
    if form not in _OUT:
        raise RequestRefused(404, "no_format", f"choose of {', '.join(get_args(Format))}")
    language = known_document(view, asked.query["lang"])
    # Subtitles have no room for what tells others' changes from a translator's: their name has.
    mark = f".r{view.documents[language].revision}" if form == "srt" else ""
    name = f"{asked.key}.{language}{mark}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(_OUT[form](_lines(view, language)), 200, headers, _TYPES[form])


def import_sheet(room: ReviewRoom, asked: Asked) -> Response:
    """Take what a sheet or subtitles change, all or nothing; with `dry` tell of it alone."""
    view, query = room.view(asked.key), asked.query
    language = known_document(view, query["lang"])
    document, source = view.documents[language], view.documents.get(view.source_language or "")
    revision = document.revision
    try:
        lines = _lines(view, language)
        if query["format"] == "srt":
            found = import_srt(asked.body, lines, _changed_since(view, language, query["revision"]))
        else:
            found = _IN[query["format"]](asked.body, lines)
        if found.facts and not query["dry"]:
            revision = add_facts(
                view.work,
                language,
                found.facts,
                revision=revision,
                by=query["by"],
                source_revision=source.revision if source else None,
            ).revision
    except EditsRefused as error:
        return json_response(NamedErrors, named_errors(error), 422)
    except StaleRevision as error:
        facts = tuple(fact_document(each) for each in error.facts)
        return json_response(EditsAnswer, EditsAnswer(error.revision, facts), 409)
    return json_response(ImportAnswer, ImportAnswer(len(found.facts), revision, found.locked))


def _changed_since(view: FilmView, language: str, revision: int) -> dict[str, set[str]]:
    """Return the lines whose text was changed since a revision, and what it may have been then."""
    facts = view.documents[language].facts
    then = in_effect([fact for fact in facts if fact.revision <= revision])
    indices = {name: index for index, name in view.edits.ids.items()} if view.edits else {}
    made, found = view.lines(language), dict[str, set[str]]()
    script = view.script.segments if view.script and language == view.source_language else ()
    heard = {segment.index: segment.text for segment in script}
    for fact in facts if revision >= 0 else ():
        if fact.revision <= revision or (fact.target, fact.field) != ("line", "text"):
            continue
        said = then.get(("line", fact.target_id, "text"))
        index = indices.get(fact.target_id, -1)
        line = made.get(index)
        # Without a person's wording it was one of the machine's, of which every take is kept.
        machine = {line.text, *(take.text for take in line.takes)} if line else set[str]()
        machine |= {heard[index]} if index in heard else set()
        found[fact.target_id] = {said.value} if said else machine
    return found


_LANGUAGE = Query("lang", str, "language, BCP-47: a target, or the film's own")
CALLS = (
    RestCall(
        *("GET", f"{FILM}/export.{{format}}", export_sheet, "application/octet-stream"),
        query=(_LANGUAGE,),
    ),
    RestCall(
        *("POST", f"{FILM}/import", import_sheet, ImportAnswer),
        query=(
            _LANGUAGE,
            Query("format", Format, "csv, xlsx or srt"),
            Query("dry", bool, "tell what would be taken, and take nothing", False),
            Query("by", str, "the author's name", "sheet"),
            Query("revision", int, "of the edits that subtitles went out with", -1),
        ),
        body="application/octet-stream",
        more={409: EditsAnswer, 422: NamedErrors},
    ),
)
