"""Measures of a rendering, independent of how it was made."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.engines.interfaces import SpeechRequest, Voice
from dubarr_pipeline.timeline.script import SpeakerProfile

FRAME_S, HOP_S, LOWEST_HZ, HIGHEST_HZ = 0.04, 0.02, 50, 600


def request(text: str, language: str = "es", **profile: object) -> SpeechRequest:
    """A line by SPEAKER_00, or by whom `speaker` names; `duration_s` is the request's."""
    duration_s = profile.pop("duration_s", None)
    speaker = str(profile.pop("speaker", "SPEAKER_00"))
    voice = Voice(speaker, SpeakerProfile(speaker, **profile))  # type: ignore[arg-type]
    return SpeechRequest(text, language, voice, duration_s)  # type: ignore[arg-type]


def median_f0_hz(samples: NDArray[np.float32], rate: int) -> float:
    """The median of the fundamental frequency over voiced frames, by normalised autocorrelation."""
    frame, lags = int(FRAME_S * rate), np.arange(rate // HIGHEST_HZ, rate // LOWEST_HZ)
    loud = 0.05 * np.abs(samples).max()
    found = []
    for start in range(0, samples.size - frame - int(lags[-1]) - 1, int(HOP_S * rate)):
        window = samples[start : start + frame].astype(np.float64)
        longer = samples[start : start + frame + int(lags[-1])].astype(np.float64)
        if np.sqrt(np.mean(window**2)) < loud:
            continue
        energy = np.concatenate([[0.0], np.cumsum(longer**2)])
        power = (energy[lags + frame] - energy[lags]) * np.sum(window**2)
        match = np.correlate(longer, window, "valid")[lags] / np.sqrt(power + 1e-12)
        inner = match[1:-1]
        peaks = np.flatnonzero(
            (inner >= match[:-2]) & (inner >= match[2:]) & (inner > 0.88 * match.max())
        )
        if match.max() > 0.7 and peaks.size:
            found.append(rate / lags[peaks[0] + 1])
    return float(np.median(found))


def spectrum_db(samples: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """The long-term spectrum in third-octave bands from 200 Hz to 8 kHz, its mean at 0 dB."""
    power = np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2
    hertz = np.fft.rfftfreq(samples.size, 1 / rate)
    edges = 200 * 2 ** (np.arange(17) / 3)
    bands = [power[(hertz >= low) & (hertz < high)].mean() for low, high in pairwise(edges)]
    level = 10 * np.log10(np.array(bands) + 1e-12)
    return level - level.mean()
