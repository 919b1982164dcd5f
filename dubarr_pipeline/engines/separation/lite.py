"""The embedded separation: a centre mask or a Wiener filter inside speech, no model."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import numpy as np

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
    centre_voice,
    wiener_voice,
)
from dubarr_pipeline.engines.separation.pauses import (
    Background,
    DialogueLine,
    lines_of,
    pause_power,
    quiet_power,
    sound_of,
)
from dubarr_pipeline.engines.separation.spectrum import TINY, Grid, Power, Spectrum
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
        for line in lines:
            works = [
                work
                for group in groups
                for work in _LineWork(source, line, group, grid, self._options).parts()
            ]
            self.used.update({work.method for work in works})
            for block in _blocks(line.span, grid):
                vocals = np.zeros((source.channels, block.length), np.float32)
                for work in works:
                    vocals[list(work.channels)] = work.voice(block)
                yield block.start, vocals
        _log.info("separated %d lines: %s", len(lines), self.method)


def _blocks(span: Span, grid: Grid) -> Iterator[Span]:
    """Parts of a line that are worked on at once; all but the last a whole number of hops."""
    step = max(1, _BLOCK_VALUES // grid.bins) * grid.hop
    for start in range(span.start, span.end, step):
        yield Span(start, min(span.end, start + step))


class _LineWork:
    """One line in one group of channels: how the voice is taken out, against what background."""

    def __init__(
        self,
        source: AudioReader,
        line: DialogueLine,
        channels: tuple[int, ...],
        grid: Grid,
        options: SeparationOptions,
    ) -> None:
        self.channels = channels
        self._source, self._line, self._grid, self._options = source, line, grid, options
        pauses = [self._spectra(pause) for pause in line.before + line.after]
        heard = self._spectra(line.sample(source.rate, grid))
        self.method: Literal["centre", "wiener"] = "wiener"
        self._place = MIDDLE
        self._is_apart = False
        if len(channels) == 2:
            places = sides(pauses, heard)
            for piece in line.pieces(source.rate, grid):
                places += sides(pauses, self._spectra(piece))
            self._is_apart = are_apart(places)
            self._place = position(pauses, heard)
            if tells_apart(self._place, pauses, heard, options):
                self.method = "centre"
        self._background = self._hear_background(pauses, heard)

    def parts(self) -> list[_LineWork]:
        """Return the work; one for each channel where their voices are not the same."""
        if not self._is_apart or self._options.method == "centre":
            return [self]
        shared = self._source, self._line
        return [_LineWork(*shared, (c,), self._grid, self._options) for c in self.channels]

    def _hear_background(self, pauses: list[Spectrum], heard: Spectrum) -> Background:
        line, grid, rate = self._line, self._grid, self._source.rate
        pauses = [self._turn(pause) for pause in pauses]
        known = [
            (float(line.span.start), pause_power(pauses[: len(line.before)])),
            *(
                (float(knot.start + knot.length / 2), quiet_power(self._turn(self._spectra(knot))))
                for knot in line.knots(rate, grid)
            ),
            (float(line.span.end), pause_power(pauses[len(line.before) :])),
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
        return self._grid.analyse(sound_of(self._source, span)[list(self.channels)])

    def voice(self, block: Span) -> Samples:
        """Return the voice inside `block`, ``(len(channels), samples)``."""
        grid, hop = self._grid, self._grid.hop
        lead = (CONTEXT_FRAMES + _MARGIN_FRAMES) * hop
        body = -(-block.length // hop) * hop
        heard = Span(block.start - lead, block.start + body + lead)
        spectra = self._turn(self._spectra(heard))
        centres = heard.start + np.arange(spectra.shape[1]) * hop + grid.size / 2
        background = self._background.at(centres)
        found = (
            self._centre(spectra, background)
            if self.method == "centre"
            else wiener_voice(spectra, background.mean(axis=0), self._options.wiener_caution)
        )
        keep = CONTEXT_FRAMES * hop
        sound = grid.synthesise(found[:, CONTEXT_FRAMES : spectra.shape[1] - CONTEXT_FRAMES])
        return sound[:, lead - keep : lead - keep + block.length]

    def _centre(self, turned: Spectrum, background: Power) -> Spectrum:
        ratio = background[0] / (background[1] + TINY)
        voice = centre_voice(turned[0], turned[1], ratio, self._options.centre_caution)
        return voice * self._place.gains()[:, None, None]
