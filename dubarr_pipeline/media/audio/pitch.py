"""Pitch of a voice: its fundamental frequency (F0), measured with numpy and scipy alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.media.audio.reader import Samples, SoundReader, read_mono
from dubarr_pipeline.media.audio.resample import resample
from dubarr_pipeline.spans import Span

_RATE = 8000
"""F0 and the harmonics that prove it lie under 4 kHz."""
_BLOCK_FRAMES = 2048


_FLOOR_HZ, _CEILING_HZ = 60.0, 400.0
"""Human speaking voices, from a deep man's to a child's."""
_VOICING = 0.5
"""Lowest normalised autocorrelation of a voiced frame (Boersma 1993 uses 0.45)."""
_OCTAVE_COST = 0.03
"""Preference for a higher candidate per octave (Boersma 1993: 0.01; music under it needs more)."""
_GATE_DB = 30.0
"""Frames this far under the loudest tenth count as silence."""


def track_pitch(mono: Samples, rate: int, hop_s: float = 0.01) -> NDArray[np.float32]:
    """Return F0 in Hz for every hop of a sound, 0 where nothing is voiced.

    Window-corrected autocorrelation after Boersma (1993), "Accurate short-term analysis of the
    fundamental frequency", with parabolic interpolation of the peak.

    `mono` is ``(samples,)`` float32 at `rate` Hz.
    """
    sound = resample(mono, rate, _RATE)
    window = round(3 * _RATE / _FLOOR_HZ)
    hop = max(1, round(hop_s * _RATE))
    if sound.size < window:
        return np.zeros(0, np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(sound, window)[::hop]
    power = np.einsum("ij,ij->i", frames, frames) / frames.shape[1]
    gate = float(max(np.quantile(power, 0.9) * 10 ** (-_GATE_DB / 10), 1e-10))
    blocks = range(0, len(frames), _BLOCK_FRAMES)
    found = [_pitch_of(frames[b : b + _BLOCK_FRAMES], gate) for b in blocks]
    f0_hz = np.concatenate(found)
    # Frames a fourth or more from their voiced neighbours are octave slips.
    voiced = np.flatnonzero(f0_hz)
    if voiced.size < 5:
        return f0_hz
    from scipy.ndimage import median_filter

    values = np.log2(f0_hz[voiced])
    steady = np.abs(values - median_filter(values, 5, mode="nearest")) < 5 / 12
    cleaned = f0_hz.copy()
    cleaned[voiced[~steady]] = 0
    return cleaned


def _pitch_of(frames: NDArray[np.float32], gate: float) -> NDArray[np.float32]:
    size = frames.shape[1]
    shortest = max(2, int(_RATE / _CEILING_HZ))
    longest = min(size // 2, int(np.ceil(_RATE / _FLOOR_HZ)))
    lags = np.arange(shortest, longest + 1)
    power = np.einsum("ij,ij->i", frames, frames) / size
    shape = np.hanning(size).astype(np.float32)
    centred = (frames - frames.mean(axis=1, keepdims=True)) * shape
    correlation = _autocorrelation(centred) / _autocorrelation(shape[None, :])
    correlation /= np.maximum(correlation[:, :1], np.float32(1e-12))
    here = correlation[:, lags]
    candidates = here - _OCTAVE_COST * np.log2(lags * _FLOOR_HZ / _RATE)
    peaks = (here >= correlation[:, lags - 1]) & (here >= correlation[:, lags + 1])
    best = lags[np.argmax(np.where(peaks, candidates, -np.inf), axis=1)]
    rows = np.arange(len(frames))
    before, strength, after = (correlation[rows, best + step] for step in (-1, 0, 1))
    voiced = (strength > _VOICING) & (power > gate) & peaks.any(axis=1)
    # The top of the parabola through the peak and its neighbours.
    curve = before - 2 * strength + after
    bend = np.where(curve == 0, 1, curve)
    shift = np.where(np.abs(curve) > 1e-9, 0.5 * (before - after) / bend, 0)
    lag = (best + np.clip(shift, -0.5, 0.5)).astype(np.float32)
    return np.where(voiced, _RATE / lag, 0.0).astype(np.float32)


def _autocorrelation(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    size = frames.shape[1]
    spectrum = np.fft.rfft(frames, n=2 * size, axis=1)
    return np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, : size // 2 + 2].astype(np.float32)


def median_pitch(
    vocals: SoundReader, spans: Sequence[Span], longest_s: float = 60.0
) -> float | None:
    """Return the median F0 in Hz of a speaker's speech, or None if too little of it is voiced.

    At most `longest_s` seconds are heard, spread over all spans.
    """
    chosen = spread(spans, round(longest_s * vocals.rate))
    tracks = [track_pitch(read_mono(vocals, span), vocals.rate) for span in chosen]
    heard = [f0[f0 > 0] for f0 in tracks]
    voiced = np.concatenate(heard) if heard else np.zeros(0, np.float32)
    return float(np.median(voiced)) if voiced.size >= 10 else None


def spread(spans: Sequence[Span], longest_samples: int) -> list[Span]:
    """Choose spans evenly over the film until they hold about `longest_samples`."""
    whole = sum(span.length for span in spans)
    if whole <= longest_samples or not spans:
        return list(spans)
    step = whole / longest_samples
    chosen = [spans[int(i * step)] for i in range(int(len(spans) / step))]
    if chosen:
        return chosen
    longest = max(spans, key=lambda s: s.length)
    return [Span(longest.start, longest.start + min(longest.length, longest_samples))]
