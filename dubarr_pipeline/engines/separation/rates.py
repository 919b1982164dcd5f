"""A film at another rate, stretch by stretch, every sample at its own time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from math import gcd

import numpy as np

from dubarr_pipeline.engines.interfaces import Samples

Read = Callable[[int, int], Samples]
"""``read(start, stop)`` gives ``(channels, stop - start)``, with silence beyond the ends."""

_CROSSINGS = 24
"""Zero crossings of the sinc on each side..."""
_KAISER_BETA = 8.0
"""...and its window: 80 dB below in the stop band (Kaiser 1974)."""
_EDGE = 0.96
"""Where the band ends, of the lower rate's: 21.2 kHz at 44.1 kHz."""


class RateBridge:
    """Brings sound from one rate to another; a stretch comes out as it would from the whole.

    Args:
        source, wanted: samples per second.
    """

    def __init__(self, source: int, wanted: int) -> None:
        common = gcd(source, wanted)
        self._up, self._down = wanted // common, source // common

    def length(self, samples: int) -> int:
        """Samples at the wanted rate that hold a sound of `samples`."""
        return -(-samples * self._up // self._down)

    def first_read(self, start: int) -> int:
        """The first sample of the source that `convert` reads for a stretch from `start` on."""
        return start // self._up * self._down - self._padding

    def last_read(self, stop: int) -> int:
        """The sample of the source after the last that `convert` reads for a stretch to `stop`."""
        return -(-stop * self._down // self._up) + self._padding

    def ready(self, known: int) -> int:
        """Samples at the wanted rate that follow from the first `known` samples of the source."""
        return max(0, (known - self._padding) * self._up // self._down)

    def convert(self, read: Read, start: int, stop: int) -> Samples:
        """Return the samples from `start` to `stop` at the wanted rate, ``(channels, n)``."""
        if self._up == self._down:
            return read(start, stop)
        from scipy.signal import resample_poly

        # From a moment at which both rates have a sample.
        first = self.first_read(start)
        last = self.last_read(stop)
        made = resample_poly(
            read(first, last), self._up, self._down, axis=-1, window=self._low_pass
        )
        skipped = start - first // self._down * self._up
        return np.ascontiguousarray(made[:, skipped : skipped + stop - start], np.float32)

    @cached_property
    def _padding(self) -> int:
        """Source samples beside a stretch that reach into it; a whole number of common moments."""
        if self._up == self._down:
            return 0
        reach = -(-_CROSSINGS * max(self._up, self._down) // self._up) + 1
        return -(-reach // self._down) * self._down

    @cached_property
    def _low_pass(self) -> Samples:
        widest = max(self._up, self._down)
        moments = np.arange(-_CROSSINGS * widest, _CROSSINGS * widest + 1) / widest
        taps = np.sinc(_EDGE * moments) * np.kaiser(moments.size, _KAISER_BETA)
        return (taps / taps.sum()).astype(np.float32)
