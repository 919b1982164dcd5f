"""Divides a soundtrack on disk into two stems whose sum is the soundtrack again."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dubarr_pipeline.engines.interfaces import Samples, Separator
from dubarr_pipeline.errors import EngineError
from dubarr_pipeline.media.audio.wav import OverlayWriter, WaveWriter
from dubarr_pipeline.progress import OnProgress, Progress, ignore_progress
from dubarr_pipeline.spans import Span, merge, total

_log = logging.getLogger(__name__)

FADE_S = 0.01
"""Seconds over which the vocals come and go at the ends of a stretch of speech, inside it."""
_ZEROS_SAMPLES = 1 << 16


@dataclass(frozen=True, slots=True)
class StemReport:
    """Counts of the division into stems.

    Attributes:
        method: how the separator worked, in its own words; its name if it doesn't say.
        stretches: how many stretches of speech there were.
        speech_samples: samples inside them.
        vocals_rms_dbfs: level of the vocals inside speech, over all channels; -inf if silent.
    """

    method: str
    stretches: int
    speech_samples: int
    vocals_rms_dbfs: float


def write_stems(
    accompaniment: Path,
    vocals: Path,
    separator: Separator,
    speech: Sequence[Span],
    on_progress: OnProgress = ignore_progress,
) -> StemReport:
    """Take the voices out of a soundtrack, in place, and write them to a file of their own.

    Outside `speech` no sample of `accompaniment` is touched, and the vocals are exactly silent;
    inside, both add up to the source. Memory does not grow with the film.

    Args:
        accompaniment: the whole source as float32 WAV; becomes the accompaniment.
        vocals: is written: same rate, channels, layout and sample count.
        separator: loaded.
        speech: stretches to work on, in samples of the source; any order, may overlap.
        on_progress: told the samples of speech done.

    Raises:
        EngineError: if the separator breaks its contract (order, shape, coverage).
        DiskFull, ArtifactError: from the files.
    """
    with OverlayWriter(accompaniment) as source:
        film = Span(0, source.samples)
        spans = [part for span in merge(speech) if (part := span.clip(film))]
        with WaveWriter(
            vocals, source.rate, source.channels, source.samples, source.layout
        ) as writer:
            split = _Split(source, writer, spans, on_progress)
            for start, block in separator.separate(source, spans):
                split.take(start, block)
            split.finish()
    method = getattr(separator, "method", None) or separator.name
    count = max(1, total(spans) * split.channels)
    level = 10 * float(np.log10(split.energy / count)) if split.energy else -np.inf
    _log.info("took the voices out of %d stretches (%s)", len(spans), method)
    return StemReport(str(method), len(spans), total(spans), level)


class _Split:
    """The place in both files up to which the work is done."""

    def __init__(
        self, source: OverlayWriter, writer: WaveWriter, spans: list[Span], tell: OnProgress
    ) -> None:
        self._source, self._writer, self._spans, self._tell = source, writer, spans, tell
        self._next = 0
        self._fade = max(1, round(FADE_S * source.rate))
        self._covered, self._speech = 0, total(spans)
        self.channels = source.channels
        self.energy = 0.0

    def take(self, start: int, block: Samples) -> None:
        """Divide the sound where this block of vocals lies; leave alone what is no speech."""
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise EngineError(
                f"the separator gave a block of shape {block.shape} for {self.channels} channels"
            )
        here = Span(start, start + block.shape[1])
        if start < self._writer.samples:
            raise EngineError(
                f"the separator went back from sample {self._writer.samples} to {start}"
            )
        for span in self._overlapping(here):
            part = span.clip(here)
            if part:
                voice = block[:, part.start - start : part.end - start]
                source = self._source.read(part.start, part.end)
                faded = voice * _fade_of(span, part, self._fade)
                usable = np.isfinite(source) & np.isfinite(faded)
                rest = np.where(usable, source - faded, source).astype(np.float32)
                taken = np.where(usable, source - rest, np.float32(0)).astype(np.float32)
                self._source.write_at(part.start, rest)
                self._silence_until(part.start)
                self._writer.write(taken)
                self._covered += part.length
                self.energy += float(np.square(taken, dtype=np.float64).sum())
        self._tell(Progress(self._covered, self._speech))

    def _overlapping(self, here: Span) -> Iterator[Span]:
        while self._next < len(self._spans) and self._spans[self._next].end <= here.start:
            self._next += 1
        for number in range(self._next, len(self._spans)):
            span = self._spans[number]
            if span.start >= here.end:
                return
            yield span

    def _silence_until(self, sample: int) -> None:
        zeros = np.zeros((self.channels, _ZEROS_SAMPLES), np.float32)
        while (missing := sample - self._writer.samples) > 0:
            self._writer.write(zeros[:, :missing])

    def finish(self) -> None:
        """Write the silence after the last voice; raise `EngineError` if speech was left out."""
        if self._covered != self._speech:
            raise EngineError(
                f"the separator left out {self._speech - self._covered} of {self._speech} samples "
                "of speech"
            )
        self._silence_until(self._source.samples)


def _fade_of(span: Span, part: Span, fade: int) -> Samples:
    """Raised-cosine gains of `part`, which lies in `span`: 0 at its outermost samples, 1 within."""
    length = min(fade, span.length // 2)
    gains = np.ones(part.length, np.float32)
    if not length:
        return gains * np.float32(0)
    ramp = (0.5 - 0.5 * np.cos(np.pi * np.arange(length) / length)).astype(np.float32)
    for position, values in ((span.start, ramp), (span.end - length, ramp[::-1])):
        common = part.clip(Span(position, position + length))
        if common:
            gains[common.start - part.start : common.end - part.start] = values[
                common.start - position : common.end - position
            ]
    return gains
