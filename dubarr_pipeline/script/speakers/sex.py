"""The sex that a voice sounds like, by its pitch and the length of its vocal tract."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from dubarr_pipeline.media.audio.formants import voiced_formants
from dubarr_pipeline.media.audio.pitch import spread
from dubarr_pipeline.media.audio.reader import SoundReader, read_mono
from dubarr_pipeline.spans import Span, to_samples

_MIDDLE_HZ = 145.0
_USUAL_HZ = np.array([1750.0, 2800.0, 3800.0])
"""Second to fourth formant between the women's and the men's."""
_MIDDLE_TRACT, _TRACT_WEIGHT = -0.01, 4.0
"""A tract differs by a fifth of an octave between men and women, pitch by a whole one."""
_SURE = 0.18
"""Least distance from the middle, in octaves of pitch, that is an answer. Measured: 25 women's
voices lie from -0.1 up, 26 men's from -0.15 down; those between are left open."""
_FEWEST_FRAMES = 50


def tract_octaves(
    vocals: SoundReader, spans: Sequence[Span], longest_s: float = 60.0
) -> float | None:
    """Return how much higher than usual a speaker's formants lie, in octaves; None if unknown.

    A shorter vocal tract has higher ones. At most `longest_s` seconds are heard, over all spans.
    """
    chosen = spread(spans, to_samples(longest_s, vocals.rate))
    found = [voiced_formants(read_mono(vocals, span), vocals.rate) for span in chosen]
    formants = np.concatenate(found) if found else np.zeros((0, 4))
    if len(formants) < _FEWEST_FRAMES:
        return None
    return float(np.median(np.log2(formants[:, 1:] / _USUAL_HZ).mean(axis=1)))


def sounds_like(pitch_hz: float, tract: float) -> Literal["male", "female"] | None:
    """Return the sex that a voice sounds like, from `tract_octaves`; None between both."""
    octaves = float(np.log2(pitch_hz / _MIDDLE_HZ)) + _TRACT_WEIGHT * (tract - _MIDDLE_TRACT)
    if abs(octaves) < _SURE:
        return None
    return "male" if octaves < 0 else "female"
