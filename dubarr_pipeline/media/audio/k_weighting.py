"""Perceived loudness of each tenth of a second: K-weighted power after ITU-R BS.1770.

Both stages of the filter are weights on the power spectrum of frames whose edges cross-fade at
constant power: five times faster than two biquads. The frames are of the sound's first difference,
which the weights undo: else rumble under 30 Hz would leak from the edges into the bands that count.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.media.audio.reader import Samples, is_silent, overlapping

Powers = NDArray[np.float64]

FRAMES_PER_S = 10
"""BS.1770's 400 ms blocks overlap by 75 %: a tenth of a second is the grain of every measure."""
_EDGE_S = 0.02
_SHELF_HZ, _SHELF_DB, _SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
_HIGH_PASS_HZ, _HIGH_PASS_Q = 38.13547087602444, 0.5003270373238773
"""The analogue prototypes behind the table of BS.1770 (De Man 2014), valid at any rate."""
_FRAMES_AT_ONCE = 64


def _fft() -> Any:
    # Not at the top: the settings import this module, and every command would pay 0.3 s.
    from scipy import fft

    return cast(Any, fft)


def frame_length(rate: int) -> int:
    """Return the samples of one frame (a tenth of a second) at `rate` Hz."""
    return max(1, round(rate / FRAMES_PER_S))


def frame_powers(sound: Samples, rate: int) -> Powers:
    """Return ``(channels, frames)``: the K-weighted mean square of every tenth of a second.

    The last frame may be partly silence. `sound` is ``(channels, samples)`` float32 at `rate` Hz.
    """
    heard = [n for n, channel in enumerate(sound) if channel.size and not is_silent(channel)]
    return FramePowers(rate, len(sound), heard).add(sound, last=True)


class FramePowers:
    """K-weighted power of a film, block by block, in flat memory.

    Channels that are not `heard` (all are by default) have power 0.
    """

    def __init__(self, rate: int, channels: int, heard: Sequence[int] | None = None) -> None:
        self._channels = channels
        self._heard = list(range(channels)) if heard is None else list(heard)
        self._hop = frame_length(rate)
        self._window, self._weights = _analysis(rate)
        self._margin = (self._window.size - self._hop) // 2
        self._kept = np.zeros((len(self._heard), self._margin), np.float32)
        self._last = np.zeros(len(self._heard), np.float32)

    def add(self, block: Samples, *, last: bool = False) -> Powers:
        """Take the next ``(channels, samples)``; return the powers of the frames now complete.

        After the `last` block, all that remains is padded with silence to whole frames.
        """
        kept, hop = self._kept.shape[1], self._hop
        known = kept + block.shape[1]
        whole = -(-(known - self._margin) // hop) if last else (known - 2 * self._margin) // hop
        frames = max(0, whole)
        joined = np.empty(
            (len(self._heard), max(known, 2 * self._margin + frames * hop)), np.float32
        )
        joined[:, :kept] = self._kept
        joined[:, known:] = 0
        if block.shape[1]:
            for channel, differences in zip(self._heard, joined, strict=True):
                samples = block[channel]
                np.subtract(samples[1:], samples[:-1], out=differences[kept + 1 : known])
            joined[:, kept] = block[self._heard, 0] - self._last
            self._last = block[self._heard, -1]
        self._kept = joined[:, frames * hop : known].copy()
        return self._powers(joined, frames)

    def finish(self) -> Powers:
        """Return the powers of what remains, padded with silence to whole frames."""
        return self.add(np.empty((self._channels, 0), np.float32), last=True)

    def _powers(self, joined: Samples, frames: int) -> Powers:
        powers = np.zeros((self._channels, frames))
        if not frames or not self._heard:
            return powers
        views = overlapping(joined, self._window.size, self._hop)
        for first in range(0, frames, _FRAMES_AT_ONCE):
            last = min(frames, first + _FRAMES_AT_ONCE)
            chosen = views[:, first:last]
            spectrum = _fft().rfft(chosen * self._window, axis=-1, overwrite_x=True)
            parts = spectrum.view(np.float32)
            np.square(parts, out=parts)
            powers[self._heard, first:last] = np.einsum("cfb,b->cf", parts, self._weights)
        return powers


@cache
def _analysis(rate: int) -> tuple[Samples, Samples]:
    """Return the frame's window, and the weight of each real and imaginary part of its spectrum."""
    hop = frame_length(rate)
    size = _fft().next_fast_len(hop + max(4, round(_EDGE_S * rate)), real=True)
    size += (size - hop) % 2
    edge = size - hop
    rise = np.sin(np.pi / 2 * (np.arange(edge) + 0.5) / edge)
    window = np.ones(hop + edge)
    window[:edge], window[-edge:] = rise, rise[::-1]
    hz = np.fft.rfftfreq(size, 1 / rate)
    difference = 4 * np.sin(np.pi * hz / rate) ** 2
    weights = k_gain(hz, rate) / np.maximum(difference, 1e-30) * 2 / (size * hop)
    weights[0] = 0
    if size % 2 == 0:
        weights[-1] /= 2
    return window.astype(np.float32), np.repeat(weights, 2).astype(np.float32)


def k_gain(hz: NDArray[Any], rate: int) -> NDArray[np.float64]:
    """Return the power gain of the K filter at each frequency: high shelf, then high-pass.

    The biquads of BS.1770-4 annex 1, recomputed for the rate with the bilinear transform.
    """
    z = np.exp(-2j * np.pi * hz / rate)
    k = np.tan(np.pi * min(_SHELF_HZ, 0.45 * rate) / rate)
    high = 10 ** (_SHELF_DB / 20)
    band = high**0.4996667741545416
    slope = band * k / _SHELF_Q
    over = [high + slope + k * k, 2 * (k * k - high), high - slope + k * k]
    shelf = _response(z, over, k, _SHELF_Q)
    k = np.tan(np.pi * _HIGH_PASS_HZ / rate)
    scale = 1 + k / _HIGH_PASS_Q + k * k
    return shelf * _response(z, [scale, -2 * scale, scale], k, _HIGH_PASS_Q)


def _response(
    z: NDArray[np.complex128], over: list[float], k: float, q: float
) -> NDArray[np.float64]:
    under = [1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k]
    return np.abs(np.polyval(over[::-1], z) / np.polyval(under[::-1], z)) ** 2
