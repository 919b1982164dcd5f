"""Sounds in memory whose voices are tones, each of another band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dubarr_pipeline.engines.interfaces import Samples
from dubarr_pipeline.timeline.spans import Span, merge

RATE = 48_000
TONES_HZ = (200, 600, 1200)


@dataclass
class Sound:
    """A sound file that lies in memory, and remembers how much of it was read at once."""

    data: Samples
    rate: int = RATE
    longest_read: int = field(default=0)

    @property
    def channels(self) -> int:
        return self.data.shape[0]

    @property
    def samples(self) -> int:
        return self.data.shape[1]

    def read(self, start: int, stop: int) -> Samples:
        self.longest_read = max(self.longest_read, stop - start)
        read = np.zeros((self.channels, stop - start), np.float32)
        part = self.data[:, max(0, start) : max(0, stop)]
        read[:, max(0, -start) : max(0, -start) + part.shape[1]] = part
        return read


@dataclass(frozen=True)
class Tone:
    """One voice, from second to second."""

    voice: int
    start_s: float
    end_s: float

    @property
    def span(self) -> Span:
        return Span(round(self.start_s * RATE), round(self.end_s * RATE))


def sounding(tones: Sequence[Tone], length_s: float, channels: int = 2) -> Sound:
    """The tones as a sound, alike on all channels."""
    mono = np.zeros(round(length_s * RATE), np.float32)
    for tone in tones:
        time_s = np.arange(tone.span.start, tone.span.end) / RATE
        heard = 0.2 * np.sin(2 * np.pi * TONES_HZ[tone.voice] * time_s)
        part = mono[tone.span.start : tone.span.end]
        part += heard.astype(np.float32)[: part.size]
    return Sound(np.tile(mono, (channels, 1)))


def speech_of(tones: Sequence[Tone]) -> list[Span]:
    """Where any of them sounds."""
    return merge(tone.span for tone in tones)
