"""A speaker-embedding network (ONNX): stretches of speech in, voiceprints out; runs on the CPU.

The file may be any that takes Kaldi's filter banks as sherpa-onnx exports them, e.g. CAM++.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.engines.onnx_session import open_session
from dubarr_pipeline.errors import EngineError
from dubarr_pipeline.media.audio.reader import Samples
from dubarr_pipeline.media.audio.resample import resample

_RATE = 16000
_WINDOW, _HOP, _FFT, _BANDS = 400, 160, 512, 80
_LOWEST_HZ, _HIGHEST_HZ = 20.0, 8000.0
_FEWEST_FRAMES = 12
_LEVEL = 0.1
_TINY = float(np.finfo(np.float32).eps)


class VoiceprintModel:
    """The loaded network."""

    def __init__(self, folder: Path) -> None:
        """Load the one ``.onnx`` file of a folder.

        Raises:
            EngineError: if there is none or several, or it is not such a network.
        """
        files = sorted(folder.rglob("*.onnx"))
        if len(files) != 1:
            raise EngineError(f"{folder} holds {len(files)} .onnx files; one network is wanted")
        self._session = open_session(files[0], arena=False)
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 3 or inputs[0].shape[2] != _BANDS:
            raise EngineError(f"{files[0]} does not take filter banks (1, frames, {_BANDS})")
        self._input = inputs[0].name

    def print_of(self, mono: Samples, rate: int) -> NDArray[np.float64] | None:
        """Return a stretch's voiceprint, of length 1; None if it is too short or silent.

        `mono` is ``(samples,)`` at `rate` Hz.
        """
        sound = resample(mono, rate, _RATE)
        if sound.size < _WINDOW + _FEWEST_FRAMES * _HOP or not np.any(sound):
            return None
        # The banks have a floor: a quiet voice would lose its highs to it.
        banks = filter_banks(sound * np.float32(_LEVEL / np.sqrt(np.mean(np.square(sound)))))
        heard = (banks - banks.mean(axis=0)).astype(np.float32)
        found = np.asarray(self._session.run(None, {self._input: heard[None]})[0], np.float64)
        size = float(np.linalg.norm(found))
        return found.reshape(-1) / size if np.isfinite(size) and size > 0 else None


def filter_banks(sound: Samples) -> NDArray[np.float64]:
    """Return ``(frames, 80)`` log mel energies of sound at 16 kHz, as Kaldi's ``fbank`` has them.

    Frames of 25 ms every 10 ms, whole ones only; no dither.
    """
    frames = np.lib.stride_tricks.sliding_window_view(sound.astype(np.float64), _WINDOW)[::_HOP]
    centred = frames - frames.mean(axis=1, keepdims=True)
    raised = centred - 0.97 * np.concatenate([centred[:, :1], centred[:, :-1]], axis=1)
    window = np.hanning(_WINDOW) ** 0.85
    power = np.abs(np.fft.rfft(raised * window, _FFT)) ** 2
    return np.log(np.maximum(power @ _mel_bank().T, _TINY))


@cache
def _mel_bank() -> NDArray[np.float64]:
    def mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1127.0 * np.log1p(hz / 700.0)

    low, high = mel(np.array([_LOWEST_HZ, _HIGHEST_HZ]))
    edges = np.linspace(low, high, _BANDS + 2)
    bins = mel(np.arange(_FFT // 2 + 1) * np.float64(_RATE / _FFT))
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0.0, np.minimum(rising, falling))
