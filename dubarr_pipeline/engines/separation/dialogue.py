"""Where in the sound picture the dialogue lies: in which channels, and whether in their middle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.engines.interfaces import AudioReader
from dubarr_pipeline.engines.separation.options import SeparationOptions
from dubarr_pipeline.engines.separation.pauses import Line, sound_of
from dubarr_pipeline.engines.separation.spectrum import TINY, Grid, Spectrum, power
from dubarr_pipeline.timeline.spans import Span

_VOICE_BAND_HZ = (200.0, 4000.0)
_LINES_LOOKED_AT = 40
_STANDS_OUT = 8.0
"""Times (9 dB) that a bin must rise above the pauses to count as the voice's."""
_MOST_LEAN = 0.8
"""19 dB between left and right; beyond that one channel is enough."""
_CENTRE_CHANNEL = 2
"""In the order of WAV files: left, right, centre..."""


def dialogue_channels(
    source: AudioReader, lines: Sequence[Line], grid: Grid, options: SeparationOptions
) -> list[tuple[int, ...]]:
    """Return the channels that carry dialogue, in groups that are worked on together.

    Mono and stereo are taken whole. With more channels the voice band of each is compared between
    speech and pauses, over up to 40 lines spread over the film; front left and right stay a pair.
    """
    if source.channels <= 2:
        return [tuple(range(source.channels))]
    if not lines:
        return []
    carrying = _carrying(*_voice_band_levels(source, lines, grid), options)
    if {0, 1} <= set(carrying):
        return [(0, 1), *((c,) for c in carrying if c > 1)]
    return [(c,) for c in carrying]


def _carrying(
    speech: NDArray[np.float64], pause: NDArray[np.float64] | None, options: SeparationOptions
) -> list[int]:
    """Channels that gain from speech; without any pause the centre, unless it is nearly silent."""
    reach = 10 ** (options.dialogue_reach_db / 10)
    if pause is None:
        if speech[_CENTRE_CHANNEL] >= speech.max() * reach:
            return [_CENTRE_CHANNEL]
        pause = np.zeros_like(speech)
    added = np.maximum(speech - pause, 0)
    rises = speech >= pause * 10 ** (options.dialogue_rise_db / 10) + TINY
    strong = added >= added.max() * reach
    return [int(c) for c in np.flatnonzero(rises & strong)] or [_CENTRE_CHANNEL]


def _voice_band_levels(
    source: AudioReader, lines: Sequence[Line], grid: Grid
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Mean power of each channel in the voice band, inside speech and in the pauses beside it."""
    step = max(1, len(lines) // _LINES_LOOKED_AT)
    speech, pause = [], []
    for line in lines[::step]:
        speech.append(_voice_band(source, line.sample(source.rate, grid), grid))
        pause += [_voice_band(source, p, grid) for p in line.before + line.after]
    return np.mean(speech, axis=0), np.mean(pause, axis=0) if pause else None


def _voice_band(source: AudioReader, span: Span, grid: Grid) -> NDArray[np.float64]:
    low, high = (round(f * grid.size / source.rate) for f in _VOICE_BAND_HZ)
    sound = sound_of(source, span)
    bands = (power(grid.analyse(channel)[:, low : high + 1]) for channel in sound)
    return np.array([band.mean(dtype=np.float64) for band in bands])


@dataclass(frozen=True, slots=True)
class Position:
    """Where a voice lies between two channels.

    Attributes:
        lean: -1 is all right, 0 the middle, 1 all left (amplitude panning).
        spread: power beside that position against the power at it; 0 is a point.
    """

    lean: float
    spread: float

    def gains(self) -> NDArray[np.float32]:
        """Strengths of the voice left and right; their mean is one."""
        return np.array([1 + self.lean, 1 - self.lean], np.float32)

    def turn(self, spectra: Spectrum) -> Spectrum:
        """What lies at the position, and what lies beside it: ``(2, frames, bins)``.

        In the middle these are (left + right) / 2 and (left - right) / 2.
        """
        left, right = self.gains()
        scale = np.float32(1 / (left * left + right * right))
        at = (left * spectra[0] + right * spectra[1]) * scale
        beside = (right * spectra[0] - left * spectra[1]) * scale
        return np.stack([at, beside])


MIDDLE = Position(0.0, 0.0)


def position(pauses: Sequence[Spectrum], heard: Spectrum) -> Position:
    """Find where the voice lies, by the medians over the bins where it drowns the background.

    Args:
        pauses: spectra ``(2, frames, bins)`` beside the line.
        heard: spectra of a sample of the line.
    """
    mid, side = MIDDLE.turn(heard)
    mid, side = _voiced(mid, side, [MIDDLE.turn(pause)[0] for pause in pauses])
    lean = float(np.median((side * mid.conj()).real / (power(mid) + TINY)))
    found = Position(float(np.clip(lean, -_MOST_LEAN, _MOST_LEAN)), 0.0)
    at, beside = found.turn(np.stack([mid + side, mid - side])[:, None])
    return Position(found.lean, float(np.median(power(beside) / (power(at) + TINY))))


def _voiced(
    mid: Spectrum, side: Spectrum, pauses: Sequence[Spectrum]
) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
    """The bins in which the voice stands out: one row each."""
    loudness = power(mid)
    quiet = np.mean([power(p).mean(axis=0) for p in pauses], axis=0) if pauses else np.float32(0)
    voiced = loudness >= np.maximum(_STANDS_OUT * quiet, np.quantile(loudness, 0.95))
    if not voiced.any():
        voiced = loudness >= loudness.max()
    return mid[voiced], side[voiced]


def tells_apart(
    place: Position, pauses: Sequence[Spectrum], heard: Spectrum, options: SeparationOptions
) -> bool:
    """Whether the stereo picture tells the voice from the rest: a point against something wide."""
    if options.method != "auto":
        return options.method == "centre"
    turned = [place.turn(spectra) for spectra in pauses or [heard]]
    at, beside = np.mean([power(t).mean(axis=(1, 2)) for t in turned], axis=0)
    wide = beside > at * 10 ** (options.least_side_db / 10)
    return bool(wide and place.spread <= 10 ** (options.most_spread_db / 10))
