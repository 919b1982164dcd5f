"""Voice activity by the Silero model that comes with the faster-whisper package.

The model (`silero_vad_v6.onnx`, MIT licence) gives one probability for every 32 ms. It is run by
onnxruntime directly, half a minute of sound at a time, so that memory does not grow with the film.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.engines.interfaces import Need, Samples, VoiceActivityDetector
from dubarr_pipeline.engines.onnx_session import open_session
from dubarr_pipeline.engines.requirements import require
from dubarr_pipeline.errors import EngineError
from dubarr_pipeline.spans import Span, merge
from dubarr_pipeline.workdir.canonical import canonical_json

if TYPE_CHECKING:
    import onnxruntime

_log = logging.getLogger(__name__)

RATE = 16_000
"""Hz; the only rate that the model knows."""
_FRAME = 512
"""Samples per probability: 32 ms."""
_CONTEXT = 64
"""Samples of the frame before that the model sees again in front of each frame."""
_BATCH = 1024
"""Frames per call of the model: 32.8 s, about 40 MB of the model's own buffers."""
_STATE = (1, 1, 128)
_MODEL_FILE = "silero_vad_v6.onnx"
_SILENCE_DB = -75.0
"""A batch whose loud frames lie below this holds nothing worth raising."""
_FALL_DB = 12.0
"""Largest fall of the level from one batch to the next."""
_CURE = "pip install 'faster-whisper==1.2.1' onnxruntime"


@dataclass(frozen=True, slots=True)
class SpeechOptions:
    """Voice-activity options.

    Measured on speech under music at 0, -6 and -12 dB: with the level brought to -20 dBFS, 89-97 %
    of the speech is found, with 20 dB more or less 72-96 %; a threshold of 0.3 instead of 0.5
    finds 3-7 % more and takes twice as much music for speech (1.0 instead of 0.5 % of music alone).

    Attributes:
        threshold: probability (0-1) at which speech begins.
        release: probability (0-1) below which speech ends; between both, the state stays as it was.
        min_speech_s: shortest stretch that counts as speech, in seconds (clicks and single notes
            are shorter; a spoken "no" lasts 0.2 s).
        min_silence_s: shortest pause that divides a stretch, in seconds.
        pad_s: padding of both ends, in seconds, because the model answers late to soft consonants.
        target_dbfs: level to which the loud frames of the source are brought for the detector, in
            dBFS.
        max_gain_db: most that the level is changed up or down, in dB.
    """

    threshold: float = 0.4
    release: float = 0.25
    min_speech_s: float = 0.15
    min_silence_s: float = 0.3
    pad_s: float = 0.15
    target_dbfs: float = -20.0
    max_gain_db: float = 40.0

    def __post_init__(self) -> None:
        if self.release > self.threshold:
            raise ValueError(f"release must be at most threshold ({self.threshold})")


class SileroVoiceActivity(VoiceActivityDetector):
    """Finds where somebody speaks, in one pass over the sound, at about 200 times real time."""

    name: ClassVar[str] = "silero"

    def __init__(self, options: SpeechOptions | None = None) -> None:
        self._options = options or SpeechOptions()
        self.padding_s = self._options.pad_s
        self._session: onnxruntime.InferenceSession | None = None

    def identity(self) -> str:
        path = model_path()
        digest = hashlib.blake2b(path.read_bytes(), digest_size=6).hexdigest() if path else "absent"
        return f"{self.name}/v6-{digest}/{canonical_json(self._options)}"

    def needs(self) -> tuple[Need, ...]:
        runtime = importlib.util.find_spec("onnxruntime") is not None
        return (
            Need("package", "onnxruntime", runtime, _CURE),
            Need("model", _MODEL_FILE, model_path() is not None, _CURE),
        )

    def load(self) -> None:
        require(self)
        path = model_path()
        assert path is not None
        self._session = open_session(path, arena=False)

    def unload(self) -> None:
        self._session = None

    def detect(self, blocks: Iterator[Samples]) -> list[Span]:
        session = self._session
        if session is None:
            raise EngineError("the speech detector is not loaded: use it inside `with`")
        gate = _Gate(self._options)
        hearing = _Hearing(session)
        level = _Level(self._options)
        total = 0
        for batch in _batches(blocks):
            total += batch.size
            frames = -(-batch.size // _FRAME)
            padded = np.zeros(frames * _FRAME, np.float32)
            padded[: batch.size] = batch
            padded *= level.gain(padded)
            gate.feed(hearing.probabilities(padded.reshape(frames, _FRAME)))
        spans = gate.spans(total)
        _log.info(
            "speech in %d stretches, %.1f s of %.1f s",
            len(spans),
            sum(span.length for span in spans) / RATE,
            total / RATE,
        )
        return spans


def model_path() -> Path | None:
    """Find the file inside faster-whisper without importing that package; None if absent."""
    spec = importlib.util.find_spec("faster_whisper")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "assets" / _MODEL_FILE
    return path if path.is_file() else None


class _Hearing:
    """The model's memory from one batch to the next."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._h = np.zeros(_STATE, np.float32)
        self._c = np.zeros(_STATE, np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)

    def probabilities(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return one probability per row of ``(frames, 512)``."""
        heard = np.empty((len(frames), _CONTEXT + _FRAME), np.float32)
        heard[:, _CONTEXT:] = frames
        heard[0, :_CONTEXT] = self._context
        heard[1:, :_CONTEXT] = frames[:-1, -_CONTEXT:]
        self._context = frames[-1, -_CONTEXT:].copy()
        answer, self._h, self._c = self._session.run(
            None, {"input": heard, "h": self._h, "c": self._c}
        )
        return np.asarray(answer, np.float32).reshape(-1)


class _Gate:
    """Turns probabilities into stretches: opens at the threshold, closes after a pause."""

    def __init__(self, options: SpeechOptions) -> None:
        self._options = options
        self._min_silence = options.min_silence_s * RATE
        self._position = 0
        self._start: int | None = None
        self._quiet: int | None = None
        self._found: list[Span] = []

    def feed(self, probabilities: NDArray[np.float32]) -> None:
        """Take the next frames' probabilities."""
        for probability in probabilities.tolist():
            if probability >= self._options.threshold:
                self._quiet = None
                if self._start is None:
                    self._start = self._position
            elif self._start is not None and (
                self._quiet is not None or probability < self._options.release
            ):
                if self._quiet is None:
                    self._quiet = self._position
                if self._position + _FRAME - self._quiet >= self._min_silence:
                    self._close(self._quiet)
            self._position += _FRAME

    def _close(self, end: int) -> None:
        if self._start is not None and end - self._start >= self._options.min_speech_s * RATE:
            self._found.append(Span(self._start, end))
        self._start = self._quiet = None

    def spans(self, total: int) -> list[Span]:
        """Close what is open; pad, join and clip to `total` samples."""
        self._close(self._quiet if self._quiet is not None else self._position)
        pad = round(self._options.pad_s * RATE)
        padded = merge(span.pad(pad, pad) for span in self._found)
        clipped = (span.clip(Span(0, total)) for span in padded)
        return [span for span in clipped if span]


def _batches(blocks: Iterator[Samples]) -> Iterator[Samples]:
    """Regroup blocks of any length into whole batches, the last one shorter."""
    size = _BATCH * _FRAME
    held: list[Samples] = []
    count = 0
    for block in blocks:
        if block.ndim != 1:
            raise EngineError(f"the speech detector hears mono (samples,), not {block.shape}")
        rest = block
        while rest.size:
            part, rest = rest[: size - count], rest[size - count :]
            held.append(part)
            count += part.size
            if count == size:
                yield _clean(held)
                held, count = [], 0
    if count:
        yield _clean(held)


def _clean(parts: list[Samples]) -> Samples:
    """Join; what is no number (broken float tracks) becomes silence, or it would stay in memory."""
    joined = np.concatenate(parts).astype(np.float32, copy=False)
    return np.nan_to_num(joined, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


class _Level:
    """Recent level of the source; falls slowly, so that a pause is not raised to full level."""

    def __init__(self, options: SpeechOptions) -> None:
        self._options = options
        self._level_db = -np.inf

    def gain(self, padded: Samples) -> np.float32:
        """Factor that brings the batch's loud frames (95th percentile) to the target level."""
        power = np.square(padded.reshape(-1, _FRAME)).mean(axis=1)
        loud_db = 10.0 * float(np.log10(np.quantile(power, 0.95) + 1e-12))
        self._level_db = max(loud_db, self._level_db - _FALL_DB)
        if self._level_db < _SILENCE_DB:
            return np.float32(1.0)
        limit = self._options.max_gain_db
        gain_db = np.clip(self._options.target_dbfs - self._level_db, -limit, limit)
        return np.float32(10.0 ** (gain_db / 20.0))
