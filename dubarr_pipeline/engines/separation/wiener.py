"""The voice in one channel: what stands out against the sound of the pauses."""

from __future__ import annotations

import numpy as np

from dubarr_pipeline.engines.separation.spectrum import TINY, Power, Spectrum, over_bins, power


def wiener_voice(spectra: Spectrum, background: Power, caution: float) -> Spectrum:
    """Return the voice in ``(channels, frames, bins)``, by one gain for all channels.

    A first guess by spectral subtraction with twice the caution, then a Wiener gain against the
    guessed voice, smoothed over three bins and three frames. Measured on mono mixes: the frames
    give
    0.1 dB on background and voice; decision-directed gains (Ephraim and Malah, 1984) and
    log-spectral ones (1985) lose 0.5 dB of both; a profile from the line's own quiet tenth loses
    0.1 to 0.3 dB of the background.

    Args:
        spectra: what is heard.
        background: expected power without the voice, mean over the channels: ``(frames, bins)``.
        caution: factor on `background`; music swells where a pause was quiet.
    """
    heard = power(spectra).mean(axis=0) + TINY
    kept_out = np.float32(caution) * background
    wanted = over_bins(_over_three_frames(np.maximum(heard - 2 * kept_out, 0)))
    gain = wanted / (wanted + kept_out + TINY)
    return spectra * gain


def _over_three_frames(values: Power) -> Power:
    smooth = values.copy()
    smooth[1:] += values[:-1]
    smooth[:-1] += values[1:]
    return smooth * np.float32(1 / 3)
