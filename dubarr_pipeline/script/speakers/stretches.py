"""Speech without a script, divided where one person may stop and the next begin."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.media.audio.reader import SoundReader, read_mono
from dubarr_pipeline.media.audio.resample import resample
from dubarr_pipeline.spans import Span, merge, to_samples

_RATE = 16000
_FRAME_S = 0.01
_SMOOTH_FRAMES = 5
_BLOCK_S = 60.0
_LOUD = 0.85
"""Quantile of a detected stretch's levels that stands for the voice."""


@dataclass(frozen=True, slots=True)
class StretchOptions:
    """Options of the division of detected speech.

    Attributes:
        pause_s: shortest quiet that divides, in seconds: stops within a word are shorter.
        below_db: how far under the voice quiet lies, in dB; the bed that separation leaves behind
            lies lower.
        longest_s: longest stretch, in seconds; longer ones are divided at their quietest moments.
        reach_s: how far from an even division the quietest moment is looked for, in seconds.
        lead_s, tail_s: room left before and after the voice, in seconds: its ends are soft.
    """

    pause_s: float = 0.15
    below_db: float = 20.0
    longest_s: float = 2.5
    reach_s: float = 0.3
    lead_s: float = 0.01
    tail_s: float = 0.06


DEFAULT = StretchOptions()


def divide_speech(
    vocals: SoundReader, speech: Sequence[Span], options: StretchOptions = DEFAULT
) -> list[Span]:
    """Return the stretches of detected speech between pauses, in order; long ones are divided.

    Two people rarely share one: a detector of speech bridges the quarter of a second between them,
    the levels of the separated voice show it.
    """
    frame = to_samples(_FRAME_S, vocals.rate)
    film = Span(0, vocals.samples)
    found: list[Span] = []
    for span in (part for each in merge(speech) if (part := each.clip(film))):
        levels_db = _levels_db(vocals, span)
        for start, end in _islands(levels_db, options):
            edges = [start, *_quiet_moments(levels_db, start, end, options), end]
            # Room at the ends, not where a stretch was divided.
            edges[0] = max(0, start - round(options.lead_s / _FRAME_S))
            edges[-1] = end + round(options.tail_s / _FRAME_S)
            cuts = [min(span.start + edge * frame, span.end) for edge in edges]
            found += [Span(a, b) for a, b in pairwise(cuts) if a < b]
    return found


def _levels_db(vocals: SoundReader, span: Span) -> NDArray[np.float64]:
    """Return the level of every 10 ms, highs raised, smoothed over 50 ms; never empty."""
    size, block = round(_FRAME_S * _RATE), to_samples(_BLOCK_S, vocals.rate)
    powers: list[NDArray[np.float64]] = []
    for start in range(span.start, span.end, block):
        part = Span(start, min(start + block, span.end))
        sound = resample(read_mono(vocals, part), vocals.rate, _RATE).astype(np.float64)
        raised = np.append(sound[:1], sound[1:] - 0.9 * sound[:-1])
        count = max(1, raised.size // size)
        raised = np.pad(raised, (0, max(0, count * size - raised.size)))
        powers.append(np.square(raised[: count * size].reshape(count, size)).mean(axis=1))
    power = np.concatenate(powers)
    kernel = np.ones(min(_SMOOTH_FRAMES, power.size)) / _SMOOTH_FRAMES
    return 10 * np.log10(np.convolve(power, kernel, "same") + 1e-12)


def _islands(levels_db: NDArray[np.float64], options: StretchOptions) -> list[tuple[int, int]]:
    """Return the runs of frames with a voice; quiet that is too short does not divide them."""
    loud = np.flatnonzero(levels_db > np.quantile(levels_db, _LOUD) - options.below_db)
    if not loud.size:
        return []
    gaps = np.flatnonzero(np.diff(loud) - 1 >= round(options.pause_s / _FRAME_S))
    starts = [int(loud[0]), *(int(loud[i + 1]) for i in gaps)]
    ends = [*(int(loud[i]) + 1 for i in gaps), int(loud[-1]) + 1]
    return list(zip(starts, ends, strict=True))


def _quiet_moments(
    levels_db: NDArray[np.float64], start: int, end: int, options: StretchOptions
) -> list[int]:
    """Return where a long run is divided: the quietest frames near an even division."""
    count = -(-(end - start) // round(options.longest_s / _FRAME_S))
    reach = round(options.reach_s / _FRAME_S)
    moments: list[int] = []
    for i in range(1, count):
        first = start + (end - start) * i // count - reach
        moments.append(first + int(np.argmin(levels_db[first : first + 2 * reach])))
    return moments
