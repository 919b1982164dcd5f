"""Our own speech server: OpenAI's ``POST /v1/audio/speech`` in front of a model that clones voices.

Besides OpenAI's fields it takes `language`, `ref_audio` (a data URL), `ref_text` and `duration_s`.
It also answers ``GET /v1/models``, ``GET /v1/audio/voices`` and ``GET /health``; ``POST /sleep``
and ``/wake_up`` move the model off the GPU and back. The model speaks one line at a time; other
requests wait.
"""

import asyncio
import base64
import binascii
import hashlib
import io
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import soundfile
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dubarr_pipeline.errors import OutOfMemory, RequestRefused
from dubarr_pipeline.services.bearer_auth import OPEN_PATH
from dubarr_pipeline.services.web import WebApp, WebLimits, WebServer, read_body
from dubarr_pipeline.text.printable import one_line

_Result = TypeVar("_Result")
Samples = NDArray[np.float32]
BODY_LIMIT = 32 * 1024 * 1024
"""Bytes: a voice reference of several minutes, in base64."""
TEXT_LIMIT = 4096
"""Characters, as with OpenAI."""
SHORTEST_REF_S, LONGEST_REF_S = 1.0, 600.0
_REF_RATES = (4_000, 192_000)
_BLOCK = 65_536
"""Frames that are unpacked at once: a header may promise little and hold much."""
_LIMITS = WebLimits(BODY_LIMIT, timeout_s=60.0)
_PLAIN_KINDS: Mapping[str, str] = {"wav": "audio/wav", "flac": "audio/flac", "mp3": "audio/mpeg"}


@dataclass(frozen=True, slots=True)
class LineToSpeak:
    """One line to speak, checked.

    Attributes:
        ref: the voice to speak with, mono ``(samples,)`` at `ref_rate` Hz; None: the built-in
            `voice`.
        ref_digest: SHA-256 of the reference as it was sent.
        duration_s: requested length; None: natural, at `speed`.
    """

    text: str
    language: str
    voice: str
    ref: Samples | None = None
    ref_rate: int = 0
    ref_digest: str = ""
    ref_text: str | None = None
    duration_s: float | None = None
    speed: float = 1.0


class SpeechModel(Protocol):
    """Interface of a loaded model, never called by two threads at once."""

    @property
    def name(self) -> str: ...
    @property
    def rate(self) -> int: ...
    @property
    def languages(self) -> tuple[str, ...]: ...
    @property
    def voices(self) -> tuple[str, ...]: ...
    def serves(self, language: str) -> bool: ...
    def speak(self, line: LineToSpeak) -> Samples:
        """Return mono float32 ``(samples,)`` at `rate` Hz."""
        ...

    def sleep(self) -> None: ...
    def wake(self) -> None: ...


class _Order(BaseModel):
    """Body of ``POST /v1/audio/speech`` as received."""

    model_config = ConfigDict(extra="ignore")
    model: str = "default"
    input: str
    voice: str = "default"
    response_format: Literal["wav", "flac", "mp3", "pcm"] = "wav"
    speed: float = Field(1.0, ge=0.25, le=4.0)
    language: str | None = None
    ref_audio: str | None = None
    ref_text: str | None = None
    duration_s: float | None = Field(None, gt=0, le=600)


class SpeechServer:
    """Endpoints of one loaded model, behind a token if it is not empty. Port 0 is a free one.

    Raises:
        OSError: if the address cannot be listened on.
    """

    def __init__(self, model: SpeechModel, host: str, port: int, token: str = "") -> None:
        self.model = model
        self._turn = asyncio.Lock()
        routes = {
            ("GET", OPEN_PATH): self._health,
            ("GET", "/v1/models"): self._models,
            ("GET", "/v1/audio/voices"): self._voices,
            ("POST", "/v1/audio/speech"): self._speech,
            ("POST", "/sleep"): partial(self._moved, model.sleep),
            ("POST", "/wake_up"): partial(self._moved, model.wake),
        }
        app = WebApp(routes, token, _LIMITS, _error_document)
        self.web = WebServer(app, host, port)

    async def _health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok", "model": self.model.name})

    async def _models(self, _: Request) -> Response:
        model = {"id": self.model.name, "object": "model", "owned_by": "dubarr"}
        return JSONResponse({"object": "list", "data": [model]})

    async def _voices(self, _: Request) -> Response:
        return JSONResponse({"voices": [{"id": name, "name": name} for name in self.model.voices]})

    async def _moved(self, move: Callable[[], None], request: Request) -> Response:
        await read_body(request, _LIMITS)
        async with self._turn:
            await _in_daemon_thread(move)
        return JSONResponse({"status": "ok"})

    async def _speech(self, request: Request) -> Response:
        body = await read_body(request, _LIMITS)
        line, kind = await run_in_threadpool(self.read_order, body)
        async with self._turn:
            if await request.is_disconnected():
                raise _wrong("client_gone", "the client hung up before its turn")
            try:
                samples = await _in_daemon_thread(lambda: self.model.speak(line))
            except OutOfMemory as error:
                raise RequestRefused(503, "out_of_memory", str(error)) from error
            except ImportError as error:
                words = f"{line.language} needs a package that is not installed: {error}"
                raise RequestRefused(501, "package_missing", words) from error
            # A model may raise anything; the client is told.
            except Exception as error:
                words = f"the model failed: {type(error).__name__}: {one_line(str(error))}"
                raise RequestRefused(500, "model_failed", words) from error
        if not np.isfinite(samples).all():
            raise RequestRefused(500, "model_failed", "the model gave samples that are no numbers")
        sound, media = await run_in_threadpool(encoded, samples, self.model.rate, kind)
        return Response(sound, media_type=media)

    def read_order(self, body: bytes) -> tuple[LineToSpeak, str]:
        """Return the line to speak, checked, and its sound format. Raises `RequestRefused`."""
        try:
            order = _Order.model_validate_json(body)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the body"
            raise _wrong("invalid_request", f"{where}: {first['msg']}") from error
        if order.model not in (self.model.name, "default"):
            raise RequestRefused(
                HTTPStatus.NOT_FOUND,
                "model_not_found",
                f"model {order.model[:80]!r} is not served here; served: {self.model.name}",
            )
        self._check_text(order)
        ref, rate = _read_ref(order.ref_audio) if order.ref_audio else (None, 0)
        ref_digest = hashlib.sha256(order.ref_audio.encode()).hexdigest() if order.ref_audio else ""
        return LineToSpeak(
            text=order.input.strip(),
            language=order.language or "",
            voice=self._voice(order),
            ref=ref,
            ref_rate=rate,
            ref_digest=ref_digest,
            ref_text=order.ref_text,
            duration_s=order.duration_s,
            speed=order.speed,
        ), order.response_format

    def _check_text(self, order: _Order) -> None:
        if not any(character.isalnum() for character in order.input):
            raise _wrong("unspeakable", f"nothing to pronounce in {order.input[:80]!r}")
        if len(order.input) > TEXT_LIMIT:
            raise _wrong(
                "text_too_long",
                f"the text has {len(order.input)} characters, {TEXT_LIMIT} at most: split it",
            )
        served = ", ".join(self.model.languages)
        if not order.language:
            raise _wrong("language_missing", f"language must be given; served: {served}")
        if not self.model.serves(order.language):
            raise _wrong(
                "language_not_served",
                f"language {order.language[:80]!r} is not served; served: {served}",
            )

    def _voice(self, order: _Order) -> str:
        """Return the built-in voice, where there is no reference; refuse an unknown one."""
        voices = self.model.voices
        if order.ref_audio or order.voice in voices:
            return order.voice
        if order.voice == "default" and voices:
            return voices[0]
        choices = ", ".join(voices[:60]) or "none"
        raise _wrong(
            "voice_not_found",
            f"there is no voice {order.voice[:80]!r}: send ref_audio, or choose one of: {choices}",
        )


async def _in_daemon_thread(work: Callable[[], _Result]) -> _Result:
    """Run blocking work in a thread that does not keep a stopped server alive.

    A model cannot be interrupted within a line, and Python waits for the threads of its pools.
    """
    future: Future[_Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        # An error in a thread would be lost: it is raised where the answer is awaited.
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(future)


def _error_document(error: RequestRefused) -> dict[str, Any]:
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    return {"error": {"message": str(error), "type": kind, "code": error.code}}


def encoded(samples: Samples, rate: int, kind: str) -> tuple[bytes, str]:
    """Encode mono samples (``pcm``: raw 16 bit little endian); return bytes and media type."""
    whole = np.clip(samples, -1.0, 1.0)
    if kind == "pcm":
        return np.round(whole * 32767).astype("<i2").tobytes(), f"audio/pcm; rate={rate}"
    stream = io.BytesIO()
    depths = {"wav": "FLOAT", "flac": "PCM_24", "mp3": "MPEG_LAYER_III"}
    soundfile.write(stream, whole, rate, format=kind.upper(), subtype=depths[kind])
    return stream.getvalue(), _PLAIN_KINDS[kind]


def _read_ref(url: str) -> tuple[Samples, int]:
    """Return the mono samples and the rate of a voice reference in a data URL or bare base64."""
    data = url.partition(",")[2] if url.startswith("data:") else url
    try:
        raw = base64.b64decode(data, validate=True)
        with soundfile.SoundFile(io.BytesIO(raw)) as file:
            rate, length_s = file.samplerate, file.frames / file.samplerate
            if not _REF_RATES[0] <= rate <= _REF_RATES[1]:
                raise _wrong("ref_unreadable", f"ref_audio has a rate of {rate} Hz")
            _check_length(length_s)
            blocks = file.blocks(_BLOCK, dtype="float32", always_2d=True)
            mono = np.concatenate([block.mean(axis=1) for block in blocks])
    except (binascii.Error, ValueError, soundfile.SoundFileError) as error:
        raise _wrong("ref_unreadable", f"ref_audio is not audio in base64: {error}") from error
    if not np.isfinite(mono).all():
        raise _wrong("ref_unreadable", "ref_audio has samples that are no numbers")
    _check_length(mono.size / rate)
    if not np.abs(mono).max() > 1e-4:
        raise _wrong("ref_silent", "the voice reference is silent")
    return mono, int(rate)


def _check_length(length_s: float) -> None:
    if not SHORTEST_REF_S <= length_s <= LONGEST_REF_S:
        raise _wrong(
            "ref_too_short" if length_s < SHORTEST_REF_S else "ref_too_long",
            f"the voice reference is {length_s:.2f} s long; it must be {SHORTEST_REF_S:g} to "
            f"{LONGEST_REF_S:g} s, and 3-6 s of clean speech are best",
        )


def _wrong(code: str, message: str) -> RequestRefused:
    return RequestRefused(HTTPStatus.BAD_REQUEST, code, message)
