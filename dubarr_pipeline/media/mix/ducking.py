"""Weights along a film, and the gain of the bed under speech, like a hand on a fader."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dubarr_pipeline.media.audio.reader import Samples
from dubarr_pipeline.spans import Span, merge


@dataclass(frozen=True, slots=True)
class Plateau:
    """One hill: 0 until `rise`, 1 from `top` to `edge`, 0 again from `end` on; all in samples."""

    rise: int
    top: int
    edge: int
    end: int


class Envelope:
    """A weight of 0 to 1 along a film, made of plateaus that do not overlap; half-cosine flanks."""

    def __init__(self, plateaus: Iterable[Plateau]) -> None:
        self.plateaus = tuple(sorted(plateaus, key=lambda p: p.rise))
        self._rises = [p.rise for p in self.plateaus]
        self._ends = [p.end for p in self.plateaus]

    def touches(self, start: int, stop: int) -> bool:
        """Return whether the weight is above 0 anywhere in ``[start, stop)``."""
        return bisect_right(self._ends, start) < bisect_left(self._rises, stop)

    def weight(self, start: int, stop: int) -> Samples | None:
        """Return ``(stop - start,)`` float32, or None where it is 0 throughout."""
        if not self.touches(start, stop):
            return None
        weight = np.zeros(stop - start, np.float32)
        for part, values in self.pieces(start, stop):
            weight[part.start - start : part.end - start] = values
        return weight

    def pieces(self, start: int, stop: int) -> Iterator[tuple[Span, Samples]]:
        """Yield the parts of ``[start, stop)`` above 0: flanks by samples, tops as ``(1,)``."""
        here = Span(start, stop)
        first, last = bisect_right(self._ends, start), bisect_left(self._rises, stop)
        for hill in self.plateaus[first:last]:
            up, top, down = (
                Span(hill.rise, hill.top),
                Span(hill.top, hill.edge),
                Span(hill.edge, hill.end),
            )
            if part := up.clip(here):
                yield part, _flank(up, part)
            if part := top.clip(here):
                yield part, np.ones(1, np.float32)
            if part := down.clip(here):
                yield part, 1 - _flank(down, part)


def _flank(flank: Span, part: Span) -> Samples:
    return half_cosine(flank.length)[part.start - flank.start : part.end - flank.start]


@lru_cache(maxsize=8)
def half_cosine(length: int) -> Samples:
    """Return ``(length,)`` float32 rising smoothly from above 0 to below 1; not to be written to.

    A film's flanks have few lengths.
    """
    slope = 0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / max(1, length))
    slope = slope.astype(np.float32)
    slope.flags.writeable = False
    return slope


def around(spans: Iterable[Span], fade: int) -> Envelope:
    """Return a weight that is 1 all through the spans and fades outside, over `fade` samples."""
    joined = merge(spans, gap=2 * fade)
    return Envelope(Plateau(s.start - fade, s.start, s.end, s.end + fade) for s in joined)


def within(spans: Iterable[Span], fade: int) -> Envelope:
    """Return a weight that is 0 outside the spans and fades inside, over at most `fade` samples."""
    return Envelope(
        Plateau(span.start, span.start + edge, span.end - edge, span.end)
        for span in merge(spans)
        for edge in [min(fade, span.length // 2)]
    )


@dataclass(frozen=True, slots=True)
class DuckingOptions:
    """Movement of the fader.

    Attributes:
        depth_db: how far the bed goes down under speech, in dB.
        attack_ms: time on the way down, in ms; with 9 dB and 150 ms the gain moves at most 94 dB/s.
        hold_ms: time it stays down after the last word, in ms.
        release_ms: time on the way up, in ms.
        look_ahead_ms: how long before the first word it starts, in ms: `attack_ms` or more is in
            time.
    """

    depth_db: float = 9.0
    attack_ms: float = 150.0
    hold_ms: float = 400.0
    release_ms: float = 600.0
    look_ahead_ms: float = 150.0


class Ducker:
    """The gain of the bed along the film.

    It moves along half-cosines in dB. Pauses too short to come all the way up and down again are
    bridged: a bed that breathes between sentences is heard as pumping.
    """

    def __init__(self, speech: Iterable[Span], rate: int, options: DuckingOptions) -> None:
        def samples(ms: float) -> int:
            return max(0, round(ms * rate / 1000))

        self._depth_db = options.depth_db
        ahead, attack = samples(options.look_ahead_ms), max(1, samples(options.attack_ms))
        hold, release = samples(options.hold_ms), max(1, samples(options.release_ms))
        spoken = merge(speech, gap=max(ahead, attack) + hold + release)
        self._envelope = Envelope(
            Plateau(rise, rise + attack, edge, edge + release)
            for span in spoken
            for rise in [span.start - ahead]
            for edge in [max(span.end + hold, rise + attack)]
        )

    @property
    def dips(self) -> tuple[Plateau, ...]:
        """Spans in which the bed is lowered, with their flanks."""
        return self._envelope.plateaus

    def lower(self, start: int, block: Samples) -> None:
        """Turn down ``(channels, samples)`` from `start` on, in place.

        Only flanks need a gain for each sample; where the bed stays down it is one number, and
        where it is left alone nothing is done.
        """
        if not self._depth_db:
            return
        for part, weight in self._envelope.pieces(start, start + block.shape[1]):
            gain = np.exp(weight * np.float32(-self._depth_db * np.log(10) / 20))
            here = block[:, part.start - start : part.end - start]
            if gain.size == 1:
                here *= gain
                continue
            # Interleaved: a product with both axes at once would go sample by sample.
            for channel in here:
                channel *= gain
