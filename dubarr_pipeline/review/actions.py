"""Calls that do something: try a line, render, decide at the gate."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Annotated
from urllib.parse import quote

from pydantic import Field
from starlette.responses import HTMLResponse, Response

from dubarr_pipeline.edits.files import edits_lock
from dubarr_pipeline.errors import LineError, RequestRefused
from dubarr_pipeline.review.answers.film_answers import (
    Accepted,
    GateAnswer,
    GateWish,
    TryAnswer,
    TryWish,
)
from dubarr_pipeline.review.calls import FILM, Asked, Query, RestCall
from dubarr_pipeline.review.lines import take_row
from dubarr_pipeline.review.reading import known, row_of
from dubarr_pipeline.review.room import ReviewRoom
from dubarr_pipeline.review.sheet import describe_film
from dubarr_pipeline.review.sounds.trials import mixed
from dubarr_pipeline.workdir.layout import exclusive

_SHEET_HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; media-src data:",
}
"""A page of its own, to be sent to somebody: it may run no script."""


def try_line(room: ReviewRoom, asked: Asked) -> TryAnswer:
    """Speak a line at once, without a run; a run that is asked for the same speaks nothing."""
    wish: TryWish = asked.document(TryWish)
    if wish.text is not None and not wish.text.strip():
        raise RequestRefused(422, "no_text", "there is nothing to say: write some words")
    view = room.view(asked.key)
    row = row_of(view, wish.lang, asked.names["id"])
    try:
        held = room.backstage.hold(view.video.key)
        spoken = room.trials.speak(view, room.settings, row, wish, held)
    except LineError as error:
        raise RequestRefused(422, error.failure, str(error)) from error
    sound = f"{FILM}/lines/{{id}}/trials/{{take}}".format(
        key=quote(asked.key), id=quote(row.id), take=spoken.take.sound
    )
    return TryAnswer(
        take_row(spoken.take, chosen=False),
        f"{sound}?lang={quote(wish.lang)}",
        spoken.failure,
        spoken.refused,
    )


def trial_sound(room: ReviewRoom, asked: Asked) -> Response:
    """Return a tried line among its neighbours as WAV; ``X-Start-S`` says where it begins."""
    view, language = room.view(asked.key), asked.query["lang"]
    spoken = room.trials.found(view, known(view, language), asked.names["take"])
    data, start_s = mixed(view, language, spoken, asked.query["pad"])
    return Response(data, 200, {"X-Start-S": f"{start_s:.6f}"}, "audio/wav")


def render(room: ReviewRoom, asked: Asked) -> Accepted:
    """Start the stages that the edits need, as a run; 409 while one is running."""
    room.render(room.video(asked.key).key)
    return Accepted()


def decide(room: ReviewRoom, asked: Asked) -> GateAnswer:
    """Approve a film for publishing, or hold it, with a note."""
    wish: GateWish = asked.document(GateWish)
    video = room.video(asked.key)
    work = video.work(room.settings.work_dir)
    with ExitStack() as stack:
        if wish.action == "approve":
            # What is approved stays as it is meanwhile: nobody renders, and nobody edits.
            room.trials.wait()
            stack.enter_context(room.backstage.hold(video.key))
            stack.enter_context(exclusive(work))
            stack.enter_context(edits_lock(work))
            _check_approvable(room, asked.key, wish)
        room.backstage.decide(video.key, wish)
    return replace(room.backstage.gate(video.key), result=room.view(asked.key).result)


def _check_approvable(room: ReviewRoom, key: str, wish: GateWish) -> None:
    """Check that a person has heard what they approve. Raises `RequestRefused` (409)."""
    view = room.view(key)
    film = describe_film(room, view)
    stale = [each.language for each in film.languages if each.stale]
    if stale or film.running:
        what = f"the edits of {', '.join(stale)} are not rendered" if stale else "a run works"
        raise RequestRefused(409, "stale", f"{what}: render, and listen, before you approve")
    if wish.result and wish.result != view.result:
        words = "a run has ended since this page showed the film: look at it again"
        raise RequestRefused(409, "other_result", words)


def qc_sheet(room: ReviewRoom, asked: Asked) -> Response:
    """Return a page with the flagged lines and their sounds inside, to be sent to somebody."""
    return HTMLResponse(room.backstage.qc_sheet(room.video(asked.key).key), 200, _SHEET_HEADERS)


CALLS = (
    RestCall("POST", f"{FILM}/lines/{{id}}/try", try_line, TryAnswer, body=TryWish),
    RestCall(
        *("GET", f"{FILM}/lines/{{id}}/trials/{{take}}", trial_sound, "audio/wav"),
        query=(
            Query("lang", str, "target language, BCP-47"),
            Query("pad", Annotated[float, Field(ge=0, le=10)], "seconds around it", 3.0),
        ),
    ),
    RestCall("POST", f"{FILM}/render", render, Accepted, status=202),
    RestCall("POST", f"{FILM}/gate", decide, GateAnswer, body=GateWish),
    RestCall("GET", f"{FILM}/qc.html", qc_sheet, "text/html"),
)
