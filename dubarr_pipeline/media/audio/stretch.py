"""Make a take a little longer or shorter at the same pitch, to the exact sample.

Waveform-similarity overlap-add (WSOLA; Verhelst and Roelands, "An overlap-add technique based on
waveform similarity (WSOLA) for high quality time-scale modification of speech", ICASSP 1993):
overlapping frames, each taken where its waveform continues the previous one best, are added up
again. Decision 6 compares it with python-stretch, sonic and atempo.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from dubarr_pipeline.media.audio.reader import Samples

_FRAME_S = 0.030
"""Two periods of a 67 Hz voice: long enough to carry pitch, short enough not to echo."""
_SEARCH_S = 0.0075
"""Distance that a frame may be moved to either side: half a period of the same voice."""
_FAINT = 1e-9
"""Below this, two frames are too quiet to be compared."""


def stretch(samples: Samples, rate: int, length_samples: int) -> Samples:
    """Return the take, ``(samples,)`` float32 at `rate` Hz, at exactly `length_samples`.

    At its own length the very same samples come back. Meant for tempos of 0.5 to 2.

    Raises:
        ValueError: if the sound is not mono, or rate or length are none.
    """
    if samples.ndim != 1:
        raise ValueError(f"stretch works on mono sound, not on an array of shape {samples.shape}")
    if rate < 1000 or length_samples < 0:
        raise ValueError(f"cannot stretch to {length_samples} samples at {rate} Hz")
    if length_samples == samples.size:
        return samples
    frame = 2 * max(8, round(_FRAME_S * rate / 2))
    if samples.size < 2 * frame or length_samples < 2 * frame:
        # Too short for frames: cut, with a ramp, or padded with silence.
        out = np.zeros(length_samples, dtype=np.float32)
        kept = min(length_samples, samples.size)
        out[:kept] = samples[:kept]
        if kept < samples.size:
            ramp = min(kept, 64)
            out[kept - ramp : kept] *= np.linspace(1, 0, ramp, endpoint=False, dtype=np.float32)
        return out
    return _wsola(samples, length_samples, frame, round(_SEARCH_S * rate))


def _wsola(samples: Samples, length: int, frame: int, search: int) -> Samples:
    """Add up frames of `samples`, half a frame apart in the output, each found within ±`search`."""
    hop = frame // 2
    frames = -(-length // hop)
    padded = np.pad(samples, (hop + search, frame + 2 * (hop + search)))
    fade = np.sin(0.5 * np.pi * (np.arange(hop) + 0.5) / hop) ** 2
    out = np.zeros((frames + 1) * hop, dtype=np.float32)
    at = search  # the frame whose middle is the first sample
    out[:hop] = padded[at + hop : at + frame]
    for number in range(1, frames + 1):
        middle = number * hop
        wanted = search + round(Fraction(middle * samples.size, length))
        lowest, highest = wanted - search, wanted + search
        if number == frames:  # so that the take's last sounds are never cut off
            lowest = search + samples.size - length + middle
            highest = lowest + search
        at, alike = _most_alike(padded, at + hop, (lowest, highest), hop)
        overlap = slice(middle - hop, middle)
        # At constant loudness, however alike the two are (1: same waveform, 0: noise).
        faded = out[overlap] * fade[::-1] + padded[at : at + hop] * fade
        out[overlap] = faded / np.sqrt(fade[::-1] ** 2 + fade**2 + 2 * alike * fade[::-1] * fade)
        out[middle : middle + hop] = padded[at + hop : at + frame]
    return out[:length]


def _most_alike(
    sound: Samples, continued: int, bounds: tuple[int, int], size: int
) -> tuple[int, float]:
    """Return where in `bounds` the sound goes on most like at `continued`, and how alike (0-1)."""
    # As `scipy.signal.correlate` does it with `method="fft"`, bit for bit; that module brings
    # scipy.stats, 0.6 s for every process. numpy's transforms are called at half scipy's price.
    from scipy.fft import next_fast_len

    lowest, highest = max(0, bounds[0]), bounds[1]
    pattern = sound[continued : continued + size].astype(np.float64)
    candidates = sound[lowest : highest + size].astype(np.float64)
    energy = np.concatenate([[0.0], np.cumsum(candidates**2)])
    scale = np.sqrt(np.maximum(energy[size:] - energy[:-size], 0) * (pattern @ pattern))
    padded = next_fast_len(candidates.size + size - 1, real=True)
    product = np.fft.rfft(candidates, padded) * np.fft.rfft(pattern[::-1], padded)
    likeness = np.fft.irfft(product, padded)[size - 1 : candidates.size]
    likeness = np.where(scale > _FAINT, likeness / np.maximum(scale, _FAINT), 0.0)
    nearest = abs(np.arange(likeness.size) - (bounds[0] + bounds[1]) / 2 + lowest)
    best = int(np.argmax(likeness - 1e-6 * nearest / max(1, nearest.max())))
    return lowest + best, float(np.clip(likeness[best], 0, 1))
