"""Where in the sound picture the dialogue lies: in which channels, and whether in their middle."""

from __future__ import annotations

from collections.abc import Sequence

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
    speech, pause = _voice_band_levels(source, lines, grid)
    added = np.maximum(speech - pause, 0)
    rises = speech >= pause * 10 ** (options.dialogue_rise_db / 10) + TINY
    strong = added >= added.max() * 10 ** (options.dialogue_reach_db / 10)
    carrying = [int(c) for c in np.flatnonzero(rises & strong)] or [_CENTRE_CHANNEL]
    if {0, 1} <= set(carrying):
        return [(0, 1), *((c,) for c in carrying if c > 1)]
    return [(c,) for c in carrying]


def _voice_band_levels(
    source: AudioReader, lines: Sequence[Line], grid: Grid
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean power of each channel in the voice band, inside speech and in the pauses beside it."""
    step = max(1, len(lines) // _LINES_LOOKED_AT)
    speech, pause = [], []
    for line in lines[::step]:
        speech.append(_voice_band(source, line.sample(source.rate, grid), grid))
        pause += [_voice_band(source, p, grid) for p in line.pauses(source.rate, grid)]
    silent = np.zeros(source.channels)
    return np.mean(speech, axis=0), np.mean(pause, axis=0) if pause else silent


def _voice_band(source: AudioReader, span: Span, grid: Grid) -> NDArray[np.float64]:
    spectra = power(grid.analyse(sound_of(source, span)))
    low, high = (round(f * grid.size / source.rate) for f in _VOICE_BAND_HZ)
    return spectra[..., low : high + 1].mean(axis=(1, 2), dtype=np.float64)


def centred(pauses: Sequence[Spectrum], heard: Spectrum, options: SeparationOptions) -> bool:
    """Whether the voice lies in the middle of two channels, and the side tells it from the rest.

    Args:
        pauses: spectra ``(2, frames, bins)`` beside the line.
        heard: spectra of a sample of the line.
        options: thresholds, and the method if it is forced.
    """
    if options.method != "auto":
        return options.method == "centre"
    quiet = [power(pause[0] - pause[1]).mean() for pause in pauses]
    loud = [power(pause[0] + pause[1]).mean() for pause in pauses]
    side = float(np.mean(quiet or [power(heard[0] - heard[1]).mean()]))
    mid = float(np.mean(loud or [power(heard[0] + heard[1]).mean()]))
    if side <= mid * 10 ** (options.least_side_db / 10):
        return False
    return coherence(pauses, heard) >= options.centred_coherence


def coherence(pauses: Sequence[Spectrum], heard: Spectrum) -> float:
    """How alike left and right are (1: the same, -1: opposite) where the voice drowns the rest."""
    total = power(heard).sum(axis=0)
    floor = np.mean([power(p).sum(axis=0).mean(axis=0) for p in pauses], axis=0) if pauses else 0.0
    voiced = total > np.maximum(_STANDS_OUT * floor, np.quantile(total, 0.95))
    left, right = heard[0][voiced], heard[1][voiced]
    both = float(np.sqrt(power(left).sum(dtype=float) * power(right).sum(dtype=float)))
    return float((left * right.conj()).real.sum(dtype=float)) / both if both else 0.0
