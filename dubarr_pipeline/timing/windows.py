"""The window of a line: the time that its dubbed voice may fill.

A window is the line's own span plus the silence it may borrow: where the original has no speech, so
that a take overlaps another voice only where the original did. Two neighbours may both reach into
the pause between them; `placement` shares it out.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dubarr_pipeline.script.model import Segment
from dubarr_pipeline.spans import Span, merge, to_samples, to_seconds


@dataclass(frozen=True, slots=True)
class WindowOptions:
    """Bounds on the silence that a line may borrow.

    Attributes:
        before_s: longest stretch of the pause before it that a line may use, in seconds; an early
            voice is noticed sooner than a late one (ITU-R BT.1359: +45 ms against -125 ms).
        after_s: longest stretch of the pause after it that a line may use, in seconds.
        shortest_s: length for which a shorter line ("No.") is drafted, in seconds, if its window
            has it.
    """

    before_s: float = 0.1
    after_s: float = 1.0
    shortest_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Window:
    """Time that one line may fill, in samples of the video's clock.

    Attributes:
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
        """Return the seconds that a draft should take when spoken."""
        return to_seconds(self.budget, rate)


def windows(
    segments: Sequence[Segment],
    film: Span,
    rate: int,
    options: WindowOptions | None = None,
    also_occupied: Iterable[Span] = (),
) -> tuple[Window, ...]:
    """Return the window of every dubbed line, in order of the segments.

    `film` is the whole clock: its ends are walls. No line borrows from segments of other kinds
    (songs, foreign speech), which get no window, nor what is `also_occupied`.
    """
    options = options or WindowOptions()
    occupied = merge([*(s.span for s in segments), *also_occupied])
    starts = [span.start for span in occupied]
    ends = [span.end for span in occupied]
    lines: list[Window] = []
    for segment in segments:
        if segment.kind != "speech":
            continue
        span = segment.span.clip(film) or Span(film.end, film.end)
        # Silence lasts from the end of the last speech before the line, or the film's, to the
        # start of the next after it; where speech touches the line there is none.
        earlier, later = bisect_left(starts, span.start), bisect_right(ends, span.end)
        silent_from = max(film.start, ends[earlier - 1]) if earlier else film.start
        silent_until = min(film.end, starts[later]) if later < len(starts) else film.end
        before, after = max(0, span.start - silent_from), max(0, silent_until - span.end)
        reach = Span(
            span.start - min(before, to_samples(options.before_s, rate)),
            span.end + min(after, to_samples(options.after_s, rate)),
        )
        budget = max(span.length, min(to_samples(options.shortest_s, rate), reach.end - span.start))
        lines.append(Window(segment.index, segment.speaker, span, reach, budget))
    return tuple(lines)
