"""Comparison of a track with the film's stems where no line is dubbed: the bed, and the voices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from dubarr_pipeline.media.audio.reader import Samples
from dubarr_pipeline.spans import Span, merge

_PIECE_SAMPLES = 1 << 14
_BETWEEN_S = 20.0
"""Interval between two checks of the bed's place: a drift shows at any of them."""
_MOST_LAG_S = 0.05
_FINER = 8
_ALIKE = 0.5
_FRAME_S = 0.1
_DROWNED = 0.01
"""A voice 20 dB under the bed is not heard in the original either."""
_SILENT = 1e-6
_GONE = 0.15
"""Share of a voice's amplitude under which it is gone; the fader leaves more."""


class BedPiece(NamedTuple):
    """Energies of one block where the bed is untouched, and the samples by which it moved."""

    bed: float
    heard: float
    rest: float
    lag: float | None


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
        self.pieces: dict[int, BedPiece] = {}
        self._next_look = 0

    def hear(self, start: int, heard: Samples, bed: Samples) -> None:
        """Compare ``(channels, samples)`` of the track with those of the bed."""
        here = Span(start, start + heard.shape[1])
        longest, energies, lag = Span(start, start), np.zeros(3), None
        for part in _parts(self._places, here):
            one, other = heard[:, samples_in(part, start)], bed[:, samples_in(part, start)]
            rest = np.subtract(one, self._gain * other, dtype=np.float32)
            energies += [_energy(other), _energy(one), _energy(rest)]
            longest = max(longest, part, key=lambda span: span.length)
        if longest.length >= _PIECE_SAMPLES and start >= self._next_look:
            piece = Span(longest.start, longest.start + _PIECE_SAMPLES)
            lag = self._lag(heard[:, samples_in(piece, start)], bed[:, samples_in(piece, start)])
            if lag is not None:
                self._next_look = start + round(_BETWEEN_S * self._rate)
        under, level, remaining = (float(energy) for energy in energies)
        self.pieces[start] = BedPiece(under, level, remaining, lag)

    def _lag(self, heard: Samples, bed: Samples) -> float | None:
        """Return by how many samples the bed moved in this piece; None if nobody can tell."""
        from scipy import fft

        transform = cast(Any, fft)
        padding = ((0, 0), (0, _PIECE_SAMPLES))
        spectra = [transform.rfft(np.pad(sound, padding)) for sound in (heard, bed)]
        cross = (spectra[0] * np.conj(spectra[1])).sum(axis=0)
        wide = np.zeros(_PIECE_SAMPLES * _FINER + 1, np.complex64)
        wide[: cross.size] = cross
        fine = transform.irfft(wide, 2 * _PIECE_SAMPLES * _FINER) * np.float32(_FINER)
        near = np.roll(fine, self._reach * _FINER)[: 2 * self._reach * _FINER + 1]
        power = float(np.sqrt(_energy(heard) * _energy(bed)))
        if power <= 0 or near.max() < _ALIKE * power:
            return None
        return float(near.argmax()) / _FINER - self._reach

    def result(self) -> tuple[float | None, float | None, float | None]:
        """Return the null in dB, the gain in dB, the largest displacement in ms."""
        pieces = self.pieces.values()
        offset_ms = max((abs(p.lag) for p in pieces if p.lag is not None), default=None)
        if offset_ms is not None:
            offset_ms *= 1000 / self._rate
        under, heard = sum(p.bed for p in pieces), sum(p.heard for p in pieces)
        rest = sum(p.rest for p in pieces)
        if under <= 0:
            return None, None, offset_ms
        bed = under * float(self._gain) ** 2
        null_db = 10 * float(np.log10(max(rest / bed, 1e-12)))
        level_db = 10 * float(np.log10(max(heard / under, 1e-12)))
        return null_db, level_db, offset_ms


class VoiceComparison:
    """Search for original voices that are missing from a track, block by block, in order.

    `places`, where they must be heard, and `gain` are as those of `BedComparison`.
    """

    def __init__(self, rate: int, gain: float, places: Sequence[Span], samples: int) -> None:
        self.hop, self._gain = max(1, round(_FRAME_S * rate)), np.float32(gain)
        self._places = list(reversed(places))
        self.sums = np.zeros((3, samples // self.hop + 1))

    def hear(self, start: int, heard: Samples, bed: Samples, original: Samples) -> None:
        """Compare ``(channels, samples)`` of the track with those of the bed and the voices."""
        for part in _parts(self._places, Span(start, start + heard.shape[1])):
            here = samples_in(part, start)
            voice, under = original[:, here], bed[:, here]
            rest = self._gain * under
            np.subtract(heard[:, here], rest, out=rest)
            frames = np.arange(part.start // self.hop, (part.end - 1) // self.hop + 1)
            edges = np.maximum(frames * self.hop - part.start, 0)
            for row, one, other in zip(
                self.sums, (rest, voice, under), (voice, voice, under), strict=True
            ):
                values = np.einsum("cs,cs->s", one, other, dtype=np.float64)
                row[frames] += np.add.reduceat(values, edges)

    def missing(self) -> list[Span]:
        """Return where a voice that could be heard is not there, of 0.2 s and more."""
        found, voice, bed = self.sums
        audible = (voice > _DROWNED * bed) & (voice > _SILENT * self.hop)
        gone = audible & (found < _GONE * self._gain * voice)
        frames = (Span(n * self.hop, (n + 1) * self.hop) for n in np.flatnonzero(gone).tolist())
        return [span for span in merge(frames) if span.length > self.hop]


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
