"""The voice in one channel: what stands out against the sound of the pauses."""

from __future__ import annotations

import numpy as np

from dubarr_pipeline.engines.separation.spectrum import TINY, Power, Spectrum, power


def wiener_voice(spectra: Spectrum, background: Power, caution: float) -> Spectrum:
    """Return the voice in ``(channels, frames, bins)``, by one gain for all channels.

    The gain is a Wiener filter, 1 - caution x background / power, never below zero.

    Args:
        spectra: what is heard.
        background: expected power without the voice, mean over the channels: ``(frames, bins)``.
        caution: factor on `background`; music swells where a pause was quiet.
    """
    heard = power(spectra).mean(axis=0)
    gain = np.maximum(1 - np.float32(caution) * background / (heard + TINY), 0)
    return spectra * gain
