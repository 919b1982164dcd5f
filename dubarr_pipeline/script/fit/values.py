"""The result of a fit: where a file's cues belong in the film, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from dubarr_pipeline.script.model import Segment
from dubarr_pipeline.spans import Span, complement, intersect, merge, to_samples, total

Verdict = Literal["fits", "mapped", "partly", "unsure", "refused"]
"""The file's own times are right; right after mapping; right for less than half of its cues; too
little evidence, own times used; another film's."""
LeftOut = Literal["not in the film", "outside the film", "no agreement", "at a break"]
"""Reasons for a cue without a place: the film lacks its scene, it lies before the first or behind
the last sample, no offset agrees with the speech, or it may belong to either side of a break."""
_REACH_S = 0.5
"""Speech this close to a line is its edge: cues and detected edges differ by some tenths."""
_SHORTEST_S = 0.7
"""Shorter rests of speech are edges and breaths, not words."""
_SPOKEN_SHARE = 0.1
"""A line with less of its time on detected speech is spoken by nobody."""


@dataclass(frozen=True, slots=True)
class FittedPiece:
    """Cues that share one map: film time = file time * `ratio` + `offset`.

    Attributes:
        first, last: indexes of the first and the last cue, in order of starts.
        ratio: film time over file time.
        offset: samples.
        total: summed evidence of the cues, in nats.
        lead: `total` less the log of the summed likelihood of all other offsets, in nats.
        confidence: probability that the map is right, 0 to 1.
    """

    first: int
    last: int
    ratio: Fraction
    offset: int
    total: float
    lead: float
    confidence: float

    @property
    def own_time(self) -> bool:
        """True if the piece keeps the file's own times."""
        return self.ratio == 1 and self.offset == 0

    def on_film(self, span: Span) -> Span:
        """Return where a span of the file belongs in the film; it may begin before 0."""
        start, end = (round(time * self.ratio) + self.offset for time in (span.start, span.end))
        return Span(start, end)


@dataclass(frozen=True, slots=True)
class CueFit:
    """One cue's place.

    Attributes:
        index: of the cue in the list that was given.
        span: its place in the film, or None if it has none.
        left_out: why it has none.
        sure: False for a cue at a break that may belong to either side or to none.
    """

    index: int
    span: Span | None
    left_out: LeftOut | None = None
    sure: bool = True


@dataclass(frozen=True, slots=True)
class ScriptFit:
    """A file laid against the speech of a film.

    Attributes:
        verdict: see `Verdict`.
        pieces: maps in order; none if nothing was accepted.
        cues: a place for every cue, in the order that was given.
        unheard: runs of used cues under which hardly any speech was detected, as (first, last)
            indices; to be reported, never a reason to drop them.
        words: the verdict in a sentence.
    """

    verdict: Verdict
    pieces: tuple[FittedPiece, ...]
    cues: tuple[CueFit, ...]
    unheard: tuple[tuple[int, int], ...]
    words: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """Detected speech and the script, each laid against the other.

    Attributes:
        speech: samples of detected speech.
        uncovered: speech that nobody wrote down, in order.
        lines: number of spoken lines.
        unspoken: spoken lines under which nobody speaks, in order.
    """

    speech: int
    uncovered: tuple[Span, ...]
    lines: int
    unspoken: tuple[Span, ...]

    @property
    def uncovered_share(self) -> float:
        """Share of the detected speech that no line covers, 0 to 1."""
        return total(self.uncovered) / self.speech if self.speech else 0.0

    @property
    def unspoken_share(self) -> float:
        """Share of the lines under which nobody speaks, 0 to 1."""
        return len(self.unspoken) / self.lines if self.lines else 0.0


def coverage(segments: Sequence[Segment], speech: Sequence[Span], rate: int) -> Coverage:
    """Lay a script, songs and sounds included, against the detected speech; both at `rate` Hz."""
    reach, shortest = to_samples(_REACH_S, rate), to_samples(_SHORTEST_S, rate)
    uncovered = uncovered_speech(speech, [each.span for each in segments], reach, shortest)
    lines = [each.span for each in segments if each.kind == "speech"]
    shares = zip(lines, speech_shares(lines, speech), strict=True)
    unspoken = tuple(line for line, share in shares if share < _SPOKEN_SHARE)
    return Coverage(total(merge(speech)), tuple(uncovered), len(lines), unspoken)


def uncovered_speech(
    speech: Sequence[Span], lines: Sequence[Span], reach: int = 0, shortest: int = 1
) -> list[Span]:
    """Return the stretches of speech that no line covers: unscripted speech.

    So many samples before and after a line as `reach` count as covered, since cues and detected
    edges differ by some tenths of a second; rests under `shortest` samples are edges, not words.
    """
    end = max((stretch.end for stretch in speech), default=0)
    free = complement([line.pad(reach, reach) for line in lines if line.length], Span(0, end))
    return [rest for rest in intersect(speech, free) if rest.length >= shortest]


def speech_share(line: Span, speech: Sequence[Span]) -> float:
    """Return the share of a line that is on detected speech, 0 to 1; see `speech_shares`."""
    return speech_shares([line], speech)[0]


def speech_shares(lines: Sequence[Span], speech: Sequence[Span]) -> list[float]:
    """Return the share of each line that is on detected speech, 0 to 1; 0 for empty lines."""
    stretches = merge(speech)
    edges = np.array([(span.start, span.end) for span in stretches], np.float64).ravel()
    lengths = np.array([span.length for span in stretches], np.float64)
    if not len(edges):
        return [0.0] * len(lines)
    spoken = np.repeat(np.append(0.0, np.cumsum(lengths)), 2)[1:-1]
    starts = np.interp([line.start for line in lines], edges, spoken)
    ends = np.interp([line.end for line in lines], edges, spoken)
    return [
        float(end - start) / line.length if line.length else 0.0
        for line, start, end in zip(lines, starts, ends, strict=True)
    ]
