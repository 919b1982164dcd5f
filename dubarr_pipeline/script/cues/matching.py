"""Matching of subtitles in another language to the lines of the film, by time.

People cut subtitles differently in each language: two lines may share a subtitle, or one line may
have two. A file of another release is put on the film's clock before, by `script.fit.placing`.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.script.model import Segment
from dubarr_pipeline.spans import Span

DIALOGUE = re.compile(r"\n(?=\s*[-–—])")
SENTENCES = re.compile(r"(?<=[.!?…])\s+(?=[^a-z\s])")
CLAUSES = re.compile(r"(?<=[,;:])\s+|\s+(?=—)")


_SHARED = 0.4
"""Share of the shorter of a line and a subtitle that both must cover to belong together."""


def match_subtitles(segments: Sequence[Segment], cues: Sequence[Cue]) -> dict[int, str | None]:
    """Return the subtitles' text for each segment's index, or None where there is none.

    Both are in samples at one rate, the segments in order of their starts; the cues are the other
    language's subtitles where the film says the same.
    """
    texts: dict[int, str | None] = {segment.index: None for segment in segments}
    said = [cue for cue in cues if re.search(r"\w", cue.text) and cue.span.length]
    for group, subtitles in _groups(segments, said) if segments and said else ():
        texts |= _shared_out(group, subtitles)
    return texts


def _groups(
    segments: Sequence[Segment], cues: Sequence[Cue]
) -> list[tuple[list[Segment], list[Cue]]]:
    """Return groups of lines and subtitles that overlap in time, each in at most one group."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    reach = max(segment.span.length for segment in segments)
    starts = [segment.span.start for segment in segments]
    shared: list[tuple[int, int]] = []
    for number, cue in enumerate(cues, start=len(segments)):
        first = bisect_left(starts, cue.span.start - reach)
        for position in range(first, bisect_left(starts, cue.span.end)):
            span = segments[position].span
            common = span.overlap(cue.span)
            if common > 0 and common >= _SHARED * min(span.length, cue.span.length):
                shared.append((position, number))
    # Lines and subtitles are the nodes of a graph; what hangs together is a group.
    rows, columns = np.array(shared, np.int64).reshape(-1, 2).T
    size = len(segments) + len(cues)
    graph = coo_array((np.ones(len(shared)), (rows, columns)), shape=(size, size))
    labels = connected_components(graph, directed=False)[1].tolist()
    groups: dict[int, tuple[list[Segment], list[Cue]]] = {}
    for label, segment in zip(labels, segments, strict=False):
        groups.setdefault(label, ([], []))[0].append(segment)
    for label, cue in zip(labels[len(segments) :], cues, strict=True):
        if label in groups:
            groups[label][1].append(cue)
    return [group for group in groups.values() if group[1]]


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
            pieces = [part for p in pieces for part in _pieces(p, cut)]
    if len(pieces) < len(segments):
        return {segment.index: None for segment in segments}
    return _dealt(segments, pieces)


def _pieces(cue: Cue, cut: re.Pattern[str]) -> list[Cue]:
    """Return the parts of a subtitle, each with a share of its time by its letters."""
    texts = [text.strip() for text in cut.split(cue.text) if re.search(r"\w", text)]
    done = [0, *accumulate(len(text) for text in texts)]
    edges = [cue.span.start + cue.span.length * letters // (done[-1] or 1) for letters in done]
    return [Cue(Span(*time), text) for time, text in zip(pairwise(edges), texts, strict=True)]


def _dealt(segments: list[Segment], pieces: list[Cue]) -> dict[int, str | None]:
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
