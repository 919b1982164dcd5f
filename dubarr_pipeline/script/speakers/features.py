"""Features that tell voices apart: cepstra (MFCC), pitch and level of stretches of speech."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.media.audio.loudness import SILENCE_LUFS, gated
from dubarr_pipeline.media.audio.pitch import spread, track_pitch
from dubarr_pipeline.media.audio.reader import Samples, SoundReader
from dubarr_pipeline.media.audio.resample import resample
from dubarr_pipeline.spans import Span, to_samples

FEATURE_RATE = 16000
_WINDOW = 400
_HOP = 160
_FFT = 512
_BANDS = 30
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 7600.0
COEFFICIENTS = 19
"""c1..c19: c0 is loudness, which tells rooms apart and not people."""
_FEWEST_FRAMES = 10
_FEWEST_VOICED = 5
_PITCH_HOP_S = 0.02
"""A median needs no more, and pitch is the most expensive feature."""
_RELEVANCE_FRAMES = 60


SOFTEST_DB = 30.0
"""Frames so far under the loudest tenth carry room and music rather than voice."""


def cepstra(mono: Samples, rate: int, softest_db: float = SOFTEST_DB) -> NDArray[np.float32]:
    """Return ``(frames, 19)`` MFCCs c1..c19 of a sound, one frame every 10 ms, silence left out.

    Davis & Mermelstein (1980) on 25 ms Hamming windows and 30 mel bands; frames more than
    `softest_db` under the loudest tenth are dropped.
    """
    sound = resample(mono, rate, FEATURE_RATE)
    if sound.size < _WINDOW:
        return np.zeros((0, COEFFICIENTS), np.float32)
    # Pre-emphasis: the highs of speech are weak, and tell voices apart.
    emphasised = np.append(sound[:1], sound[1:] - 0.97 * sound[:-1])
    frames = np.lib.stride_tricks.sliding_window_view(emphasised, _WINDOW)[::_HOP]
    spectrum = np.abs(np.fft.rfft(frames * np.hamming(_WINDOW).astype(np.float32), _FFT)) ** 2
    power = spectrum.sum(axis=1)
    loud = power > max(float(np.quantile(power, 0.9)) * 10 ** (-softest_db / 10), 1e-9)
    mel_bank, cosines = _transforms()
    return (np.log(spectrum[loud] @ mel_bank.T + 1e-10) @ cosines.T).astype(np.float32)


@cache
def _transforms() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the mel bands ``(30, bins)`` and the cosines ``(19, 30)`` of the cepstra."""

    def mel(hz: float) -> float:
        return 2595 * np.log10(1 + hz / 700)

    edges = np.linspace(mel(_LOWEST_HZ), mel(_HIGHEST_HZ), _BANDS + 2)
    hz = 700 * (10 ** (edges / 2595) - 1)
    bins = np.fft.rfftfreq(_FFT, 1 / FEATURE_RATE)
    rising = (bins - hz[:-2, None]) / (hz[1:-1] - hz[:-2])[:, None]
    falling = (hz[2:, None] - bins) / (hz[2:] - hz[1:-1])[:, None]
    mel_bank = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    band, order = np.arange(_BANDS) + 0.5, np.arange(1, COEFFICIENTS + 1)[:, None]
    cosines = np.sqrt(2 / _BANDS) * np.cos(np.pi * order * band / _BANDS)
    return mel_bank, cosines.astype(np.float32)


@dataclass(frozen=True, slots=True)
class VoiceFeatures:
    """A stretch of speech as numbers.

    Attributes:
        mean, square: ``(19,)`` mean of the MFCCs, and of their squares.
        scatter: ``(19, 19)`` covariance of the MFCCs within the stretch.
        frames: 10 ms frames that they were taken from.
        pitch_octaves: log2 of the median F0 in Hz, or None where too little is voiced.
    """

    mean: NDArray[np.float64]
    square: NDArray[np.float64]
    scatter: NDArray[np.float64]
    frames: int
    pitch_octaves: float | None


def voice_features(
    mono: Samples, rate: int, softest_db: float = SOFTEST_DB
) -> VoiceFeatures | None:
    """Measure a stretch of speech, ``(samples,)`` at `rate` Hz; None if there is no sound in it.

    Cepstra are taken from frames down to `softest_db` under the loudest tenth.
    """
    sound = resample(mono, rate, FEATURE_RATE)
    heard = cepstra(sound, FEATURE_RATE, softest_db).astype(np.float64)
    if len(heard) < _FEWEST_FRAMES:
        return None
    f0_hz = track_pitch(sound, FEATURE_RATE, _PITCH_HOP_S)
    voiced = f0_hz[f0_hz > 0]
    pitch = float(np.log2(np.median(voiced))) if voiced.size >= _FEWEST_VOICED else None
    mean, square = heard.mean(axis=0), np.square(heard).mean(axis=0)
    scatter = (heard - mean).T @ (heard - mean) / len(heard)
    return VoiceFeatures(mean, square, scatter, len(heard), pitch)


@dataclass(frozen=True, slots=True)
class VoiceSpace:
    """Voices as points, so that near means alike.

    Attributes:
        points: ``(voices, 20)``: MFCC means in units of the film's own spread, then pitch.
        frames: ``(voices,)`` 10 ms frames behind each point.
        pitch_octaves: ``(voices,)`` log2 of F0 in Hz, NaN where unknown.
        spread: variance between the voices over that within them, per 10 ms frame (the F
            statistic). Neighbouring frames are alike, so one person's lines have 11-23, not 1.
    """

    points: NDArray[np.float64]
    frames: NDArray[np.int64]
    pitch_octaves: NDArray[np.float64]
    spread: float


def voice_space(voices: Sequence[VoiceFeatures]) -> VoiceSpace:
    """Place voices in one space.

    A short stretch says little: its cepstra are drawn to the film's mean as a maximum a posteriori
    estimate would be (Reynolds 2000, relevance factor), its pitch is not.
    """
    frames = np.array([p.frames for p in voices], np.int64)
    means = np.array([p.mean for p in voices])
    centre = np.average(means, axis=0, weights=frames)
    squares = np.average([p.square for p in voices], axis=0, weights=frames)
    spread = np.sqrt(np.maximum(squares - centre**2, 1e-6))
    pitches = np.array([np.nan if p.pitch_octaves is None else p.pitch_octaves for p in voices])
    known = pitches[~np.isnan(pitches)]
    heights = np.nan_to_num(pitches - (np.median(known) if known.size else 0.0))
    # A voice that was hardly heard says little about itself.
    trust = frames / (frames + _RELEVANCE_FRAMES)
    points = np.c_[(means - centre) / spread * trust[:, None], heights]
    apart = 0.0
    if len(voices) > 1:
        within = np.average([p.square - p.mean**2 for p in voices], axis=0, weights=frames)
        between = (frames[:, None] * (means - centre) ** 2).sum(axis=0) / (len(voices) - 1)
        apart = float((between / np.maximum(within, 1e-6)).mean())
    return VoiceSpace(points, frames, pitches, apart)


_BLOCK_S = 0.4
_HOP_S = 0.1


def voice_level_lufs(
    vocals: SoundReader, spans: Sequence[Span], longest_s: float = 120.0
) -> float | None:
    """Return a speaker's level in LUFS, without the K-weighting filter; None if they are silent.

    Blocks of 400 ms with the absolute and the relative gate of ITU-R BS.1770-4. The level is that
    of all channels together. For speech the missing filter makes a difference of about 1 dB.
    """
    chosen = spread(list(spans), to_samples(longest_s, vocals.rate))
    block, hop = (to_samples(s, vocals.rate) for s in (_BLOCK_S, _HOP_S))
    powers: list[float] = []
    for span in chosen:
        size = min(block, span.length)
        for start in range(span.start, span.end - size + 1, hop) if size else ():
            sound = vocals.read(start, start + size)
            powers.append(float(np.square(sound, dtype=np.float64).mean(axis=1).sum()))
    level_lufs = gated(np.array(powers, np.float64))
    return round(level_lufs, 2) if level_lufs > SILENCE_LUFS else None
