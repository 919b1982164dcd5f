"""Where in the room each line is spoken: a speaker on the left comes back on the left."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dubarr_pipeline.media.channels import loudness_weights, positions
from dubarr_pipeline.media.dialogue_level import LineLevel
from dubarr_pipeline.media.k_weighting import Powers
from dubarr_pipeline.media.sound_reader import Samples

DIALOGUE_SHARE = 0.01
"""A channel with less than 1 % (-20 dB) of the film's voices has no dialogue: it is left alone."""
_BALANCED_DB = 2.0
"""Two sides as close as this are a voice in the middle, and a little music that went with it."""
_MIRRORED = {"FL": "FR", "BL": "BR", "SL": "SR", "FLC": "FRC"}


def film_shares(lines: Sequence[LineLevel], channels: int) -> Powers:
    """Return ``(channels,)``: the part of the film's dialogue in each channel; all 0 if none."""
    total = sum((line.shares * line.original_power for line in lines), np.zeros(channels))
    return total / total.sum() if total.sum() > 0 else total


def dialogue_channels(shares: Powers, layout: str | None) -> tuple[int, ...]:
    """Return the channels that carry dialogue, and so are changed at all.

    Where the film has no voice to go by, it is all of them; the low-frequency channel never.
    """
    places = positions(len(shares), layout)
    voiced = shares >= DIALOGUE_SHARE if shares.any() else np.ones(len(shares), bool)
    return tuple(i for i, place in enumerate(places) if voiced[i] and place != "LFE")


def pan_gains(
    shares: Powers, film: Powers, channels: tuple[int, ...], layout: str | None
) -> Samples:
    """Return ``(channels,)`` float32: the gain of a line's mono take in every channel.

    They follow the original's spread, at constant loudness; for a line without voice, the film's.
    """
    allowed = np.zeros(len(shares))
    allowed[list(channels)] = 1
    spread = shares * allowed if (shares * allowed).any() else film * allowed
    if not spread.any():
        spread = _middle(allowed, layout)
    spread = _balanced(spread / spread.sum(), layout)
    spread[spread < DIALOGUE_SHARE] = 0
    spread /= spread.sum()
    weights = np.where(allowed > 0, loudness_weights(len(shares), layout), 1)
    return np.sqrt(spread / weights).astype(np.float32)


def _middle(allowed: Powers, layout: str | None) -> Powers:
    places = positions(len(allowed), layout)
    front = ("FC",) if "FC" in places else ("FL", "FR")
    chosen = np.array([place in front for place in places]) * allowed
    return chosen if chosen.any() else allowed


def _balanced(spread: Powers, layout: str | None) -> Powers:
    places = positions(len(spread), layout)
    for left, place in enumerate(places):
        right = places.index(_MIRRORED[place]) if _MIRRORED.get(place) in places else None
        if right is None or not spread[[left, right]].all():
            continue
        if abs(10 * np.log10(spread[left] / spread[right])) <= _BALANCED_DB:
            spread[[left, right]] = spread[[left, right]].mean()
    return spread
