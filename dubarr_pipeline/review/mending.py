"""Calls that mend: edits, read and added to."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from starlette.responses import Response

from dubarr_pipeline.edits.document import add_facts, read_edits_document, read_proposed
from dubarr_pipeline.edits.model import (
    MOST_POSTED,
    EditsDocument,
    EditsRefused,
    Fact,
    StaleRevision,
)
from dubarr_pipeline.errors import RequestRefused
from dubarr_pipeline.review.answers.film_answers import (
    EditsAnswer,
    NamedError,
    NamedErrors,
    ProposedEdits,
    Revision,
)
from dubarr_pipeline.review.calls import FILM, Asked, RestCall, json_response
from dubarr_pipeline.review.films import FilmView
from dubarr_pipeline.review.room import ReviewRoom

EDITS = f"{FILM}/edits/{{lang}}"


def edits(room: ReviewRoom, asked: Asked) -> EditsAnswer:
    """Return all facts of a language, a target or the film's own."""
    view = room.view(asked.key)
    return _answer(read_edits_document(view.work, known_document(view, asked.names["lang"])))


def add_edits(room: ReviewRoom, asked: Asked) -> Response:
    """Add facts, all or none; 409 with the facts since, if the revision is not the newest."""
    proposed: ProposedEdits = asked.document(ProposedEdits)
    if len(proposed.facts) > MOST_POSTED:
        raise RequestRefused(413, "too_many_facts", f"send at most {MOST_POSTED} facts at once")
    view = room.view(asked.key)
    language = known_document(view, asked.names["lang"])
    try:
        document = add_facts(
            view.work,
            language,
            read_proposed(list(proposed.facts)),
            revision=proposed.revision,
            by=proposed.by,
            source_revision=proposed.source_revision,
        )
    except StaleRevision as error:
        facts = tuple(fact_document(each) for each in error.facts)
        return json_response(EditsAnswer, EditsAnswer(error.revision, facts), 409)
    except EditsRefused as error:
        return json_response(NamedErrors, named_errors(error), 422)
    return json_response(Revision, Revision(document.revision))


def named_errors(error: EditsRefused) -> NamedErrors:
    """Return the faults of facts, for the page; those of a sheet by their row."""
    return NamedErrors(
        tuple(
            NamedError(each.id, f"row {each.row}: {each.message}" if each.row else each.message)
            for each in error.errors
        )
    )


def known_document(view: FilmView, language: str) -> str:
    """Return a language that has edits: a target, or the film's own. Raises `RequestRefused`."""
    if language not in view.documents:
        choices = ", ".join(view.documents)
        raise RequestRefused(404, "no_language", f"no {language[:40]!r} here: choose of {choices}")
    return language


def _answer(document: EditsDocument) -> EditsAnswer:
    return EditsAnswer(document.revision, tuple(fact_document(each) for each in document.facts))


def fact_document(fact: Fact) -> dict[str, Any]:
    """Return a fact as it is sent."""
    return asdict(fact)


CALLS = (
    RestCall("GET", EDITS, edits, EditsAnswer),
    RestCall(
        *("POST", EDITS, add_edits, Revision),
        body=ProposedEdits,
        more={409: EditsAnswer, 422: NamedErrors},
    ),
)
