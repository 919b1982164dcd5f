"""The voice at one place of a stereo picture, mostly the middle: what the rest does not explain.

The side (left - right) holds no voice from the middle, only background. Music in the middle that
moves with the side is predicted from it and subtracted; the rest of the background follows from a
local Gaussian model, its parts estimated by expectation maximisation. (The model: Duong, Vincent,
Gribonval, "Under-determined reverberant audio source separation using a full-rank spatial
covariance model", 2010; here the voice is of rank one, and its place is known.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dubarr_pipeline.engines.separation.spectrum import (
    TINY,
    Power,
    Spectrum,
    over_bins,
    over_time,
    power,
)

_ROUNDS = 2
CONTEXT_FRAMES = 4 * (2 * _ROUNDS)
"""Frames on each side of a block that its result depends on."""
_MOST_RATIO = np.float32(100.0)


@dataclass(frozen=True, slots=True)
class CentreCaution:
    """How much background to expect: in the first guess, and in every round after."""

    first: float = 3.0
    rounds: float = 1.0


def centre_voice(mid: Spectrum, side: Spectrum, ratio: Power, caution: CentreCaution) -> Spectrum:
    """Return the voice in the middle, ``(frames, bins)``: equal parts of it lie left and right.

    Args:
        mid: (left + right) / 2, ``(frames, bins)``.
        side: (left - right) / 2.
        ratio: power of the middle against the side while nobody speaks, ``(frames, bins)``.
        caution: more leaves more voice behind, less takes more music along.
    """
    side_power = power(side) + TINY
    mid_power = power(mid) + TINY
    expected = np.minimum(ratio, _MOST_RATIO) * np.float32(caution.first) * side_power
    gain = np.maximum(1 - expected / mid_power, 0)
    voice, doubt = gain * mid, gain * (1 - gain) * mid_power
    side_mean = over_time(side_power)
    for _ in range(_ROUNDS):
        voice, doubt = _refine(mid, side, side_mean, (voice, doubt), caution.rounds)
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
