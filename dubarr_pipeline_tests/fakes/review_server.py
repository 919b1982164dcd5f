"""A review server with a made-up film of any length, behind the real pages."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import dubarr_pipeline

PAGE = Path(dubarr_pipeline.__file__).parent / "review" / "page"
KEY, SOURCE, DUB = "the-long-film", "en", "es"
LINE_S, RATE = 3.0, 8000
OF_SOURCE = {"speaker", "name", "split", "merge", "add", "remove"}
HOSTILE = '<img src=x onerror="window.hurt = true"><b>&amp;'

Json = dict[str, Any]


@dataclass
class MadeUpFilm:
    """A film that nobody has made, and what people have stated about it.

    Attributes:
        asked: paths of all requests, in their order.
        sounds: bytes of sound that were sent, for each request for sound.
        tried: bodies of the requests to speak a line.
        gone: whether the server behaves as if it were not there.
        quick: whether the end of a run is told before the answer to the call that started it.
        deaf: whether the events can be heard only once a run is over.
    """

    count: int
    documents: dict[str, list[Json]] = field(default_factory=lambda: {SOURCE: [], DUB: []})
    asked: list[str] = field(default_factory=list[str])
    sounds: list[int] = field(default_factory=list[int])
    tried: list[Json] = field(default_factory=list[Json])
    output_revision: int = 0
    gone: bool = False
    quick: bool = False
    deaf: bool = False
    told_revision: int = 0
    orphans: list[Json] = field(default_factory=list[Json])
    corrections: list[Json] = field(default_factory=list[Json])

    def revision(self, language: str) -> int:
        return max((fact["revision"] for fact in self.documents[language]), default=0)

    def effects(self, language: str) -> dict[tuple[str, str, str], Any]:
        facts, undone = self.documents[language], set[str]()
        for fact in reversed(facts):
            if fact.get("undoes") and fact["id"] not in undone:
                undone.add(fact["undoes"])
        said = [each for each in facts if not each.get("undoes") and each["id"] not in undone]
        return {(each["target"], each["target_id"], each["field"]): each["value"] for each in said}

    def state(self, language: str, told: Json) -> Response:
        revision = self.revision(language)
        known = {fact["id"] for fact in self.documents[language]}
        new = [fact for fact in told["facts"] if fact["id"] not in known]
        if new and told["revision"] != revision:
            since = [f for f in self.documents[language] if f["revision"] > told["revision"]]
            return JSONResponse({"revision": revision, "facts": since}, 409)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        added = {"revision": revision + 1, "at": at, "by": told["by"]}
        self.documents[language] += [{**fact, **added} for fact in new]
        return JSONResponse({"revision": self.revision(language)})

    def lines(self) -> list[Json]:
        said = self.effects(DUB)
        shape = self.effects(SOURCE)
        made = [self._line(number, said, shape) for number in range(self.count)]
        return [line for line in made if not shape.get(("line", line["id"], "remove"))]

    def _line(self, number: int, said: dict[Any, Any], shape: dict[Any, Any]) -> Json:
        start, key = number * LINE_S + 0.5, f"L{number:05}"
        edits = {name: value for (_, of, name), value in said.items() if of == key}
        edits = {name: value for name, value in edits.items() if value is not None}
        failed = number % 40 == 39
        flags = ["misspoken"] if number % 50 == 10 else []
        text = HOSTILE if number == 3 else f"Esta es la frase número {number} de la película."
        take = {"id": f"{number:08x}", "text": text, "duration_s": 1.9, "verdict": "fits"}
        other = {**take, "id": f"f{number:07x}", "duration_s": 2.2, "chosen": False, "faults": []}
        badges = ["edited", "stale"] if edits else []
        return {
            "id": key,
            "index": number,
            "start": start,
            "end": start + 2.0,
            "speaker": shape.get(("line", key, "speaker"), f"s{number % 3}"),
            "kind": "speech",
            "text": "" if failed else text,
            "flags": flags,
            "edits": edits,
            "original": HOSTILE if number == 3 else f"This is line {number} of the film.",
            "outcome": "failed:too_long" if failed else "placed",
            "why": "no take fits into its window" if failed else "",
            "fit": {
                "budget_s": 2.0,
                "predicted_s": 2.1,
                "measured_s": None if failed else 1.9,
                "tempo": 1.04,
                "start": start,
                "length": None if failed else 1.85,
            },
            "takes": [] if failed else [{**take, "chosen": True, "faults": flags}, other],
            "badges": [*badges, *(["locked"] if edits.get("locked") else [])],
        }

    def film(self) -> Json:
        lines = self.lines()
        tally = {"lines": len(lines), "placed": 0, "failed": 0, "kept_original": 0, "flagged": 0}
        undone = {fact.get("undoes") for fact in self.documents[DUB]}
        lost = [each for each in self.orphans if not undone.issuperset(each["facts"])]
        dub = {"language": DUB, "revision": self.revision(DUB), "orphans": lost}
        stale = self.revision(DUB) + self.revision(SOURCE) > self.output_revision
        names = self.effects(SOURCE)
        return {
            "key": KEY,
            "title": "The Long Film (2026)",
            "source_language": SOURCE,
            "duration_s": self.count * LINE_S + 1,
            "languages": [
                {**dub, "output_revision": self.output_revision, "stale": stale, "counts": tally}
            ],
            "source_revision": self.revision(SOURCE),
            "speakers": [
                {
                    "id": f"s{number}",
                    "colour": number,
                    "gender": None,
                    "name": names.get(("speaker", f"s{number}", "name"), name),
                    "voices": {DUB: f"voice-{number}"},
                    "lines": sum(line["speaker"] == f"s{number}" for line in lines),
                }
                for number, name in enumerate(("Ada", "Brendan", None))
            ],
            "gate": {"state": "held", "reasons": ["50 lines failed", "bed 3 dB low"], "note": ""},
            "running": False,
            "picture": {"kind": "none"},
            "series": "long",
        }


def wave(seconds: float) -> bytes:
    tone = 9000 * np.sin(2 * np.pi * 330 / RATE * np.arange(round(seconds * RATE)))
    data = tone.astype("<i2").tobytes()
    form = struct.pack("<IHHIIHH", 16, 1, 1, RATE, RATE * 2, 2, 16)
    head = b"RIFF" + struct.pack("<I", len(data) + 36) + b"WAVEfmt " + form
    return head + b"data" + struct.pack("<I", len(data)) + data


@cache
def peaks(seconds: float, rate: int) -> bytes:
    """Return a waveform that is loud where the lines are."""
    at = np.arange(round(seconds * rate)) / rate
    spoken = (at % LINE_S > 0.5) & (at % LINE_S < 2.5)
    high = np.where(spoken, 50 + 40 * np.sin(37 * at) * np.sin(3.1 * at), 6).astype(np.int8)
    head = struct.pack("<iIiiIi", 2, 1, RATE, RATE // rate, len(high), 1)
    return head + np.stack((-high, high), axis=1).tobytes()


@dataclass
class Calls:
    """Answers to the page's calls."""

    film: MadeUpFilm

    async def page(self, _: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    async def films(self, _: Request) -> Response:
        told = {"key": KEY, "title": "The Long Film (2026)", "state": "done", "languages": [DUB]}
        return JSONResponse({"films": [{**told, "held": True}]})

    async def the_film(self, _: Request) -> Response:
        return JSONResponse(self.film.film())

    async def lines(self, request: Request) -> Response:
        first, most = (int(request.query_params[name]) for name in ("from", "count"))
        found = self.film.lines()
        told = {"total": len(found), "revision": self.film.revision(DUB)}
        return JSONResponse({**told, "source_revision": 0, "lines": found[first : first + most]})

    async def edits(self, request: Request) -> Response:
        language = request.path_params["lang"]
        if request.method == "POST":
            return self.film.state(language, await request.json())
        facts = self.film.documents[language]
        return JSONResponse({"revision": self.film.revision(language), "facts": facts})

    async def cut(self, request: Request) -> Response:
        sent = wave(2 + 2 * float(request.query_params["pad"]))
        self.film.sounds.append(len(sent))
        return Response(sent, media_type="audio/wav")

    async def sound(self, _: Request) -> Response:
        sent = wave(30)
        self.film.sounds.append(len(sent))
        return Response(sent, media_type="audio/wav")

    async def waveform(self, request: Request) -> Response:
        found = peaks(self.film.count * LINE_S + 1, int(request.query_params["rate"]))
        wanted = request.headers.get("range")
        if not wanted:
            return Response(found)
        first, last = (int(each) for each in wanted.removeprefix("bytes=").split("-"))
        return Response(found[first : last + 1], 206)

    async def try_line(self, request: Request) -> Response:
        self.film.tried.append(await request.json())
        take = {"id": "abcdef01", "text": self.film.tried[-1].get("text"), "duration_s": 1.0}
        cut = f"/api/v1/films/{KEY}/lines/L00000/sound?what=dub&pad=0"
        return JSONResponse({"take": {**take, "verdict": "fits", "faults": []}, "sound": cut})

    async def gate(self, _: Request) -> Response:
        return JSONResponse({"error": "the dub is older than its edits: render it first"}, 409)

    async def cast(self, _: Request) -> Response:
        voices = {DUB: [f"voice-{number}" for number in range(5)]}
        return JSONResponse({"speakers": [], "voices": voices})

    async def series(self, request: Request) -> Response:
        if request.method == "PUT":
            self.film.corrections += (await request.json())["corrections"]
        names = {c["target"]: c["value"] for c in self.film.corrections if c["field"] == "name"}
        told = [c["target"] for c in self.film.corrections if c["field"] == "character"]
        ada = {"id": "ada", "name": names.get("ada", "Ada"), "gender": "female", "films": 3}
        unsure = {"film": KEY, "speaker": "s2", "proposed": "ada", "why": "they sound alike"}
        return JSONResponse(
            {
                "key": "long",
                "title": "Long",
                "revision": 0,
                "films": {KEY: "The Long Film"},
                "characters": [{**ada, "voices": {DUB: "voice-0"}}],
                "unsure": [] if f"{KEY}/s2" in told else [unsure],
                "to_respeak": [KEY] if self.film.corrections else [],
            }
        )

    async def render(self, _: Request) -> Response:
        self.film.output_revision = self.film.revision(DUB) + self.film.revision(SOURCE)
        while self.film.quick and self.film.told_revision != self.film.output_revision:
            await asyncio.sleep(0.05)
        return JSONResponse({"accepted": True}, 202)

    async def imported(self, request: Request) -> Response:
        words = (await request.body()).decode()
        if "=" in words:
            error = {"id": "row 2", "message": "a formula is no text"}
            return JSONResponse({"errors": [error]}, 422)
        return JSONResponse({"facts": words.count("\n"), "revision": 1, "errors": []})

    async def events(self, request: Request) -> Response:
        async def told() -> AsyncIterator[str]:
            yield ": here\n\n"
            seen = {name: self.film.revision(name) for name in self.film.documents}
            rendered = self.film.output_revision
            while not await request.is_disconnected():
                for name, before in list(seen.items()):
                    seen[name] = self.film.revision(name)
                    if seen[name] != before:
                        note = {"type": "edits", "lang": name, "revision": seen[name]}
                        yield f"data: {json.dumps(note)}\n\n"
                if self.film.output_revision != rendered:
                    rendered = self.film.output_revision
                    yield f"data: {json.dumps({'type': 'finished'})}\n\n"
                    self.film.told_revision = rendered
                await asyncio.sleep(0.2)

        while self.film.deaf and not self.film.output_revision:
            await asyncio.sleep(0.05)
        return StreamingResponse(told(), media_type="text/event-stream")


def application(film: MadeUpFilm) -> Starlette:
    calls = Calls(film)
    base = f"/films/{KEY}"
    api = [
        Route("/films", calls.films),
        Route(base, calls.the_film),
        Route(f"{base}/lines", calls.lines),
        Route(f"{base}/lines/{{id}}/sound", calls.cut),
        Route(f"{base}/lines/{{id}}/try", calls.try_line, methods=["POST"]),
        Route(f"{base}/sound/{{what}}", calls.sound),
        Route(f"{base}/peaks/{{what}}", calls.waveform),
        Route(f"{base}/edits/{{lang}}", calls.edits, methods=["GET", "POST"]),
        Route(f"{base}/gate", calls.gate, methods=["POST"]),
        Route(f"{base}/render", calls.render, methods=["POST"]),
        Route(f"{base}/import", calls.imported, methods=["POST"]),
        Route(f"{base}/events", calls.events),
        Route(f"{base}/cast", calls.cast),
        Route("/series/long/cast", calls.series, methods=["GET", "PUT"]),
    ]
    return Starlette(
        routes=[
            Mount("/api/v1", routes=api),
            Mount("/review/static", StaticFiles(directory=PAGE)),
            Route("/review/{path:path}", calls.page),
        ]
    )


@contextmanager
def review_server(film: MadeUpFilm) -> Iterator[str]:
    """Serve the film on a free port of this machine; yields the address."""
    app = application(film)

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            film.asked.append(f"{scope['method']} {scope['path']}")
            if film.gone and "/edits/" in scope["path"]:
                await Response("away", 503)(scope, receive, send)
                return
        await app(scope, receive, send)

    server = uvicorn.Server(uvicorn.Config(counted, log_level="error", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.force_exit = server.should_exit = True
            thread.join(10)
