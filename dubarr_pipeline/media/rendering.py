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
    full_scale: float = 1.0
    """A film whose own peaks lie over 1 is not clipped by keeping them."""
    clipped_samples: int = 0

    def __iter__(self) -> Iterator[Samples]:
        for block in self.blocks:
            if block.size and max(block.max(), -block.min()) > self.full_scale:
                self.clipped_samples += int(np.count_nonzero(np.abs(block) > self.full_scale))
            yield block


def render(film: OpenFilm, plan: MixPlan) -> Rendering:
    """Return the finished film: ``(channels, samples)`` float32 blocks of any length, in order."""
    bed, limiter = bed_of(film, plan), _limiter(plan, film.rate)
    summed = _summed(bed, takes_of(film, plan), film.samples, plan.gain_db)
    full_scale = max(1.0, 10 ** (plan.ceiling_dbtp / 20))
    return Rendering(limiter, bed.ducker, limiter.limit(summed), full_scale)


def bed_of(film: OpenFilm, plan: MixPlan) -> Bed:
    """Return the film without its dialogue, as the preset wants it under the dub."""
    options, rate = plan.options, film.rate
    film_preset, voice_over = options.preset == "film", options.preset == "voice-over"
    return Bed(
        film.accompaniment,
        film.vocals,
        removed=around(plan.sources.speech, _SEARCHED_S * rate),
        kept=None if voice_over else around(plan.sources.kept, _fade(plan, rate)),
        dialogue=plan.dialogue,
        ducker=None if film_preset else Ducker(plan.spoken, rate, options.ducking),
    )


def takes_of(film: OpenFilm, plan: MixPlan) -> TakesOnTrack:
    """Return the dub, ready to be added from the film's start on."""
    return TakesOnTrack(plan.takes, film.rate, film.samples, _fade(plan, film.rate))


def _fade(plan: MixPlan, rate: int) -> int:
    return max(1, round(plan.options.fade_ms * rate / 1000))


def _limiter(plan: MixPlan, rate: int) -> Limiter:
    options = LimiterOptions(plan.ceiling_dbtp)
    if plan.options.target:
        return Limiter(rate, options)
    return Limiter(rate, options, plan.dialogue, within(plan.spoken, _fade(plan, rate)))


def _summed(bed: Bed, takes: TakesOnTrack, samples: int, gain_db: float) -> Iterator[Samples]:
    gain = np.float32(10 ** (gain_db / 20))
    for start in range(0, samples, _BLOCK_SAMPLES):
        block = bed.read(start, min(samples, start + _BLOCK_SAMPLES))
        takes.add_to(start, block)
        if gain_db:
            block *= gain
        yield block
