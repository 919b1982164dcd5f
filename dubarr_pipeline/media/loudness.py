"""How loud a programme is: integrated loudness, range and true peak (EBU R128, ITU-R BS.1770)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.errors import MediaToolError
from dubarr_pipeline.media import ffmpeg
from dubarr_pipeline.media.channels import loudness_weights
from dubarr_pipeline.media.k_weighting import FramePowers, Powers
from dubarr_pipeline.media.sound_reader import Samples
from dubarr_pipeline.media.true_peak import SILENCE_DBTP, TruePeakMeter
from dubarr_pipeline.timeline.spans import Span

SILENCE_LUFS = -70.0
"""Below this BS.1770 hears nothing; also what a silent programme is said to measure."""
_OFFSET_DB = -0.691
_RELATIVE_GATE_DB = -10.0
_RANGE_GATE_DB = -20.0
_BLOCK_FRAMES, _SHORT_TERM_FRAMES = 4, 30


@dataclass(frozen=True, slots=True)
class Loudness:
    """What a meter says of a programme.

    Attributes:
        integrated_lufs: gated loudness of the whole, -70 for silence.
        true_peak_dbtp: highest inter-sample level.
        lra_lu: loudness range (EBU Tech 3342).
    """

    integrated_lufs: float
    true_peak_dbtp: float
    lra_lu: float


def lufs(power: float) -> float:
    """Return a K-weighted power, summed over channels, as LUFS; never below -70."""
    if power <= 0:
        return SILENCE_LUFS
    return max(SILENCE_LUFS, _OFFSET_DB + 10 * float(np.log10(power)))


def power(level_lufs: float) -> float:
    """Return the K-weighted power that measures `level_lufs`."""
    return float(10 ** ((level_lufs - _OFFSET_DB) / 10))


def gate(powers: Powers) -> NDArray[np.bool_]:
    """Return which blocks count: over -70 LUFS, and at most 10 LU under the mean of those."""
    audible = powers > power(SILENCE_LUFS)
    if not audible.any():
        return audible
    return audible & (powers > powers[audible].mean() * 10 ** (_RELATIVE_GATE_DB / 10))


def gated(powers: Powers) -> float:
    """Return the loudness in LUFS of the blocks that count, as BS.1770 gates them."""
    chosen = gate(powers)
    return lufs(float(powers[chosen].mean())) if chosen.any() else SILENCE_LUFS


def integrated(frames: Powers) -> float:
    """Return the integrated loudness in LUFS of a programme's tenths of a second."""
    return gated(_sliding(frames, _BLOCK_FRAMES))


def loudness_range(frames: Powers) -> float:
    """Return the loudness range in LU (EBU Tech 3342): 10th to 95th percentile of 3 s windows."""
    windows = _sliding(frames, _SHORT_TERM_FRAMES)
    audible = windows[windows > power(SILENCE_LUFS)]
    if not audible.size:
        return 0.0
    kept = audible[audible > audible.mean() * 10 ** (_RANGE_GATE_DB / 10)]
    low, high = np.quantile(kept, [0.10, 0.95])
    return float(10 * np.log10(high / low))


def _sliding(frames: Powers, width: int) -> Powers:
    if frames.size < width:
        return np.array([frames.sum() / width]) if frames.size else frames
    sums = np.cumsum(np.concatenate([[0.0], frames]))
    return np.maximum(0.0, sums[width:] - sums[:-width]) / width


class LoudnessMeter:
    """Measures a programme block by block, as ffmpeg's ``ebur128`` does; 8 bytes per 0.1 s."""

    def __init__(self, rate: int, channels: int, layout: str | None = None) -> None:
        self.rate = rate
        self._weights = loudness_weights(channels, layout)
        self._stage = FramePowers(rate, channels, np.flatnonzero(self._weights).tolist())
        self._frames: list[Powers] = []
        self._peaks = TruePeakMeter(channels)

    def add(self, block: Samples) -> None:
        """Hear the next ``(channels, samples)``."""
        self._frames.append(self._weights @ self._stage.add(block))
        self._peaks.add(block)

    def finish(self) -> None:
        """Hear what is left."""
        self._frames.append(self._weights @ self._stage.finish())

    @property
    def frames(self) -> Powers:
        """The power of every tenth of a second so far, channels summed."""
        return np.concatenate(self._frames) if self._frames else np.zeros(0)

    def result(self) -> Loudness:
        """Return what was measured so far."""
        frames = self.frames
        return Loudness(integrated(frames), self._peaks.peak_dbtp, loudness_range(frames))

    def dialogue_lufs(self, spans: Sequence[Span]) -> float:
        """Return the loudness of the whole programme while somebody speaks, gated within it."""
        frames = self.frames
        speaking = np.zeros(frames.size, bool)
        hop = self.rate / 10
        for span in spans:
            speaking[round(span.start / hop) : max(round(span.end / hop), 0)] = True
        return gated(frames[speaking])


_FIGURE = r"\s*(\S+)"
_INTEGRATED = re.compile(r"lavfi\.r128\.I=" + _FIGURE)
_RANGE = re.compile(r"\bLRA:" + _FIGURE)
_PEAK = re.compile(r"\bPeak:" + _FIGURE)


# The summary rounds to 0.1 LU; the frames' own figures have three decimals.
_PRINTED = "metadata=1:framelog=verbose,ametadata=mode=print:key=lavfi.r128.I:file=/dev/stderr"
METER = f"ebur128=peak=true:{_PRINTED}"
"""ffmpeg's own meter as a filter; it speaks at the level of info."""
LOUDNESS_METER = f"ebur128=peak=none:{_PRINTED}"
"""The same without true peaks, whose interpolation costs more than all the rest."""


def measure_file(path: Path, stream: int = 0) -> Loudness:
    """Measure an audio file with ffmpeg's own meter (``ebur128``), in one pass.

    Raises:
        MediaToolError: if ffmpeg cannot read it, or says nothing of its loudness.
    """
    arguments = ["-v", "info", "-nostats", "-i", ffmpeg.file_url(path), "-map", f"0:a:{stream}"]
    return meter_said(ffmpeg.run([*arguments, "-af", METER, "-f", "null", "-"]).stderr, path)


def meter_said(said: str, path: Path) -> Loudness:
    """Return what ffmpeg's meter has written of a file; the peak only if it was asked for it.

    Raises:
        MediaToolError: if it says nothing of its loudness.
    """
    found = [pattern.findall(said) for pattern in (_INTEGRATED, _PEAK, _RANGE)]
    if not found[2]:
        raise MediaToolError(f"ffmpeg measured no loudness in {path}: {said[-300:]}")
    loudness, peak, lra = (_number(figures[-1]) if figures else -np.inf for figures in found)
    return Loudness(max(SILENCE_LUFS, loudness), max(SILENCE_DBTP, peak), lra)


def _number(text: str) -> float:
    value = float(text)
    return -np.inf if np.isnan(value) else value
