"""Stock voices of the neural engines: their tables, and the voice of one line."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from dubarr_pipeline.engines.interfaces import SpeechRequest
from dubarr_pipeline.engines.synthesis.espeak_voices import speaker_number
from dubarr_pipeline.errors import LineError
from dubarr_pipeline.script.model import SpeakerProfile, StockVoice


def voice_of(
    request: SpeechRequest, voices: Sequence[StockVoice], known: Collection[str], engine: str
) -> str:
    """Return the voice of a line: the one it was dealt, a person's choice, or the nearest.

    Args:
        request: the line.
        voices: those to choose from, natives first.
        known: all that the engine has, by name.
        engine: its name, for messages.

    Raises:
        LineError: ``unknown_voice``, with the choices.
    """
    profile = request.voice.profile
    chosen = request.voice.name or profile.voices.get(request.language)
    if chosen is None:
        return nearest_voice(voices, profile).name
    if chosen not in known:
        choices = ", ".join([voice.name for voice in voices] or sorted(known))
        raise LineError(
            "unknown_voice",
            f"{engine} has no voice {chosen!r} for {request.voice.speaker} in {request.language}; "
            f"it has {choices}",
        )
    return chosen


def nearest_voice(voices: Sequence[StockVoice], profile: SpeakerProfile) -> StockVoice:
    """Return the native voice of the speaker's sex that is nearest in pitch.

    Speakers of whom no pitch is known take the voices in turn, by the number of their id.
    """
    native = [voice for voice in voices if voice.native] or voices
    alike = [voice for voice in native if voice.sex == profile.gender] or native
    pitch_hz = profile.pitch_hz
    if not pitch_hz:
        return alike[speaker_number(profile.speaker) % len(alike)]
    return min(alike, key=lambda voice: abs(math.log((voice.pitch_hz or pitch_hz) / pitch_hz)))
