"""Lays the takes over the film, each opened when its time comes and gone when it is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dubarr_pipeline.media.dialogue_level import LineLevel, read_take
from dubarr_pipeline.media.fades import half_cosine
from dubarr_pipeline.media.k_weighting import Powers
from dubarr_pipeline.media.mix_options import PlacedTake
from dubarr_pipeline.media.resample import resample
from dubarr_pipeline.media.room_match import Room, in_room
from dubarr_pipeline.media.sound_reader import Samples
from dubarr_pipeline.timeline.spans import Span


@dataclass(frozen=True, slots=True)
class LevelledTake:
    """A take with all that the sum needs: its place, its gain and its place in the room.

    Attributes:
        span: where it lies on the film; may reach over the film's ends, where it cannot be heard.
        gain_db: on the samples of the file.
        pan: ``(channels,)`` float32.
        room: what is done to it so that it sounds as far away as its original, or None.
    """

    take: PlacedTake
    span: Span
    gain_db: float
    pan: Samples
    room: Room | None = None


@dataclass(slots=True)
class _Sounding:
    sound: Samples
    placed: LevelledTake
    start: int


class TakesOnTrack:
    """Adds takes to blocks of the film; holds only those that sound.

    Args:
        takes: in any order.
        rate: of the film, Hz.
        samples: length of the film: what lies beyond is cut off with a fade.
        fade: samples of the fade at both ends of every take.
    """

    def __init__(self, takes: Sequence[LevelledTake], rate: int, samples: int, fade: int) -> None:
        self._waiting = sorted(takes, key=lambda t: t.span.start, reverse=True)
        self._rate, self._samples, self._fade = rate, samples, fade
        self._sounding: list[_Sounding] = []

    def add_to(self, start: int, block: Samples) -> None:
        """Add what sounds from `start` on to the ``(channels, samples)``; blocks come in order."""
        stop = start + block.shape[1]
        while self._waiting and self._waiting[-1].span.start < stop:
            placed = self._waiting.pop()
            if placed.span.end > start and placed.pan.any():
                self._sounding.append(self._opened(placed))
        for sounding in self._sounding:
            _add(sounding, start, block)
        self._sounding = [s for s in self._sounding if s.start + s.sound.size > stop]

    def _opened(self, placed: LevelledTake) -> _Sounding:
        sound, rate = read_take(placed.take)
        if placed.room:
            sound = in_room(sound, rate, placed.room)
        sound = resample(sound, rate, self._rate)
        start = max(0, placed.take.start)
        sound = sound[start - placed.take.start : self._samples - placed.take.start]
        sound = sound * np.float32(10 ** (placed.gain_db / 20))
        fade = min(self._fade, sound.size // 2)
        if fade:
            slope = half_cosine(fade)
            sound[:fade] *= slope
            sound[-fade:] *= slope[::-1]
        return _Sounding(sound, placed, start)


def _add(sounding: _Sounding, start: int, block: Samples) -> None:
    first = max(start, sounding.start)
    last = min(start + block.shape[1], sounding.start + sounding.sound.size)
    if first >= last:
        return
    part = sounding.sound[first - sounding.start : last - sounding.start]
    for channel in np.flatnonzero(sounding.placed.pan):
        block[channel, first - start : last - start] += part * sounding.placed.pan[channel]


def dub_frames(takes: Sequence[LevelledTake], lines: Sequence[LineLevel], hop: float) -> Powers:
    """Return the dub's power in every tenth of a second (`hop` samples) of the film."""
    ends = [
        round(t.take.start / hop) + n.dub_powers.size for t, n in zip(takes, lines, strict=True)
    ]
    frames = np.zeros(max([0, *ends]))
    for placed, line in zip(takes, lines, strict=True):
        first = round(placed.take.start / hop)
        powers = line.dub_powers[max(0, -first) :] * 10 ** (placed.gain_db / 10)
        frames[max(0, first) : max(0, first) + powers.size] += powers
    return frames
