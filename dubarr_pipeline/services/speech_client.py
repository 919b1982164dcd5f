"""Client of a speech synthesizer behind ``POST /v1/audio/speech``."""

import base64
import functools
import io
import logging
import re
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
import numpy as np
import soundfile
from numpy.typing import NDArray

from dubarr_pipeline.errors import BadReply, LanguageError, MissingRequirement, ServiceError
from dubarr_pipeline.media.audio.edges import EDGE_S, trim_edges
from dubarr_pipeline.services.http_client import (
    Host,
    ServerOptions,
    ServiceClient,
    SpeechOrder,
    masked,
    service_cure,
)
from dubarr_pipeline.text.languages import standard_tag

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServedVoice:
    """A voice that a server lists; its sex and BCP-47 languages where the list tells them."""

    name: str
    sex: Literal["male", "female", "neutral"] | None = None
    languages: tuple[str, ...] = ()


EXTENSIONS = ("language", "ref_audio", "ref_text", "duration_s")
"""Fields of an order that OpenAI does not have."""
_MOST_VOICES = 2000


class TTSService(ServiceClient):
    """Client of a speech server. Thread-safe.

    One that is `extended` knows all fields of an order: none is ever left out.
    """

    def __init__(
        self, options: ServerOptions, host: Host | None = None, *, extended: bool = False
    ) -> None:
        super().__init__(options, host)
        self._extras = () if extended else (*EXTENSIONS, "speed")

    def voices(self) -> tuple[ServedVoice, ...]:
        """Return the voices that ``GET /v1/audio/voices`` lists; none where there is no list.

        Servers list plain names, or tables with ``id``, ``voice_id`` or ``name``; in a list, below
        ``voices``, or below ``data``.
        """
        url = f"{self.options.url.rstrip('/')}/audio/voices"
        try:
            with self._host.serving() if self._host else nullcontext():
                answer = self._client.get(url, timeout=self.options.connect_timeout_s)
            listed = answer.json() if answer.is_success else ()
        except (httpx.HTTPError, RecursionError, RuntimeError, ValueError) as error:
            _log.info("%s lists no voices: %r", masked(url), error)
            return ()
        if isinstance(listed, dict):
            listed = listed.get("voices") or listed.get("data") or ()
        if isinstance(listed, dict):
            listed = [{"id": name, **_table(facts)} for name, facts in listed.items()]
        rows = listed if isinstance(listed, list) else ()
        found = {each.name: each for row in rows[:_MOST_VOICES] if (each := _served(row))}
        return tuple(found.values())

    def speak(self, order: SpeechOrder) -> tuple[NDArray[np.float32], int]:
        """Return mono float32 ``(samples,)`` and its rate in Hz, the silence at its edges cut.

        Raises:
            ServiceTimeout, ServiceUnavailable: if the server gives no answer.
            BadReply: if the answer is not audio.
        """
        document = order.model_dump(mode="json", exclude_none=True)
        response = self.post_or_plain("audio/speech", document, self._extras)
        try:
            samples, rate = soundfile.read(
                io.BytesIO(response.content), dtype="float32", always_2d=True
            )
        except soundfile.SoundFileError as error:
            kind = response.headers.get("content-type", "nothing")
            raise BadReply(
                f"the speech server sent {kind}, {len(response.content)} bytes: not audio ({error})"
            ) from error
        if not np.isfinite(samples).all():
            raise BadReply("the speech server sent samples that are not finite numbers")
        return trim_edges(samples.mean(axis=1), round(EDGE_S * rate)), int(rate)


def _served(row: Any) -> ServedVoice | None:
    """Return the voice of one row of a list, or None if it names none."""
    facts = {"id": row} if isinstance(row, str) else _table(row)
    name = next((facts[n] for n in ("id", "voice_id", "name", "voice") if facts.get(n)), "")
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= 200:
        return None
    match str(facts.get("gender") or facts.get("sex") or "")[:1].lower():
        case "m":
            sex = "male"
        case "f" | "w":
            sex = "female"
        case "n":
            sex = "neutral"
        case _:
            sex = None
    told = facts.get("languages") or [facts.get("language") or facts.get("lang") or ""]
    tags: list[str] = []
    for each in told if isinstance(told, list) else ():
        with suppress(LanguageError):
            tags.append(standard_tag(str(each))) if each else None
    return ServedVoice(name, sex, tuple(tags))


def _table(facts: Any) -> dict[str, Any]:
    return facts if isinstance(facts, dict) else {}


def ref_url(path: Path) -> str:
    """Return a voice reference as a data URL; each version of a file is read once."""
    stat = path.stat()
    return _encoded(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=64)
def _encoded(path: Path, _mtime_ns: int, _size: int) -> str:
    return "data:audio/wav;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


_WORDS: dict[str, str] = dict(
    re.findall(
        r"(\w+)=(\S+)", "ar=مرحبا el=γεια he=שלום hi=नमस्ते ja=はい ko=네 ru=да th=ใช่ uk=так zh=好"
    )
)
"""One short word in languages that are not written in Latin letters."""
_LATIN_WORD = "no"


def try_tts(service: TTSService, order: SpeechOrder) -> None:
    """Have one short word spoken as ordered, or raise `MissingRequirement` with the cure."""
    where = f"the TTS at {service.options.address}"
    language = order.language or ""
    word = _WORDS.get(language.partition("-")[0], _LATIN_WORD)
    try:
        samples, _ = service.speak(order.model_copy(update={"input": word}))
    except BadReply as error:
        raise MissingRequirement(
            f"{where} does not speak {language}: {error}; choose another target language, or "
            "another synthesis.engine or synthesis.model"
        ) from error
    except ServiceError as error:
        raise MissingRequirement(service_cure(where, "synthesis", error)) from error
    if not samples.size:
        raise MissingRequirement(
            f"{where} sent only silence for {word!r} in {language}: choose another synthesis.voice"
        )
