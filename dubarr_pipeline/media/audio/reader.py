"""The media floor's view of a sound file: the protocol that the engines' `AudioReader` meets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.spans import Span

_GLANCE = 256
"""Sound seldom begins with so many zeros: of most, no more is looked at to know it from silence."""

Samples = NDArray[np.float32]
"""Sound as float32, full scale ±1.0: ``(channels, samples)``, or ``(samples,)`` where said mono."""


class SoundReader(Protocol):
    """A sound file with random access; every `AudioReader` is one."""

    @property
    def rate(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def samples(self) -> int: ...
    def read(self, start: int, stop: int) -> Samples:
        """Return ``(channels, stop - start)`` float32; beyond the file's ends there is silence."""
        ...


@dataclass(frozen=True, slots=True)
class OneChannel:
    """One channel of a sound, as a sound of its own: ``read`` returns ``(1, samples)``."""

    sound: SoundReader
    channel: int

    @property
    def rate(self) -> int:
        return self.sound.rate

    @property
    def channels(self) -> int:
        return 1

    @property
    def samples(self) -> int:
        return self.sound.samples

    def read(self, start: int, stop: int) -> Samples:
        return self.sound.read(start, stop)[self.channel : self.channel + 1]


@dataclass(frozen=True, slots=True)
class SoundsTogether:
    """The sum of two sounds of one rate and layout, such as both stems of a film."""

    one: SoundReader
    other: SoundReader

    @property
    def rate(self) -> int:
        return self.one.rate

    @property
    def channels(self) -> int:
        return self.one.channels

    @property
    def samples(self) -> int:
        return self.one.samples

    def read(self, start: int, stop: int) -> Samples:
        return self.one.read(start, stop) + self.other.read(start, stop)


def keep_freed_blocks(largest: int = 31 << 20) -> None:
    """Have glibc keep freed blocks: else a third of work on sound goes into page faults.

    Those up to `largest` bytes, and twice as much free memory in all. Freeing one mapped block
    raises its thresholds for mapping and trimming to that block's size (mallopt(3),
    M_MMAP_THRESHOLD); the block is never written to, and costs nothing.
    """
    np.empty(largest, np.uint8)


def read_mono(reader: SoundReader, span: Span) -> Samples:
    """Return ``(samples,)``: the mean of all channels over the span."""
    return reader.read(span.start, span.end).mean(axis=0, dtype=np.float32)


def overlapping(sound: Samples, size: int, hop: int) -> Samples:
    """Return ``(..., views, size)``, a view from every `hop` samples on, of ``(..., samples)``.

    The samples must lie one after another; numpy's own ``sliding_window_view`` takes 0.1 ms.
    """
    shape = (*sound.shape[:-1], max(0, (sound.shape[-1] - size) // hop + 1), size)
    strides = (*sound.strides[:-1], hop * sound.itemsize, sound.itemsize)
    return np.ndarray(shape, sound.dtype, sound, strides=strides)


def is_silent(channel: Samples) -> bool:
    """Return whether all samples (at least one) are zero; five times quicker than ``any``."""
    return not channel[:_GLANCE].any() and bool(channel.max() == 0 == channel.min())
