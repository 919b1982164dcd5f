"""Neural voices on any computer: Kokoro-82M through onnxruntime, in this process.

54 stock voices. A line takes the time that it is asked to take by the model's own speed, which is
calculated beforehand from the length of every phoneme: each line is rendered once.

Model: hexgrad/Kokoro-82M v1.0 (Apache-2.0), after StyleTTS 2 (Li et al., 2023).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.engines.interfaces import Need, Samples, Speech, SpeechRequest, Synthesizer
from dubarr_pipeline.engines.requirements import model_in_store, package_need, require
from dubarr_pipeline.engines.synthesis.espeak import check_speakable
from dubarr_pipeline.engines.synthesis.espeak_library import CURE, ESPEAK
from dubarr_pipeline.engines.synthesis.kokoro_model import FRAME, RATE, KokoroModel, voice_names
from dubarr_pipeline.engines.synthesis.kokoro_text import accents, find_accent, spell, split, tokens
from dubarr_pipeline.engines.synthesis.stock_voices import voice_of
from dubarr_pipeline.errors import LanguageError, LineError, MissingRequirement
from dubarr_pipeline.media.audio.edges import EDGE_S, trim_edges
from dubarr_pipeline.models.store import is_present, model_folder, model_identity
from dubarr_pipeline.script.model import StockVoice
from dubarr_pipeline.text.languages import closeness
from dubarr_pipeline.text.tables import read_table

_MOST_THREADS = 4
"""Lines at once by default; each takes about 0.3 GB."""
_SLOWEST, _FASTEST = 0.6, 1.7
"""Speeds between which the words stay clear."""
_PAUSE_S = 0.12
"""Silence between the parts of a line that is too long for one rendering: a short breath."""


@dataclass(frozen=True, slots=True)
class KokoroOptions:
    """Options of Kokoro.

    Attributes:
        model: a name of `dubarr models`, or a folder.
        threads: lines that are spoken at once, each by one CPU thread; 0: one for each core, at
            most four.
    """

    model: str = "onnx-community/Kokoro-82M-v1.0-ONNX"
    threads: int = 0


class KokoroSynthesizer(Synthesizer):
    """Speaks lines with Kokoro's stock voices. For many threads."""

    name: ClassVar[str] = "kokoro"
    fits_duration: ClassVar[bool] = True
    deterministic: ClassVar[bool] = True

    def __init__(self, options: KokoroOptions | None = None) -> None:
        self.options = options or KokoroOptions()
        threads = self.options.threads or min(_MOST_THREADS, os.cpu_count() or 1)
        self.concurrency = threads  # pyright: ignore[reportAttributeAccessIssue]
        self._model: KokoroModel | None = None

    def identity(self) -> str:
        return f"{self.name}/1 {model_identity(self.options.model)}"

    def needs(self) -> tuple[Need, ...]:
        package = package_need("espeakng-loader", "espeakng_loader", CURE)
        return (package, model_in_store(self.options.model))

    def load(self) -> None:
        if self._model is None:
            require(self)
            model = KokoroModel(model_folder(self.options.model))
            ESPEAK.open()
            self._model = model
            self.deterministic = not model.is_random  # type: ignore[misc]  # of this model

    def unload(self) -> None:
        if self._model is not None:
            self._model = None
            ESPEAK.close()

    def serves(self, language: str) -> bool:
        return find_accent(language) is not None

    def voices(self, language: str) -> tuple[StockVoice, ...]:
        """Return the voices of the language, and those of others that speak it clearly."""
        if not self.serves(language):
            return ()
        table = read_table("dubarr_pipeline.engines.synthesis", "kokoro_voices")
        here = self._known_voices()
        near = {
            name: closeness(accents()[name[0]].tag, language) if name[0] in accents() else 0
            for name in table["voices"]
            if name in here
        }
        native = sorted((name for name in near if near[name]), key=lambda name: -near[name])
        guests = table["guests"].get(find_accent(language).tag, "")  # type: ignore[union-attr]
        return (
            *(StockVoice(name, **table["voices"][name], native=near[name] > 1) for name in native),
            *(StockVoice(n, **table["voices"][n], native=False) for n in guests.split()),
        )

    def natural_s(self, request: SpeechRequest) -> float | None:
        parts, voice = self._parts(request)
        frames = [self._loaded().frames(part, voice) for part in parts]
        told = [each for each in frames if each is not None]
        return _length_s(told, 1.0) if len(told) == len(frames) else None

    def speak(self, request: SpeechRequest) -> Speech:
        """Render the line, in `duration_s` if that is asked, or as near as the words stay clear."""
        parts, voice = self._parts(request)
        speed = self._speed(parts, voice, request.duration_s)
        pause, edge = np.zeros(round(_PAUSE_S * RATE), np.float32), round(EDGE_S * RATE)
        sounds = [pause]
        for part in parts:
            sound = self._loaded().sound(part, voice, speed)
            if not np.isfinite(sound).all():
                raise LineError("not_finite", f"{voice} gives no finite sound for {request.text!r}")
            sounds += [pause, trim_edges(sound, edge)]
        samples = np.concatenate(sounds[2:])
        if samples.size <= 2 * edge:
            raise LineError("unspeakable", f"{voice} is silent for {request.text[:80]!r}")
        return Speech(_within_full_scale(samples), RATE)

    def _parts(self, request: SpeechRequest) -> tuple[list[list[int]], str]:
        """Return the tokens of the line's parts, and its voice."""
        model = self._loaded()
        if not self.serves(request.language):
            choices = ", ".join(sorted({accent.tag for accent in accents().values()}))
            raise LanguageError(
                f"Kokoro does not speak {request.language!r}; it speaks {choices}. "
                'synthesis.engine = "espeak" speaks 130 languages'
            )
        check_speakable(request.text, request.language)
        voices = self.voices(request.language)
        voice = voice_of(request, voices, self._known_voices(), self.name)
        accent = find_accent(request.language, voice)
        assert accent is not None
        parts = split(spell(request.text, request.language, accent))
        numbers = [found for part in parts if (found := tokens(part, model.vocabulary))]
        if not numbers:
            raise LineError("unspeakable", f"no sound of {request.text[:80]!r} is known to Kokoro")
        return numbers, voice

    def _speed(self, parts: Sequence[Sequence[int]], voice: str, wanted_s: float | None) -> float:
        """Return the speed at which the parts take the wanted seconds."""
        if wanted_s is None:
            return 1.0
        model = self._loaded()
        frames = [model.frames(part, voice) for part in parts]
        told = [each for each in frames if each is not None]
        if len(told) < len(frames):
            # A model that keeps its durations to itself is asked for a first rendering.
            edge = round(EDGE_S * RATE)
            heard = [trim_edges(model.sound(part, voice, 1.0), edge).size for part in parts]
            natural_s = sum(heard) / RATE + _PAUSE_S * (len(parts) - 1)
            return min(max(natural_s / wanted_s, _SLOWEST), _FASTEST)
        low, high = _SLOWEST, _FASTEST
        for _ in range(20):
            middle = (low + high) / 2
            low, high = (middle, high) if _length_s(told, middle) > wanted_s else (low, middle)
        return (low + high) / 2

    def _known_voices(self) -> frozenset[str]:
        """Return the voices of the model, if it is here; else those of the public one."""
        if is_present(self.options.model):
            return voice_names(model_folder(self.options.model))
        table = read_table("dubarr_pipeline.engines.synthesis", "kokoro_voices")
        return frozenset(table["voices"])

    def _loaded(self) -> KokoroModel:
        if self._model is None:
            raise MissingRequirement("the synthesizer is not loaded")
        return self._model


def _length_s(parts: Sequence[NDArray[np.float64]], speed: float) -> float:
    """Return the seconds that parts take at a speed, the silence around them left out."""
    spoken = sum(_spoken_frames(frames, speed) for frames in parts) * FRAME / RATE
    return spoken + _PAUSE_S * (len(parts) - 1)


def _spoken_frames(frames: NDArray[np.float64], speed: float) -> float:
    lasting = np.maximum(np.round(frames / speed), 1)
    before = 0.7 * lasting[0] + 0.5
    behind = lasting[-2:].sum()
    return float(max(lasting.sum() - before - behind, 1.0))


def _within_full_scale(samples: Samples) -> Samples:
    return samples / max(1.0, float(np.abs(samples).max()))
