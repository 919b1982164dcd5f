"""The voice in one channel: what stands out against the sound of the pauses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    voice = np.empty(spectra.shape, np.complex64)
    voice.real, voice.imag = spectra.real * gain, spectra.imag * gain
    return voice


def _over_three_frames(values: Power) -> Power:
    smooth = values.copy()
    smooth[1:] += values[:-1]
    smooth[:-1] += values[1:]
    return smooth * np.float32(1 / 3)


_ROUNDS = 2
CONTEXT_FRAMES = 4 * (2 * _ROUNDS)
"""Frames on each side of a block that its result depends on."""
_MOST_RATIO = np.float32(100.0)


STRIP_BINS = 86
"""Bins worked on at once: what their arrays hold stays in the processor's cache."""
HALO_BINS = _ROUNDS
"""Bins on each side of a strip that its result depends on."""


def centre_voice(mid: Spectrum, side: Spectrum, ratio: Power, caution: float) -> Spectrum:
    """Return the voice in the middle, ``(frames, bins)``: equal parts of it lie left and right.

    Args:
        mid: (left + right) / 2, ``(frames, bins)``.
        side: (left - right) / 2.
        ratio: power of the middle against the side while nobody speaks, ``(frames, bins)``.
        caution: share of background to expect, in the first guess three times as much; more
            leaves more voice behind, less takes more music along.
    """
    middle, beside = _Planes.of(mid), _Planes.of(side)
    side_power = beside.power() + TINY
    mid_power = middle.power() + TINY
    expected = np.minimum(ratio, _MOST_RATIO) * np.float32(3 * caution)
    expected *= side_power
    expected /= mid_power
    gain = np.maximum(1 - expected, 0)
    doubt = gain * (1 - gain) * mid_power
    voice = _Planes(gain * middle.real, gain * middle.imag)
    per_side = _single(np.reciprocal(over_time(side_power)))
    for _ in range(_ROUNDS):
        voice, doubt = _refine((middle, beside), per_side, (voice, doubt), caution)
    found = np.empty(mid.shape, np.complex64)
    found.real, found.imag = voice.real, voice.imag
    return found


@dataclass(frozen=True, slots=True)
class _Planes:
    """Real and imaginary parts of spectra, each by itself: numpy works on them far faster."""

    real: Power
    imag: Power

    @classmethod
    def of(cls, spectrum: Spectrum) -> _Planes:
        return cls(spectrum.real.copy(), spectrum.imag.copy())

    def power(self) -> Power:
        squares = self.real * self.real
        squares += self.imag * self.imag
        return squares


def _single(values: NDArray[np.floating]) -> Power:
    """Return values as what they are, for the type checker: numpy's stubs widen every product."""
    return values.astype(np.float32, copy=False)


def _refine(
    sound: tuple[_Planes, _Planes], per_side: Power, guess: tuple[_Planes, Power], caution: float
) -> tuple[_Planes, Power]:
    """One round: the background as the last guess leaves it, then the voice against it."""
    (mid, side), (voice, doubt) = sound, guess
    real, imag = mid.real - voice.real, mid.imag - voice.imag
    # How much of the side is in the rest: rest x conjugated side, against the side's power.
    share_real = over_time(_single(real * side.real + imag * side.imag))
    share_imag = over_time(_single(imag * side.real - real * side.imag))
    share_real *= per_side
    share_imag *= per_side
    explained_real = share_real * side.real - share_imag * side.imag
    explained_imag = share_real * side.imag + share_imag * side.real
    real -= explained_real
    imag -= explained_imag
    unexplained = _Planes(real, imag).power()
    unexplained += doubt
    unexplained = over_time(unexplained)
    unexplained *= np.float32(caution)
    unexplained += TINY
    wanted = voice.power()
    wanted += doubt
    wanted = over_bins(wanted)
    gain = wanted / (wanted + unexplained)
    refined = _Planes(
        _single(gain * (mid.real - explained_real)),
        _single(gain * (mid.imag - explained_imag)),
    )
    unexplained *= gain
    return refined, unexplained
