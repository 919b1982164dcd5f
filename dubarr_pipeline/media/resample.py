"""Brings a take to the rate of the film: band-limited, without delay, of exact length."""

from __future__ import annotations

from math import gcd

import numpy as np

from dubarr_pipeline.media.fades import half_cosine
from dubarr_pipeline.media.sound_reader import Samples
from dubarr_pipeline.media.spectrum import Spectrum, backward, forward, quick_length

_TRANSITION = 0.04
"""Upper part of the band over which it fades out: a sharper edge rings audibly."""
_BLOCK_SAMPLES, _MARGIN_SAMPLES = 3584, 512
"""A take is worked on in blocks that overlap; the low-pass has rung out (-100 dB) in the margins.
Many short transforms at once are three times quicker than one long one."""


def resampled_length(samples: int, rate: int, wanted: int) -> int:
    """Return how many samples a sound has at another rate."""
    return (2 * samples * wanted + rate) // (2 * rate)


def resample(mono: Samples, rate: int, wanted: int) -> Samples:
    """Return a take at another rate: ``(samples,)`` float32 in and out, sample 0 at the same time.

    The spectrum is cut or extended, block by block, which is the ideal low-pass.
    """
    if rate == wanted or not mono.size:
        return np.ascontiguousarray(mono, np.float32)
    common = gcd(rate, wanted)
    into, out_of = wanted // common, rate // common
    margin = -(-_MARGIN_SAMPLES // out_of) * out_of
    size = quick_length(-(-(_BLOCK_SAMPLES + 2 * margin) // out_of)) * out_of
    step = size - 2 * margin
    blocks = -(-mono.size // step)
    padded = np.zeros(blocks * step + 2 * margin, np.float32)
    padded[margin : margin + mono.size] = mono
    spectra = forward(np.lib.stride_tricks.sliding_window_view(padded, size)[::step].copy())
    kept = _faded(spectra[:, : min(size, size // out_of * into) // 2 + 1])
    length = size // out_of * into
    wide = np.zeros((blocks, length // 2 + 1), np.complex64)
    wide[:, : kept.shape[1]] = kept
    wide *= np.float32(into / out_of)
    lead = margin // out_of * into
    sound = backward(wide, length)[:, lead : length - lead].reshape(-1)
    return sound[: resampled_length(mono.size, rate, wanted)]


def _faded(spectrum: Spectrum) -> Spectrum:
    edge = max(1, round(_TRANSITION * spectrum.shape[1]))
    spectrum[:, -edge:] *= half_cosine(edge)[::-1]
    return spectrum
