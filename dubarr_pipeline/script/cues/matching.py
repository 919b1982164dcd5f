"""Matching of subtitles in another language to the lines of the film, by time.

People cut subtitles differently in each language: two lines may share a subtitle, or one line may
have two. A file of another release is put on the film's clock before, by `script.fit.placing`.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.script.model import Segment
from dubarr_pipeline.spans import Span

DIALOGUE = re.compile(r"\n(?=\s*[-–—])")
SENTENCES = re.compile(r"(?<=[.!?…])\s+(?=[^a-z\s])")
CLAUSES = re.compile(r"(?<=[,;:])\s+|\s+(?=—)")


_SHARED = 0.4
"""Share of the shorter of a line and a subtitle that both must cover to belong together."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a subtitle's text, with the time in which it is likely to be read."""

    span: Span
    text: str


def match_subtitles(segments: Sequence[Segment], cues: Sequence[Cue]) -> dict[int, str | None]:
    """Return the subtitles' text for each segment's index, or None where there is none.

    Args:
        segments: the film's lines, in order of their starts, in samples.
        cues: the other language's subtitles where the film says the same, at the same rate.
    """
    texts: dict[int, str | None] = {segment.index: None for segment in segments}
    said = [cue for cue in cues if re.search(r"\w", cue.text) and cue.span.length]
    if not segments or not said:
        return texts
    for group, subtitles in _groups(segments, said):
        texts |= _shared_out(group, subtitles)
    return texts


def _groups(
    segments: Sequence[Segment], cues: Sequence[Cue]
) -> list[tuple[list[Segment], list[Cue]]]:
    """Return groups of lines and subtitles that overlap in time, each in at most one group."""
    first_of = list(range(len(segments)))  # the first segment of the group that each belongs to
    owners: list[tuple[Cue, int]] = []
    reach = max(segment.span.length for segment in segments)
    starts = [segment.span.start for segment in segments]
    for cue in cues:
        near = range(bisect_left(starts, cue.span.start - reach), bisect_left(starts, cue.span.end))
        roots: set[int] = set()
        for position in near:
            span = segments[position].span
            common = span.overlap(cue.span)
            if common > 0 and common >= _SHARED * min(span.length, cue.span.length):
                roots.add(_root(first_of, position))
        if roots:
            owners.append((cue, min(roots)))
        for root in roots:
            first_of[root] = min(roots)
    groups: dict[int, tuple[list[Segment], list[Cue]]] = {}
    for position, segment in enumerate(segments):
        groups.setdefault(_root(first_of, position), ([], []))[0].append(segment)
    for cue, position in owners:
        groups[_root(first_of, position)][1].append(cue)
    return [group for group in groups.values() if group[1]]


def _root(first_of: list[int], position: int) -> int:
    while first_of[position] != position:
        position = first_of[position]
    return position


def _shared_out(segments: list[Segment], cues: list[Cue]) -> dict[int, str | None]:
    """Give each segment of a group its part of the subtitles' text, in order."""
    if len(segments) == 1:
        return {segments[0].index: _joined([cue.text for cue in cues])}
    pieces = [
        piece for cue in sorted(cues, key=lambda c: c.span) for piece in _pieces(cue, DIALOGUE)
    ]
    cuts = [SENTENCES, CLAUSES]
    if len({segment.speaker for segment in segments}) == 1:
        # Only one voice: a cut inside a clause gives nobody another's words.
        cuts.append(re.compile(r"\s+"))
    for cut in cuts:
        if len(pieces) < len(segments):
            pieces = [part for p in pieces for part in _pieces(Cue(p.span, p.text), cut)]
    if len(pieces) < len(segments):
        return {segment.index: None for segment in segments}
    return _dealt(segments, pieces)


def _pieces(cue: Cue, cut: re.Pattern[str]) -> list[Piece]:
    """Return the parts of a subtitle, each with a share of its time by its letters."""
    texts = [text.strip() for text in cut.split(cue.text) if re.search(r"\w", text)]
    letters = sum(len(text) for text in texts) or 1
    pieces: list[Piece] = []
    start, done = cue.span.start, 0
    for text in texts:
        done += len(text)
        end = cue.span.start + cue.span.length * done // letters
        pieces.append(Piece(Span(start, end), text))
        start = end
    return pieces


def _dealt(segments: list[Segment], pieces: list[Piece]) -> dict[int, str | None]:
    """Deal the pieces out in order, at least one each, so that they are read when they are said.

    The best of all ways to cut the row of pieces, by dynamic programming over (segment, piece).
    """
    n, m = len(segments), len(pieces)
    score = np.full((n + 1, m + 1), -np.inf)
    cut = np.zeros((n + 1, m + 1), dtype=np.int64)
    score[0, 0] = 0
    # Samples that both cover; if none, their distance as a negative number.
    gain = [
        [
            float(s.span.overlap(p.span) or -max(s.span.gap(p.span), p.span.gap(s.span), 0))
            for p in pieces
        ]
        for s in segments
    ]
    sums = np.concatenate([np.zeros((n, 1)), np.cumsum(gain, axis=1)], axis=1)
    for row in range(1, n + 1):
        for end in range(row, m - (n - row) + 1):
            options = score[row - 1, :end] + sums[row - 1, end] - sums[row - 1, :end]
            cut[row, end] = int(np.argmax(options))
            score[row, end] = options[cut[row, end]]
    dealt: dict[int, str | None] = {}
    end = m
    for row in range(n, 0, -1):
        start = int(cut[row, end])
        dealt[segments[row - 1].index] = _joined([p.text for p in pieces[start:end]])
        end = start
    return dealt


def _joined(texts: list[str]) -> str:
    lines = [line for text in texts for line in text.splitlines()]
    return " ".join(re.sub(r"^\s*[-–—]\s*", "", line).strip() for line in lines).strip()
