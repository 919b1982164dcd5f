"""A speech synthesizer behind ``POST /v1/audio/speech``."""

from __future__ import annotations

import base64
import functools
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from dubarr_pipeline.errors import BadReply
from dubarr_pipeline.services.server import Host, Server, ServerOptions
from dubarr_pipeline.services.wire import SpeechOrder

_SILENT_DB = -50.0
"""Below the take's own peak by this much, an edge is silence."""
_EDGE_S = 0.01
"""Silence that is left at each edge, so that soft consonants keep their onset."""


@dataclass(frozen=True, slots=True)
class TTSOptions:
    """Which model speaks, and where."""

    server: ServerOptions
    model: str


class TTSService:
    """Asks a server to speak. For many threads."""

    def __init__(self, options: TTSOptions, host: Host | None = None) -> None:
        self.options = options
        self._server = Server(options.server, host)

    def close(self) -> None:
        """Drop all connections."""
        self._server.close()

    def reachable(self) -> bool:
        """Whether the server answers at all."""
        return self._server.reachable()

    def speak(self, order: SpeechOrder) -> tuple[NDArray[np.float32], int]:
        """Return mono float32 ``(samples,)`` and its rate in Hz, the silence at its edges cut.

        Raises:
            ServiceTimeout, ServiceUnavailable: if no answer can be had.
            BadReply: if the answer is no sound.
        """
        document = order.model_dump(mode="json", exclude_none=True)
        response = self._server.post("audio/speech", document)
        try:
            samples, rate = soundfile.read(
                io.BytesIO(response.content), dtype="float32", always_2d=True
            )
        except soundfile.SoundFileError as error:
            kind = response.headers.get("content-type", "nothing")
            raise BadReply(
                f"the speech server sent {kind}, {len(response.content)} bytes: no sound ({error})"
            ) from error
        if not np.isfinite(samples).all():
            raise BadReply("the speech server sent samples that are no numbers")
        return trim_edges(samples.mean(axis=1), int(rate)), int(rate)


def trim_edges(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Cut the silence off both ends; mono ``(samples,)``. All silence gives an empty array."""
    peak = float(np.abs(samples).max(initial=0.0))
    if peak == 0.0:
        return samples[:0]
    loud = np.flatnonzero(np.abs(samples) > peak * 10 ** (_SILENT_DB / 20))
    edge = round(_EDGE_S * rate)
    return samples[max(0, int(loud[0]) - edge) : int(loud[-1]) + 1 + edge]


def ref_url(path: Path) -> str:
    """A voice reference as a data URL; read once per file and state."""
    stat = path.stat()
    return _encoded(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=64)
def _encoded(path: Path, _mtime_ns: int, _size: int) -> str:
    return "data:audio/wav;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
