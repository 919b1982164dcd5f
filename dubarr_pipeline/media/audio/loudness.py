"""Loudness of a programme: integrated loudness, range and true peak (EBU R128, ITU-R BS.1770)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.errors import MediaToolError
from dubarr_pipeline.media.audio.channels import loudness_weights
from dubarr_pipeline.media.audio.k_weighting import FRAMES_PER_S, Powers, SummedPowers
from dubarr_pipeline.media.audio.reader import Samples, overlapping
from dubarr_pipeline.media.container.ffmpeg_graph import Link, Options
from dubarr_pipeline.spans import Span

_FIRST = (0.0017089843750, 0.0109863281250, -0.0196533203125, 0.0332031250000, -0.0594482421875,
          0.1373291015625, 0.9721679687500, -0.1022949218750, 0.0476074218750, -0.0266113281250,
          0.0148925781250, -0.0083007812500)  # fmt: skip
_SECOND = (-0.0291748046875, 0.0292968750000, -0.0517578125000, 0.0891113281250, -0.1665039062500,
           0.4650878906250, 0.7797851562500, -0.2003173828125, 0.1015625000000, -0.0582275390625,
           0.0330810546875, -0.0189208984375)  # fmt: skip
PHASES = np.array([_FIRST, _SECOND, _SECOND[::-1], _FIRST[::-1]], np.float32)
"""``(4, 12)``: the interpolation filter of annex 2, one row per phase."""
REACH = PHASES.shape[1] // 2
"""Samples on either side that an inter-sample value depends on."""
OVERSHOOT = 1.5
"""Margin (3.5 dB) of a true peak above its samples beyond which it is not looked for: more
takes a tone within a few per cent of half the sample rate."""
_HALFWAY = np.array([150, -25, 3], np.float32) / 256
"""A point halfway between samples, by the quintic through six: weights from the middle out."""
_HALFWAY_SLACK = 1.12
"""Part (1 dB) of a true peak that this may miss; enough for tones up to 0.28 of the rate."""
_CELL = 256
SILENCE_DBTP = -144.0


def interpolated_peaks(sound: Samples, cell: int) -> Samples:
    """Return ``(channels, cells)``: the highest true peak of every `cell` samples.

    `sound` is ``(channels, REACH + cells * cell + REACH)``: the margins are not reported.
    """
    inner = sound.shape[-1] - 2 * REACH
    between = np.zeros((len(PHASES), sound.shape[0], inner), np.float32)
    # Not a product of matrices: its last bit would depend on the length.
    for tap, weights in enumerate(PHASES.T[..., None, None]):
        between += weights * sound[:, tap : tap + inner]
    highest = np.abs(between, out=between).max(axis=0)
    np.maximum(highest, np.abs(sound[:, REACH : REACH + inner]), out=highest)
    return highest.reshape(sound.shape[0], -1, cell).max(axis=2)


def sample_peaks(sound: Samples, cell: int) -> Samples:
    """Return ``(cells,)``: the highest sample of all channels in every `cell` samples."""
    return _channel_peaks(sound, cell).max(axis=0)


def _channel_peaks(sound: Samples, cell: int) -> Samples:
    """Return ``(channels, cells)``: as `sample_peaks`, each channel's own."""
    cells = sound.shape[-1] // cell
    inner, starts = sound[:, : cells * cell], np.arange(cells) * cell
    # Four times as fast as the maxima of an array of three dimensions.
    highest = np.maximum.reduceat(inner, starts, axis=1)
    return np.maximum(highest, -np.minimum.reduceat(inner, starts, axis=1), out=highest)


class TruePeakMeter:
    """Finds the highest true peak of a film; looks between samples where a record is possible."""

    def __init__(self, channels: int) -> None:
        self._kept = np.zeros((channels, REACH), np.float32)
        self._highest = 0.0

    def add(self, block: Samples) -> None:
        """Hear the next ``(channels, samples)``."""
        kept, length = self._kept, block.shape[1]
        known = kept.shape[1] + length
        cells = max(0, known - 2 * REACH) // _CELL
        highest = _highest_sample(block)
        self._highest = max(self._highest, highest)
        left = known - cells * _CELL
        if left <= length:
            self._kept = block[:, length - left :].copy()
        else:
            self._kept = np.concatenate([kept[:, cells * _CELL :], block], axis=1)
        # Most blocks hold no peak that comes near the film's.
        if cells and max(highest, _highest_sample(kept)) * OVERSHOOT > self._highest:
            self._hear_cells(np.concatenate([kept, block], axis=1), cells)

    def _hear_cells(self, sound: Samples, cells: int) -> None:
        # Closest where a record is likeliest: most of a film is far below its highest peak.
        peaks = _channel_peaks(sound[:, REACH : REACH + cells * _CELL], _CELL)
        hot = peaks * OVERSHOOT > self._highest
        if not hot.any():
            return
        windows = overlapping(sound, _CELL + 2 * REACH, _CELL)[hot]
        # The highest level at and halfway between samples.
        inner = windows[:, REACH - 3 : 3 - REACH]
        size = inner.shape[1] - 5
        between = np.zeros((len(windows), size), np.float32)
        for step, weight in enumerate(_HALFWAY):
            left, right = inner[:, 2 - step : 2 - step + size], inner[:, 3 + step :]
            between += weight * (left + right[:, :size])
        close = np.maximum(np.abs(between).max(axis=1), np.abs(inner).max(axis=1))
        close *= _HALFWAY_SLACK
        self._look_between(windows[close == close.max()])
        self._look_between(windows[close > self._highest])

    def _look_between(self, windows: Samples) -> None:
        if len(windows):
            found = interpolated_peaks(windows, _CELL)
            self._highest = max(self._highest, float(found.max()))

    @property
    def peak_dbtp(self) -> float:
        """The highest true peak so far, dBTP."""
        highest, waiting = self._highest, self._kept.shape[1] - 2 * REACH
        if waiting > 0:
            highest = max(highest, float(interpolated_peaks(self._kept, waiting).max()))
        return max(SILENCE_DBTP, 20 * float(np.log10(max(highest, 1e-12))))


def _highest_sample(block: Samples) -> float:
    return float(max(block.max(), -block.min())) if block.size else 0.0


SILENCE_LUFS = -70.0
"""Below this BS.1770 hears nothing; also what a silent programme is said to measure."""
_OFFSET_DB = -0.691
_RELATIVE_GATE_DB = -10.0
_RANGE_GATE_DB = -20.0
_BLOCK_FRAMES, _SHORT_TERM_FRAMES = 4, 30


@dataclass(frozen=True, slots=True)
class Loudness:
    """A meter's figures for a programme: gated loudness (-70: silence), peak, range (Tech 3342)."""

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


def speaking_lufs(frames: Powers, rate: int, spans: Sequence[Span]) -> float:
    """Return the loudness of a programme's tenths of a second in `spans`, gated within them."""
    speaking = np.zeros(frames.size, bool)
    hop = rate / 10
    for span in spans:
        speaking[round(span.start / hop) : max(round(span.end / hop), 0)] = True
    return gated(frames[speaking])


def _sliding(frames: Powers, width: int) -> Powers:
    if frames.size < width:
        return np.array([frames.sum() / width]) if frames.size else frames
    sums = np.cumsum(np.concatenate([[0.0], frames]))
    return np.maximum(0.0, sums[width:] - sums[:-width]) / width


class LoudnessMeter:
    """Measures a programme block by block, as ffmpeg's ``ebur128`` does; 8 bytes per 0.1 s."""

    def __init__(self, rate: int, channels: int, layout: str | None = None) -> None:
        self.rate = rate
        self._channels = channels
        self._stage = SummedPowers(rate, loudness_weights(channels, layout))
        self._frames: list[Powers] = []
        self._peaks = TruePeakMeter(channels)

    def add(self, block: Samples) -> None:
        """Hear the next ``(channels, samples)``."""
        self._frames.append(self._stage.add(block))
        self._peaks.add(block)

    def finish(self) -> None:
        """Hear what is left."""
        nothing = np.empty((self._channels, 0), np.float32)
        self._frames.append(self._stage.add(nothing, last=True))

    @property
    def frames(self) -> Powers:
        """The power of every tenth of a second so far, channels summed."""
        return np.concatenate(self._frames) if self._frames else np.zeros(0)

    def result(self) -> Loudness:
        """Return what was measured so far."""
        frames = self.frames
        return Loudness(integrated(frames), self._peaks.peak_dbtp, loudness_range(frames))

    def result_of_whole(self, samples: int) -> Loudness:
        """Return the figures for a programme of `samples` as ffmpeg's meter gives them.

        Only whole tenths of a second count; less than one window of a measure has no loudness. The
        blocks' levels are cut to hundredths of an LU, as that meter's histogram does.
        """
        frames = self.frames[: samples * FRAMES_PER_S // self.rate]
        blocks = _sliding(frames, _BLOCK_FRAMES) if frames.size >= _BLOCK_FRAMES else frames[:0]
        levels = _OFFSET_DB + 10 * np.log10(blocks[blocks > power(SILENCE_LUFS)])
        return Loudness(
            gated(10 ** ((np.floor(levels * 100) / 100 - _OFFSET_DB) / 10)),
            self._peaks.peak_dbtp,
            loudness_range(frames) if frames.size >= _SHORT_TERM_FRAMES else 0.0,
        )

    def dialogue_lufs(self, spans: Sequence[Span]) -> float:
        """Return the loudness of the whole programme while somebody speaks, gated within it."""
        return speaking_lufs(self.frames, self.rate, spans)


_FIGURE = r"\s*(-?(?:\d+(?:\.\d+)?|inf|nan))"
_INTEGRATED = re.compile(r"lavfi\.r128\.I=" + _FIGURE)
_RANGE = re.compile(r"\bLRA:" + _FIGURE)
_PEAK = re.compile(r"\bPeak:" + _FIGURE)


def meter(link: Link) -> Link:
    """Return the same sound, heard by ffmpeg's own meter, which reports at the level of info."""
    silent: Options = {"metadata": 1, "framelog": "verbose", "peak": "true"}
    # The summary rounds to 0.1 LU; the frames' own figures have three decimals.
    printed: Options = {"mode": "print", "key": "lavfi.r128.I", "file": "/dev/stderr"}
    return link.filter("ebur128", silent).filter("ametadata", printed)


METER_FLAGS = ("-v", "info", "-nostats")


def meter_said(said: str, path: Path) -> Loudness:
    """Parse the figures that ffmpeg's meter wrote.

    Raises `MediaToolError` if it was not heard at all.
    """
    if not _RANGE.search(said):
        raise MediaToolError(f"ffmpeg measured no loudness in {path}: {said[-300:]}")
    loudness, peak, lra = last_figures(said, (-np.inf, -np.inf, -np.inf))
    return Loudness(max(SILENCE_LUFS, loudness), max(SILENCE_DBTP, peak), lra)


def last_figures(said: str, defaults: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return integrated loudness, true peak and range as the meter last printed them.

    The default stands for a figure that was not printed, or is no number.
    """
    found = (pattern.findall(said) for pattern in (_INTEGRATED, _PEAK, _RANGE))
    last = [float(figures[-1]) if figures else np.nan for figures in found]
    one, two, three = (d if np.isnan(x) else x for x, d in zip(last, defaults, strict=True))
    return one, two, three
