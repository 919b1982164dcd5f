"""Brings a take to the rate of the film: band-limited, without delay, of exact length."""

from __future__ import annotations

from math import gcd

import numpy as np

from dubarr_pipeline.media.fades import half_cosine
from dubarr_pipeline.media.sound_reader import Samples
from dubarr_pipeline.media.spectrum import Spectrum, backward, forward, quick_length

_TRANSITION = 0.04
"""Upper part of the band over which it fades out: a sharper edge rings audibly."""
_PADDING_S = 0.02


def resampled_length(samples: int, rate: int, wanted: int) -> int:
    """Return how many samples a sound has at another rate."""
    return (2 * samples * wanted + rate) // (2 * rate)


def resample(mono: Samples, rate: int, wanted: int) -> Samples:
    """Return a take at another rate: ``(samples,)`` float32 in and out, sample 0 at the same time.

    The spectrum is cut or extended, which is the ideal low-pass; silence around the take keeps its
    ends from meeting. A take is seconds long, so that this costs less than a filter bank would.
    """
    if rate == wanted or not mono.size:
        return np.ascontiguousarray(mono, np.float32)
    common = gcd(rate, wanted)
    into, out_of = wanted // common, rate // common
    blocks = quick_length(-(-(mono.size + round(_PADDING_S * rate)) // out_of))
    spectrum = forward(mono, blocks * out_of)
    kept = _faded(spectrum[: min(blocks * into, blocks * out_of) // 2 + 1])
    wide = np.zeros(blocks * into // 2 + 1, np.complex64)
    wide[: kept.size] = kept
    sound = backward(wide, blocks * into)
    length = resampled_length(mono.size, rate, wanted)
    return np.ascontiguousarray(sound[:length] * np.float32(into / out_of), np.float32)


def _faded(spectrum: Spectrum) -> Spectrum:
    edge = max(1, round(_TRANSITION * spectrum.size))
    faded = spectrum.copy()
    faded[-edge:] *= half_cosine(edge)[::-1]
    return faded
