"""Stretches of time on a video's clock, in whole samples.

The clock of a video is its dubbed audio stream: sample 0 is the first sample of that stream, and
the rate is the stream's own. Seconds appear only in files and messages, with six decimals, which
give any sample back exactly up to 500 kHz.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


def to_seconds(samples: int, rate: int) -> float:
    """Return samples at `rate` Hz as seconds, rounded to the six decimals that files carry."""
    return round(samples / rate, 6)


def to_samples(seconds: float, rate: int) -> int:
    """Return seconds as the nearest whole sample at `rate` Hz."""
    return round(seconds * rate)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open stretch ``[start, end)`` of samples; `ValueError` if it ends before it starts."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"a span cannot end ({self.end}) before it starts ({self.start})")

    @property
    def length(self) -> int:
        """Samples covered."""
        return self.end - self.start

    def seconds(self, rate: int) -> float:
        """Length in seconds at `rate` Hz."""
        return to_seconds(self.length, rate)

    def overlap(self, other: Span) -> int:
        """Return the samples that both cover."""
        return max(0, min(self.end, other.end) - max(self.start, other.start))

    def gap(self, later: Span) -> int:
        """Return the samples between this end and the start of `later` (negative: overlap)."""
        return later.start - self.end

    def contains(self, sample: int) -> bool:
        """Return whether the sample is inside."""
        return self.start <= sample < self.end

    def shift(self, samples: int) -> Span:
        """Return the same stretch, moved."""
        return Span(self.start + samples, self.end + samples)

    def pad(self, before: int, after: int) -> Span:
        """Grow the stretch (negative: shrink) at both ends; never past 0, never inverted."""
        start = max(0, self.start - before)
        return Span(start, max(start, self.end + after))

    def clip(self, bounds: Span) -> Span | None:
        """Return the part within `bounds`, or None if there is none."""
        start, end = max(self.start, bounds.start), min(self.end, bounds.end)
        return Span(start, end) if start < end else None


def merge(spans: Iterable[Span], gap: int = 0) -> list[Span]:
    """Join spans that overlap or lie at most `gap` samples apart; sorted, empty ones dropped."""
    merged: list[Span] = []
    for span in sorted(s for s in spans if s.length):
        if merged and span.start - merged[-1].end <= gap:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged


def total(spans: Iterable[Span]) -> int:
    """Return the samples covered by at least one span."""
    return sum(span.length for span in merge(spans))


def intersect(left: Sequence[Span], right: Sequence[Span]) -> list[Span]:
    """Return the stretches covered by both lists; sorted and disjoint."""
    a, b = merge(left), merge(right)
    found: list[Span] = []
    i = j = 0
    while i < len(a) and j < len(b):
        common = a[i].clip(b[j])
        if common:
            found.append(common)
        if a[i].end <= b[j].end:
            i += 1
        else:
            j += 1
    return found


def complement(spans: Iterable[Span], bounds: Span) -> list[Span]:
    """Return the stretches of `bounds` that no span covers."""
    free: list[Span] = []
    cursor = bounds.start
    for span in merge(spans):
        if span.end <= bounds.start or span.start >= bounds.end:
            continue
        if span.start > cursor:
            free.append(Span(cursor, span.start))
        cursor = max(cursor, span.end)
    if cursor < bounds.end:
        free.append(Span(cursor, bounds.end))
    return free
