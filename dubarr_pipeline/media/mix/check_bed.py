"""Comparison of a track with the film's stems where no line is dubbed: the bed, and the voices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
from scipy import fft

from dubarr_pipeline.media.audio.reader import Samples
from dubarr_pipeline.spans import Span, merge

_PIECE_SAMPLES = 1 << 14
_BETWEEN_S = 20.0
"""Interval between two checks of the bed's place: a drift shows at any of them."""
_MOST_LAG_S = 0.05
_FINER = 8
_ALIKE = 0.5
_fft = cast(Any, fft)
_FRAME_S = 0.1
_DROWNED = 0.01
"""A voice 20 dB under the bed is not heard in the original either."""
_SILENT = 1e-6
_GONE = 0.15
"""Share of a voice's amplitude under which it is gone; the fader leaves more."""


class BedComparison:
    """Comparison with the bed, block by block, in order.

    `places`, where the bed is untouched, are in samples at the track's rate, sorted and disjoint;
    `gain` is that of the whole programme.
    """

    def __init__(self, rate: int, gain: float, places: Sequence[Span]) -> None:
        self._gain = np.float32(gain)
        self._places = list(reversed(places))
        self._reach = round(_MOST_LAG_S * rate)
        self._rate = rate
        self._bed = self._rest = self._heard = 0.0
        self._lags: list[float] = []
        self._next_look = 0

    def hear(self, start: int, heard: Samples, bed: Samples) -> None:
        """Compare ``(channels, samples)`` of the track with those of the bed."""
        here = Span(start, start + heard.shape[1])
        longest = Span(start, start)
        for part in _parts(self._places, here):
            self._compare(heard[:, samples_in(part, start)], bed[:, samples_in(part, start)])
            longest = max(longest, part, key=lambda span: span.length)
        if longest.length >= _PIECE_SAMPLES and start >= self._next_look:
            piece = Span(longest.start, longest.start + _PIECE_SAMPLES)
            if self._locate(heard[:, samples_in(piece, start)], bed[:, samples_in(piece, start)]):
                self._next_look = start + round(_BETWEEN_S * self._rate)

    def _compare(self, heard: Samples, bed: Samples) -> None:
        self._bed += _energy(bed)
        self._heard += _energy(heard)
        self._rest += _energy(np.subtract(heard, self._gain * bed, dtype=np.float32))

    def _locate(self, heard: Samples, bed: Samples) -> bool:
        """Measure by how much the bed moved in this piece; return whether it can be measured."""
        padding = ((0, 0), (0, _PIECE_SAMPLES))
        spectra = [_fft.rfft(np.pad(sound, padding)) for sound in (heard, bed)]
        cross = (spectra[0] * np.conj(spectra[1])).sum(axis=0)
        wide = np.zeros(_PIECE_SAMPLES * _FINER + 1, np.complex64)
        wide[: cross.size] = cross
        fine = _fft.irfft(wide, 2 * _PIECE_SAMPLES * _FINER) * np.float32(_FINER)
        near = np.roll(fine, self._reach * _FINER)[: 2 * self._reach * _FINER + 1]
        power = float(np.sqrt(_energy(heard) * _energy(bed)))
        if power <= 0 or near.max() < _ALIKE * power:
            return False
        self._lags.append(float(near.argmax()) / _FINER - self._reach)
        return True

    def result(self) -> tuple[float | None, float | None, float | None]:
        """Return the null in dB, the gain in dB, the largest displacement in ms."""
        offset_ms = max((abs(lag) for lag in self._lags), default=None)
        if offset_ms is not None:
            offset_ms *= 1000 / self._rate
        if self._bed <= 0:
            return None, None, offset_ms
        bed = self._bed * float(self._gain) ** 2
        null_db = 10 * float(np.log10(max(self._rest / bed, 1e-12)))
        level_db = 10 * float(np.log10(max(self._heard / self._bed, 1e-12)))
        return null_db, level_db, offset_ms


class VoiceComparison:
    """Search for original voices that are missing from a track, block by block, in order.

    `places`, where they must be heard, and `gain` are as those of `BedComparison`.
    """

    def __init__(self, rate: int, gain: float, places: Sequence[Span], samples: int) -> None:
        self._hop, self._gain = max(1, round(_FRAME_S * rate)), np.float32(gain)
        self._places = list(reversed(places))
        self._sums = np.zeros((3, samples // self._hop + 1))

    def hear(self, start: int, heard: Samples, bed: Samples, original: Samples) -> None:
        """Compare ``(channels, samples)`` of the track with those of the bed and the voices."""
        for part in _parts(self._places, Span(start, start + heard.shape[1])):
            here = samples_in(part, start)
            voice, under = original[:, here], bed[:, here]
            rest = heard[:, here] - self._gain * under
            frames = np.arange(part.start, part.end) // self._hop
            products = (rest * voice, voice * voice, under * under)
            for row, product in zip(self._sums, products, strict=True):
                values = product.sum(axis=0, dtype=np.float64)
                row[frames[0] : frames[-1] + 1] += np.bincount(frames - frames[0], values)

    def missing(self) -> list[Span]:
        """Return where a voice that could be heard is not there, of 0.2 s and more."""
        found, voice, bed = self._sums
        audible = (voice > _DROWNED * bed) & (voice > _SILENT * self._hop)
        gone = audible & (found < _GONE * self._gain * voice)
        frames = (Span(n * self._hop, (n + 1) * self._hop) for n in np.flatnonzero(gone).tolist())
        return [span for span in merge(frames) if span.length > self._hop]


def _parts(places: list[Span], here: Span) -> Iterator[Span]:
    """Yield what of the places lies here, the first being the last; drop those that end here."""
    while places and places[-1].start < here.end:
        if part := places[-1].clip(here):
            yield part
        if places[-1].end > here.end:
            break
        places.pop()


def samples_in(span: Span, start: int) -> slice:
    """Return where a span lies in a block that begins at `start`."""
    return slice(span.start - start, span.end - start)


def _energy(sound: Samples) -> float:
    return sum(float(channel @ channel) for channel in sound)
