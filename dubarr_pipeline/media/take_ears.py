"""Tells of every take in a finished track whether it is there: by regression in its window.

What is heard is explained by the bed, by the take, and by all other takes that sound with it, each
as it was meant to be. All are heard at about 24 kHz, which is as much as a voice has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.media.dialogue_level import read_take
from dubarr_pipeline.media.encoding import TrackFormat
from dubarr_pipeline.media.mix_options import PlacedTake
from dubarr_pipeline.media.resample import resample
from dubarr_pipeline.media.sound_reader import Samples
from dubarr_pipeline.timeline.spans import Span

_LISTENING_HZ = 24_000
_DROWNED = 10.0
"""Others with 10 dB more energy in a take's window: what the limiter does to them hides it."""
_ALIKE = 0.5
"""Squared correlation with the others from which on a take cannot be told from them."""
_ALL_AS_ONE = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
_UNHEARD_DB = -120.0


@dataclass(frozen=True, slots=True)
class ExpectedTake:
    """A take as it should be found, in samples of the track.

    Attributes:
        start: of its first sample; may lie before the track.
        span: the part that lies in the track.
        gains: ``(channels,)``: on the samples of its file, all gains together.
    """

    take: PlacedTake
    start: int
    span: Span
    gains: Samples


@dataclass(frozen=True, slots=True)
class FoundTake:
    """A take's gain against the expected one; `together`: only that of all at once is known."""

    gain_db: float
    together: bool


def listening_step(rate: int) -> int:
    """Return how many samples of a track lie between two that are heard."""
    return max(1, round(rate / _LISTENING_HZ))


@dataclass(slots=True)
class _Ear:
    """One take: how bed, take and other takes go together with what is heard.

    Attributes:
        gram, found: of the three, in this order.
    """

    expected: ExpectedTake
    channel: int
    first: int
    end: int
    sound: Samples | None = None
    gram: NDArray[np.float64] = field(default_factory=lambda: np.zeros((3, 3)))
    found: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))

    def voice(self, part: Span) -> Samples:
        assert self.sound is not None
        return self.sound[part.start - self.first : part.end - self.first]


class TakeEars:
    """Listens for all takes, block by block, in order; holds only those that sound.

    Args:
        expected: in any order; `gains` answers in the same.
        track: the format of what is heard.
    """

    def __init__(self, expected: Sequence[ExpectedTake], track: TrackFormat) -> None:
        self._step = listening_step(track.rate)
        self._rate = track.rate
        self._ears = [self._ear(take) for take in expected]
        self._waiting = sorted(self._ears, key=lambda ear: ear.first, reverse=True)
        self._sounding: list[_Ear] = []

    def _ear(self, take: ExpectedTake) -> _Ear:
        channel = int(np.argmax(np.abs(take.gains)))
        return _Ear(take, channel, take.start // self._step, take.span.end // self._step)

    def hear(self, start: int, heard: Samples, bed: Samples) -> None:
        """Compare ``(channels, samples)`` of the track with bed and takes.

        `start` is a multiple of `listening_step`.
        """
        heard, bed = heard[:, :: self._step], bed[:, :: self._step]
        here = Span(start // self._step, start // self._step + heard.shape[1])
        while self._waiting and self._waiting[-1].first < here.end:
            ear = self._waiting.pop()
            if ear.expected.span.length and ear.expected.gains.any():
                ear.sound = self._sound(ear.expected.take)
                self._sounding.append(ear)
        parts = [(ear, part) for ear in self._sounding if (part := _sounds(ear, here))]
        meant = np.zeros_like(heard)
        for ear, part in parts:
            for channel in np.flatnonzero(ear.expected.gains):
                voice = ear.expected.gains[channel] * ear.voice(part)
                meant[channel, _in(part, here)] += voice
        for ear, part in parts:
            window = ear.channel, _in(part, here)
            voice = ear.expected.gains[ear.channel] * ear.voice(part)
            three = np.stack([bed[window], voice, meant[window] - voice])
            ear.gram += three @ three.T
            ear.found += three @ heard[window]
        self._sounding = [ear for ear in self._sounding if ear.end > here.end]
        for ear, _ in parts:
            if ear.end <= here.end:
                ear.sound = None

    def _sound(self, take: PlacedTake) -> Samples:
        sound, rate = read_take(take)
        # Not a whole rate in general: sound and step are what counts.
        return resample(sound, rate * self._step, self._rate)

    def gains(self) -> list[FoundTake]:
        """Return what was found of each take."""
        return [_gain(ear) for ear in self._ears]


def _sounds(ear: _Ear, here: Span) -> Span | None:
    assert ear.sound is not None
    last = min(ear.end, ear.first + ear.sound.size)
    return Span(max(0, ear.first), max(0, ear.first, last)).clip(here)


def _in(part: Span, here: Span) -> slice:
    return slice(part.start - here.start, part.end - here.start)


def _gain(ear: _Ear) -> FoundTake:
    own, others = ear.gram[1, 1], ear.gram[2, 2]
    if own <= 0:
        return FoundTake(_UNHEARD_DB, together=False)
    alike = others > 0 and ear.gram[1, 2] ** 2 > _ALIKE * own * others
    together = bool(alike or others > _DROWNED * own)
    kinds = _ALL_AS_ONE if together else np.eye(3)
    gram, found = kinds.T @ ear.gram @ kinds, kinds.T @ ear.found
    scale = 1 / np.sqrt(np.maximum(np.diag(gram), 1e-30))
    solved = np.linalg.lstsq(gram * np.outer(scale, scale), found * scale, rcond=1e-9)[0] * scale
    share = max(float(solved[1]), 1e-9)
    return FoundTake(max(_UNHEARD_DB, 20 * float(np.log10(share))), together)
