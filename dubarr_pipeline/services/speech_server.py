"""Our own speech server: OpenAI's ``POST /v1/audio/speech`` in front of a model that clones voices.

Beside OpenAI's fields it takes `language`, `ref_audio` (a data URL), `ref_text` and `duration_s`.
``GET /v1/models`` and ``GET /health`` answer too; ``POST /sleep`` and ``/wake_up`` move the model
off the GPU and back. The model speaks one line at a time: whoever comes meanwhile waits.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import io
import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dubarr_pipeline.errors import DubbingError, OutOfMemory

_log = logging.getLogger(__name__)

Samples = NDArray[np.float32]
BODY_LIMIT = 32 * 1024 * 1024
"""Bytes: a voice reference of several minutes, in base64."""
TEXT_LIMIT = 4096
"""Characters, as with OpenAI."""
SHORTEST_REF_S, LONGEST_REF_S = 1.0, 600.0
_PATIENCE_S = 60.0
_LONGEST_NUMBER = 12
_PLAIN_KINDS: Mapping[str, str] = {"wav": "audio/wav", "flac": "audio/flac", "mp3": "audio/mpeg"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One line to speak, checked.

    Attributes:
        ref: the voice to speak with, mono ``(samples,)`` at `ref_rate` Hz; None: the built-in
            `voice`.
        ref_digest: names the reference's very bytes.
        duration_s: wished length; None: as the voice likes, at `speed`.
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
    """What the server asks of a model; it is loaded, and is never called by two threads at once."""

    @property
    def name(self) -> str: ...
    @property
    def rate(self) -> int: ...
    @property
    def languages(self) -> tuple[str, ...]: ...
    @property
    def voices(self) -> tuple[str, ...]: ...
    def serves(self, language: str) -> bool: ...
    def speak(self, wanted: Wanted) -> Samples:
        """Return mono float32 ``(samples,)`` at `rate` Hz."""
        ...

    def sleep(self) -> None: ...
    def wake(self) -> None: ...


class Refusal(DubbingError):
    """A request that cannot be served, with its HTTP status and a short name for programs."""

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class _Order(BaseModel):
    """The body of ``POST /v1/audio/speech`` as it comes in."""

    model_config = ConfigDict(extra="ignore")
    model: str = "default"
    input: str
    voice: str = "default"
    response_format: Literal["wav", "flac", "mp3", "pcm"] = "wav"
    speed: float = Field(1.0, ge=0.5, le=2.0)
    language: str | None = None
    ref_audio: str | None = None
    ref_text: str | None = None
    duration_s: float | None = Field(None, gt=0, le=600)


class SpeechServer(ThreadingHTTPServer):
    """Serves one loaded model.

    Args:
        model: who speaks.
        address: host and port; port 0: a free one.
        token: the bearer token that every call but ``/health`` must show; empty: none.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, model: SpeechModel, address: tuple[str, int], token: str = "") -> None:
        self.model, self.token = model, token
        self.turn = threading.Lock()
        super().__init__(address, _Handler)

    def check_token(self, shown: str | None) -> None:
        """Refuse whoever does not know the token; the comparison takes the same time for all."""
        wanted = f"Bearer {self.token}".encode()
        if self.token and not hmac.compare_digest((shown or "").encode(), wanted):
            raise Refusal(
                HTTPStatus.UNAUTHORIZED,
                "invalid_token",
                "this server wants its token: Authorization: Bearer ...",
            )

    def read_order(self, body: bytes) -> tuple[Wanted, str]:
        """What is wished for, checked, and in which format. Raises `Refusal`."""
        try:
            order = _Order.model_validate_json(body)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the body"
            raise _wrong("invalid_request", f"{where}: {first['msg']}") from error
        if order.model not in (self.model.name, "default"):
            raise Refusal(
                HTTPStatus.NOT_FOUND,
                "model_not_found",
                f"model {order.model!r} is not served here; served: {self.model.name}",
            )
        self._check_text(order)
        ref, rate = _read_ref(order.ref_audio) if order.ref_audio else (None, 0)
        return Wanted(
            text=order.input.strip(),
            language=order.language or "",
            voice=self._voice(order),
            ref=ref,
            ref_rate=rate,
            ref_digest=_digest(order.ref_audio),
            ref_text=order.ref_text,
            duration_s=order.duration_s,
            speed=order.speed,
        ), order.response_format

    def _check_text(self, order: _Order) -> None:
        if not any(character.isalnum() for character in order.input):
            raise _wrong("unspeakable", f"there is nothing to pronounce in {order.input[:80]!r}")
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
                f"language {order.language!r} is not served; served: {served}",
            )

    def _voice(self, order: _Order) -> str:
        """The built-in voice, where there is no reference. Raises `Refusal` with the choices."""
        voices = self.model.voices
        if order.ref_audio or order.voice in voices:
            return order.voice
        if order.voice == "default" and voices:
            return voices[0]
        choices = ", ".join(voices[:60]) or "none"
        raise _wrong(
            "voice_not_found",
            f"there is no voice {order.voice!r}: send ref_audio, or choose one of: {choices}",
        )


def serve(server: SpeechServer) -> None:
    """Serve until the process is told to end."""
    try:
        server.serve_forever()
    finally:
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE_S
    server: SpeechServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        self._answer({"/health": self._health, "/v1/models": self._models})

    def do_POST(self) -> None:
        self._answer(
            {
                "/v1/audio/speech": self._speech,
                "/sleep": lambda: self._moved(self.server.model.sleep),
                "/wake_up": lambda: self._moved(self.server.model.wake),
            }
        )

    def _answer(self, routes: Mapping[str, Callable[[], None]]) -> None:
        path = self.path.partition("?")[0]
        try:
            if path != "/health":
                self.server.check_token(self.headers.get("authorization"))
            if path not in routes:
                raise Refusal(
                    HTTPStatus.NOT_FOUND, "not_found", f"{self.command} {path} is not served here"
                )
            routes[path]()
        except Refusal as refusal:
            self._refuse(refusal)
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _health(self) -> None:
        self._send_json(HTTPStatus.OK, {"status": "ok", "model": self.server.model.name})

    def _models(self) -> None:
        model = {"id": self.server.model.name, "object": "model", "owned_by": "dubarr"}
        self._send_json(HTTPStatus.OK, {"object": "list", "data": [model]})

    def _moved(self, move: Callable[[], None]) -> None:
        self._body()
        with self.server.turn:
            move()
        self._send_json(HTTPStatus.OK, {"status": "ok"})

    def _speech(self) -> None:
        wanted, kind = self.server.read_order(self._body())
        try:
            with self.server.turn:
                samples = self.server.model.speak(wanted)
        except OutOfMemory as error:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "out_of_memory", str(error)) from error
        except ImportError as error:
            raise Refusal(
                HTTPStatus.NOT_IMPLEMENTED,
                "package_missing",
                f"{wanted.language} needs a package that is not here: {error}",
            ) from error
        body, media = encoded(samples, self.server.model.rate, kind)
        self._send(HTTPStatus.OK, media, body)

    def _body(self) -> bytes:
        told = self.headers.get("content-length", "")
        if not told.isdecimal():
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "length_required", "say Content-Length")
        if len(told) > _LONGEST_NUMBER or int(told) > BODY_LIMIT:
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "body_too_large",
                f"the body has more than {BODY_LIMIT} bytes: send a shorter voice reference",
            )
        body = self.rfile.read(int(told))
        if len(body) < int(told):
            raise ConnectionError("the body was cut off")
        return body

    def _refuse(self, refusal: Refusal) -> None:
        """Answer with the reason; the rest of the request was perhaps not read: hang up."""
        self.close_connection = True
        kind = "invalid_request_error" if refusal.status < 500 else "server_error"
        error = {"message": str(refusal), "type": kind, "code": refusal.code}
        self._send_json(refusal.status, {"error": error})

    def _send_json(self, status: HTTPStatus, document: Mapping[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(document).encode())

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.send_header("Retry-After", "1")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        _log.info(format, *args)


def encoded(samples: Samples, rate: int, kind: str) -> tuple[bytes, str]:
    """Mono samples in a sound format, and its media type; ``pcm`` is bare 16 bit little endian."""
    whole = np.clip(samples, -1.0, 1.0)
    if kind == "pcm":
        return np.round(whole * 32767).astype("<i2").tobytes(), f"audio/pcm; rate={rate}"
    stream = io.BytesIO()
    depths = {"wav": "FLOAT", "flac": "PCM_24", "mp3": "MPEG_LAYER_III"}
    soundfile.write(stream, whole, rate, format=kind.upper(), subtype=depths[kind])
    return stream.getvalue(), _PLAIN_KINDS[kind]


def _read_ref(url: str) -> tuple[Samples, int]:
    """A voice reference out of a data URL (or bare base64): mono samples and their rate."""
    data = url.partition(",")[2] if url.startswith("data:") else url
    try:
        raw = base64.b64decode(data, validate=True)
        samples, rate = soundfile.read(io.BytesIO(raw), dtype="float32", always_2d=True)
    except (binascii.Error, ValueError, soundfile.SoundFileError) as error:
        raise _wrong("ref_unreadable", f"ref_audio is no sound in base64: {error}") from error
    mono = np.nan_to_num(samples.mean(axis=1))
    length_s = mono.size / rate
    if not SHORTEST_REF_S <= length_s <= LONGEST_REF_S:
        raise _wrong(
            "ref_too_short" if length_s < SHORTEST_REF_S else "ref_too_long",
            f"the voice reference is {length_s:.2f} s long; it must be {SHORTEST_REF_S:g} to "
            f"{LONGEST_REF_S:g} s, and 3-6 s of clean speech are best",
        )
    if not np.abs(mono).max() > 1e-4:
        raise _wrong("ref_silent", "the voice reference is silent")
    return mono, int(rate)


def _digest(ref: str | None) -> str:
    return hashlib.sha256(ref.encode()).hexdigest() if ref else ""


def _wrong(code: str, message: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, code, message)
