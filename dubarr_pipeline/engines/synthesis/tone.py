"""A hum instead of a voice: the fake that ships, for dry runs and tests of everything around it.

It hums one note for each syllable, at the speaker's pitch; so lengths grow with the text as speech
does, and speakers can be told apart in the mix.
"""

import re
from typing import ClassVar

import numpy as np

from dubarr_pipeline.engines.interfaces import Samples, Speech, SpeechRequest, Synthesizer
from dubarr_pipeline.engines.synthesis.espeak_voices import speaker_number, speaking_pitch_hz
from dubarr_pipeline.errors import LanguageError, LineError
from dubarr_pipeline.media.audio.harmonics import sum_harmonics

RATE = 24000
SYLLABLE_S = 0.18
"""About 5.6 syllables a second: an unhurried speaker."""
PAUSE_S = 0.25
"""At every mark within the line."""
PEAK = 0.3
FADE_S = 0.012
VOWEL_GROUPS = re.compile(r"[aeiouyàáâäãåæèéêëìíîïòóôöõøœùúûüýÿ]+|[^\W\d_a-zß-ÿ]|\d", re.IGNORECASE)
"""A run of Latin vowels is a syllable; so is any letter of another script, or a digit."""


class ToneSynthesizer(Synthesizer):
    """Hums a line, in the time that it is asked for if it `fits_duration`."""

    name: ClassVar[str] = "tone"
    deterministic: ClassVar[bool] = True
    concurrency: ClassVar[int] = 16

    def __init__(self, fits_duration: bool = True) -> None:
        self.fits_duration = fits_duration  # type: ignore[misc]  # of the instance, here

    def identity(self) -> str:
        return f"tone hum=1 fits={self.fits_duration}"

    def serves(self, language: str) -> bool:
        return bool(language.strip())

    def speak(self, request: SpeechRequest) -> Speech:
        if not self.serves(request.language):
            raise LanguageError("tone hums in every language, but one must be given")
        if not any(c.isalnum() for c in request.text):
            raise LineError(
                "unspeakable", f"there is nothing to pronounce in {request.text[:80]!r}"
            )
        length_s = natural_s(request.text)
        if self.fits_duration and request.duration_s is not None:
            length_s = max(request.duration_s, 2 * FADE_S)
        return Speech(_hum(request, round(length_s * RATE)), RATE)


def natural_s(text: str) -> float:
    """Seconds that a line takes at 5.6 syllables a second, with a pause at every mark within it."""
    return syllables(text) * SYLLABLE_S + PAUSE_S * len(re.findall(r"[,.;:!?…—]+(?=\s*\w)", text))


def syllables(text: str) -> int:
    """Count the vowel groups of a text; at least one for each line."""
    return max(1, len(VOWEL_GROUPS.findall(text)))


def _hum(request: SpeechRequest, samples: int) -> Samples:
    """Return a harmonic tone, mono ``(samples,)`` at RATE Hz, swelling once per syllable."""
    profile = request.voice.profile
    time_s = np.arange(samples) / RATE
    base_hz = speaking_pitch_hz(profile)
    brightness = 1.2 + speaker_number(profile.speaker) % 5 * 0.3
    weights = [k**-brightness for k in range(1, 9)]
    tone = sum_harmonics(2 * np.pi * base_hz * time_s, weights)
    swells = syllables(request.text)
    envelope = 0.6 + 0.4 * np.sin(np.pi * swells * np.arange(samples) / max(samples, 1)) ** 2
    fade = np.minimum(1.0, np.minimum(time_s, time_s[::-1]) / FADE_S + 1e-2)
    hum = tone * envelope * fade
    return (hum * (PEAK / np.abs(hum).max())).astype(np.float32)
