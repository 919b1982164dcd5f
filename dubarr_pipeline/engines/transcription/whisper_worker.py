"""Child process of faster-whisper: passages of sound in, words out."""

import ctypes
import importlib.util
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.engines.interfaces import Samples
from dubarr_pipeline.errors import MissingRequirement, SettingsError

RATE = 16_000
"""Hz."""
_LEAST_SURE, _LOOP = -1.0, 2.4
"""Whisper's own bounds of a reading: mean log probability, and compression of a text that loops."""
_CUDA_LIBRARIES = (
    ("nvidia.cublas", ("libcublasLt.so.12", "libcublas.so.12")),
    ("nvidia.cudnn", ("libcudnn.so.9",)),
)
"""Libraries of CTranslate2: CUDA 12, which a PyTorch built for CUDA 13 does not bring."""
_CUDA_CURE = "pip install nvidia-cublas-cu12 nvidia-cudnn-cu12"


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word with its seconds within the passage, and the blank before its text."""

    start_s: float
    end_s: float
    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class HeardPassage:
    """Recognised words of a passage or a part of it, with Whisper's own doubts."""

    words: tuple[HeardWord, ...]
    log_probability: float
    no_speech: float
    compression: float


class Encodings:
    """An encoder that keeps the passages whose language was asked last: their words come next.

    Encoding is half the price of a passage.
    """

    def __init__(self, encode: Callable[[NDArray[np.float32]], Any]) -> None:
        self._encode = encode
        self._kept: list[tuple[NDArray[np.float32], Any]] = []

    def keep(self, batches: Sequence[NDArray[np.float32]]) -> list[Any]:
        """Encode batches of features, and keep them instead of those that were kept."""
        self._kept.clear()
        self._kept += [(features, self._encode(features)) for features in batches]
        return [encoded for _, encoded in self._kept]

    def __call__(self, features: NDArray[np.float32]) -> Any:
        """Return the encoding of a batch of features; a kept one is the same."""
        for known, encoded in self._kept:
            if np.array_equal(known, features):
                return encoded
        return self._encode(features)


class WhisperWorker:
    """The loaded model, from a folder that CTranslate2 reads, on ``"cpu"`` or ``"cuda:N"``."""

    def __init__(self, folder: Path, device: str, precision: str, batch: int, beam: int) -> None:
        kind, _, number = device.partition(":")
        if kind == "cuda":
            _preload_cuda()
        import ctranslate2
        from faster_whisper import BatchedInferencePipeline, WhisperModel

        index = int(number or 0)
        possible = ctranslate2.get_supported_compute_types(kind, index)
        if precision not in possible:
            choices = ", ".join(sorted(possible))
            raise SettingsError(
                f"precision {precision!r} does not work on {device}; choose auto, or one of: "
                f"{choices}"
            )
        logging.getLogger("faster_whisper").setLevel(logging.ERROR)
        self._seed = ctranslate2.set_random_seed
        self._model = WhisperModel(
            str(folder),
            device=kind,
            device_index=index,
            compute_type=precision,
            local_files_only=True,
        )
        self._encodings = Encodings(self._model.encode)
        self._model.encode = self._encodings
        self._batched = BatchedInferencePipeline(self._model)
        self._batch, self._beam = batch, beam

    def languages(self, passages: Sequence[Samples]) -> list[tuple[str, float]]:
        """Return the likeliest language of each passage by Whisper's code, and its probability."""
        if not self._model.model.is_multilingual:
            return [("en", 1.0)] * len(passages)
        from faster_whisper.audio import pad_or_trim

        features = [pad_or_trim(self._model.feature_extractor(p)[..., :-1]) for p in passages]
        starts = range(0, len(features), self._batch)
        batches = [np.stack(features[start : start + self._batch]) for start in starts]
        likeliest: list[tuple[str, float]] = []
        for encoded in self._encodings.keep(batches):
            for ranked in self._model.model.detect_language(encoded):
                token, probability = ranked[0]
                likeliest.append((token[2:-2], float(probability)))
        return likeliest

    def write(self, passages: Sequence[Samples], language: str) -> list[list[HeardPassage]]:
        """Recognise passages of at most 30 s each, many at once."""
        sounds, clips, start_s = [], [], 0
        for passage in passages:
            seconds = -(-passage.size // RATE)
            sounds.append(np.pad(passage, (0, seconds * RATE - passage.size)))
            clips.append({"start": float(start_s), "end": start_s + passage.size / RATE})
            start_s += seconds
        segments, _ = self._batched.transcribe(
            np.concatenate(sounds),
            language=language,
            beam_size=self._beam,
            temperature=0.0,
            word_timestamps=True,
            vad_filter=False,
            clip_timestamps=clips,
            batch_size=self._batch,
        )
        parts: list[list[HeardPassage]] = [[] for _ in passages]
        starts = [clip["start"] for clip in clips]
        for segment in segments:
            number = max(i for i, start in enumerate(starts) if segment.seek / 100 >= start - 0.01)
            parts[number].append(_heard(segment, starts[number]))
        return parts

    def write_again(self, passage: Samples, language: str) -> list[HeardPassage]:
        """Recognise one passage, with Whisper's own retries at rising temperatures."""
        self._seed(0)
        segments, _ = self._model.transcribe(
            passage,
            language=language,
            beam_size=self._beam,
            word_timestamps=True,
            condition_on_previous_text=False,
            vad_filter=False,
        )
        return [_heard(segment, 0.0) for segment in segments]

    def hear(self, samples: Samples, language: str) -> str:
        """Return the likeliest words of a take, without times; none where it is not sure of any."""
        segments, _ = self._model.transcribe(
            samples,
            language=language,
            beam_size=1,
            temperature=0.0,
            without_timestamps=True,
            condition_on_previous_text=False,
            vad_filter=False,
        )
        sure = (
            s for s in segments if s.avg_logprob >= _LEAST_SURE and s.compression_ratio <= _LOOP
        )
        return " ".join(segment.text.strip() for segment in sure).strip()


def _heard(segment: Any, offset_s: float) -> HeardPassage:
    words: Iterable[Any] = segment.words or ()
    return HeardPassage(
        tuple(
            HeardWord(
                float(w.start) - offset_s, float(w.end) - offset_s, w.word, float(w.probability)
            )
            for w in words
        ),
        float(segment.avg_logprob),
        float(segment.no_speech_prob),
        float(segment.compression_ratio),
    )


def _preload_cuda() -> None:
    """Load the CUDA libraries that CTranslate2 would not find by itself."""
    for package, libraries in _CUDA_LIBRARIES:
        for library in libraries:
            if not _loadable(package, library):
                raise MissingRequirement(
                    f"faster-whisper on a GPU needs {library}, which is missing: {_CUDA_CURE}"
                )


def _loadable(package: str, library: str) -> bool:
    names = [library]
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        spec = None
    if spec and spec.submodule_search_locations:
        names = [str(Path(p) / "lib" / library) for p in spec.submodule_search_locations] + names
    for name in names:
        try:
            ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return True
    return False
