"""The highest level between the samples: 4-times oversampling after ITU-R BS.1770-4, annex 2."""

from __future__ import annotations

import numpy as np

from dubarr_pipeline.media.sound_reader import Samples

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
"""How far (3.5 dB) a true peak may lie above its samples before we no longer look for it: more
takes a tone within a few per cent of half the sample rate."""
_HALFWAY = np.array([150, -25, 3], np.float32) / 256
"""A point halfway between samples, by the quintic through six: weights from the middle out."""
_HALFWAY_SLACK = 1.12
"""How much (1 dB) that may miss of a true peak; enough for tones up to 0.28 of the rate."""
_CELL = 256
SILENCE_DBTP = -144.0


def interpolated_peaks(sound: Samples, cell: int) -> Samples:
    """Return ``(channels, cells)``: the highest true peak of every `cell` samples.

    `sound` is ``(channels, REACH + cells * cell + REACH)``: the margins are not reported.
    """
    inner = sound.shape[-1] - 2 * REACH
    highest = np.abs(sound[:, REACH : REACH + inner])
    for phase in PHASES:
        value = np.zeros_like(highest)
        for tap, weight in enumerate(phase):
            value += weight * sound[:, tap : tap + inner]
        np.maximum(highest, np.abs(value, out=value), out=highest)
    return highest.reshape(sound.shape[0], -1, cell).max(axis=2)


def sample_peaks(sound: Samples, cell: int) -> Samples:
    """Return ``(cells,)``: the highest sample of all channels in every `cell` samples."""
    cells = sound.shape[-1] // cell
    shaped = sound[:, : cells * cell].reshape(sound.shape[0], cells, cell)
    return np.maximum(shaped.max(axis=2), -shaped.min(axis=2)).max(axis=0)


class TruePeakMeter:
    """Finds the highest true peak of a film; looks between samples where a record is possible."""

    def __init__(self, channels: int) -> None:
        self._kept = np.zeros((channels, REACH), np.float32)
        self._highest = 0.0

    def add(self, block: Samples) -> None:
        """Hear the next ``(channels, samples)``."""
        length = self._kept.shape[1] + block.shape[1]
        cells = -(-max(0, length - 2 * REACH) // _CELL)
        padded = np.zeros((len(block), max(length, cells * _CELL + 2 * REACH)), np.float32)
        padded[:, : self._kept.shape[1]] = self._kept
        for channel, samples in zip(padded, block, strict=True):
            channel[self._kept.shape[1] : length] = samples
        self._kept = padded[:, max(0, length - 2 * REACH) : length].copy()
        if not cells:
            self._highest = max(self._highest, _highest_sample(block))
        for channel in padded if cells else ():
            self._hear(channel)

    def _hear(self, channel: Samples) -> None:
        """Look at ``(REACH + cells * _CELL + REACH,)``, closest where a record is likeliest."""
        inner = channel[REACH:-REACH].reshape(-1, _CELL)
        peaks = np.maximum(inner.max(axis=1), -inner.min(axis=1))
        margins = max(_highest_sample(channel[:REACH]), _highest_sample(channel[-REACH:]))
        self._highest = max(self._highest, float(peaks.max()), margins)
        hot = np.flatnonzero(peaks * OVERSHOOT > self._highest)
        if hot.size:
            windows = np.lib.stride_tricks.sliding_window_view(channel, _CELL + 2 * REACH)[::_CELL]
            windows = windows[hot]
            close = _halfway(windows) * _HALFWAY_SLACK
            self._look_between(windows[close == close.max()])
            self._look_between(windows[close > self._highest])

    def _look_between(self, windows: Samples) -> None:
        if len(windows):
            found = interpolated_peaks(windows, _CELL)
            self._highest = max(self._highest, float(found.max()))

    @property
    def peak_dbtp(self) -> float:
        """The highest true peak so far, dBTP."""
        return max(SILENCE_DBTP, 20 * float(np.log10(max(self._highest, 1e-12))))


def _halfway(windows: Samples) -> Samples:
    """Return ``(windows,)``: the highest level at and halfway between samples."""
    inner = windows[:, REACH - 3 : 3 - REACH]
    size = inner.shape[1] - 5
    between = np.zeros((len(windows), size), np.float32)
    for distance, weight in enumerate(_HALFWAY):
        left, right = 2 - distance, 3 + distance
        between += weight * (inner[:, left : left + size] + inner[:, right : right + size])
    return np.maximum(np.abs(between).max(axis=1), np.abs(inner).max(axis=1))


def _highest_sample(block: Samples) -> float:
    return float(max(block.max(), -block.min())) if block.size else 0.0
