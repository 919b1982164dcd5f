"""What the sound is like around a line, while nobody speaks: the measure of what to leave in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.engines.interfaces import AudioReader, Samples
from dubarr_pipeline.engines.separation.spectrum import Grid, Power, Spectrum, power
from dubarr_pipeline.timeline.spans import Span

_LISTEN_S = 0.5
_LEAST_FRAMES = 4
_SAMPLE_S = 6.0
_QUANTILE = 0.1
_QUANTILE_TO_MEAN = np.float32(9.5)
"""A Gaussian sound's power is exponentially distributed: its 10 % quantile is 0.105 of its mean."""


@dataclass(frozen=True, slots=True)
class Line:
    """A stretch of speech, and how far the silence reaches on both sides."""

    span: Span
    free_from: int
    free_until: int

    def pauses(self, rate: int, grid: Grid) -> list[Span]:
        """The half second next to the line, before and after; only where there is enough."""
        reach = round(_LISTEN_S * rate)
        least = grid.size + (_LEAST_FRAMES - 1) * grid.hop
        before = Span(max(self.free_from, self.span.start - reach), self.span.start)
        after = Span(self.span.end, max(self.span.end, min(self.free_until, self.span.end + reach)))
        return [pause for pause in (before, after) if pause.length >= least]

    def sample(self, rate: int, grid: Grid) -> Span:
        """The middle six seconds of the line, at least a few frames."""
        length = min(self.span.length, round(_SAMPLE_S * rate))
        start = self.span.start + (self.span.length - length) // 2
        return Span(start, start + max(length, grid.size + _LEAST_FRAMES * grid.hop))


def lines_of(spans: list[Span], samples: int) -> list[Line]:
    """Sorted, disjoint stretches with the room between them."""
    starts = [span.start for span in spans[1:]] + [samples]
    ends = [0] + [span.end for span in spans[:-1]]
    return [Line(*facts) for facts in zip(spans, ends, starts, strict=True)]


@dataclass(frozen=True, slots=True)
class Background:
    """Mean power per bin before and after a line, ``(signals, bins)`` each; equal if one is unknown."""

    before: Power
    after: Power

    def at(self, moments: NDArray[np.float32]) -> Power:
        """The mean power of all signals at moments of the line, ``(moments, bins)``.

        Args:
            moments: 0 is the line's start, 1 its end.
        """
        share = np.clip(moments, 0, 1).astype(np.float32)[:, None]
        return (1 - share) * self.before.mean(axis=0) + share * self.after.mean(axis=0)

    def mean(self) -> Power:
        """The power over both sides, ``(signals, bins)``."""
        return (self.before + self.after) / 2


def sound_of(source: AudioReader, span: Span) -> Samples:
    """Read, with what is no number (broken float tracks) as silence."""
    sound = source.read(span.start, span.end)
    return np.nan_to_num(sound, copy=True, nan=0.0, posinf=0.0, neginf=0.0)


def background_of(pauses: list[Spectrum], line: Spectrum) -> Background:
    """The background of a line: that of its pauses, or else the quietest tenth of the line itself.

    Args:
        pauses: spectra ``(signals, frames, bins)`` of none, one or two pauses.
        line: spectra of a sample of the line.
    """
    if not pauses:
        quiet = np.quantile(power(line), _QUANTILE, axis=1).astype(np.float32)
        return Background(quiet * _QUANTILE_TO_MEAN, quiet * _QUANTILE_TO_MEAN)
    means = [power(pause).mean(axis=1) for pause in pauses]
    return Background(means[0], means[-1])
