"""How the media floor sees a sound file: the shape of the engines' `AudioReader`."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.timeline.spans import Span

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


def read_mono(reader: SoundReader, span: Span) -> Samples:
    """Return ``(samples,)``: the mean of all channels over the span."""
    return reader.read(span.start, span.end).mean(axis=0, dtype=np.float32)


def is_silent(channel: Samples) -> bool:
    """Whether all samples, at least one, are zero; five times quicker than ``any``."""
    return bool(channel.max() == 0 == channel.min())


def at_rate(mono: Samples, rate: int, wanted: int) -> Samples:
    """Return the sound at another rate, band-limited; ``(samples,)`` in and out."""
    if rate == wanted or not mono.size:
        return mono
    from scipy.signal import resample_poly

    common = int(np.gcd(rate, wanted))
    resampled = resample_poly(mono, wanted // common, rate // common)
    return np.ascontiguousarray(resampled, dtype=np.float32)
