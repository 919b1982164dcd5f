"""Detection of every take in a finished track, and of the original voice under it, by regression.

What is heard in a take's window is explained by the bed, by the take, by the other takes there,
each as it was meant to be, and by the original voice, all at 24 kHz: as much as a voice has.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.media.audio.reader import Samples
from dubarr_pipeline.media.audio.resample import resample
from dubarr_pipeline.media.mix.check_bed import samples_in
from dubarr_pipeline.media.mix.encode import TrackFormat
from dubarr_pipeline.media.mix.levels import read_take
from dubarr_pipeline.media.mix.options import PlacedTake
from dubarr_pipeline.spans import Span

_LISTENING_HZ = 24_000
_DROWNED = 10.0
"""Others with 10 dB more energy in a take's window: what the limiter does to them hides it."""
_ALIKE = 0.5
"""Squared correlation with the others from which on a take cannot be told from them."""
_ALL_AS_ONE = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]], np.float64)
_NOT_TAKEN = 0.01
"""Voice in the stem, against the bed: 20 dB under it, where speech was detected, none was taken."""
_UNHEARD_DB = -120.0


@dataclass(frozen=True, slots=True)
class FoundTake:
    """A take's gain against the expected one, and the original voice under it.

    Attributes:
        together: only the gain of all takes at once is known.
        original: gain of the original voice; 1 if it is all there.
        weight: energy of that voice.
    """

    gain_db: float
    together: bool
    original: float = 0.0
    weight: float = 0.0


def listening_step(rate: int) -> int:
    """Return how many samples of a track lie between two that are heard."""
    return max(1, round(rate / _LISTENING_HZ))


@dataclass(slots=True)
class _Detector:
    """Correlations of one take: of bed, take, other takes and original voice with the track.

    `gram` and `found` are of the four, in this order.
    """

    expected: PlacedTake
    channel: int
    first: int
    end: int
    is_speech: bool
    sound: Samples | None = None
    gram: NDArray[np.float64] = field(default_factory=lambda: np.zeros((4, 4)))
    found: NDArray[np.float64] = field(default_factory=lambda: np.zeros(4))

    def voice(self, part: Span) -> Samples:
        assert self.sound is not None
        return self.sound[part.start - self.first : part.end - self.first]


class TakeDetectors:
    """Detector of all takes, block by block, in order; holds only those that sound.

    Takes and the original's `speech`, sorted and disjoint, are on the track's own clock; `pan`
    holds all gains together.
    """

    def __init__(
        self, expected: Sequence[PlacedTake], track: TrackFormat, speech: Sequence[Span]
    ) -> None:
        self._step = step = listening_step(track.rate)
        self._rate = track.rate
        starts, ends = [span.start for span in speech], [span.end for span in speech]
        self._detectors = [
            _Detector(
                take,
                channel=int(np.argmax(np.abs(take.pan))),
                first=take.start // step,
                end=take.span.end // step,
                is_speech=bisect_right(ends, span.start) < bisect_left(starts, span.end),
            )
            for take in expected
            for span in [take.span]
        ]
        self._waiting = sorted(self._detectors, key=lambda detector: detector.first, reverse=True)
        self._sounding: list[_Detector] = []

    def hear(self, start: int, heard: Samples, bed: Samples, original: Samples) -> None:
        """Compare ``(channels, samples)`` of the track, from a whole `listening_step` on."""
        heard, bed, original = (sound[:, :: self._step] for sound in (heard, bed, original))
        here = Span(start // self._step, start // self._step + heard.shape[1])
        while self._waiting and self._waiting[-1].first < here.end:
            detector = self._waiting.pop()
            if detector.expected.is_heard:
                sound, rate = read_take(detector.expected)
                # Not a whole rate in general: sound and step are what counts.
                detector.sound = resample(sound, rate * self._step, self._rate)
                self._sounding.append(detector)
        parts = [
            (detector, part) for detector in self._sounding if (part := _sounds(detector, here))
        ]
        meant = np.zeros_like(heard)
        for detector, part in parts:
            for channel in np.flatnonzero(detector.expected.pan):
                voice = detector.expected.pan[channel] * detector.voice(part)
                meant[channel, samples_in(part, here.start)] += voice
        for detector, part in parts:
            window = detector.channel, samples_in(part, here.start)
            voice = detector.expected.pan[detector.channel] * detector.voice(part)
            parts_of = np.stack([bed[window], voice, meant[window] - voice, original[window]])
            detector.gram += parts_of @ parts_of.T
            detector.found += parts_of @ heard[window]
        self._sounding = [detector for detector in self._sounding if detector.end > here.end]
        for detector, _ in parts:
            if detector.end <= here.end:
                detector.sound = None

    def gains(self) -> list[FoundTake]:
        """Return the measured gain of each take, in the order in which they were given."""
        return [_gain(detector) for detector in self._detectors]


def _sounds(detector: _Detector, here: Span) -> Span | None:
    assert detector.sound is not None
    last = min(detector.end, detector.first + detector.sound.size)
    return Span(max(0, detector.first), max(0, detector.first, last)).clip(here)


def _gain(detector: _Detector) -> FoundTake:
    bed, own, others, original = np.diag(detector.gram)
    if own <= 0:
        return FoundTake(_UNHEARD_DB, together=False)
    alike = others > 0 and detector.gram[1, 2] ** 2 > _ALIKE * own * others
    together = bool(alike or others > _DROWNED * own)
    kinds = _ALL_AS_ONE if together else np.eye(4)
    gram, found = kinds.T @ detector.gram @ kinds, kinds.T @ detector.found
    scale = 1 / np.sqrt(np.maximum(np.diag(gram), 1e-30))
    solved = np.linalg.lstsq(gram * np.outer(scale, scale), found * scale, rcond=1e-9)[0] * scale
    share = max(float(solved[1]), 1e-9)
    gain_db = max(_UNHEARD_DB, 20 * float(np.log10(share)))
    if original < _NOT_TAKEN * bed:
        # The voice is still in the bed, if there is any: a separation that found none.
        is_left = detector.is_speech
        return FoundTake(gain_db, together, float(is_left), float(bed * is_left))
    # What the separation left in the bed counts, as far as it sounds like what it took.
    left = solved[-1] + solved[0] * detector.gram[0, 3] / max(original, 1e-30)
    return FoundTake(gain_db, together, float(left), float(original))
