"""Keeps true peaks under a ceiling, looking ahead, and does nothing at all anywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from dubarr_pipeline.media.audio.loudness import OVERSHOOT, REACH, interpolated_peaks, sample_peaks
from dubarr_pipeline.media.audio.reader import Samples
from dubarr_pipeline.media.mix.ducking import Envelope

_CELL = 16
_COARSE = 256
_MARGIN_DB = 0.1
"""The interpolation filter of BS.1770 may read a few hundredths of a dB too low."""
_LOOK_AHEAD_S = 0.015
"""Time in which the gain goes down, and up again, around every peak."""


class Limiter:
    """A limiter that turns the sum down around every true peak above the ceiling.

    The gain is the least gain that any peak within reach asks for, smoothed by a Hann window of the
    same width: it never exceeds what a peak needs, has no corners, and is exactly 1 elsewhere.
    The `channels`, by default all, are watched and turned together; only `where` its weight is.
    """

    def __init__(
        self,
        rate: int,
        ceiling_dbtp: float,
        channels: tuple[int, ...] | None = None,
        where: Envelope | None = None,
    ) -> None:
        self._ceiling = float(10 ** ((ceiling_dbtp - _MARGIN_DB) / 20))
        self._half = max(1, round(_LOOK_AHEAD_S * rate / _CELL))
        self._reach = -(-(2 * self._half + 2) * _CELL // _COARSE) * _COARSE
        window = np.hanning(2 * self._half + 3)[1:-1]
        self._smooth = window / window.sum()
        self._channels = channels
        self._where = where
        self.touched_samples = 0
        self.deepest_db = 0.0

    def limit(self, blocks: Iterable[Samples], first: int = 0) -> Iterator[Samples]:
        """Yield the same film, ``(channels, samples)`` in blocks of other lengths.

        The blocks begin at sample `first` of the film, a multiple of 256; of a part of a film, the
        outer 4,096 samples at either end are limited without their surroundings.
        """
        kept: Samples | None = None
        start = done = first
        for block in blocks:
            kept = block if kept is None else np.concatenate([kept, block], axis=1)
            ready = (start + kept.shape[1] - self._reach - REACH) // _COARSE * _COARSE
            if ready <= done:
                continue
            yield self._ready(kept, start, done, ready)
            fresh = max(start, ready - self._reach - _COARSE)
            kept, start, done = kept[:, fresh - start :].copy(order="K"), fresh, ready
        if kept is not None and start + kept.shape[1] > done:
            yield self._ready(kept, start, done, start + kept.shape[1])

    def _ready(self, kept: Samples, start: int, first: int, last: int) -> Samples:
        """Return samples ``first`` to ``last`` of the film; `kept` holds their surroundings."""
        part = kept[:, first - start : last - start]
        gain = self._gain(kept, start, first, last)
        if gain is None:
            return part
        part = part.copy(order="K")
        for channel in range(len(part)) if self._channels is None else self._channels:
            part[channel] *= gain
        self.touched_samples += int(np.count_nonzero(gain < 1))
        self.deepest_db = min(self.deepest_db, 20 * float(np.log10(gain.min())))
        return part

    def _gain(self, kept: Samples, start: int, first: int, last: int) -> Samples | None:
        if self._where and not self._where.touches(first, last):
            return None
        if max(kept.max(), -kept.min()) * OVERSHOOT <= self._ceiling:
            return None
        watched = kept if self._channels is None else kept[list(self._channels)]
        # The gain that every 16 samples need to stay under the ceiling.
        cells = -(-watched.shape[1] // _COARSE)
        short = cells * _COARSE - watched.shape[1]
        padded = np.pad(watched, ((0, 0), (REACH, short + REACH)))
        hot = sample_peaks(padded[:, REACH:-REACH], _COARSE) * OVERSHOOT > self._ceiling
        if not hot.any():
            return None
        needed = np.ones((cells, _COARSE // _CELL), np.float32)
        for channel in padded:
            windows = np.lib.stride_tricks.sliding_window_view(channel, _COARSE + 2 * REACH)
            peaks = interpolated_peaks(windows[::_COARSE][hot], _CELL)
            over = self._ceiling / np.maximum(peaks, self._ceiling)
            needed[hot] = np.minimum(needed[hot], over)
        needed = needed.reshape(-1)
        if needed.min() >= 1:
            return None
        from scipy.ndimage import minimum_filter1d

        least = minimum_filter1d(needed, 2 * self._half + 3, mode="nearest")
        padded = np.pad(least, self._half, mode="edge")
        smooth = np.convolve(padded, self._smooth, mode="valid")
        centres = start + (np.arange(smooth.size) + 0.5) * _CELL
        gain = np.interp(np.arange(first, last) + 0.5, centres, smooth).astype(np.float32)
        weight = self._where.weight(first, last) if self._where else None
        return gain if weight is None else 1 - (1 - gain) * weight
