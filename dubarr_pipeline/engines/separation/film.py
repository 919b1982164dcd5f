"""A film as a stereo network hears it, and the network's answers as the film's channels again."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dubarr_pipeline.engines.interfaces import AudioReader, Samples
from dubarr_pipeline.engines.separation.pauses import sound_of
from dubarr_pipeline.engines.separation.windows import Blend, SeparationWindow, WindowPlan
from dubarr_pipeline.media.audio.resample import RateBridge
from dubarr_pipeline.spans import Span, merge

Voices = Callable[[Samples], Samples]
"""Takes the voices out of windows: ``(windows, 2, samples)`` in and out."""

_STEREO = 2
_MEASURED_SAMPLES = 1 << 20
_TINY = 1e-8
"""Term that Demucs adds to the spread of a sound before it divides by it."""


@dataclass(frozen=True, slots=True)
class Level:
    """Mean and spread of a whole film, by which every window is normalised alike."""

    mean: float
    spread: float

    def normalised(self, sound: Samples) -> Samples:
        return ((sound - np.float32(self.mean)) / np.float32(self.spread)).astype(np.float32)

    def restored(self, voices: Samples) -> Samples:
        return (voices * np.float32(self.spread) + np.float32(self.mean)).astype(np.float32)


def level_of(source: AudioReader, channels: Sequence[int]) -> Level:
    """Measure the mean of some channels over the whole film (as ``demucs.api`` does), in blocks."""
    summed = squared = 0.0
    for start in range(0, source.samples, _MEASURED_SAMPLES):
        span = Span(start, min(source.samples, start + _MEASURED_SAMPLES))
        mono = sound_of(source, span)[list(channels)].mean(axis=0, dtype=np.float64)
        summed += float(mono.sum())
        squared += float(np.square(mono).sum())
    mean = summed / max(1, source.samples)
    variance = (squared - mean * summed) / max(1, source.samples - 1)
    return Level(mean, float(np.sqrt(max(0.0, variance))) + _TINY)


class Film:
    """A film on its way through a stereo network.

    Args:
        source: any rate, any channels.
        groups: the channels to work on; one or two are heard together.
        rate: the network's.
    """

    def __init__(self, source: AudioReader, groups: Sequence[tuple[int, ...]], rate: int) -> None:
        self._source, self._groups = source, tuple(groups)
        self._used = [channel for group in groups for channel in group]
        self._into = RateBridge(source.rate, rate)
        self._back = RateBridge(rate, source.rate)
        self._levels: list[Level] = []
        self.samples = self._into.length(source.samples)

    def separated(
        self, plan: WindowPlan, spans: Sequence[Span], batch: int, voices: Voices
    ) -> Iterator[tuple[int, Samples]]:
        """Yield the voices inside the spans, as `Separator.separate` does.

        Args:
            plan: how the film is cut at the network's rate.
            spans: sorted, disjoint, inside the film.
            batch: windows that are heard before the next part is yielded.
            voices: the network.
        """
        # The network must cover all samples from which the spans are resampled back.
        film = Span(0, self.samples)
        wide = [
            Span(self._back.first_read(span.start), self._back.last_read(span.end)).clip(film)
            for span in spans
        ]
        windows = list(plan.covering(merge([span for span in wide if span])))
        self._levels = [level_of(self._source, group) for group in self._groups if windows]
        blends = [Blend(plan, len(group)) for group in self._groups]
        done = 0
        for first in range(0, len(windows), batch):
            here, later = windows[first : first + batch], windows[first + batch :]
            self._hear(here, voices, blends)
            ready = self._ready(later)
            for part in _between(spans, done, ready):
                yield part.start, self._voices_of(part, blends)
            done = max(done, ready)
            for blend in blends:
                blend.forget(self._back.first_read(done))

    def _hear(
        self, windows: Sequence[SeparationWindow], voices: Voices, blends: Sequence[Blend]
    ) -> None:
        sounds = np.concatenate([self._heard(window) for window in windows])
        found = iter(voices(sounds))
        for window in windows:
            for group, level, blend in zip(self._groups, self._levels, blends, strict=True):
                start = window.span.start - window.heard.start
                made = level.restored(next(found)[:, start : start + window.span.length])
                blend.add(window, made if len(group) == _STEREO else made.mean(0, keepdims=True))

    def _heard(self, window: SeparationWindow) -> Samples:
        """Return the network's input for a window, ``(groups, 2, samples)``; mono on both sides."""
        sound = self._into.convert(self._read, window.heard.start, window.heard.end)
        before = max(0, -window.heard.start)
        after = max(0, window.heard.end - self.samples)
        heard = np.zeros((len(self._groups), _STEREO, window.heard.length), np.float32)
        for row, (group, level) in enumerate(zip(self._groups, self._levels, strict=True)):
            heard[row] = level.normalised(sound[[self._used.index(c) for c in group]])
        heard[..., :before] = 0
        heard[..., window.heard.length - after :] = 0
        return heard

    def _read(self, start: int, stop: int) -> Samples:
        return sound_of(self._source, Span(start, stop))[self._used]

    def _ready(self, later: Sequence[SeparationWindow]) -> int:
        """Up to which sample of the film all is known, and nothing is read any more."""
        if not later:
            return self._source.samples
        # Only the last two windows of a film hear what lies before the one before them.
        heard_from = min(window.heard.start for window in (later[0], *later[-2:]))
        return min(self._into.first_read(heard_from), self._back.ready(later[0].span.start))

    def _voices_of(self, part: Span, blends: Sequence[Blend]) -> Samples:
        block = np.zeros((self._source.channels, part.length), np.float32)
        for group, blend in zip(self._groups, blends, strict=True):
            block[list(group)] = self._back.convert(blend.read, part.start, part.end)
        return block


def _between(spans: Sequence[Span], start: int, end: int) -> list[Span]:
    if start >= end:
        return []
    bounds = Span(start, end)
    return [part for span in spans if (part := span.clip(bounds))]
