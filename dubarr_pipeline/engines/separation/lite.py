"""The embedded separation: no model, no download; a centre mask or a Wiener filter inside speech."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import numpy as np

from dubarr_pipeline.engines.interfaces import AudioReader, Need, Samples, Separator
from dubarr_pipeline.engines.separation.centre import (
    CONTEXT_FRAMES,
    CentreCaution,
    centre_voice,
)
from dubarr_pipeline.engines.separation.dialogue import centred, dialogue_channels
from dubarr_pipeline.engines.separation.options import SeparationOptions
from dubarr_pipeline.engines.separation.pauses import (
    Background,
    Line,
    background_of,
    lines_of,
    sound_of,
)
from dubarr_pipeline.engines.separation.spectrum import TINY, Grid, Spectrum
from dubarr_pipeline.engines.separation.wiener import wiener_voice
from dubarr_pipeline.timeline.spans import Span, merge

_log = logging.getLogger(__name__)

_VERSION = "1"
_BLOCK_VALUES = 400_000
"""Values of one signal's spectra worked on at once: about 4 s at 48 kHz, 3 MB an array."""
_MARGIN_FRAMES = 3
"""Frames that overlap a block's first sample from before it."""


class LiteSeparator(Separator):
    """Takes voices out by where they lie in the stereo picture, or by how they rise above the pauses.

    Attributes:
        used: lines treated by each method in the last `separate`, for the report.
    """

    name: ClassVar[str] = "lite"

    def __init__(self, options: SeparationOptions | None = None) -> None:
        self._options = options or SeparationOptions()
        self.used: Counter[str] = Counter()

    @property
    def method(self) -> str:
        """How the last sound was treated, e.g. ``"centre 41, wiener 3"`` lines."""
        return ", ".join(f"{name} {count}" for name, count in self.used.most_common()) or "none"

    def identity(self) -> str:
        """Name, version and options."""
        return f"{self.name}/{_VERSION}/{self._options}"

    def needs(self) -> tuple[Need, ...]:
        """Nothing beyond the program itself."""
        return ()

    def separate(
        self, source: AudioReader, speech: Sequence[Span]
    ) -> Iterator[tuple[int, Samples]]:
        """Yield the voices inside `speech`, block by block.

        Channels that carry no dialogue are exactly zero. Only a few seconds are held at a time.
        """
        self.used = Counter()
        film = Span(0, source.samples)
        lines = lines_of([p for s in merge(speech) if (p := s.clip(film))], source.samples)
        grid = Grid.at(source.rate)
        for group in dialogue_channels(source, lines, grid, self._options):
            _log.debug("dialogue in channels %s", group)
        groups = dialogue_channels(source, lines, grid, self._options)
        for line in lines:
            works = [_LineWork(source, line, group, grid, self._options) for group in groups]
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
    """One line in one group of channels: how the voice is taken out, and against what background."""

    def __init__(
        self,
        source: AudioReader,
        line: Line,
        channels: tuple[int, ...],
        grid: Grid,
        options: SeparationOptions,
    ) -> None:
        self.channels = channels
        self._source, self._line, self._grid, self._options = source, line, grid, options
        pauses = [self._spectra(pause) for pause in line.pauses(source.rate, grid)]
        heard = self._spectra(line.sample(source.rate, grid))
        self.method: Literal["centre", "wiener"] = "wiener"
        if len(channels) == 2 and centred(pauses, heard, options):
            self.method = "centre"
            pauses, heard = [_mid_side(p) for p in pauses], _mid_side(heard)
        self._background: Background = background_of(pauses, heard)

    def _spectra(self, span: Span) -> Spectrum:
        return self._grid.analyse(sound_of(self._source, span)[list(self.channels)])

    def voice(self, block: Span) -> Samples:
        """Return the voice inside `block`, ``(len(channels), samples)``."""
        grid, hop = self._grid, self._grid.hop
        lead = (CONTEXT_FRAMES + _MARGIN_FRAMES) * hop
        body = -(-block.length // hop) * hop
        spectra = self._spectra(Span(block.start - lead, block.start + body + lead))
        found = self._centre(spectra) if self.method == "centre" else self._wiener(spectra, block)
        keep = CONTEXT_FRAMES * hop
        sound = grid.synthesise(found[:, CONTEXT_FRAMES : spectra.shape[1] - CONTEXT_FRAMES])
        return sound[:, lead - keep : lead - keep + block.length]

    def _centre(self, spectra: Spectrum) -> Spectrum:
        mid, side = _mid_side(spectra)
        mean = self._background.mean()
        caution = CentreCaution(2 * self._options.centre_caution, self._options.centre_caution)
        return centre_voice(mid, side, mean[0] / (mean[1] + TINY), caution)[None]

    def _wiener(self, spectra: Spectrum, block: Span) -> Spectrum:
        first = block.start - (CONTEXT_FRAMES + _MARGIN_FRAMES) * self._grid.hop
        centres = first + np.arange(spectra.shape[1]) * self._grid.hop + self._grid.size / 2
        moments = (centres - self._line.span.start) / self._line.span.length
        background = self._background.at(moments.astype(np.float32))
        return wiener_voice(spectra, background, self._options.wiener_caution)


def _mid_side(spectra: Spectrum) -> Spectrum:
    """Left and right as middle and side, ``(2, frames, bins)``."""
    left, right = spectra
    return np.stack([left + right, left - right]) * np.float32(0.5)
