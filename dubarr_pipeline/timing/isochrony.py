"""Isochrony of the dub with the original, from spans in samples; shares and scores are 0 to 1."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import fmean

from dubarr_pipeline.spans import Span, intersect, total

TEMPO_EDGES = tuple(Fraction(n, 100) for n in (85, 90, 95, 99, 101, 105, 110, 120))
"""Edges of the tempo histogram; the bounds of a placed take are the outer ones."""


@dataclass(frozen=True, slots=True)
class DubbedLine:
    """One placed line and its original; `reach` is None where the window was not limited."""

    speaker: str
    source: Span
    dub: Span
    reach: Span | None = None
    tempo: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class Isochrony:
    """The sync figures of one language.

    Attributes:
        overlap_score: mean of shorter / longer duration of dub and original, line by line.
        onset_p95_ms, onset_p99_ms: how far starts lie from the original's.
        voiced_share: share of the original's speech time in which the dub speaks.
        same_speaker_overlaps: pairs of lines in which one speaker talks over themselves.
        tempo_within_5, tempo_within_10: shares of lines with a tempo within ±5 % and ±10 %.
        tempo_outside: lines with a tempo outside of 0.85-1.20.
    """

    lines: int
    overlap_score: float
    onset_p95_ms: float
    onset_p99_ms: float
    voiced_share: float
    same_speaker_overlaps: int
    overruns: int
    tempo_within_5: float
    tempo_within_10: float
    tempo_outside: int


def measure(lines: Sequence[DubbedLine], rate: int, speech: Iterable[Span] = ()) -> Isochrony:
    """Measure placed lines; `speech` is all that was to be dubbed, by default that of `lines`."""
    errors = onset_errors_ms(lines, rate)
    tempos = [line.tempo for line in lines]
    source = list(speech) or [line.source for line in lines]
    return Isochrony(
        lines=len(lines),
        overlap_score=overlap_score(lines),
        onset_p95_ms=percentile(errors, 95),
        onset_p99_ms=percentile(errors, 99),
        voiced_share=voiced_share(source, [line.dub for line in lines]),
        same_speaker_overlaps=len(same_speaker_overlaps(lines)),
        overruns=sum(1 for line in lines if overrun(line)),
        tempo_within_5=share_within(tempos, Fraction(5, 100)),
        tempo_within_10=share_within(tempos, Fraction(10, 100)),
        tempo_outside=sum(1 for t in tempos if not TEMPO_EDGES[0] <= t <= TEMPO_EDGES[-1]),
    )


def overlap_score(lines: Sequence[DubbedLine]) -> float:
    """Return the mean over lines of shorter / longer duration; 1.0 is a perfect match.

    The "speech overlap" of the IWSLT 2023 dubbing task: human dubs reach 0.70. No lines: 1.0.
    """
    pairs = [sorted((line.source.length, line.dub.length)) for line in lines]
    return fmean(short / long if long else 1.0 for short, long in pairs) if lines else 1.0


def onset_errors_ms(lines: Iterable[DubbedLine], rate: int) -> list[float]:
    """Return how far each dub starts from its original, in milliseconds, without sign."""
    return [1000 * abs(line.dub.start - line.source.start) / rate for line in lines]


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the nearest-rank percentile: a value that occurred. No values: 0."""
    if not values:
        return 0.0
    rank = max(1, math.ceil(Fraction(percent * len(values), 100)))
    return sorted(values)[rank - 1]


def voiced_share(source: Iterable[Span], dub: Iterable[Span]) -> float:
    """Return the share of the original's speech time in which a dubbed voice is heard."""
    spoken = list(source)
    time = total(spoken)
    return total(intersect(spoken, list(dub))) / time if time else 1.0


def same_speaker_overlaps(lines: Sequence[DubbedLine]) -> list[tuple[int, int]]:
    """Return the positions in `lines` of each pair in which a speaker talks over themselves."""
    order = sorted(range(len(lines)), key=lambda at: (lines[at].speaker, lines[at].dub))
    pairs: list[tuple[int, int]] = []
    for rank, at in enumerate(order):
        for later in order[rank + 1 :]:
            if lines[later].speaker != lines[at].speaker:
                break
            # Sorted by start: all later ones begin after this one ends, too.
            if lines[later].dub.start >= lines[at].dub.end:
                break
            if lines[at].dub.overlap(lines[later].dub):
                pairs.append((min(at, later), max(at, later)))
    return sorted(pairs)


def overrun(line: DubbedLine) -> int:
    """Return how many samples the dub leaves its window by, at both ends together; 0 if it fits."""
    if line.reach is None:
        return 0
    early = max(0, line.reach.start - line.dub.start)
    return early + max(0, line.dub.end - line.reach.end)


def share_within(tempos: Sequence[Fraction], tolerance: Fraction) -> float:
    """Return the share of tempos within ±`tolerance` of 1. No tempos: 1.0."""
    if not tempos:
        return 1.0
    return sum(1 for tempo in tempos if abs(tempo - 1) <= tolerance) / len(tempos)


def tempo_histogram(tempos: Iterable[Fraction]) -> tuple[int, ...]:
    """Count tempos between `TEMPO_EDGES`: below the first, between each two, above the last.

    A tempo on an edge belongs to the side nearer to 1.
    """
    counts = [0] * (len(TEMPO_EDGES) + 1)
    for tempo in tempos:
        below = sum(1 for e in TEMPO_EDGES if (tempo >= e if e < 1 else tempo > e))
        counts[below] += 1
    return tuple(counts)
