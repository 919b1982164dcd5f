"""Which stretches of a film are heard at once, so that memory does not grow with its length."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from dubarr_pipeline.timeline.cue_alignment import SpeechMap
from dubarr_pipeline.timeline.spans import Span


def overlapping_windows(speech: Sequence[Span], longest: int, overlap: int) -> list[Span]:
    """Return windows of even length that cover all speech, each overlapping the next.

    Windows in which nobody speaks are left out.

    Args:
        speech: where somebody speaks.
        longest: samples of a window at most; must be more than twice `overlap`.
        overlap: samples that two neighbours share.
    """
    if not speech:
        return []
    start, end = min(s.start for s in speech), max(s.end for s in speech)
    count = max(1, -(-(end - start - overlap) // (longest - overlap)))
    length = -(-(end - start + (count - 1) * overlap) // count)
    step = length - overlap
    windows = [Span(start + i * step, min(end, start + i * step + length)) for i in range(count)]
    heard = SpeechMap(speech)
    return [window for window in windows if heard.within(window)]


def own_parts(windows: Sequence[Span]) -> list[Span]:
    """What each window answers for: overlaps are shared in their middle; sorted windows in."""
    cuts = [(a.end + b.start) // 2 for a, b in itertools.pairwise(windows)]
    starts = [window.start for window in windows]
    ends = [window.end for window in windows]
    for i, cut in enumerate(cuts):
        if windows[i].end > windows[i + 1].start:
            ends[i] = starts[i + 1] = cut
    return [Span(start, end) for start, end in zip(starts, ends, strict=True)]


def breaths(speech: Sequence[Span], longest: int, pause: int) -> list[Span]:
    """Join stretches of speech into passages to be heard in one go.

    A passage ends at a pause of `pause` samples, and before it would be longer than `longest`;
    only a single stretch of speech can be longer than that.
    """
    passages: list[Span] = []
    for span in SpeechMap(speech).spans:
        last = passages[-1] if passages else None
        if last and last.gap(span) < pause and span.end - last.start <= longest:
            passages[-1] = Span(last.start, span.end)
        else:
            passages.append(span)
    return passages
