"""A synthesizer with six stock voices: it hums at the pitch of the voice that it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar

from dubarr_pipeline.engines import registry
from dubarr_pipeline.engines.interfaces import Speech, SpeechRequest
from dubarr_pipeline.engines.registry import EngineRow
from dubarr_pipeline.engines.synthesis.tone import ToneSynthesizer
from dubarr_pipeline.script.model import SpeakerProfile, StockVoice

VOICES = (
    StockVoice("es_dora", "female", "adult", 200.0),
    StockVoice("es_alex", "male", "adult", 120.0),
    StockVoice("es_santa", "male", "old", 95.0),
    StockVoice("ca_mar", "female", "adult", 190.0),
    StockVoice("ca_pau", "male", "adult", 110.0),
    StockVoice("sam", "neutral", "adult", 150.0),
)


class StockVoiceSynthesizer(ToneSynthesizer):
    """Hums with stock voices, of which some were made for another language."""

    name: ClassVar[str] = "stock"

    def identity(self) -> str:
        return "stock 1"

    def voices(self, language: str) -> tuple[StockVoice, ...]:
        """Return all voices, those of the language first."""
        found = [
            replace(voice, native=voice.name.startswith((language, "sam"))) for voice in VOICES
        ]
        return tuple(sorted(found, key=lambda voice: not voice.native))

    def speak(self, request: SpeechRequest) -> Speech:
        (voice,) = (each for each in VOICES if each.name == request.voice.name)
        profile = SpeakerProfile(voice.name, pitch_hz=voice.pitch_hz)
        return super().speak(replace(request, voice=replace(request.voice, profile=profile)))


@contextmanager
def registered() -> Iterator[None]:
    """Make the engine known by the name ``stock``, for a while."""
    where = f"{__name__}:{StockVoiceSynthesizer.__name__}"
    row = EngineRow("synthesis", "stock", where, "Apache-2.0", "hums with six voices")
    registry.register(row)
    try:
        yield
    finally:
        registry._registered.remove(row)
