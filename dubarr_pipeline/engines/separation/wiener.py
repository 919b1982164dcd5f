"""The voice in one channel: what stands out against the sound of the pauses."""

from __future__ import annotations

import numpy as np

from dubarr_pipeline.engines.separation.spectrum import TINY, Power, Spectrum, over_bins, power


def wiener_voice(spectra: Spectrum, background: Power, caution: float) -> Spectrum:
    """Return the voice in ``(channels, frames, bins)``, by one gain for all channels.

    A first guess by spectral subtraction with twice the caution, then a Wiener gain against the
    guessed voice, smoothed over three bins.

    Args:
        spectra: what is heard.
        background: expected power without the voice, mean over the channels: ``(frames, bins)``.
        caution: factor on `background`; music swells where a pause was quiet.
    """
    heard = power(spectra).mean(axis=0) + TINY
    kept_out = np.float32(caution) * background
    wanted = over_bins(np.maximum(heard - 2 * kept_out, 0))
    gain = wanted / (wanted + kept_out + TINY)
    return spectra * gain
