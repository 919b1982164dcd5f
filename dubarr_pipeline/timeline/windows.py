"""The window of a line: the time that its dubbed voice may fill.

A window is the line's own span plus the silence it may borrow. Borrowed silence is real silence:
nobody speaks there in the original, so a take that stays in its window talks over somebody only
where the original did. Two neighbours may both reach into the pause between them; `placement`
shares it out.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dubarr_pipeline.timeline.script import Segment
from dubarr_pipeline.timeline.spans import Span, merge, to_samples, to_seconds


@dataclass(frozen=True, slots=True)
class WindowOptions:
    """How much silence a line may borrow.

    Attributes:
        before_s: at most this much of the pause before it. A voice that is earlier than the mouth
            is noticed sooner than one that starts later (ITU-R BT.1359: +45 ms against -125 ms).
        after_s: at most this much of the pause after it.
        shortest_s: a shorter line ("No.") is drafted for this length, if its window has it.
    """

    before_s: float = 0.1
    after_s: float = 1.0
    shortest_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Window:
    """What one line may fill, in samples of the video's clock.

    Attributes:
        index, speaker: of the segment.
        span: the segment's own span; its start is the onset that the dub must meet.
        reach: `span` and the silence that may be borrowed around it.
        budget: samples that a draft should take when spoken.
    """

    index: int
    speaker: str
    span: Span
    reach: Span
    budget: int

    def budget_s(self, rate: int) -> float:
        """Seconds that a draft should take when spoken."""
        return to_seconds(self.budget, rate)


def windows(
    segments: Sequence[Segment],
    film: Span,
    rate: int,
    options: WindowOptions | None = None,
    also_occupied: Iterable[Span] = (),
) -> tuple[Window, ...]:
    """Say for every dubbed line which time it may fill, in order of the segments.

    Segments of other kinds (songs, foreign speech) get no window, but nobody borrows from them.

    Args:
        segments: all segments of the video, of every kind.
        film: the whole clock; its ends are walls.
        rate: samples per second of that clock.
        options: bounds of borrowing.
        also_occupied: more stretches that nobody may borrow.
    """
    options = options or WindowOptions()
    occupied = merge([*(s.span for s in segments), *also_occupied])
    starts = [span.start for span in occupied]
    ends = [span.end for span in occupied]
    found: list[Window] = []
    for segment in segments:
        if segment.kind != "speech":
            continue
        span = segment.span.clip(film) or Span(film.end, film.end)
        before = _silence_before(span.start, starts, ends, film)
        after = _silence_after(span.end, starts, ends, film)
        reach = Span(
            span.start - min(before, to_samples(options.before_s, rate)),
            span.end + min(after, to_samples(options.after_s, rate)),
        )
        budget = max(span.length, min(to_samples(options.shortest_s, rate), reach.end - span.start))
        found.append(Window(segment.index, segment.speaker, span, reach, budget))
    return tuple(found)


def _silence_before(sample: int, starts: list[int], ends: list[int], film: Span) -> int:
    """Samples of silence that end at `sample`; 0 where somebody speaks up to it."""
    at = bisect_left(starts, sample) - 1
    if at < 0:
        return sample - film.start
    return max(0, sample - max(film.start, ends[at]))


def _silence_after(sample: int, starts: list[int], ends: list[int], film: Span) -> int:
    """Samples of silence that begin at `sample`; 0 where somebody speaks on."""
    at = bisect_right(ends, sample)
    if at == len(ends):
        return max(0, film.end - sample)
    return max(0, min(film.end, starts[at]) - sample)
