"""The outline of a sound: its peak in each column of a picture."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.media.waveform import WaveFile

_PIECES, _PIECE_SAMPLES = 8, 4096


def envelope(path: Path, columns: int) -> tuple[NDArray[np.float32], int, int]:
    """Return the peak of each column, the sound's samples, and its rate.

    Of a column longer than 32,768 samples, eight pieces spread over it are heard: the picture of a
    3-hour film then reads a twentieth of the file. Memory does not grow with the film.

    Args:
        path: float32 WAV of any channels.
        columns: width of the picture; each column covers an equal share of the sound.

    Returns:
        ``(columns,)`` float32, 0 to 1 for sound within full scale.
    """
    with WaveFile(path) as sound:
        edges = np.linspace(0, sound.samples, columns + 1).round().astype(int)
        peaks = np.array(
            [_peak(sound, int(a), int(max(b, a + 1))) for a, b in pairwise(edges)], np.float32
        )
        return peaks, sound.samples, sound.rate


def _peak(sound: WaveFile, start: int, stop: int) -> float:
    """The highest absolute sample between two samples, of all channels."""
    if stop - start > _PIECES * _PIECE_SAMPLES:
        starts = np.linspace(start, stop - _PIECE_SAMPLES, _PIECES).astype(int)
        return max(_heard(sound, int(at), int(at) + _PIECE_SAMPLES) for at in starts)
    return _heard(sound, start, stop)


def _heard(sound: WaveFile, start: int, stop: int) -> float:
    block = np.abs(sound.read(start, stop))
    peak = float(block.max(initial=0.0))
    if np.isfinite(peak):
        return peak
    return float(np.nan_to_num(block, posinf=1.0).max())
