"""Alignment of subtitles to speech: edges moved to the voice's own.

Subtitles are up to half a second off the speech, linger after it, and touch each other where
people pause. Between two neighbours the boundary goes to the pause; free edges go to the nearest
edge of speech. All moves are bounded, and the order is kept.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dubarr_pipeline.script.model import ScriptLine
from dubarr_pipeline.spans import Span, merge, to_samples
from dubarr_pipeline.text.syllables import text_weight


@dataclass(frozen=True, slots=True)
class AlignmentOptions:
    """Bounds on moving the times of subtitles.

    Attributes:
        tolerance_s: furthest that an edge grows, or that a shared boundary moves, in seconds;
            subtitles of the test films lie within 0.5 s.
        lead_in_s: furthest that a start moves later, in seconds, where the subtitle stands before
            the speech.
        linger_s: furthest that an end moves earlier, in seconds, where the subtitle stays after the
            speech.
        shortest_pause_s: shortest pause that counts as a boundary, in seconds.
        fastest_syllables_per_s: fastest speech, in syllables a second, to which a line may be cut.
    """

    tolerance_s: float = 0.6
    lead_in_s: float = 1.0
    linger_s: float = 2.5
    shortest_pause_s: float = 0.08
    fastest_syllables_per_s: float = 8.0


DEFAULT = AlignmentOptions()


class SpeechMap:
    """Stretches of speech, searchable by time."""

    def __init__(self, speech: Sequence[Span]) -> None:
        self.spans = merge(speech)
        self._starts = [span.start for span in self.spans]
        self._ends = [span.end for span in self.spans]

    def at(self, sample: int) -> Span | None:
        """Return the stretch of speech that holds the sample."""
        i = bisect_right(self._starts, sample) - 1
        return self.spans[i] if i >= 0 and self.spans[i].contains(sample) else None

    def next_start(self, sample: int) -> int | None:
        """Return the sample at which speech next begins, at or after `sample`."""
        i = bisect_left(self._starts, sample)
        return self._starts[i] if i < len(self._starts) else None

    def last_end(self, sample: int) -> int | None:
        """Return the sample at which speech last ended, at or before `sample`."""
        i = bisect_right(self._ends, sample) - 1
        return self._ends[i] if i >= 0 else None

    def within(self, span: Span) -> list[Span]:
        """Return the speech inside a span, clipped to it."""
        first = bisect_right(self._ends, span.start)
        last = bisect_left(self._starts, span.end)
        clipped = (piece.clip(span) for piece in self.spans[first:last])
        return [piece for piece in clipped if piece]

    def share(self, span: Span) -> float:
        """Return the share of the span that is speech, 0 to 1."""
        return sum(s.length for s in self.within(span)) / span.length if span.length else 0.0

    def pauses(self, span: Span) -> list[Span]:
        """Return the silences between two stretches of speech that touch the span, unclipped."""
        first = max(0, bisect_left(self._ends, span.start) - 1)
        last = min(len(self.spans) - 1, bisect_right(self._starts, span.end) + 1)
        gaps = (Span(self._ends[i], self._starts[i + 1]) for i in range(first, max(first, last)))
        return [gap for gap in gaps if gap.end > span.start and gap.start < span.end]


@dataclass(frozen=True, slots=True)
class _Limits:
    tolerance: int
    lead_in: int
    linger: int
    shortest_pause: int
    samples_per_syllable: float

    def shortest(self, piece: ScriptLine) -> int:
        return min(piece.span.length, round(text_weight(piece.text) * self.samples_per_syllable))


def align(
    pieces: Sequence[ScriptLine], speech: SpeechMap, rate: int, options: AlignmentOptions = DEFAULT
) -> list[Span]:
    """Return the spans of speech for pieces in order of their starts; same count, same order.

    A piece without any speech under it keeps its subtitle's times.
    """
    limits = _Limits(
        to_samples(options.tolerance_s, rate),
        to_samples(options.lead_in_s, rate),
        to_samples(options.linger_s, rate),
        to_samples(options.shortest_pause_s, rate),
        rate / options.fastest_syllables_per_s,
    )
    starts = [_free_start(piece, speech, limits) for piece in pieces]
    ends = [_free_end(piece, speech, limits) for piece in pieces]
    for i, (left, right) in enumerate(pairwise(pieces)):
        if shared := _shared_boundary(left, right, speech, limits):
            ends[i], starts[i + 1] = shared
    moved: list[Span] = []
    for piece, start, end in zip(pieces, starts, ends, strict=True):
        # Edges are given back in part where they leave too little time to speak.
        shortest = limits.shortest(piece)
        if end - start < shortest:
            start = max(min(start, piece.span.start), min(start, end - shortest))
        moved.append(Span(start, max(end, start + shortest)))
    return _in_order(pieces, moved)


def _free_start(piece: ScriptLine, speech: SpeechMap, limits: _Limits) -> int:
    start = piece.span.start
    # Speech that began before the subtitle: the line owns it if it is near, else it is another's.
    inside = speech.at(start)
    if inside:
        return inside.start if start - inside.start <= limits.tolerance else start
    later = speech.next_start(start)
    if later is None or later - start > limits.lead_in or later >= piece.span.end:
        return start
    return later


def _free_end(piece: ScriptLine, speech: SpeechMap, limits: _Limits) -> int:
    end = piece.span.end
    inside = speech.at(end - 1) if end else None
    if inside:
        return inside.end if inside.end - end <= limits.tolerance else end
    # The subtitle lingers after the speech, as readers need time.
    earlier = speech.last_end(end)
    if earlier is None or earlier <= piece.span.start:
        return end
    return max(earlier, end - limits.linger)


def _shared_boundary(
    left: ScriptLine, right: ScriptLine, speech: SpeechMap, limits: _Limits
) -> tuple[int, int] | None:
    """Return the left piece's end and the right one's start, if they are near neighbours."""
    gap = left.span.gap(right.span)
    overlapping = gap < -limits.tolerance and left.cue != right.cue
    if overlapping or gap > 2 * limits.tolerance:
        return None
    reach = limits.tolerance
    if left.cue == right.cue:
        # Dashes in one cue: the boundary is only guessed from the text, so it may move further.
        reach = max(reach, round(0.35 * (right.span.end - left.span.start)))
    low, high = sorted((left.span.end, right.span.start))
    zone = Span(
        max(left.span.start, low - reach), max(left.span.start, min(right.span.end, high + reach))
    )
    # The pause nearest to the expected boundary; long ones win over short ones near by.
    fit = [pause for pause in speech.pauses(zone) if pause.length >= limits.shortest_pause]
    pause = min(
        fit,
        key=lambda p: max(0, p.start - high, low - p.end) - 0.5 * min(p.length, limits.tolerance),
        default=None,
    )
    if pause is None:
        if gap < 0 and left.cue == right.cue:
            middle = (low + high) // 2
            return middle, middle
        # Two cues over unbroken speech: they do talk at once, as the subtitle says.
        return left.span.end, right.span.start
    end = min(max(pause.start, low - max(reach, limits.linger)), high + reach)
    return end, max(end, min(max(pause.end, low - reach), high + max(reach, limits.lead_in)))


def _in_order(pieces: Sequence[ScriptLine], moved: Sequence[Span]) -> list[Span]:
    """Keep starts ascending, and apart what was apart before."""
    ordered = list(moved[:1])
    for (left, piece), span in zip(pairwise(pieces), moved[1:], strict=True):
        before, last = left.span, ordered[-1]
        # Two moved edges may cross; the subtitles' own order decides.
        start = max(span.start, last.start)
        if last.end > start and before.end <= piece.span.start:
            cut = min(max(before.end, last.start), last.end)
            ordered[-1], start = Span(last.start, cut), max(start, cut)
        ordered.append(Span(start, max(start, span.end)))
    return ordered
