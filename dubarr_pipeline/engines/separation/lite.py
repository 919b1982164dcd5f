"""The embedded separation: a centre mask or a Wiener filter inside speech, no model."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.engines.interfaces import AudioReader, Samples, Separator
from dubarr_pipeline.engines.separation.dialogue import (
    MIDDLE,
    SeparationOptions,
    are_apart,
    dialogue_channels,
    position,
    sides,
    tells_apart,
)
from dubarr_pipeline.engines.separation.masks import (
    CONTEXT_FRAMES,
    HALO_BINS,
    STRIP_BINS,
    centre_voice,
    wiener_voice,
)
from dubarr_pipeline.engines.separation.pauses import (
    Background,
    DialogueLine,
    PauseSums,
    lines_of,
    pause_power,
    quiet_power,
    sound_of,
)
from dubarr_pipeline.engines.separation.spectrum import TINY, Grid, Spectrum
from dubarr_pipeline.spans import Span, merge
from dubarr_pipeline.workdir.canonical import canonical_json

_log = logging.getLogger(__name__)

_VERSION = "3"
_BLOCK_VALUES = 400_000
"""Values of one signal's spectra worked on at once: about 4 s at 48 kHz, 3 MB an array."""
_MARGIN_FRAMES = 3
"""Frames that overlap a block's first sample from before it."""


class LiteSeparator(Separator):
    """Takes voices out by their place in the stereo picture, or by how they rise above the pauses.

    Attributes:
        used: lines treated by each method in the last `separate`, for the report.
    """

    name: ClassVar[str] = "lite"

    def __init__(self, options: SeparationOptions | None = None) -> None:
        self._options = options or SeparationOptions()
        self.used: Counter[str] = Counter()

    @property
    def method(self) -> str:
        """Description of the last sound's treatment, e.g. ``"centre 41, wiener 3"`` lines."""
        return ", ".join(f"{name} {count}" for name, count in self.used.most_common()) or "none"

    def identity(self) -> str:
        return f"{self.name}/{_VERSION}/{canonical_json(self._options)}"

    def separate(
        self, source: AudioReader, speech: Sequence[Span]
    ) -> Iterator[tuple[int, Samples]]:
        self.used = Counter()
        film = Span(0, source.samples)
        grid = Grid.at(source.rate)
        spans = [part for span in merge(speech) if (part := span.clip(film))]
        lines = lines_of(spans, source.samples, source.rate, grid)
        groups = dialogue_channels(source, lines, grid, self._options)
        sound = _Sound(source, grid)
        for line in lines:
            works = [
                work
                for group in groups
                for work in _LineWork(sound, line, group, self._options).parts()
            ]
            self.used.update({work.method for work in works})
            for block in _blocks(line.span, grid):
                vocals = np.zeros((source.channels, block.length), np.float32)
                for work in works:
                    vocals[list(work.channels)] = work.voice(block)
                yield block.start, vocals
            sound.forget(line)
        _log.info("separated %d lines: %s", len(lines), self.method)


def _blocks(span: Span, grid: Grid) -> Iterator[Span]:
    """Parts of a line that are worked on at once; all but the last a whole number of hops."""
    step = max(1, _BLOCK_VALUES // grid.bins) * grid.hop
    for start in range(span.start, span.end, step):
        yield Span(start, min(span.end, start + step))


class _Sound:
    """The source as spectra; the sums of a pause are kept while lines are near that hear it."""

    def __init__(self, source: AudioReader, grid: Grid) -> None:
        self.grid, self.rate = grid, source.rate
        self._source = source
        self._sums: dict[tuple[Span, tuple[int, ...]], PauseSums] = {}

    def spectra(self, span: Span, channels: tuple[int, ...]) -> Spectrum:
        """Return the spectra of a stretch, ``(channels, frames, bins)``."""
        return self.grid.analyse(sound_of(self._source, span)[list(channels)])

    def pause(self, span: Span, channels: tuple[int, ...]) -> PauseSums:
        """Return the sums of a pause."""
        key = span, channels
        if key not in self._sums:
            self._sums[key] = PauseSums.of(self.spectra(span, channels))
        return self._sums[key]

    def forget(self, line: DialogueLine) -> None:
        """Drop the pauses that lie before the first one which this line has heard."""
        first = min((span.start for span in line.before), default=line.span.start)
        self._sums = {key: sums for key, sums in self._sums.items() if key[0].start >= first}


class _LineWork:
    """One line in one group of channels: how the voice is taken out, against what background."""

    def __init__(
        self,
        sound: _Sound,
        line: DialogueLine,
        channels: tuple[int, ...],
        options: SeparationOptions,
    ) -> None:
        self.channels = channels
        self._sound, self._line, self._options = sound, line, options
        self._whole = self._spectra_of_whole()
        before = [sound.pause(span, channels) for span in line.before]
        after = [sound.pause(span, channels) for span in line.after]
        pauses = before + after
        heard = self._sample()
        self.method: Literal["centre", "wiener"] = "wiener"
        self._place = MIDDLE
        self._is_apart = False
        if len(channels) == 2:
            places = sides(pauses, heard)
            for piece in line.pieces(sound.rate, sound.grid):
                places += sides(pauses, self._spectra(piece))
            self._is_apart = are_apart(places)
            self._place = position(pauses, heard)
            if tells_apart(self._place, pauses, heard, options):
                self.method = "centre"
        self._background = self._hear_background(before, after, heard)

    def parts(self) -> list[_LineWork]:
        """Return the work; one for each channel where their voices are not the same."""
        if not self._is_apart or self._options.method == "centre":
            return [self]
        return [_LineWork(self._sound, self._line, (c,), self._options) for c in self.channels]

    def _spectra_of_whole(self) -> Spectrum | None:
        """Return all that is heard for a line of one block, which its sample is a part of."""
        (block, *more), grid = _blocks(self._line.span, self._sound.grid), self._sound.grid
        sample = self._line.sample(self._sound.rate, grid)
        if more or sample.start != block.start:
            return None
        return self._spectra(_heard_for(block, grid))

    def _sample(self) -> Spectrum:
        grid = self._sound.grid
        span = self._line.sample(self._sound.rate, grid)
        if self._whole is None:
            return self._spectra(span)
        first = CONTEXT_FRAMES + _MARGIN_FRAMES
        return self._whole[:, first : first + (span.length - grid.size) // grid.hop + 1]

    def _hear_background(
        self, before: list[PauseSums], after: list[PauseSums], heard: Spectrum
    ) -> Background:
        line, sound = self._line, self._sound
        lean = self._place.lean if self.method == "centre" else None
        known = [
            (float(line.span.start), pause_power(before, lean)),
            *(
                (float(knot.start + knot.length / 2), quiet_power(self._turn(self._spectra(knot))))
                for knot in line.knots(sound.rate, sound.grid)
            ),
            (float(line.span.end), pause_power(after, lean)),
        ]
        found = [(moment, level) for moment, level in known if level is not None]
        found = found or [(float(line.span.start), quiet_power(self._turn(heard)))]
        return Background(
            np.array([moment for moment, _ in found]), np.stack([level for _, level in found])
        )

    def _turn(self, spectra: Spectrum) -> Spectrum:
        """Return the method's input: the voice's place and what lies beside it, or the channels."""
        return self._place.turn(spectra) if self.method == "centre" else spectra

    def _spectra(self, span: Span) -> Spectrum:
        return self._sound.spectra(span, self.channels)

    def voice(self, block: Span) -> Samples:
        """Return the voice inside `block`, ``(len(channels), samples)``."""
        grid = self._sound.grid
        heard = _heard_for(block, grid)
        spectra = self._spectra(heard) if self._whole is None else self._whole
        moments = heard.start + np.arange(spectra.shape[1]) * grid.hop + grid.size / 2
        inner = slice(CONTEXT_FRAMES, spectra.shape[1] - CONTEXT_FRAMES)
        outer = slice(_MARGIN_FRAMES * grid.hop, _MARGIN_FRAMES * grid.hop + block.length)
        if self.method == "centre":
            sound = grid.synthesise(self._centre(spectra, moments)[inner])[outer]
            return self._place.gains()[:, None] * sound
        background = self._background.at(moments).mean(axis=0)
        found = wiener_voice(spectra, background, self._options.wiener_caution)
        return grid.synthesise(found[:, inner])[:, outer]

    def _centre(self, spectra: Spectrum, moments: NDArray[np.float64]) -> Spectrum:
        """Return the voice at its place, ``(frames, bins)``, worked out in strips of bins."""
        found = np.empty(spectra.shape[1:], np.complex64)
        bins = spectra.shape[2]
        for first in range(0, bins, STRIP_BINS):
            last = min(bins, first + STRIP_BINS)
            low, high = max(0, first - HALO_BINS), min(bins, last + HALO_BINS)
            at, beside = self._place.turn(spectra[:, :, low:high])
            level = self._background.of(low, high).at(moments)
            ratio = level[0] / (level[1] + TINY)
            voice = centre_voice(at, beside, ratio, self._options.centre_caution)
            found[:, first:last] = voice[:, first - low : last - low]
        return found


def _heard_for(block: Span, grid: Grid) -> Span:
    """Return what must be heard for a block: whole hops, with context on both sides."""
    lead = (CONTEXT_FRAMES + _MARGIN_FRAMES) * grid.hop
    body = -(-block.length // grid.hop) * grid.hop
    return Span(block.start - lead, block.start + body + lead)
