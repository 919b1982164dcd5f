"""Common part of neural engines with stock voices: lines planned, rendered once, trimmed.

Such an engine knows how long a text will take before it speaks it, and has a speed. So a line is
planned first, the speed is chosen that gives the wanted length, and one rendering is enough.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from dubarr_pipeline.engines.interfaces import Need, Samples, Speech, SpeechRequest, Synthesizer
from dubarr_pipeline.engines.requirements import model_in_store, name_missing, require
from dubarr_pipeline.engines.synthesis.espeak import check_speakable
from dubarr_pipeline.engines.synthesis.stock_voices import voice_of
from dubarr_pipeline.errors import LanguageError, LineError, MissingRequirement
from dubarr_pipeline.media.audio.edges import EDGE_S, trim_edges
from dubarr_pipeline.models.store import is_present, model_folder, model_identity

_MOST_THREADS = 4
"""Lines at once by default; each takes about 0.3 GB."""
_PAUSE_S = 0.12
"""Silence between the parts of a line that is too long for one rendering: a short breath."""
_CLOSE_ENOUGH = 0.08
"""Error of a length at which a line is rendered again, at another speed; short lines have it."""
_HALVINGS = 20
_KEPT_TEXTS = 64


class PlannedPassage(ABC):
    """Text that is rendered in one go, in one voice."""

    @abstractmethod
    def length_s(self, speed: float) -> float | None:
        """Return the seconds of its speech at a speed, silent edges left out; None if unknown."""

    @abstractmethod
    def sound(self, speed: float) -> Samples:
        """Speak it: mono float32 ``(samples,)``, silent edges and all."""


class StockModel(ABC):
    """A loaded model. Thread-safe.

    Attributes:
        rate: samples a second of what it speaks.
        is_random: whether it draws random numbers itself, so that no two renderings are alike.
    """

    rate: int
    is_random: bool = False

    @abstractmethod
    def passages(self, text: str, language: str, voice: str) -> Sequence[PlannedPassage]:
        """Cut a text into passages; none if it has no sound that the model knows."""

    def close(self) -> None:  # noqa: B027 - optional: most models hold memory alone
        """Release what is not memory."""


class StockSynthesizer(Synthesizer):
    """Speaks lines with the stock voices of a model, in this process. For many threads."""

    fits_duration: ClassVar[bool] = True
    deterministic: ClassVar[bool] = True
    foresees: ClassVar[bool] = True
    speeds: ClassVar[tuple[float, float]]
    """The slowest and the fastest at which the words stay clear."""
    languages: ClassVar[tuple[str, ...]]
    """BCP-47 languages, for messages."""

    def __init__(self, model: str, threads: int) -> None:
        self._name_of_model = model
        threads = threads or min(_MOST_THREADS, os.cpu_count() or 1)
        self.concurrency = threads  # pyright: ignore[reportAttributeAccessIssue]
        self._cores = 1
        self._model: StockModel | None = None
        self._planned: Callable[[str, str, str], Sequence[PlannedPassage]] | None = None

    @abstractmethod
    def _opened(self, folder: Path, cores: int) -> StockModel:
        """Load the model, which takes so many `cores` for a rendering.

        Raises:
            MissingRequirement, EngineError: with the cure.
        """

    @abstractmethod
    def known_voices(self, folder: Path | None) -> frozenset[str]:
        """Return the names of all voices in a folder; of the public model, if there is none."""

    def missing_for(self, language: str) -> tuple[Need, ...]:  # noqa: ARG002
        """Return what it lacks by whose absence alone it does not speak a language. Cheap."""
        return ()

    def identity(self) -> str:
        return f"{self.name}/1 {model_identity(self._name_of_model)}"

    def needs(self) -> tuple[Need, ...]:
        return (model_in_store(self._name_of_model),)

    def hurry(self) -> None:
        self._cores, self.concurrency = max(self._cores, self.concurrency), 1  # pyright: ignore[reportAttributeAccessIssue]

    def load(self) -> None:
        if self._model is None:
            require(self)
            model = self._model = self._opened(model_folder(self._name_of_model), self._cores)
            # A line is planned for its length, and then spoken.
            self._planned = lru_cache(_KEPT_TEXTS)(model.passages)
            self.deterministic = not model.is_random  # type: ignore[misc]  # of this model

    def unload(self) -> None:
        if self._model is not None:
            self._model.close()
            self._model = self._planned = None

    def natural_s(self, request: SpeechRequest) -> float | None:
        return _length_s(self._passages(request)[0], 1.0)

    def speak(self, request: SpeechRequest) -> Speech:
        """Render the line, in `duration_s` if that is asked, or as near as the words stay clear."""
        passages, voice = self._passages(request)
        rate, wanted_s = self._loaded().rate, request.duration_s
        speed = self._speed(passages, wanted_s)
        samples = self._rendered(passages, speed)
        if wanted_s is not None and abs(samples.size / rate / wanted_s - 1) > _CLOSE_ENOUGH:
            slowest, fastest = self.speeds
            speed = min(max(speed * samples.size / rate / wanted_s, slowest), fastest)
            other = self._rendered(passages, speed)
            samples = min(samples, other, key=lambda take: abs(take.size / rate - wanted_s))
        if samples.size <= 2 * EDGE_S * rate:
            raise LineError("unspeakable", f"{voice} is silent for {request.text[:80]!r}")
        return Speech(samples / max(1.0, float(np.abs(samples).max())), rate)

    def _passages(self, request: SpeechRequest) -> tuple[Sequence[PlannedPassage], str]:
        """Return the passages of a line, and its voice."""
        planned = self._planned
        if planned is None:
            raise MissingRequirement("the synthesizer is not loaded")
        if not self.serves(request.language):
            missing = self.missing_for(request.language)
            raise LanguageError(
                f"{self.name} lacks {name_missing(missing)} for {request.language!r}"
                if missing
                else f"{self.name} does not speak {request.language!r}; it speaks "
                f"{', '.join(self.languages)}: choose another synthesis.engine (`dubarr engines`)"
            )
        check_speakable(request.text)
        voices = self.voices(request.language)
        voice = voice_of(request, voices, self._voices_here(), self.name)
        passages = planned(request.text, request.language, voice)
        if not passages:
            raise LineError("unspeakable", f"{self.name} knows no sound of {request.text[:80]!r}")
        return passages, voice

    def _speed(self, passages: Sequence[PlannedPassage], wanted_s: float | None) -> float:
        """Return the speed at which the passages take the wanted seconds."""
        if wanted_s is None:
            return 1.0
        low, high = self.speeds
        if _length_s(passages, 1.0) is None:
            # A model that does not tell is asked for a first rendering.
            heard_s = self._rendered(passages, 1.0).size / self._loaded().rate
            return min(max(heard_s / wanted_s, low), high)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            is_long = (_length_s(passages, middle) or 0.0) > wanted_s
            low, high = (middle, high) if is_long else (low, middle)
        return (low + high) / 2

    def _rendered(self, passages: Sequence[PlannedPassage], speed: float) -> Samples:
        """Speak the passages, with a breath between them and no silence around them."""
        rate = self._loaded().rate
        parts = list[Samples]()
        for passage in passages:
            sound = passage.sound(speed)
            if not np.isfinite(sound).all():
                raise LineError("not_finite", f"{self.name} gives a sound of no finite numbers")
            parts += [np.zeros(round(_PAUSE_S * rate), np.float32)] if parts else []
            parts.append(trim_edges(sound, round(EDGE_S * rate)))
        return np.concatenate(parts)

    def _voices_here(self) -> frozenset[str]:
        here = is_present(self._name_of_model)
        return self.known_voices(model_folder(self._name_of_model) if here else None)

    def _loaded(self) -> StockModel:
        if self._model is None:
            raise MissingRequirement("the synthesizer is not loaded")
        return self._model


def _length_s(passages: Sequence[PlannedPassage], speed: float) -> float | None:
    lengths_s = [passage.length_s(speed) for passage in passages]
    known = [each for each in lengths_s if each is not None]
    pauses_s = _PAUSE_S * (len(passages) - 1)
    return sum(known) + pauses_s if len(known) == len(lengths_s) else None
