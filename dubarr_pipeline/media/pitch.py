"""How high a voice lies: its fundamental frequency (F0), measured with numpy and scipy alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.media.sound_reader import Samples, SoundReader, at_rate, read_mono
from dubarr_pipeline.timeline.spans import Span

_RATE = 8000
"""F0 and the harmonics that prove it lie under 4 kHz."""
_BLOCK_FRAMES = 2048


@dataclass(frozen=True, slots=True)
class PitchOptions:
    """How F0 is looked for.

    Attributes:
        floor_hz, ceiling_hz: human speaking voices, from a deep man's to a child's.
        voicing: lowest normalised autocorrelation of a voiced frame (Boersma 1993 uses 0.45).
        octave_cost: how much a higher candidate is preferred per octave (Boersma 1993: 0.01; films
            with music under the voice need more).
        hop_s: one frame each.
        gate_db: frames this far under the loudest tenth count as silence.
    """

    floor_hz: float = 60.0
    ceiling_hz: float = 400.0
    voicing: float = 0.5
    octave_cost: float = 0.03
    hop_s: float = 0.01
    gate_db: float = 30.0


DEFAULT = PitchOptions()


def track_pitch(mono: Samples, rate: int, options: PitchOptions = DEFAULT) -> NDArray[np.float32]:
    """Return F0 in Hz for every hop of a sound, 0 where nothing is voiced.

    Window-corrected autocorrelation after Boersma (1993), "Accurate short-term analysis of the
    fundamental frequency", with parabolic interpolation of the peak.

    Args:
        mono: ``(samples,)`` float32 at `rate` Hz.
        rate: of `mono`, Hz.
        options: where F0 is looked for.
    """
    sound = at_rate(mono, rate, _RATE)
    window = round(3 * _RATE / options.floor_hz)
    hop = max(1, round(options.hop_s * _RATE))
    if sound.size < window:
        return np.zeros(0, np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(sound, window)[::hop]
    gate = _gate(frames, options.gate_db)
    blocks = range(0, len(frames), _BLOCK_FRAMES)
    found = [_pitch_of(frames[b : b + _BLOCK_FRAMES], gate, options) for b in blocks]
    return _without_jumps(np.concatenate(found))


def _gate(frames: NDArray[np.float32], gate_db: float) -> float:
    power = np.einsum("ij,ij->i", frames, frames) / frames.shape[1]
    return float(max(np.quantile(power, 0.9) * 10 ** (-gate_db / 10), 1e-10))


def _pitch_of(
    frames: NDArray[np.float32], gate: float, options: PitchOptions
) -> NDArray[np.float32]:
    size = frames.shape[1]
    lags = _lags(size, options)
    power = np.einsum("ij,ij->i", frames, frames) / size
    shape = np.hanning(size).astype(np.float32)
    centred = (frames - frames.mean(axis=1, keepdims=True)) * shape
    correlation = _autocorrelation(centred) / _autocorrelation(shape[None, :])
    correlation /= np.maximum(correlation[:, :1], np.float32(1e-12))
    candidates = correlation[:, lags] - options.octave_cost * np.log2(
        lags * options.floor_hz / _RATE
    )
    peaks = _local_peaks(correlation, lags)
    candidates = np.where(peaks, candidates, -np.inf)
    best = lags[np.argmax(candidates, axis=1)]
    rows = np.arange(len(frames))
    strength = correlation[rows, best]
    voiced = (strength > options.voicing) & (power > gate) & peaks.any(axis=1)
    hz = _RATE / _interpolated(correlation, rows, best)
    return np.where(voiced, hz, 0.0).astype(np.float32)


def _lags(size: int, options: PitchOptions) -> NDArray[np.int64]:
    shortest = max(2, int(_RATE / options.ceiling_hz))
    longest = min(size // 2, int(np.ceil(_RATE / options.floor_hz)))
    return np.arange(shortest, longest + 1)


def _autocorrelation(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    size = frames.shape[1]
    spectrum = np.fft.rfft(frames, n=2 * size, axis=1)
    return np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, : size // 2 + 2].astype(np.float32)


def _local_peaks(correlation: NDArray[np.float32], lags: NDArray[np.int64]) -> NDArray[np.bool_]:
    here = correlation[:, lags]
    return (here >= correlation[:, lags - 1]) & (here >= correlation[:, lags + 1])


def _interpolated(
    correlation: NDArray[np.float32], rows: NDArray[np.int64], lag: NDArray[np.int64]
) -> NDArray[np.float32]:
    before, here, after = (correlation[rows, lag + step] for step in (-1, 0, 1))
    curve = before - 2 * here + after
    shift = np.where(
        np.abs(curve) > 1e-9, 0.5 * (before - after) / np.where(curve == 0, 1, curve), 0
    )
    return (lag + np.clip(shift, -0.5, 0.5)).astype(np.float32)


def _without_jumps(f0_hz: NDArray[np.float32]) -> NDArray[np.float32]:
    """Drop frames that lie a fourth or more from their voiced neighbours: octave slips."""
    voiced = np.flatnonzero(f0_hz)
    if voiced.size < 5:
        return f0_hz
    from scipy.ndimage import median_filter

    values = np.log2(f0_hz[voiced])
    steady = np.abs(values - median_filter(values, 5, mode="nearest")) < 5 / 12
    cleaned = f0_hz.copy()
    cleaned[voiced[~steady]] = 0
    return cleaned


def median_pitch(
    vocals: SoundReader, spans: Sequence[Span], longest_s: float = 60.0
) -> float | None:
    """Return the median F0 in Hz of a speaker's speech, or None if too little of it is voiced.

    At most `longest_s` seconds are heard, spread over all spans, so that a feature film costs no
    more.
    """
    heard = [f0[f0 > 0] for f0 in _tracks(vocals, spans, longest_s)]
    voiced = np.concatenate(heard) if heard else np.zeros(0, np.float32)
    return float(np.median(voiced)) if voiced.size >= 10 else None


def _tracks(
    vocals: SoundReader, spans: Sequence[Span], longest_s: float
) -> Iterator[NDArray[np.float32]]:
    for span in spread(spans, round(longest_s * vocals.rate)):
        yield track_pitch(read_mono(vocals, span), vocals.rate)


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
