"""A take's sound: measured for faults, and joined where its text was too long for one call."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dubarr_pipeline.engines.interfaces import Samples, Speech
from dubarr_pipeline.timeline.verdicts import TakeMeasure

_FULL_SCALE = 0.999
_CLIPPED_RUN = 3
"""Consecutive samples at full scale that no honest peak has."""
_PAUSE_S = 0.12
"""Silence between clauses that were spoken apart: a short breath pause."""
_FADE_S = 0.005


def measure(samples: Samples, rate: int, predicted_s: float) -> TakeMeasure:
    """Measure a mono take ``(samples,)`` for what `verdicts.fault` asks."""
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
    full = np.concatenate(([False], np.abs(samples) >= _FULL_SCALE, [False]))
    edges = np.flatnonzero(full[1:] != full[:-1])
    runs = edges[1::2] - edges[::2]
    return int(runs[runs >= _CLIPPED_RUN].sum())


def join(parts: Sequence[Speech]) -> Speech:
    """Join clauses that were spoken apart, with a breath between them and without a click.

    Raises:
        ValueError: if there is nothing to join, or the rates differ.
    """
    if not parts or len({part.rate for part in parts}) != 1:
        raise ValueError("only clauses of one rate can be joined, and at least one")
    if len(parts) == 1:
        return parts[0]
    rate = parts[0].rate
    pause = np.zeros(round(_PAUSE_S * rate), dtype=np.float32)
    pieces: list[Samples] = []
    for number, part in enumerate(parts):
        first, last = number == 0, number == len(parts) - 1
        pieces += [] if first else [pause]
        pieces.append(_faded(part.samples, rate, at_start=not first, at_end=not last))
    return Speech(np.concatenate(pieces), rate)


def pauses_s(parts: int) -> float:
    """Seconds of silence that `join` puts between so many clauses."""
    return _PAUSE_S * max(0, parts - 1)


def _faded(samples: Samples, rate: int, *, at_start: bool, at_end: bool) -> Samples:
    """Ramp the edges that meet a pause, so that they meet it at zero."""
    faded = samples.astype(np.float32, copy=True)
    width = min(round(_FADE_S * rate), faded.size)
    ramp = np.linspace(0.0, 1.0, width, dtype=np.float32)
    if at_start:
        faded[:width] *= ramp
    if at_end and width:
        faded[-width:] *= ramp[::-1]
    return faded
