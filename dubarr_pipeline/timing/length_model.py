"""Predicted lengths of texts in seconds, by voice, before they are synthesised.

The prediction is a sum: seconds per phoneme, per syllable, per word, per pause of two kinds, and
per line. It starts from published syllable rates, is drawn to what other voices of the language
have shown, and then to the voice's own takes: ridge regression towards that prior, on relative
errors, with Huber's weights, so that a babbling take does not spoil it. The order of takes does not
matter. Not thread-safe: the caller locks, or hands out a `snapshot`, which never changes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.text.syllables import syllables
from dubarr_pipeline.text.tables import read_table

PhonemeCount = Callable[[str, str], "int | None"]
"""``(text, language) -> phonemes``, or None where it does not know the language."""

SCHEMA = 1
_PHONEMES_PER_SYLLABLE = 2.4
_SYLLABLES_PER_WORD = 1.8
_MINOR = re.compile(r"[,;:،、，；：—–]|\.\.\.|…|\s-\s|(?<=\w)\s+[¡¿]")
_MAJOR = re.compile(r"[.!?。！？؟।]+(?=\s*\w)")
_WORDS = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_SHORTEST_S = 0.1
_POOL_AT_LEAST = 5
_ROUNDS = 8
_NOISE = 0.08
"""Relative error that even a perfect model would leave: takes of neural voices vary by as much."""
_RATE_SPREAD = 0.25
"""How unlike the prior a voice's rate may be (standard deviation, relative)."""
_HUBER = 1.345
"""Errors beyond this many typical errors count less (Huber 1964)."""


@dataclass(frozen=True, slots=True)
class Features:
    """Features that determine the length of a text."""

    phonemes: float
    syllables: float
    words: float
    minor_pauses: float
    major_pauses: float
    line: float = 1.0


@dataclass(frozen=True, slots=True, order=True)
class SpokenLength:
    """One take that the model learned from; `features` in the order of `Features`."""

    features: tuple[float, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class LengthError:
    """Predicted and measured length of a take; `known` takes of its voice had been seen by then."""

    language: str
    voice: str
    known: int
    predicted_s: float
    measured_s: float

    @property
    def relative(self) -> float:
        """Predicted over measured, less 1: positive if the prediction was too long."""
        return self.predicted_s / self.measured_s - 1


_Key = tuple[str, str]
_Vector = NDArray[np.float64]


def features_of(text: str, language: str, phonemes: PhonemeCount | None = None) -> Features:
    """Count the features of a text; phonemes by way of syllables where no engine counts them."""
    spoken = syllables(text, language)
    counted = phonemes(text, language) if phonemes else None
    return Features(
        phonemes=round(float(counted or spoken * _PHONEMES_PER_SYLLABLE), 3),
        syllables=round(spoken, 3),
        words=float(len(_WORDS.findall(text))),
        minor_pauses=float(len(_MINOR.findall(text.strip(" .,;:")))),
        major_pauses=float(len(_MAJOR.findall(text))),
    )


@dataclass(frozen=True, slots=True)
class LengthSnapshot:
    """The model as it stood at one moment: the same question always gets the same answer."""

    languages: Mapping[str, _Vector]
    voices: Mapping[_Key, _Vector]
    phonemes: PhonemeCount | None = None

    def predict(self, text: str, language: str, voice: str) -> float:
        """Return the seconds that the voice takes to say the text; 0 if there is nothing to say."""
        features = features_of(text, language, self.phonemes)
        if not features.syllables:
            return 0.0
        weights = self._weights(language, voice)
        return max(_SHORTEST_S, float(np.array(astuple(features)) @ weights))

    def syllables_in(self, seconds: float, language: str, voice: str) -> int:
        """Return how many syllables the voice can say in that time: a translator's budget."""
        per_phoneme, per_syllable, per_word, _, _, per_line = self._weights(language, voice)
        each = per_syllable + _PHONEMES_PER_SYLLABLE * per_phoneme + per_word / _SYLLABLES_PER_WORD
        return max(1, round((seconds - per_line) / max(each, 0.02)))

    def _weights(self, language: str, voice: str) -> _Vector:
        known = self.voices.get((language, voice), self.languages.get(language))
        return published_weights(language) if known is None else known


class LengthModel:
    """Model of how long texts take, per language and voice, learned from takes."""

    def __init__(self, phonemes: PhonemeCount | None = None, kept: int = 256) -> None:
        """Start with the published rates; where `phonemes` counts none, syllables do.

        At most `kept` takes per voice are remembered; more add nothing but time.
        """
        self._phonemes = phonemes
        self._kept = kept
        self._takes: dict[_Key, set[SpokenLength]] = {}
        self._fits: dict[_Key, _Vector] = {}
        self._pools: dict[str, _Vector] = {}
        self._errors: list[LengthError] = []

    @property
    def errors(self) -> tuple[LengthError, ...]:
        """Every take observed since this object was made, with what was predicted for it."""
        return tuple(self._errors)

    def predict(self, text: str, language: str, voice: str) -> float:
        """Return the seconds that the voice takes to say the text, as things are known now."""
        self._fit(language, voice)
        return LengthSnapshot(self._pools, self._fits, self._phonemes).predict(
            text, language, voice
        )

    def observe(
        self, take: tuple[str, str, str], measured_s: float, predicted_s: float | None = None
    ) -> LengthError:
        """Learn from a take, and record how wrong the prediction was, by default that of now.

        `take` is its text, language and voice; `measured_s` is without silent edges.

        Raises:
            ValueError: if the take has no length.
        """
        text, language, voice = take
        if not measured_s > 0:
            raise ValueError(f"a take of {measured_s} s cannot be learned from: {text!r}")
        if predicted_s is None:
            predicted_s = self.predict(text, language, voice)
        kept = self._takes.setdefault((language, voice), set())
        error = LengthError(language, voice, len(kept), predicted_s, measured_s)
        self._errors.append(error)
        features = features_of(text, language, self._phonemes)
        if features.syllables:
            kept.add(SpokenLength(astuple(features), round(measured_s, 6)))
            self._keep(language, voice)
        return error

    def snapshot(self) -> LengthSnapshot:
        """Freeze the model: for predictions that must not depend on who finished first."""
        for language, voice in self._takes:
            self._fit(language, voice)
            if language not in self._pools:
                self._pools[language] = fit(self._of(language), published_weights(language))
        return LengthSnapshot(dict(self._pools), dict(self._fits), self._phonemes)

    def to_document(self) -> dict[str, Any]:
        """Return all that was learned as plain values for a JSON file, in a fixed order."""
        voices = [
            {
                "language": language,
                "voice": voice,
                "takes": [[*take.features, take.seconds] for take in sorted(takes)],
            }
            for (language, voice), takes in sorted(self._takes.items())
        ]
        return {"schema": SCHEMA, "voices": voices}

    @classmethod
    def from_document(
        cls, document: Mapping[str, Any], phonemes: PhonemeCount | None = None
    ) -> LengthModel:
        """Return the model that `to_document` wrote.

        Raises:
            ValueError: if the schema is not known or a take is not one.
        """
        if document.get("schema") != SCHEMA:
            raise ValueError(f"a length model of schema {document.get('schema')!r}, not {SCHEMA}")
        model = cls(phonemes)
        for voice in document["voices"]:
            takes = model._takes.setdefault((voice["language"], voice["voice"]), set())
            for numbers in voice["takes"]:
                *features, seconds = (float(number) for number in numbers)
                if len(features) != len(fields(Features)) or not seconds > 0:
                    raise ValueError(f"not a take of a length model: {numbers!r}")
                takes.add(SpokenLength(tuple(features), seconds))
            model._keep(voice["language"], voice["voice"])
        return model

    def _keep(self, language: str, voice: str) -> None:
        """Forget surplus takes, by a rule that knows no order, and fits that are out of date."""
        takes = self._takes[language, voice]

        def digest(take: SpokenLength) -> bytes:
            # The form decides which takes of long films are forgotten: it must not change.
            text = f"SpokenLength(features={take.features!r}, seconds={take.seconds!r})"
            return hashlib.blake2b(text.encode(), digest_size=16).digest()

        for _ in range(len(takes) - self._kept):
            takes.remove(max(takes, key=digest))
        self._pools.pop(language, None)
        for key in [key for key in self._fits if key[0] == language]:
            del self._fits[key]

    def _of(self, language: str, but: str | None = None) -> list[SpokenLength]:
        """Return the takes of all voices of a language, or of all but one."""
        known = [
            takes for key, takes in self._takes.items() if key[0] == language and key[1] != but
        ]
        return [take for takes in known for take in takes]

    def _fit(self, language: str, voice: str) -> None:
        if (language, voice) in self._fits:
            return
        own = self._takes.get((language, voice), set())
        others = self._of(language, but=voice)
        prior = published_weights(language)
        # Fewer takes of other voices say less than the published rate.
        if len(others) >= _POOL_AT_LEAST:
            prior = fit(others, prior)
        self._fits[language, voice] = fit(own, prior)


def published_weights(language: str) -> _Vector:
    """Return the weights of `Features` that say no more than the published rate of the language.

    Half of a syllable's time is given to its phonemes; pauses are of ordinary reading (Campione and
    Véronis 2002: most pauses within 0.2-1 s).
    """
    each = 1 / syllable_rate(language)
    return np.array([0.5 * each / _PHONEMES_PER_SYLLABLE, 0.5 * each, 0.0, 0.2, 0.4, 0.1])


def fit(takes: Iterable[SpokenLength], prior: _Vector) -> _Vector:
    """Return the weights that explain the takes best without leaving the prior more than needed.

    Minimises the sum of Huber's losses of the relative errors, plus the squared distance to the
    prior, whose covariance lets the whole rate change more easily than one weight against another.
    """
    known = sorted(takes)
    if not known:
        return prior
    rows = np.array([take.features for take in known])
    expected = np.maximum(rows @ prior, _SHORTEST_S)
    # Relative errors: a second matters more in a short line.
    rows = rows / expected[:, None]
    wanted = np.array([take.seconds for take in known]) / expected
    spread = np.array([0.4 * prior[0], 0.4 * prior[1], 0.03, 0.1, 0.2, 0.1])
    covariance = _RATE_SPREAD**2 * np.outer(prior, prior) + np.diag(spread**2)
    precision = _NOISE**2 * np.linalg.inv(covariance)
    trust = np.ones(len(known))
    weights = prior
    # Iteratively reweighted least squares, with Huber weights.
    for _ in range(_ROUNDS):
        weighted = rows * trust[:, None]
        change = np.linalg.solve(
            weighted.T @ rows + precision, weighted.T @ (wanted - rows @ prior)
        )
        weights = prior + change
        error = np.abs(wanted - rows @ weights)
        limit = _HUBER * max(_NOISE, 1.4826 * float(np.median(error)))
        trust = np.minimum(1.0, limit / np.maximum(error, 1e-12))
    return weights


_RATES = read_table("dubarr_pipeline.timing", "syllable_rates")
PUBLISHED_RATES: Mapping[str, float] = _RATES["published"]
DEFAULT_RATE: float = _RATES["default"]


def syllable_rate(language: str) -> float:
    """Return syllables per second of a BCP-47 language; `DEFAULT_RATE` where none is published."""
    return PUBLISHED_RATES.get(language.split("-")[0].lower(), DEFAULT_RATE)
