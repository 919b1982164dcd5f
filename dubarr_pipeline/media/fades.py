"""Weights that rise, stay and fall along a film: they steer fades, ducking and the limiter."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dubarr_pipeline.media.sound_reader import Samples
from dubarr_pipeline.timeline.spans import Span, merge


@dataclass(frozen=True, slots=True)
class Plateau:
    """One hill: 0 until `rise`, 1 from `top` to `edge`, 0 again from `end` on; all in samples."""

    rise: int
    top: int
    edge: int
    end: int


class Envelope:
    """A weight of 0 to 1 along a film, made of hills that do not overlap; half-cosine flanks."""

    def __init__(self, plateaus: Iterable[Plateau]) -> None:
        self.plateaus = tuple(sorted(plateaus, key=lambda p: p.rise))
        self._rises = [p.rise for p in self.plateaus]
        self._ends = [p.end for p in self.plateaus]

    def touches(self, start: int, stop: int) -> bool:
        """Whether the weight is above 0 anywhere in ``[start, stop)``."""
        return bisect_right(self._ends, start) < bisect_left(self._rises, stop)

    def weight(self, start: int, stop: int) -> Samples | None:
        """Return ``(stop - start,)`` float32, or None where it is 0 throughout."""
        first, last = bisect_right(self._ends, start), bisect_left(self._rises, stop)
        if first >= last:
            return None
        weight = np.zeros(stop - start, np.float32)
        for hill in self.plateaus[first:last]:
            _put(weight, start, Span(hill.rise, hill.top), rising=True)
            weight[max(0, hill.top - start) : max(0, hill.edge - start)] = 1
            _put(weight, start, Span(hill.edge, hill.end), rising=False)
        return weight


def _put(weight: Samples, start: int, flank: Span, *, rising: bool) -> None:
    inside = flank.clip(Span(start, start + weight.size))
    if inside is None:
        return
    slope = half_cosine(flank.length)
    part = slope[inside.start - flank.start : inside.end - flank.start]
    weight[inside.start - start : inside.end - start] = part if rising else 1 - part


def half_cosine(length: int) -> Samples:
    """Return ``(length,)`` float32 rising smoothly from above 0 to below 1."""
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / max(1, length))).astype(
        np.float32
    )


def around(spans: Iterable[Span], fade: int) -> Envelope:
    """Return a weight that is 1 all through the spans and fades outside, over `fade` samples."""
    joined = merge(spans, gap=2 * fade)
    return Envelope(Plateau(s.start - fade, s.start, s.end, s.end + fade) for s in joined)


def within(spans: Iterable[Span], fade: int) -> Envelope:
    """Return a weight that is 0 outside the spans and fades inside, over at most `fade` samples."""
    return Envelope(_inside(span, min(fade, span.length // 2)) for span in merge(spans))


def _inside(span: Span, fade: int) -> Plateau:
    return Plateau(span.start, span.start + fade, span.end - fade, span.end)
