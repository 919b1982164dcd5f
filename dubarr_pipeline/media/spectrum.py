"""Fourier transforms in single precision: scipy's keep float32, numpy's did not before 2.0."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from dubarr_pipeline.media.sound_reader import Samples

Spectrum = NDArray[np.complex64]

_fft = cast(Any, fft)


def forward(sound: Samples, length: int | None = None) -> Spectrum:
    """Return the spectrum of real sound along its last axis; `sound` may be overwritten."""
    return cast(Spectrum, _fft.rfft(sound, length, axis=-1, overwrite_x=True))


def backward(spectrum: Spectrum, length: int) -> Samples:
    """Return the real sound of a spectrum; `spectrum` may be overwritten."""
    return cast(Samples, _fft.irfft(spectrum, length, axis=-1, overwrite_x=True))


def quick_length(least: int) -> int:
    """Return the next length from `least` on that transforms fast."""
    return int(_fft.next_fast_len(least, real=True))
