"""Client of a speech synthesizer behind ``POST /v1/audio/speech``."""

import base64
import functools
import io
import re
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from dubarr_pipeline.errors import BadReply, MissingRequirement, ServiceError
from dubarr_pipeline.media.audio.edges import EDGE_S, trim_edges
from dubarr_pipeline.services.http_client import ServiceClient, SpeechOrder, service_cure


class TTSService(ServiceClient):
    """Client of a speech server. Thread-safe."""

    def speak(self, order: SpeechOrder) -> tuple[NDArray[np.float32], int]:
        """Return mono float32 ``(samples,)`` and its rate in Hz, the silence at its edges cut.

        Raises:
            ServiceTimeout, ServiceUnavailable: if the server gives no answer.
            BadReply: if the answer is not audio.
        """
        document = order.model_dump(mode="json", exclude_none=True)
        response = self.post("audio/speech", document)
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
