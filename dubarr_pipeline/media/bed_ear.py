"""Compares a track with the film's bed where nothing was done to it: the same, and in its place?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dubarr_pipeline.media.sound_reader import Samples
from dubarr_pipeline.media.spectrum import backward, forward
from dubarr_pipeline.timeline.spans import Span

_PIECE_SAMPLES = 1 << 14
_BETWEEN_S = 20.0
"""How often it is looked whether the bed lies where it lay: a drift shows at any of them."""
_MOST_LAG_S = 0.05
_FINER = 8
_ALIKE = 0.5


class BedEar:
    """Listens to the bed, block by block, in order.

    Args:
        rate: of the track, Hz.
        gain: on the whole programme.
        places: where the bed is untouched, in samples of the track, sorted and disjoint.
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
        while self._places and self._places[-1].start < here.end:
            part = self._places[-1].clip(here)
            if part:
                self._compare(heard[:, _in(part, start)], bed[:, _in(part, start)])
                longest = max(longest, part, key=lambda span: span.length)
            if self._places[-1].end > here.end:
                break
            self._places.pop()
        if longest.length >= _PIECE_SAMPLES and start >= self._next_look:
            piece = Span(longest.start, longest.start + _PIECE_SAMPLES)
            if self._locate(heard[:, _in(piece, start)], bed[:, _in(piece, start)]):
                self._next_look = start + round(_BETWEEN_S * self._rate)

    def _compare(self, heard: Samples, bed: Samples) -> None:
        self._bed += _energy(bed)
        self._heard += _energy(heard)
        self._rest += _energy(np.subtract(heard, self._gain * bed, dtype=np.float32))

    def _locate(self, heard: Samples, bed: Samples) -> bool:
        """Find by how much the bed moved in this piece, if it is heard well enough to tell."""
        padding = ((0, 0), (0, _PIECE_SAMPLES))
        spectra = [forward(np.pad(sound, padding)) for sound in (heard, bed)]
        cross = (spectra[0] * np.conj(spectra[1])).sum(axis=0)
        wide = np.zeros(_PIECE_SAMPLES * _FINER + 1, np.complex64)
        wide[: cross.size] = cross
        fine = backward(wide, 2 * _PIECE_SAMPLES * _FINER) * np.float32(_FINER)
        near = np.roll(fine, self._reach * _FINER)[: 2 * self._reach * _FINER + 1]
        power = float(np.sqrt(_energy(heard) * _energy(bed)))
        if power <= 0 or near.max() < _ALIKE * power:
            return False
        self._lags.append(float(near.argmax()) / _FINER - self._reach)
        return True

    def result(self) -> tuple[float | None, float | None, float | None]:
        """The null in dB, the gain in dB, the largest displacement in ms."""
        offset_ms = max((abs(lag) for lag in self._lags), default=None)
        if offset_ms is not None:
            offset_ms *= 1000 / self._rate
        if self._bed <= 0:
            return None, None, offset_ms
        bed = self._bed * float(self._gain) ** 2
        null_db = 10 * float(np.log10(max(self._rest / bed, 1e-12)))
        level_db = 10 * float(np.log10(max(self._heard / self._bed, 1e-12)))
        return null_db, level_db, offset_ms


def _in(span: Span, start: int) -> slice:
    return slice(span.start - start, span.end - start)


def _energy(sound: Samples) -> float:
    return sum(float(channel @ channel) for channel in sound)
