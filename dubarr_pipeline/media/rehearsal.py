"""Rehearses parts of the film to learn how loud the mix will be, before all of it is mixed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dubarr_pipeline.media.channels import loudness_weights
from dubarr_pipeline.media.dialogue_level import trim_towards
from dubarr_pipeline.media.k_weighting import FRAMES_PER_S, Powers, frame_length, frame_powers
from dubarr_pipeline.media.loudness import SILENCE_LUFS, integrated
from dubarr_pipeline.media.mix_plan import MixPlan, OpenFilm
from dubarr_pipeline.media.placed_takes import dub_frames
from dubarr_pipeline.media.rendering import bed_of
from dubarr_pipeline.timeline.spans import Span

_PIECE_S = 4
_GOLDEN = 0.618034
_LEAST_PARTS, _LONGEST_STEP_S = 24, 64
"""Mix and original are compared on the same parts, so that what the others are like hardly matters:
measured on synthetic films, the whole is then right to 0.1 LU."""


def rehearsed(film: OpenFilm, plan: MixPlan) -> MixPlan:
    """Return the plan with all takes moved together so that the programme keeps its loudness.

    They move at most `LevelOptions.trim_db`; the bed is never touched for this.
    """
    if not plan.takes:
        return plan
    heard = list(_rehearsal(film, plan))
    original, bed, dub = (np.concatenate(frames) for frames in zip(*heard, strict=True))
    target_lufs = integrated(original)
    if target_lufs <= SILENCE_LUFS or not dub.any():
        return plan
    return plan.louder(trim_towards(bed + dub, dub, target_lufs, plan.trim_bounds_db).dub_db)


def _rehearsal(film: OpenFilm, plan: MixPlan) -> Iterator[tuple[Powers, Powers, Powers]]:
    """Yield the powers of original, bed and dub in each part: of unrelated sounds they add up."""
    weights = loudness_weights(film.channels, film.layout)
    bed, hop = bed_of(film, plan), frame_length(film.rate)
    takes = dub_frames(plan.takes, plan.lines, film.rate / FRAMES_PER_S)
    for part in _parts(film.samples, film.rate):
        original = film.accompaniment.read(part.start, part.end)
        original += film.vocals.read(part.start, part.end)
        before = weights @ frame_powers(original, film.rate)
        after = weights @ frame_powers(bed.read(part.start, part.end), film.rate)
        dub = np.zeros_like(before)
        sounding = takes[part.start // hop : part.start // hop + dub.size]
        dub[: sounding.size] = sounding
        yield before, after, dub


def _parts(samples: int, rate: int) -> Iterator[Span]:
    """Yield parts of 4 s all over the film: all of a short one, a sixteenth of a long one."""
    step_s = min(_LONGEST_STEP_S, samples / rate / _LEAST_PARTS)
    step, piece = round(max(_PIECE_S, step_s) * rate), _PIECE_S * rate
    for number, first in enumerate(range(0, samples, step)):
        # Irregular (golden section), so that no rhythm of the film is met always at the same beat.
        start = first + int(number * _GOLDEN % 1 * (step - piece))
        start -= start % frame_length(rate)
        if start < samples:
            yield Span(start, min(samples, start + piece))
