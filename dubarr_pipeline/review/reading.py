"""Calls that read: films, lines, sounds, waveforms, picture."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from starlette.responses import FileResponse, Response, StreamingResponse

from dubarr_pipeline.errors import RequestRefused
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.review import sheet
from dubarr_pipeline.review.access import API
from dubarr_pipeline.review.answers.film_answers import (
    FilmAnswer,
    FilmList,
    LineRow,
    LinesAnswer,
    Making,
)
from dubarr_pipeline.review.calls import FILM, Asked, Query, RestCall, json_response
from dubarr_pipeline.review.films import FilmView
from dubarr_pipeline.review.lines import rows
from dubarr_pipeline.review.picture import describe_picture, picture_type
from dubarr_pipeline.review.room import ReviewRoom
from dubarr_pipeline.review.sounds import waves
from dubarr_pipeline.review.sounds.peaks import Rate, peaks_file
from dubarr_pipeline.review.sounds.tracks import open_track
from dubarr_pipeline.segments.cache import TAKES

What = Literal["original", "dub", "voice", "bed"]
_TAKE = "take:"
_LONGEST_CUT_S = 120.0
_KEPT_BY_BROWSERS = {"Cache-Control": "private, no-cache", "Accept-Ranges": "bytes"}
_LANGUAGE = Query("lang", str, "target language, BCP-47")
_ANY_LANGUAGE = Query("lang", str, "target language, for `dub`", "")


def films(room: ReviewRoom, _: Asked) -> FilmList:
    """List the films."""
    return sheet.list_films(room)


def film(room: ReviewRoom, asked: Asked) -> FilmAnswer:
    """Describe a film: languages, speakers, gate, picture."""
    return sheet.describe_film(room, room.view(asked.key))


def lines(room: ReviewRoom, asked: Asked) -> LinesAnswer:
    """List lines in a language, by start."""
    view, query = room.view(asked.key), asked.query
    return sheet.list_lines(
        view, known(view, query["lang"]), query["from"], query["count"], query["filter"]
    )


def known(view: FilmView, language: str) -> str:
    """Return a target language of a film. Raises `RequestRefused` (404) with the choices."""
    if language not in view.languages:
        choices = ", ".join(view.languages)
        raise RequestRefused(404, "no_language", f"no {language[:40]!r} here: choose of {choices}")
    return language


def row_of(view: FilmView, language: str, lasting: str) -> LineRow:
    """Return a line by its id. Raises `RequestRefused` (404) if there is none."""
    for row in rows(view, known(view, language)):
        if row.id == lasting:
            return row
    raise RequestRefused(404, "no_line", f"no line {lasting[:40]!r} here")


def open_sound(view: FilmView, what: str, language: str, stack: ExitStack) -> waves.FilmSound:
    """Open a sound of the whole film; `stack` closes it. Raises `ArtifactError` if not made."""
    if what == "dub":
        return open_track(view, known(view, language))
    return waves.stem_sound(view, what, stack)


def line_sound(room: ReviewRoom, asked: Asked) -> Response:
    """Cut a line out of a sound, or return one of its takes, as WAV of 16 bits.

    All but takes are cut alike, from the earlier start to the later end of original and dub, so
    that one can be switched for the other; ``X-Start-S`` is the second at which the cut begins.
    """
    view, query = room.view(asked.key), asked.query
    what: str = query["what"]
    row = row_of(view, query["lang"] or view.languages[0], asked.names["id"])
    if what.startswith(_TAKE):
        return Response(_take(view, query["lang"], row, what.removeprefix(_TAKE)), 200, _WAVE)
    if what not in waves.WHAT:
        raise RequestRefused(422, "not_valid", f"what: choose of {', '.join(waves.WHAT)}, take:ID")
    start, end = row.start, row.end
    if row.fit and row.fit.start is not None and row.fit.length is not None:
        start, end = min(start, row.fit.start), max(end, row.fit.start + row.fit.length)
    start, end = max(0.0, start - query["pad"]), min(end, start + _LONGEST_CUT_S) + query["pad"]
    with ExitStack() as stack:
        sound = open_sound(view, what, query["lang"], stack)
        data = waves.cut(sound, start, min(end, sound.samples / sound.rate))
    return Response(data, 200, {**_WAVE, "X-Start-S": f"{start:.6f}"})


_WAVE = {"Content-Type": "audio/wav", "Cache-Control": "private, no-cache"}


def _take(view: FilmView, language: str, row: LineRow, digest: str) -> bytes:
    """Return the sound of a take at its own tempo. Raises `RequestRefused` (404)."""
    made = view.lines(language).get(row.index)
    for take in made.takes if made else ():
        if take.sound == digest:
            with WaveFile(view.work.segments / TAKES / Path(take.file).name) as wave:
                frames = waves.as_frames(wave.read(0, wave.samples), wave.layout)
                header = waves.wave_header(wave.rate, frames.shape[1], len(frames))
            return header + frames.tobytes()
    raise RequestRefused(404, "no_take", f"the line has no take {digest[:40]!r}")


def sound(room: ReviewRoom, asked: Asked) -> Response:
    """Return a sound of the whole film as WAV of 16 bits, by ranges."""
    view = room.view(asked.key)
    what = asked.names["what"].removesuffix(".wav")
    if what not in waves.WHAT:
        raise RequestRefused(404, "no_sound", f"choose of {', '.join(waves.WHAT)}")
    with ExitStack() as opened:
        found = open_sound(view, what, asked.query["lang"], opened)
        size = waves.byte_count(found)
        etag = f'"{found.version}"'
        is_same = asked.headers.get("if-range", etag) == etag
        part = waves.asked_range(asked.headers.get("range") if is_same else None, size)
        stack = opened.pop_all()
    start, stop = part or (0, size)

    def stream() -> Iterator[bytes]:
        with stack:
            yield from waves.bytes_of(found, start, stop)

    headers = {**_KEPT_BY_BROWSERS, "ETag": etag, "Content-Length": str(stop - start)}
    if part:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return StreamingResponse(stream(), 206 if part else 200, headers, "audio/wav")


def peaks(room: ReviewRoom, asked: Asked) -> Response:
    """Return the waveform of a whole sound, in audiowaveform's format, by ranges."""
    view, language = room.view(asked.key), asked.query["lang"]
    what = asked.names["what"]
    if what not in waves.WHAT:
        raise RequestRefused(404, "no_sound", f"choose of {', '.join(waves.WHAT)}")
    with ExitStack() as stack:
        found = open_sound(view, what, language, stack)
        name = f"dub-{language}" if what == "dub" else what
        path = peaks_file(found, view.cache / "peaks", name, asked.query["rate"])
    os.utime(view.cache)
    return FileResponse(
        path, 200, _KEPT_BY_BROWSERS, "application/octet-stream", stat_result=path.stat()
    )


def picture(room: ReviewRoom, asked: Asked) -> Response:
    """Return the film's picture by ranges; 202 while a proxy is made.

    Of a proxy in the making the minute with `at` is enough; ``X-Start-S`` is where it begins.
    """
    view = room.view(asked.key)
    kind = describe_picture(view).kind
    if kind == "none":
        raise RequestRefused(404, "no_picture", "the film's source has no picture, or is away")
    path, headers = view.video.source, {**_KEPT_BY_BROWSERS}
    if kind == "proxy" or asked.query["proxy"]:
        made = room.proxies.proxy(view, None if asked.query["at"] < 0 else asked.query["at"])
        if not isinstance(made, tuple):
            return json_response(Making, Making(made), 202)
        path, start_s = made
        is_piece = path.parent != view.cache
        headers |= {"X-Start-S": f"{start_s:g}"} if is_piece else {}
        os.utime(view.cache)  # it is in use; the file's own date is its version
    status = path.stat()
    return FileResponse(path, 200, headers, picture_type(path), stat_result=status)


CALLS = (
    RestCall("GET", f"{API}/films", films, FilmList),
    RestCall("GET", FILM, film, FilmAnswer),
    RestCall(
        *("GET", f"{FILM}/lines", lines, LinesAnswer),
        query=(
            _LANGUAGE,
            Query("from", Annotated[int, Field(ge=0)], "first line of those that pass", 0),
            Query("count", Annotated[int, Field(ge=0, le=100_000)], "lines at most", 500),
            Query("filter", str, "failed, flagged, unscripted, problem, a badge, speaker:ID", ""),
        ),
    ),
    RestCall(
        *("GET", f"{FILM}/lines/{{id}}/sound", line_sound, "audio/wav"),
        query=(
            _ANY_LANGUAGE,
            Query("what", str, "original, dub, voice, bed or take:ID", "original"),
            Query("pad", Annotated[float, Field(ge=0, le=10)], "seconds around it", 0.0),
        ),
    ),
    RestCall("GET", f"{FILM}/sound/{{what}}", sound, "audio/wav", query=(_ANY_LANGUAGE,)),
    RestCall(
        *("GET", f"{FILM}/peaks/{{what}}", peaks, "application/octet-stream"),
        query=(_ANY_LANGUAGE, Query("rate", Rate, "pairs a second", "4")),
    ),
    RestCall(
        *("GET", f"{FILM}/picture", picture, "video/mp4"),
        query=(
            Query("proxy", bool, "the proxy, where the source shows nothing", False),
            Query("at", float, "seconds in the picture: a piece that has them will do", -1.0),
        ),
        more={202: Making},
    ),
)
