"""A film cut into overlapping windows, and their results blended into one sound again.

The windows lie where Demucs itself would cut the whole film (``demucs.apply.apply_model``), each
weighted by a triangle, so that no seam is added: see `docs/decisions/0012-demucs-windows.md`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dubarr_pipeline.engines.interfaces import Samples
from dubarr_pipeline.spans import Span


@dataclass(frozen=True, slots=True)
class SeparationWindow:
    """One window, in samples of the film at the model's rate.

    Attributes:
        span: what its result covers.
        heard: what the model hears; longer than `span` at the end of the film, around it.
    """

    span: Span
    heard: Span


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """Division of a film into windows.

    Attributes:
        samples: the film's length.
        length: samples that the model hears at once.
        stride: from the start of a window to the start of the next.
    """

    samples: int
    length: int
    stride: int

    def covering(self, spans: Sequence[Span]) -> Iterator[SeparationWindow]:
        """Yield the windows that touch sorted, disjoint spans, each once, in order."""
        following = 0
        for span in spans:
            first = max(following, (span.start - self.length) // self.stride + 1, 0)
            last = min(-(-span.end // self.stride), -(-self.samples // self.stride))
            for index in range(first, last):
                yield self._window(index * self.stride)
            following = max(following, last)

    def _window(self, start: int) -> SeparationWindow:
        length = min(self.length, self.samples - start)
        # Demucs puts what it lacks at the film's end on both sides, in half.
        before = start - (self.length - length) // 2
        return SeparationWindow(Span(start, start + length), Span(before, before + self.length))

    def weights(self, length: int) -> Samples:
        """Return the first `length` weights of a window, ``(length,)``: a triangle above zero."""
        half = self.length // 2
        up = np.arange(1, half + 1, dtype=np.float32)
        down = np.arange(self.length - half, 0, -1, dtype=np.float32)
        return (np.concatenate([up, down]) / np.float32(self.length - half))[:length]


class Blend:
    """The results of the windows, added up; holds no more than what is still to be fetched."""

    def __init__(self, plan: WindowPlan, channels: int) -> None:
        self._plan, self._channels = plan, channels
        self._runs: list[_Run] = []

    def add(self, window: SeparationWindow, voices: Samples) -> None:
        """Add the result of a window, ``(channels, window.span.length)``; in order of starts."""
        if not self._runs or self._runs[-1].end < window.span.start:
            self._runs.append(_Run(window.span.start, self._channels))
        self._runs[-1].add(window.span, voices, self._plan.weights(window.span.length))

    def read(self, start: int, stop: int) -> Samples:
        """Return ``(channels, stop - start)``; silence where no window lies."""
        block = np.zeros((self._channels, stop - start), np.float32)
        for run in self._runs:
            part = Span(start, stop).clip(Span(run.start, run.end))
            if part:
                block[:, part.start - start : part.end - start] = run.read(part)
        return block

    def forget(self, before: int) -> None:
        """Drop what lies before a sample."""
        self._runs = [run for run in self._runs if run.end > before]
        for run in self._runs:
            run.forget(before)


class _Run:
    """Windows that follow each other without a gap."""

    def __init__(self, start: int, channels: int) -> None:
        self.start = start
        self._sound = np.zeros((channels, 0), np.float32)
        self._weights = np.zeros(0, np.float32)

    @property
    def end(self) -> int:
        return self.start + self._weights.size

    def add(self, span: Span, voices: Samples, weights: Samples) -> None:
        missing = max(0, span.end - self.end)
        self._sound = np.pad(self._sound, ((0, 0), (0, missing)))
        self._weights = np.pad(self._weights, (0, missing))
        here = slice(span.start - self.start, span.end - self.start)
        self._sound[:, here] += weights * voices
        self._weights[here] += weights

    def read(self, span: Span) -> Samples:
        there = slice(span.start - self.start, span.end - self.start)
        return self._sound[:, there] / self._weights[there]

    def forget(self, before: int) -> None:
        gone = max(0, before - self.start)
        self._sound, self._weights = self._sound[:, gone:].copy(), self._weights[gone:].copy()
        self.start += gone
