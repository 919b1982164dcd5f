"""Sums placed takes and the film's bed, block by block.

Outside speech and the short fades at its edges the samples are the original's, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dubarr_pipeline.media.bed import Bed
from dubarr_pipeline.media.ducking import Ducker
from dubarr_pipeline.media.fades import around, within
from dubarr_pipeline.media.limiter import Limiter, LimiterOptions
from dubarr_pipeline.media.mix_plan import MixPlan, OpenFilm
from dubarr_pipeline.media.placed_takes import TakesOnTrack
from dubarr_pipeline.media.sound_reader import Samples

_BLOCK_SAMPLES = 1 << 16
"""1.4 s at 48 kHz: larger blocks fall out of the processor's cache, smaller ones pay for Python."""
_SEARCHED_S = 1
"""How far beyond the known speech voices are given back: separators fade over its edges."""


@dataclass(slots=True)
class Rendering:
    """One pass over the film: the blocks as they come, and what was counted on the way."""

    limiter: Limiter
    ducker: Ducker | None
    blocks: Iterator[Samples]
    clipped_samples: int = 0

    def __iter__(self) -> Iterator[Samples]:
        for block in self.blocks:
            if block.size and max(block.max(), -block.min()) > 1:
                self.clipped_samples += int(np.count_nonzero(np.abs(block) > 1))
            yield block


def render(film: OpenFilm, plan: MixPlan) -> Rendering:
    """Return the finished film: ``(channels, samples)`` float32 blocks of any length, in order."""
    options, rate = plan.options, film.rate
    fade = max(1, round(options.fade_ms * rate / 1000))
    ducker = None if options.preset == "film" else Ducker(plan.spoken, rate, options.ducking)
    bed = Bed(
        film.accompaniment,
        film.vocals,
        removed=around(plan.sources.speech, _SEARCHED_S * rate),
        kept=None if options.preset == "voice-over" else around(plan.sources.kept, fade),
        dialogue=plan.dialogue,
        ducker=ducker,
    )
    takes = TakesOnTrack(plan.takes, rate, film.samples, fade)
    limiter = _limiter(plan, rate, fade)
    summed = _summed(bed, takes, film.samples, plan.gain_db)
    return Rendering(limiter, ducker, limiter.limit(summed))


def _limiter(plan: MixPlan, rate: int, fade: int) -> Limiter:
    options = LimiterOptions(plan.ceiling_dbtp)
    if plan.options.target:
        return Limiter(rate, options)
    return Limiter(rate, options, plan.dialogue, within(plan.spoken, fade))


def _summed(bed: Bed, takes: TakesOnTrack, samples: int, gain_db: float) -> Iterator[Samples]:
    gain = np.float32(10 ** (gain_db / 20))
    for start in range(0, samples, _BLOCK_SAMPLES):
        block = bed.read(start, min(samples, start + _BLOCK_SAMPLES))
        takes.add_to(start, block)
        if gain_db:
            block *= gain
        yield block
