"""Perceived loudness of each tenth of a second: K-weighted power after ITU-R BS.1770.

Both stages of the filter are weights on the power spectrum of frames whose edges cross-fade at
constant power: five times faster than two biquads. The frames are of the sound's first difference,
which the weights undo: else rumble under 30 Hz would leak from the edges into the bands that count.
"""

from __future__ import annotations

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
_FRAMES_AT_ONCE = 16
"""As much as stays in the processor's cache."""


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
    hop = frame_length(rate)
    powers = np.zeros((len(sound), -(-sound.shape[1] // hop)))
    heard = _heard(sound)
    for channel in heard:
        # A voice in the middle is the same on both sides.
        if channel != heard[0] and np.array_equal(sound[channel], sound[heard[0]]):
            powers[channel] = powers[heard[0]]
        else:
            powers[channel] = _Frames(rate, 1).add(sound[channel : channel + 1], last=True)
    return powers


def summed_powers(sound: Samples, rate: int, weights: Powers) -> Powers:
    """Return ``(frames,)``: as `frame_powers`, the channels weighted and summed."""
    heard = np.zeros(len(sound))
    heard[_heard(sound)] = 1
    return SummedPowers(rate, weights * heard).add(sound, last=True)


def _heard(sound: Samples) -> list[int]:
    return [n for n, channel in enumerate(sound) if channel.size and not is_silent(channel)]


class SummedPowers:
    """K-weighted power of a film, its ``(channels,)`` weighted and summed, block by block.

    Memory is flat. Neighbours of one weight are transformed as one complex sound, which costs
    three quarters of both.
    """

    def __init__(self, rate: int, weights: Powers) -> None:
        self._hop = frame_length(rate)
        self._parts: list[tuple[slice, float, _Frames]] = []
        channel = 0
        while channel < len(weights):
            weight = float(weights[channel])
            width = 2 if channel + 1 < len(weights) and weights[channel + 1] == weight else 1
            if weight:
                here = slice(channel, channel + width)
                self._parts.append((here, weight, _Frames(rate, width)))
            channel += width if weight else 1
        self._silence = None if self._parts else _Frames(rate, 1)

    def add(self, block: Samples, *, last: bool = False) -> Powers:
        """Take the next ``(channels, samples)``; return the powers of the frames now complete.

        After the `last` block, all that remains is padded with silence to whole frames.
        """
        if self._silence:
            return self._silence.add(np.zeros((1, block.shape[1]), np.float32), last=last)
        powers = (
            weight * frames.add(block[here], last=last) for here, weight, frames in self._parts
        )
        return np.sum(list(powers), axis=0)


class _Frames:
    """One channel, or two as the real and the imaginary parts of one, in overlapping frames."""

    def __init__(self, rate: int, width: int) -> None:
        self._width, self._hop = width, frame_length(rate)
        self._size = _analysis(rate)[0].size
        self._window, self._weights = _analysis(rate) if width == 1 else _complex_analysis(rate)
        self._margin = (self._size - self._hop) // 2
        self._kept = np.zeros(width * self._margin, np.float32)
        self._last = np.zeros(width, np.float32)

    def add(self, block: Samples, *, last: bool = False) -> Powers:
        """Take the next ``(width, samples)``; return the powers of the frames now complete."""
        width, hop = self._width, self._hop
        kept = self._kept.size // width
        known = kept + block.shape[1]
        whole = -(-(known - self._margin) // hop) if last else (known - 2 * self._margin) // hop
        frames = max(0, whole)
        joined = np.empty(width * max(known, 2 * self._margin + frames * hop), np.float32)
        joined[: self._kept.size] = self._kept
        joined[width * known :] = 0
        if block.shape[1]:
            samples = _side_by_side(block)
            first = self._kept.size
            joined[first : first + width] = samples[:width] - self._last
            np.subtract(
                samples[width:], samples[:-width], out=joined[first + width : width * known]
            )
            self._last = samples[-width:].copy()
        self._kept = joined[width * frames * hop : width * known].copy()
        return self._powers(joined, frames)

    def _powers(self, joined: Samples, frames: int) -> Powers:
        powers = np.zeros(frames)
        width = self._width
        views = overlapping(joined, width * self._size, width * self._hop)
        for first in range(0, frames, _FRAMES_AT_ONCE):
            last = min(frames, first + _FRAMES_AT_ONCE)
            sound = views[first:last] * self._window
            if width == 1:
                spectrum = _fft().rfft(sound, axis=-1, overwrite_x=True)
            else:
                spectrum = _fft().fft(sound.view(np.complex64), axis=-1, overwrite_x=True)
            parts = spectrum.view(np.float32)
            np.square(parts, out=parts)
            powers[first:last] = parts @ self._weights
        return powers


def _side_by_side(block: Samples) -> Samples:
    """Return one or two channels as ``(samples * channels,)``, interleaved."""
    frames = block.T
    if len(block) == 2 and frames.strides == (frames.strides[0], frames.itemsize):
        # Two of many interleaved channels: copied in pairs.
        frames = frames.view(np.complex64)
    return np.ascontiguousarray(frames).reshape(-1).view(np.float32)


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


@cache
def _complex_analysis(rate: int) -> tuple[Samples, Samples]:
    """Return the same for two sounds in one: ``|L|^2 + |R|^2`` is half at either of two bins."""
    window, weights = _analysis(rate)
    size, one_sided = window.size, weights[::2] / 2
    if size % 2 == 0:
        one_sided[-1] *= 2
    mirrored = one_sided[1 : (size + 1) // 2][::-1]
    both = np.concatenate([one_sided, mirrored]).astype(np.float32)
    return np.repeat(window, 2), np.repeat(both, 2)


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
