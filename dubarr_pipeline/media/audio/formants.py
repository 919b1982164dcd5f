"""Formants of a voice, the resonances of its vocal tract, by linear prediction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.media.audio.pitch import track_pitch
from dubarr_pipeline.media.audio.reader import Samples
from dubarr_pipeline.media.audio.resample import resample

_RATE = 10000
"""Four formants of a grown person lie under 5 kHz."""
_WINDOW, _HOP_S = 300, 0.01
_ORDER = 10
_RAISED = 0.97
_LOUDEST, _BELOW_DB = 0.95, 18.0
"""Voiced frames count from so far under this quantile of the levels: softer ones hold the bed."""
_LOWEST_HZ, _HIGHEST_HZ, _WIDEST_HZ = 200.0, 4800.0, 500.0


def voiced_formants(mono: Samples, rate: int) -> NDArray[np.float64]:
    """Return the first four formants in Hz, ``(frames, 4)``, of loud voiced frames of 30 ms.

    Frames in which fewer are found are left out. `mono` is ``(samples,)`` at `rate` Hz.
    """
    f0_hz = track_pitch(mono, rate, _HOP_S)
    sound = resample(mono, rate, _RATE).astype(np.float64)
    if sound.size < _WINDOW or not f0_hz.size:
        return np.zeros((0, 4))
    raised = np.append(sound[:1], sound[1:] - _RAISED * sound[:-1])
    frames = np.lib.stride_tricks.sliding_window_view(raised, _WINDOW)[:: round(_HOP_S * _RATE)]
    count = min(len(frames), f0_hz.size)
    power = np.square(frames[:count]).mean(axis=1)
    loud = power > max(float(np.quantile(power, _LOUDEST)) * 10 ** (-_BELOW_DB / 10), 1e-12)
    chosen = frames[:count][(f0_hz[:count] > 0) & loud] * np.hamming(_WINDOW)
    return _formants(_predictors(chosen)) if len(chosen) else np.zeros((0, 4))


def _predictors(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the linear prediction ``(frames, order + 1)`` of frames (Levinson and Durbin)."""
    spectrum = np.fft.rfft(frames, 2 * frames.shape[1], axis=1)
    alike = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, : _ORDER + 1]
    # A little white noise, so that the error never vanishes.
    alike[:, 0] = alike[:, 0] * 1.0001 + 1e-12
    found = np.zeros((len(frames), _ORDER + 1))
    found[:, 0] = 1.0
    error = alike[:, 0].copy()
    for order in range(1, _ORDER + 1):
        step = -(found[:, :order] * alike[:, order:0:-1]).sum(axis=1) / error
        found[:, 1:order] += step[:, None] * found[:, order - 1 : 0 : -1]
        found[:, order] = step
        error = np.maximum(error * (1 - step**2), 1e-15)
    return found


def _formants(predictors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the four lowest narrow resonances of every frame that has so many."""
    companions = np.zeros((len(predictors), _ORDER, _ORDER))
    companions[:, 0] = -predictors[:, 1:]
    companions[:, range(1, _ORDER), range(_ORDER - 1)] = 1.0
    roots = np.linalg.eigvals(companions)
    hz = np.angle(roots) * _RATE / (2 * np.pi)
    wide_hz = -np.log(np.maximum(np.abs(roots), 1e-9)) * _RATE / np.pi
    narrow = (hz > _LOWEST_HZ) & (hz < _HIGHEST_HZ) & (wide_hz < _WIDEST_HZ)
    lowest = np.sort(np.where(narrow, hz, np.inf), axis=1)[:, :4]
    return lowest[np.isfinite(lowest[:, 3])]
