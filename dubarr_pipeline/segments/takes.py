"""A take's sound: measured for faults, and joined where its text was too long for one call."""

from collections.abc import Sequence

import numpy as np

from dubarr_pipeline.engines.interfaces import Samples, Speech
from dubarr_pipeline.text.sentences import BORDERS, pieces
from dubarr_pipeline.timing.verdicts import TakeMeasure

_FULL_SCALE = 0.999
_CLIPPED_RUN = 3
"""Consecutive samples at full scale that an undistorted peak never has."""
_PAUSE_S = 0.12
"""Silence between clauses that were spoken apart: a short breath pause."""
_FADE_S = 0.005


def measure(samples: Samples, rate: int, predicted_s: float) -> TakeMeasure:
    """Measure a mono take ``(samples,)`` for `verdicts.fault`."""
    size = samples.size
    return TakeMeasure(
        samples=size,
        rate=rate,
        peak=float(np.abs(samples).max(initial=0.0)),
        rms=float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if size else 0.0,
        clipped=clipped_samples(samples),
        predicted_s=predicted_s,
    )


def clipped_samples(samples: Samples) -> int:
    """Count the samples that lie in runs of at least three at full scale."""
    # The sentinels give every run both edges.
    full = np.concatenate(([False], np.abs(samples) >= _FULL_SCALE, [False]))
    edges = np.flatnonzero(full[1:] != full[:-1])
    runs = edges[1::2] - edges[::2]
    return int(runs[runs >= _CLIPPED_RUN].sum())


def join(parts: Sequence[Speech]) -> Speech:
    """Join clauses that were spoken apart, with a breath between them and without a click."""
    if not parts or len({part.rate for part in parts}) != 1:
        raise ValueError("only clauses of one rate can be joined, and at least one")
    if len(parts) == 1:
        return parts[0]
    rate = parts[0].rate
    pause = np.zeros(round(_PAUSE_S * rate), dtype=np.float32)
    sounds: list[Samples] = []
    for number, part in enumerate(parts):
        first, last = number == 0, number == len(parts) - 1
        sounds += [] if first else [pause]
        # Edges that meet a pause are ramped, so that they meet it at zero: else they click.
        faded = part.samples.astype(np.float32, copy=True)
        width = min(round(_FADE_S * rate), faded.size)
        ramp = np.linspace(0.0, 1.0, width, dtype=np.float32)
        if not first:
            faded[:width] *= ramp
        if not last and width:
            faded[-width:] *= ramp[::-1]
        sounds.append(faded)
    return Speech(np.concatenate(sounds), rate)


def pauses_s(parts: int) -> float:
    """Return the seconds of silence that `join` puts between so many clauses."""
    return _PAUSE_S * max(0, parts - 1)


def clauses(text: str, limit: int) -> tuple[str, ...]:
    """Return the text in `pieces` of at most `limit` characters, which must be positive."""
    if limit < 1:
        raise ValueError(f"a limit of {limit} characters leaves no room for text")
    return tuple(pieces(" ".join(text.split()), limit, BORDERS))
