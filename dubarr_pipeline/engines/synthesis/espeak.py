"""espeak-ng: a robot's voice that speaks 130 languages in milliseconds, on any machine.

The embedded profile's synthesizer. Its voices are pitched to the speaker, and a line takes the time
that it is asked to take, by being spoken again at another rate rather than by being stretched.
"""

from __future__ import annotations

import re
import unicodedata
from collections import OrderedDict
from functools import lru_cache
from typing import ClassVar

from dubarr_pipeline.engines.interfaces import Need, Samples, Speech, SpeechRequest, Synthesizer
from dubarr_pipeline.engines.requirements import package_need, package_version
from dubarr_pipeline.engines.synthesis.espeak_library import CURE, ESPEAK, EspeakSession
from dubarr_pipeline.engines.synthesis.espeak_voices import (
    TIMBRES,
    find_language,
    require_language,
    speaking_pitch_hz,
    timbre_name,
    voice_definition,
)
from dubarr_pipeline.errors import LineError, MissingRequirement
from dubarr_pipeline.media.audio.edges import trim_edges
from dubarr_pipeline.script.model import SpeakerProfile

_PACKAGE = "espeakng-loader"
NATURAL_WPM = 175
"""espeak's own default rate."""
SLOWEST_WPM, FASTEST_WPM = 120, 250
"""1.45 and 0.70 of the natural length: beyond, espeak is a drawl or a rattle."""
RENDERS = 3
"""The natural one, and two corrections: 7 ms median error, 31 ms at the 90th percentile."""
CLOSE_ENOUGH_S = 0.004
_KEPT_LENGTHS = 4096
MARKUP = re.compile(r"[<>{}]|\[\[|\]\]")
UNSPEAKABLE_CATEGORIES = ("So", "Cc", "Cs", "Co", "Cn")
"""Emoji, control characters, lone surrogates: espeak would read their names aloud."""
HEBREW_POINTS = re.compile(r"[\u0591-\u05bd\u05bf-\u05c2\u05c4\u05c5\u05c7]")
"""espeak spells words with some of them by the names of their letters, partly in English."""
KANJI = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")


class _Reading:
    """A text in a voice, at any rate; what it has rendered once is kept."""

    def __init__(self, session: EspeakSession, text: str, voice: bytes) -> None:
        self.text, self.voice = text, voice
        self.rate = session.rate
        self._session = session
        self._rendered: dict[int, Samples] = {}

    def at(self, words_per_minute: int) -> Samples:
        """Return the sound at this rate, mono float32 ``(samples,)`` without silent edges."""
        if (known := self._rendered.get(words_per_minute)) is not None:
            return known
        self._session.rewind()
        self._session.set_voice(self.voice)
        text = HEBREW_POINTS.sub("", self.text)
        samples = trim_edges(self._session.render(text, words_per_minute))
        if not samples.size:
            raise LineError("unspeakable", f"espeak-ng is silent for {self.text[:80]!r}")
        self._rendered[words_per_minute] = samples
        return samples


class EspeakSynthesizer(Synthesizer):
    """Speaks lines by espeak-ng, in this process."""

    name: ClassVar[str] = "espeak"
    fits_duration: ClassVar[bool] = True
    deterministic: ClassVar[bool] = True
    concurrency: ClassVar[int] = 1
    own_voices: ClassVar[tuple[str, ...]] = tuple(TIMBRES)

    def __init__(self) -> None:
        self._open = False
        self._natural: OrderedDict[tuple[str, bytes], int] = OrderedDict()
        """Samples of a text in a voice at the natural rate: asked for before it is spoken."""

    def identity(self) -> str:
        return f"espeak {_PACKAGE}={package_version(_PACKAGE)} voices=1"

    def needs(self) -> tuple[Need, ...]:
        return (package_need(_PACKAGE, "espeakng_loader", CURE),)

    def load(self) -> None:
        if not self._open:
            ESPEAK.open()
            self._open = True

    def unload(self) -> None:
        if self._open:
            self._open = False
            ESPEAK.close()

    def serves(self, language: str) -> bool:
        try:
            return find_language(language) is not None
        except MissingRequirement:
            return False

    def own_voice(self, profile: SpeakerProfile, language: str) -> str:
        return timbre_name(profile, language)

    def speak(self, request: SpeechRequest) -> Speech:
        """Render the line, in `duration_s` if that is asked, or as near as espeak stays clear."""
        language = require_language(request.language)
        check_speakable(request.text)
        if language == "ja" and KANJI.search(request.text):
            raise LineError(
                "unspeakable", f"espeak reads kana only: {request.text[:80]!r} has kanji"
            )
        profile = request.voice.profile
        timbre = timbre_name(profile, request.language)
        voice = voice_definition(language, speaking_pitch_hz(profile), timbre)
        with ESPEAK.session() as session:
            samples = self._fit(_Reading(session, request.text, voice), request.duration_s)
            return Speech(samples, session.rate)

    def _fit(self, reading: _Reading, duration_s: float | None) -> Samples:
        """Speak; measure; speak again at the rate that the measurements point to; keep the nearest.

        Each rendering depends on nothing but its rate, so one whose length is known may be skipped.
        """
        known = self._natural.get((reading.text, reading.voice))
        if duration_s is None or known is None:
            known = reading.at(NATURAL_WPM).size
            self._natural[reading.text, reading.voice] = known
            if len(self._natural) > _KEPT_LENGTHS:
                self._natural.popitem(last=False)
        best_wpm, measured = NATURAL_WPM, {NATURAL_WPM: known}
        if duration_s is None:
            return reading.at(best_wpm)
        wanted = duration_s * reading.rate
        while len(measured) < RENDERS:
            miss = abs(measured[best_wpm] - wanted)
            rate_wpm = _next_rate(measured, wanted)
            if miss <= CLOSE_ENOUGH_S * reading.rate or rate_wpm in measured:
                break
            measured[rate_wpm] = reading.at(rate_wpm).size
            if abs(measured[rate_wpm] - wanted) < miss:
                best_wpm = rate_wpm
        return reading.at(best_wpm)

    def natural_s(self, request: SpeechRequest) -> float:
        natural = self.speak(
            SpeechRequest(request.text, request.language, request.voice, duration_s=None)
        )
        return natural.samples.size / natural.rate


def check_speakable(text: str) -> None:
    """Raise `LineError` (``unspeakable``) for what espeak would read as something else."""
    if not any(c.isalnum() for c in text):
        raise LineError("unspeakable", f"there is nothing to pronounce in {text[:80]!r}")
    if MARKUP.search(text):
        raise LineError("unspeakable", f"markup in the text to be spoken: {text[:80]!r}")
    odd = [c for c in text if unicodedata.category(c) in UNSPEAKABLE_CATEGORIES and not c.isspace()]
    if odd:
        raise LineError("unspeakable", f"{odd[0]!r} cannot be spoken in {text[:80]!r}")


def phonemes(text: str, language: str) -> str:
    """Return how espeak would pronounce a text: IPA, words parted by spaces, clauses by ``", "``.

    Raises:
        LanguageError: if espeak does not speak the BCP-47 language.
        MissingRequirement: if espeak is not installed.
    """
    return ", ".join(clause.replace("_", "") for clause in phoneme_clauses(text, language))


@lru_cache(maxsize=4096)
def phoneme_count(text: str, language: str) -> int:
    """Return how many phonemes a text has: the best single predictor of its spoken length."""
    sounds = re.split(r"[_\s]+", " ".join(phoneme_clauses(text, language)))
    return sum(1 for sound in sounds if any(c.isalpha() for c in sound))


def phoneme_clauses(text: str, language: str) -> list[str]:
    """Return the IPA of each clause, phonemes parted by ``_``; raises as `phonemes` does."""
    name = require_language(language)
    plain = HEBREW_POINTS.sub("", text.replace("\0", " ")).encode("utf-8", "replace").decode()
    with ESPEAK.session() as session:
        session.set_voice(voice_definition(name, 120.0, "plain"))
        clauses = session.phonemes(plain)
    # a word that espeak takes for another language's is marked: "(en)...(es)"
    return [re.sub(r"\([a-z-]+\)", "", clause).strip() for clause in clauses]


def _next_rate(measured: dict[int, int], wanted: float) -> int:
    """Return the rate at which the length should be `wanted` samples.

    Length goes nearly as one over the rate; with two measurements, along the line through both.
    """
    nearest = sorted(measured, key=lambda rate: abs(measured[rate] - wanted))[:2]
    inverse = 1 / nearest[0]
    slope = measured[nearest[0]] / inverse
    if len(nearest) == 2 and measured[nearest[0]] != measured[nearest[1]]:
        between = (measured[nearest[0]] - measured[nearest[1]]) / (inverse - 1 / nearest[1])
        slope = between if between > 0 else slope
    inverse += (wanted - measured[nearest[0]]) / slope
    fastest, slowest = 1 / FASTEST_WPM, 1 / SLOWEST_WPM
    return round(1 / min(max(inverse, fastest), slowest))
