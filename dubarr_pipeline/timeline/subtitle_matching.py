"""Finds, for each line of the film, what a subtitle file in another language says at that time.

The two files may come from different releases: one may lag behind, or run 4 per cent faster (25
instead of 24 pictures a second). And people cut subtitles differently in each language: two lines
may share a subtitle, or one line may have two.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.timeline.script import Cue, Segment
from dubarr_pipeline.timeline.spans import Span, to_samples

BIN_S = 0.05
"""Resolution of the search for a lag; a match needs no more."""
TRANSFERS = (1.0, 25 / 24, 24 / 25, 25025 / 24000, 24000 / 25025, 1001 / 1000, 1000 / 1001)
"""Speeds between releases: film at 24, PAL at 25, NTSC film at 24000/1001 pictures a second."""
DIALOGUE = re.compile(r"\n(?=\s*[-–—])")
SENTENCES = re.compile(r"(?<=[.!?…])\s+(?=[^a-z\s])")
CLAUSES = re.compile(r"(?<=[,;:])\s+|\s+(?=—)")


@dataclass(frozen=True, slots=True)
class MatchOptions:
    """How subtitles are matched to lines.

    Attributes:
        longest_lag_s: how far a file may lag behind, or run ahead.
        worthwhile: by how much a lag must raise the agreement (0 to 1) before it is believed; a few
            lines agree by chance at some lag, so `few` is added over their number.
        few: see there.
        shared: the share of the shorter of a line and a subtitle that both must cover.
    """

    longest_lag_s: float = 60.0
    worthwhile: float = 0.03
    few: float = 0.5
    shared: float = 0.4


@dataclass(frozen=True, slots=True)
class Lag:
    """How a subtitle file's clock reads against the film's: film = file * `speed` + `shift_s`."""

    speed: float = 1.0
    shift_s: float = 0.0

    def on_film(self, span: Span, rate: int) -> Span:
        """The span of a subtitle on the film's clock."""
        shift = to_samples(self.shift_s, rate)
        start = max(0, round(span.start * self.speed) + shift)
        return Span(start, max(start, round(span.end * self.speed) + shift))


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a subtitle's text, with the time in which it is likely to be read."""

    span: Span
    text: str


def match_subtitles(
    segments: Sequence[Segment], cues: Sequence[Cue], rate: int, options: MatchOptions | None = None
) -> dict[int, str | None]:
    """Return what the subtitles say for each segment's index, or None where they say nothing.

    Args:
        segments: the film's lines, in order of their starts, in samples at `rate` Hz.
        cues: the other language's subtitles, in samples at the same rate.
        rate: samples a second of both.
        options: how they are matched.
    """
    options = options or MatchOptions()
    found: dict[int, str | None] = {segment.index: None for segment in segments}
    said = [cue for cue in cues if re.search(r"\w", cue.text) and cue.span.length]
    if not segments or not said:
        return found
    lag = find_lag([s.span for s in segments], [c.span for c in said], rate, options)
    moved = [Cue(lag.on_film(cue.span, rate), cue.text) for cue in said]
    for group, subtitles in _groups(segments, moved, options.shared):
        found |= _shared_out(group, subtitles)
    return found


def find_lag(
    film: Sequence[Span], file: Sequence[Span], rate: int, options: MatchOptions | None = None
) -> Lag:
    """Return the speed and the shift at which the subtitles agree best with the film's lines.

    Agreement is the Dice coefficient of "somebody speaks" against "a subtitle is shown", found for
    every shift at once by a fast correlation.
    """
    options = options or MatchOptions()
    best, best_score = Lag(), _agreement(film, file, rate)
    best_score += options.worthwhile + options.few / min(len(film), len(file))
    for speed in TRANSFERS:
        lag, score = _best_shift(film, file, rate, (speed, options.longest_lag_s))
        if score > best_score + 1e-9:
            best, best_score = lag, score
    return best


def _agreement(film: Sequence[Span], file: Sequence[Span], rate: int) -> float:
    return _best_shift(film, file, rate, (1.0, 0.0))[1]


def _best_shift(
    film: Sequence[Span], file: Sequence[Span], rate: int, search: tuple[float, float]
) -> tuple[Lag, float]:
    speed, longest_s = search
    spoken, shown = _activity(film, rate, 1.0), _activity(file, rate, speed)
    reach = round(longest_s / BIN_S)
    size = 1 << (spoken.size + shown.size + reach).bit_length()
    both = np.fft.irfft(
        np.fft.rfft(spoken, size) * np.conj(np.fft.rfft(shown, size)), size
    )  # both[k]: bins in which both are, with the file moved by k
    shifts = np.arange(-reach, reach + 1)
    dice = 2 * both[shifts % size] / (spoken.sum() + shown.sum())
    at = int(np.argmax(dice))
    return Lag(speed, float(shifts[at] * BIN_S)), float(dice[at])


def _activity(spans: Sequence[Span], rate: int, speed: float) -> NDArray[np.float64]:
    """1 in every bin that a span covers, else 0: ``(bins,)``."""
    step = BIN_S * rate / speed
    active = np.zeros(round(max(span.end for span in spans) / step) + 1)
    for span in spans:
        active[
            round(span.start / step) : max(round(span.start / step) + 1, round(span.end / step))
        ] = 1
    return active


def _groups(
    segments: Sequence[Segment], cues: Sequence[Cue], shared: float
) -> list[tuple[list[Segment], list[Cue]]]:
    """Lines and subtitles that hang together by time, every one in at most one group."""
    first_of = list(range(len(segments)))  # the first segment of the group that each belongs to
    owners: list[tuple[Cue, int]] = []
    reach = max(segment.span.length for segment in segments)
    starts = [segment.span.start for segment in segments]
    for cue in cues:
        near = range(bisect_left(starts, cue.span.start - reach), bisect_left(starts, cue.span.end))
        roots = {_root(first_of, p) for p in near if _share(segments[p].span, cue.span, shared)}
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


def _share(segment: Span, cue: Span, shared: float) -> bool:
    common = segment.overlap(cue)
    return common > 0 and common >= shared * min(segment.length, cue.length)


def _shared_out(segments: list[Segment], cues: list[Cue]) -> dict[int, str | None]:
    """Give each segment of a group its part of the subtitles' text, in order."""
    if len(segments) == 1:
        return {segments[0].index: _joined([cue.text for cue in cues])}
    pieces = [
        piece for cue in sorted(cues, key=lambda c: c.span) for piece in _pieces(cue, DIALOGUE)
    ]
    cuts = [SENTENCES, CLAUSES]
    if len({segment.speaker for segment in segments}) == 1:
        cuts.append(re.compile(r"\s+"))
    for cut in cuts:
        if len(pieces) < len(segments):
            pieces = [part for p in pieces for part in _pieces(Cue(p.span, p.text), cut)]
    if len(pieces) < len(segments):
        return {segment.index: None for segment in segments}
    return _dealt(segments, pieces)


def _pieces(cue: Cue, cut: re.Pattern[str]) -> list[Piece]:
    """The parts of a subtitle, each with a share of its time by its letters."""
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
    gain = [[_closeness(segment, piece) for piece in pieces] for segment in segments]
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


def _closeness(segment: Segment, piece: Piece) -> float:
    """Samples that both cover; where none, how far they are apart, below nought."""
    common = segment.span.overlap(piece.span)
    apart = max(segment.span.start - piece.span.end, piece.span.start - segment.span.end)
    return float(common) if common else -float(max(apart, 0))


def _joined(texts: list[str]) -> str:
    lines = [line for text in texts for line in text.splitlines()]
    return " ".join(re.sub(r"^\s*[-–—]\s*", "", line).strip() for line in lines).strip()
