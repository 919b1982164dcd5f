"""The voice in one channel: what stands out against the sound of the pauses."""

import numpy as np

from dubarr_pipeline.engines.separation.spectrum import (
    TINY,
    Power,
    Spectrum,
    over_bins,
    over_time,
    power,
)


def wiener_voice(spectra: Spectrum, background: Power, caution: float) -> Spectrum:
    """Return the voice in ``(channels, frames, bins)``, by one gain for all channels.

    A first guess by spectral subtraction with twice the caution, then a Wiener gain against the
    guessed voice, smoothed over three bins and three frames. Measured on mono mixes: the frames
    give 0.1 dB on background and voice; decision-directed gains (Ephraim and Malah, 1984) and
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


_ROUNDS = 2
CONTEXT_FRAMES = 4 * (2 * _ROUNDS)
"""Frames on each side of a block that its result depends on."""
_MOST_RATIO = np.float32(100.0)


def centre_voice(mid: Spectrum, side: Spectrum, ratio: Power, caution: float) -> Spectrum:
    """Return the voice in the middle, ``(frames, bins)``: equal parts of it lie left and right.

    Args:
        mid: (left + right) / 2, ``(frames, bins)``.
        side: (left - right) / 2.
        ratio: power of the middle against the side while nobody speaks, ``(frames, bins)``.
        caution: share of background to expect, in the first guess three times as much; more
            leaves more voice behind, less takes more music along.
    """
    side_power = power(side) + TINY
    mid_power = power(mid) + TINY
    expected = np.minimum(ratio, _MOST_RATIO) * np.float32(3 * caution) * side_power
    gain = np.maximum(1 - expected / mid_power, 0)
    voice, doubt = gain * mid, gain * (1 - gain) * mid_power
    side_mean = over_time(side_power)
    for _ in range(_ROUNDS):
        voice, doubt = _refine(mid, side, side_mean, (voice, doubt), caution)
    return voice


def _refine(
    mid: Spectrum,
    side: Spectrum,
    side_mean: Power,
    guess: tuple[Spectrum, Power],
    caution: float,
) -> tuple[Spectrum, Power]:
    """One round: the background as the last guess leaves it, then the voice against it."""
    voice, doubt = guess
    rest = mid - voice
    together = (rest * side.conj()).astype(np.complex64, copy=False)
    explained = over_time(together) / side_mean * side
    beside = (rest - explained).astype(np.complex64, copy=False)
    unexplained = over_time(power(beside) + doubt) * np.float32(caution) + TINY
    wanted = over_bins(power(voice) + doubt)
    gain = wanted / (wanted + unexplained)
    refined = (gain * (mid - explained)).astype(np.complex64, copy=False)
    return refined, (gain * unexplained).astype(np.float32, copy=False)
