"""Lowers the bed while somebody speaks, the way a hand on a fader would."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dubarr_pipeline.media.fades import Envelope, Plateau
from dubarr_pipeline.media.sound_reader import Samples
from dubarr_pipeline.timeline.spans import Span, merge


@dataclass(frozen=True, slots=True)
class DuckingOptions:
    """How the fader moves.

    Attributes:
        depth_db: how far the bed goes down.
        attack_ms: time on the way down; with 9 dB and 150 ms the gain moves at most 94 dB/s.
        hold_ms: time it stays down after the last word.
        release_ms: time on the way up.
        look_ahead_ms: how long before the first word it starts: `attack_ms` or more is in time.
    """

    depth_db: float = 9.0
    attack_ms: float = 150.0
    hold_ms: float = 400.0
    release_ms: float = 600.0
    look_ahead_ms: float = 150.0


class Ducker:
    """The gain of the bed along the film.

    It moves along half-cosines in dB, so that its slope never exceeds ``pi / 2 * depth / time`` and
    has no corners. Pauses too short to come all the way up and down again are bridged: a bed that
    breathes between sentences is heard as pumping.
    """

    def __init__(self, speech: Iterable[Span], rate: int, options: DuckingOptions) -> None:
        def samples(ms: float) -> int:
            return max(0, round(ms * rate / 1000))

        self._depth_db = options.depth_db
        ahead, attack = samples(options.look_ahead_ms), max(1, samples(options.attack_ms))
        hold, release = samples(options.hold_ms), max(1, samples(options.release_ms))
        spoken = merge(speech, gap=ahead + max(0, attack - ahead) + hold + release)
        self._envelope = Envelope(_hill(s, ahead, attack, hold, release) for s in spoken)

    @property
    def hills(self) -> tuple[Plateau, ...]:
        """Where the bed is down, with the flanks."""
        return self._envelope.plateaus

    def gain(self, start: int, stop: int) -> Samples | None:
        """Return ``(stop - start,)`` float32 linear gain, or None where the bed is left alone."""
        weight = self._envelope.weight(start, stop)
        if weight is None or not self._depth_db:
            return None
        return np.exp(weight * np.float32(-self._depth_db * np.log(10) / 20))


def _hill(span: Span, ahead: int, attack: int, hold: int, release: int) -> Plateau:
    rise = span.start - ahead
    edge = max(span.end + hold, rise + attack)
    return Plateau(rise, rise + attack, edge, edge + release)
