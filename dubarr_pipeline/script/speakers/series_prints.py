"""Prints of voices that hold from one film to another, and how far two voices are apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dubarr_pipeline.media.audio.pitch import spread
from dubarr_pipeline.media.audio.reader import Samples, SoundReader, read_mono
from dubarr_pipeline.script.model import Diarization
from dubarr_pipeline.script.speakers.features import voice_features
from dubarr_pipeline.script.speakers.heard_groups import LOUD_DB
from dubarr_pipeline.spans import (
    Span,
    complement,
    intersect,
    merge,
    to_samples,
    to_seconds,
    total,
)

PLAIN = "cepstra/1"
"""Identity of the print that needs no network: 19 mean cepstra and the pitch."""
_HEARD_S = 60.0
# fmt: off
_WITHIN = np.array([
    7.83, 3.96, 3.41, 2.65, 2.05, 1.93, 1.64, 1.51, 1.39, 1.22,
    1.25, 1.15, 1.14, 0.99, 1.03, 0.94, 0.87, 0.82, 0.77,
])
# fmt: on
"""Standard deviation of each cepstrum within one voice, over its sounds; of 22 voices."""
_PITCH_WEIGHT = 2.0
"""An octave of pitch counts as two deviations of a cepstrum."""


@dataclass(frozen=True, slots=True)
class VoicePrint:
    """A voice in numbers; only prints of one identity compare.

    Attributes:
        seconds: of speech behind it.
    """

    vector: tuple[float, ...]
    seconds: float


Prints = Mapping[str, VoicePrint]
"""Identity of what measured it -> the print."""


@dataclass(frozen=True, slots=True)
class MatchLimits:
    """Distances of two prints from which they are one voice or two.

    Attributes:
        sure: up to it they are one voice.
        other: from it on they are two.
        ahead: least distance by which everybody else must be further.
    """

    sure: float
    other: float
    ahead: float


PLAIN_LIMITS = MatchLimits(1.0, 2.0, 0.35)
NETWORK_LIMITS = MatchLimits(0.16, 0.32, 0.05)
"""Cosine distances. Both are measured on voices that the figures of decision 29 do not have."""


@dataclass(frozen=True, slots=True)
class PrintNetwork:
    """A network that makes prints.

    Attributes:
        identity: of it, and of the embeddings in the diarization.
        print_of: embedding of one voice, ``(samples,)`` at a rate in Hz, of length 1, or None.
    """

    identity: str
    print_of: Callable[[Samples, int], tuple[float, ...] | None]


def measure_prints(
    vocals: SoundReader, diarization: Diarization, network: PrintNetwork | None = None
) -> dict[str, Prints]:
    """Return the prints of every speaker, from the stretches in which they speak alone.

    `vocals` are the separated voices. Embeddings that the diarization has are prints as they are.
    """
    found: dict[str, Prints] = {}
    for who in diarization.speakers:
        spans = _alone(diarization, who, Span(0, vocals.samples))
        seconds = round(to_seconds(total(spans), vocals.rate), 2)
        chosen = spread(spans, to_samples(_HEARD_S, vocals.rate))
        sounds = [read_mono(vocals, span) for span in chosen]
        vectors = {PLAIN: _plain_vector(sounds, vocals.rate)}
        if network:
            known = diarization.embeddings.get(who)
            vectors[network.identity] = known or _network_vector(sounds, vocals.rate, network)
        found[who] = {each: VoicePrint(v, seconds) for each, v in vectors.items() if v}
    return found


def _alone(diarization: Diarization, who: str, film: Span) -> list[Span]:
    own = merge(part for t in diarization.turns if t.speaker == who and (part := t.span.clip(film)))
    free = intersect(own, complement((t.span for t in diarization.turns if t.speaker != who), film))
    # Who never speaks alone is heard with others, rather than not at all.
    return free or own


def _network_vector(
    sounds: Sequence[Samples], rate: int, network: PrintNetwork
) -> tuple[float, ...] | None:
    prints = [network.print_of(sound, rate) for sound in sounds]
    found = [
        (one, sound.size) for one, sound in zip(prints, sounds, strict=True) if one is not None
    ]
    if not found:
        return None
    mean = np.average([one for one, _ in found], axis=0, weights=[size for _, size in found])
    return tuple(np.round(mean / np.linalg.norm(mean), 6).tolist())


def _plain_vector(sounds: Sequence[Samples], rate: int) -> tuple[float, ...] | None:
    heard = [voice_features(sound, rate, LOUD_DB) for sound in sounds]
    features = [each for each in heard if each]
    if not features:
        return None
    frames = np.array([each.frames for each in features], np.float64)
    mean = np.average([each.mean for each in features], axis=0, weights=frames) / _WITHIN
    pitches = [each.pitch_octaves for each in features if each.pitch_octaves is not None]
    pitch = [_PITCH_WEIGHT * float(np.median(pitches))] if pitches else []
    return (*np.round(mean, 3).tolist(), *(round(each, 3) for each in pitch))


def pooled(many: Iterable[Prints]) -> dict[str, VoicePrint]:
    """Return the prints of one voice that was heard several times: means, by seconds."""
    grouped: dict[str, list[VoicePrint]] = {}
    for prints in many:
        for identity, one in prints.items():
            grouped.setdefault(identity, []).append(one)
    found: dict[str, VoicePrint] = {}
    for identity, ones in grouped.items():
        size = min(len(one.vector) for one in ones)
        seconds = [min(one.seconds, _HEARD_S) for one in ones]
        mean = np.average([one.vector[:size] for one in ones], axis=0, weights=seconds)
        found[identity] = VoicePrint(tuple(np.round(mean, 6).tolist()), sum(seconds))
    return found


def voice_distance(one: Prints, other: Prints) -> tuple[float, MatchLimits] | None:
    """Return the distance of two voices and its limits; None if no print of both compares.

    The network's prints count where both voices have them.
    """
    for identity in (*(each for each in one if each != PLAIN), PLAIN):
        if identity in one and identity in other:
            a, b = np.array(one[identity].vector), np.array(other[identity].vector)
            if identity == PLAIN:
                size = min(len(a), len(b))
                return float(np.linalg.norm(a[:size] - b[:size])), PLAIN_LIMITS
            lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
            if len(a) == len(b) and lengths > 0:
                return 1.0 - float(a @ b) / lengths, NETWORK_LIMITS
    return None
