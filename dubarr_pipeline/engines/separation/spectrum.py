"""Sound as overlapping short spectra, and back: the workbench of the separation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.engines.interfaces import Samples

Spectrum = NDArray[np.complex64]
"""``(..., frames, bins)``."""
Power = NDArray[np.float32]
"""``(..., frames, bins)``, or ``(bins,)`` for a mean over time."""
TINY = np.float32(1e-12)
"""Keeps divisions finite; -120 dB below a full-scale bin."""
_OVERLAP = 4
_FRAME_S = 0.0464


@dataclass(frozen=True, slots=True)
class Grid:
    """Frames of sound at `rate` Hz: about 46 ms each, four over every sample.

    Attributes:
        size: samples of a frame, a power of two (2048 at 44.1 and 48 kHz).
    """

    size: int

    @classmethod
    def at(cls, rate: int) -> Grid:
        """Return the grid for a rate."""
        return cls(2 ** max(5, round(np.log2(rate * _FRAME_S))))

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return self.size // _OVERLAP

    @property
    def bins(self) -> int:
        return self.size // 2 + 1

    def window(self) -> NDArray[np.float32]:
        """Square root of a Hann window, used before and after: four of them add up to one."""
        phase = 2 * np.pi * (np.arange(self.size) + 0.5) / self.size
        return np.sqrt(0.5 - 0.5 * np.cos(phase)).astype(np.float32)

    def analyse(self, sound: Samples) -> Spectrum:
        """Return the spectra of ``(..., samples)``; frame k begins at sample k x hop."""
        # SciPy costs a fifth of a second, and whoever only asks about a film needs none of it.
        import scipy.fft

        frames = np.lib.stride_tricks.sliding_window_view(sound, self.size, axis=-1)
        spectra = scipy.fft.rfft(frames[..., :: self.hop, :] * self.window(), axis=-1)
        return np.asarray(spectra, np.complex64)

    def synthesise(self, spectrum: Spectrum) -> Samples:
        """Return the sound whose frames these are; full strength where four frames overlap."""
        import scipy.fft

        frames = np.asarray(scipy.fft.irfft(spectrum, self.size, axis=-1), np.float32)
        frames *= self.window() * np.float32(2 / _OVERLAP)
        count = frames.shape[-2]
        lead = frames.shape[:-2]
        strips = frames.reshape(*lead, count, _OVERLAP, self.hop)
        sound = np.zeros((*lead, count + _OVERLAP - 1, self.hop), np.float32)
        for part in range(_OVERLAP):
            sound[..., part : part + count, :] += strips[..., part, :]
        return sound.reshape(*lead, -1)


def power(spectrum: Spectrum) -> Power:
    """Squared magnitude."""
    squares = np.square(spectrum.real)
    squares += np.square(spectrum.imag)
    return squares


def over_time(values: Power) -> Power:
    """Mean over nine frames (0.1 s) around each; beyond the ends there is nothing."""
    padded = np.zeros((len(values) + 8, values.shape[1]), np.float32)
    padded[4:-4] = values
    eight = padded[:-1] + padded[1:]
    for reach in (2, 4):
        eight = eight[:-reach] + eight[reach:]
    mean = eight[:-1]
    mean += padded[8:]
    mean *= np.float32(1 / 9)
    return mean.astype(np.float32, copy=False)


def over_bins(values: Power) -> Power:
    """Mean over three neighbouring bins."""
    smooth = values.copy()
    smooth[..., 1:] += values[..., :-1]
    smooth[..., :-1] += values[..., 1:]
    smooth *= np.float32(1 / 3)
    return smooth
