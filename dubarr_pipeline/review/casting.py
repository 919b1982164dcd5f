"""Calls on the cast of a film, and of its series: characters, and the voices they may have."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict

from starlette.responses import Response

from dubarr_pipeline.config import profile_engines
from dubarr_pipeline.edits.document import Proposal, add_facts_together
from dubarr_pipeline.edits.model import EditsRefused, ProposedFact, StaleRevision
from dubarr_pipeline.errors import DubbingError, RequestRefused
from dubarr_pipeline.library.series.memory import remembered
from dubarr_pipeline.review.access import API
from dubarr_pipeline.review.answers.cast_answers import (
    CastAnswer,
    CastMember,
    CastWish,
    SeriesAnswer,
    SeriesWish,
)
from dubarr_pipeline.review.answers.film_answers import NamedErrors
from dubarr_pipeline.review.calls import FILM, Asked, RestCall, json_response
from dubarr_pipeline.review.films import FilmView
from dubarr_pipeline.review.mending import known_document, named_errors
from dubarr_pipeline.review.room import ReviewRoom
from dubarr_pipeline.review.sheet import list_speakers

_SAMPLE_LINES = 5
_SERIES = f"{API}/series/{{id}}/cast"


def cast(room: ReviewRoom, asked: Asked) -> CastAnswer:
    """Describe a film's characters, with lines to try voices on and the voices to choose from."""
    return _answer(room, room.view(asked.key))


def set_cast(room: ReviewRoom, asked: Asked) -> Response:
    """Take names and voices as facts, all or none; those that are as they were add none."""
    wish: CastWish = asked.document(CastWish)
    view = room.view(asked.key)
    now = {each.id: each for each in list_speakers(view)}
    facts: defaultdict[str, list[ProposedFact]] = defaultdict(list)

    def propose(language: str, speaker: str, field: str, value: str | None) -> None:
        fact = ProposedFact(str(uuid.uuid4()), "speaker", speaker, field, value)
        facts[language].append(fact)

    for member in wish.speakers:
        known = now.get(member.id)
        if member.name is not None and (not known or member.name != known.name):
            propose(view.source_language or "", member.id, "name", member.name or None)
        for language, voice in member.voices.items():
            if not known or voice != known.voices.get(language):
                propose(language, member.id, "voice", voice or None)
    proposals = {
        each: Proposal(tuple(stated), view.documents[known_document(view, each)].revision)
        for each, stated in facts.items()
    }
    try:
        add_facts_together(view.work, proposals, wish.by)
    except EditsRefused as error:
        return json_response(NamedErrors, named_errors(error), 422)
    except StaleRevision as error:
        raise RequestRefused(409, "stale", "others changed the cast just now: try again") from error
    return json_response(CastAnswer, _answer(room, room.view(asked.key)))


def _answer(room: ReviewRoom, view: FilmView) -> CastAnswer:
    edits = view.edits
    spoken: Counter[str] = Counter()
    longest: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    if edits:
        for line in edits.script.lines:
            spoken[line.speaker] += line.span.length
            longest[line.speaker].append((-line.span.length, edits.ids[line.index]))
    members = (
        CastMember(
            id=each.id,
            name=each.name,
            gender=each.gender,
            lines=each.lines,
            spoken_s=round(spoken[each.id] / edits.script.rate, 3) if edits else 0.0,
            voices=each.voices,
            sample_lines=tuple(name for _, name in sorted(longest[each.id])[:_SAMPLE_LINES]),
        )
        for each in list_speakers(view)
    )
    voices = {language: _voices(room, view, language) for language in view.languages}
    return CastAnswer(tuple(members), voices)


def _voices(room: ReviewRoom, view: FilmView, language: str) -> tuple[str, ...]:
    """Return the voices that the film's engine has in a language; none while it cannot tell."""
    try:
        own = room.settings.for_video(view.video.profile, view.video.overrides)
        engine = profile_engines.synthesizer(own, view.work.logs)
        found = tuple(voice.name for voice in engine.voices(language))
    except DubbingError:
        return ()
    return found or engine.own_voices


def series_cast(room: ReviewRoom, asked: Asked) -> SeriesAnswer:
    """Describe the memory of a series' cast."""
    return room.backstage.series_cast(_series(room, asked.names["id"]))


def correct_series(room: ReviewRoom, asked: Asked) -> SeriesAnswer:
    """Correct the cast of a series, all or none; it counts in every film that comes."""
    wish: SeriesWish = asked.document(SeriesWish)
    return room.backstage.correct_series(_series(room, asked.names["id"]), wish)


def _series(room: ReviewRoom, key: str) -> str:
    """Return the key of a series that has a memory. Raises `RequestRefused` (404)."""
    # What an address names is compared with what is there, and never a path.
    known = remembered(room.settings.work_dir)
    if key not in known or (room.only and room.series(room.video(room.only)) != key):
        raise RequestRefused(404, "no_series", f"no series {key[:80]!r} here")
    return key


CALLS = (
    RestCall("GET", f"{FILM}/cast", cast, CastAnswer),
    RestCall(
        *("PUT", f"{FILM}/cast", set_cast, CastAnswer), body=CastWish, more={422: NamedErrors}
    ),
    RestCall("GET", _SERIES, series_cast, SeriesAnswer),
    RestCall("PUT", _SERIES, correct_series, SeriesAnswer, body=SeriesWish),
)
