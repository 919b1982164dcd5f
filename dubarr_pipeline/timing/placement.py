"""Start and tempo of every take of a language, whatever its neighbours leave it.

Each line is bound to its own place on the clock, never to the line before it, so no error can be
carried along the film. Only the pauses between them couple neighbours, by differences of starts and
ends. With piecewise-linear costs that is a linear programme; since every bound is a whole number of
samples, its corners are, too (the matrix is totally unimodular: the dual of a network flow). HiGHS
solves it; the rounding after it is a guard that can only shorten a take within its bounds. Lines
that cannot meet are solved apart, some hundreds at once, so that memory does not grow with a film.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from dubarr_pipeline.spans import Span, to_samples
from dubarr_pipeline.timing.placement_lp import LineBounds, Prices, Row, Solved, solve
from dubarr_pipeline.timing.tempo import DOES_NOT_FIT, TempoLimits
from dubarr_pipeline.timing.windows import Window

_GOLDEN = (math.sqrt(5) - 1) / 2
_BATCH = 200
"""Lines solved at once, and the rest of a group that they begin."""


@dataclass(frozen=True, slots=True)
class PlacementOptions:
    """The bounds within which takes may move and change their tempo.

    Attributes:
        earliest_s: how far before the original's start a take may start, in seconds.
        latest_s: how far after the original's start a take may start, in seconds.
        least_change: a tempo nearer to 1 than this is not worth touching the sound for.
        easy_tempo: a change up to this is cheap.
        near_s: onset errors up to this are cheap.
        overrun_s: ending later than the original by up to this is cheap.
        gap_s: silence kept between lines of one speaker, where the original had as much.
        prices: what each departure costs.
    """

    earliest_s: float = 0.1
    latest_s: float = 0.3
    least_change: Fraction = Fraction(1, 100)
    easy_tempo: Fraction = Fraction(5, 100)
    near_s: float = 0.04
    overrun_s: float = 0.3
    gap_s: float = 0.08
    prices: Prices = field(default_factory=Prices)


@dataclass(frozen=True, slots=True)
class PinnedPlace:
    """Start and length, in samples, that a person has fixed; None: to be chosen."""

    start: int | None = None
    length: int | None = None


@dataclass(frozen=True, slots=True)
class TimedTake:
    """A chosen take on the clock: the samples that it fills, and (`natural`) at its own tempo."""

    window: Window
    natural: int
    start: int
    length: int
    pin: PinnedPlace = PinnedPlace()

    def __post_init__(self) -> None:
        if self.natural <= 0:
            raise ValueError(f"line {self.index}: a take of {self.natural} samples")

    @classmethod
    def untouched(cls, window: Window, natural: int, pin: PinnedPlace = PinnedPlace()) -> TimedTake:
        """Return a take at the original's onset and its own tempo, for `place` to move."""
        return cls(window, natural, window.span.start, natural, pin)

    @property
    def index(self) -> int:
        """Index of the line."""
        return self.window.index

    @property
    def span(self) -> Span:
        """Stretch of the clock that the take fills."""
        return Span(self.start, self.start + self.length)

    @property
    def tempo(self) -> Fraction:
        """Playback ratio: above 1 is faster. Exactly 1: the sound is not touched."""
        return Fraction(self.natural, self.length)


@dataclass(frozen=True, slots=True)
class NotPlaced:
    """A line without a place; `shortage`: samples that it lacks even at the top tempo."""

    index: int
    failure: str
    shortage: int


@dataclass(frozen=True, slots=True)
class Placement:
    """All lines of a language, each in exactly one of the two lists, in order of their index."""

    placed: tuple[TimedTake, ...]
    failed: tuple[NotPlaced, ...]


def place(
    takes: Iterable[TimedTake],
    rate: int,
    options: PlacementOptions | None = None,
    tempo: TempoLimits | None = None,
) -> Placement:
    """Choose the start and tempo of every take of one language; `rate` is the clock's, in Hz.

    The result does not depend on the order of `takes`. A line that cannot fit is named in `failed`,
    and the others are placed as if it were not there.
    """
    options = options or PlacementOptions()
    tempo = tempo or TempoLimits()
    order = sorted(takes, key=lambda take: (take.window.span.start, take.window.index))
    lines = [_line(take, rate, options, tempo) for take in order]
    # Lines that do not fit even with all of their windows to themselves.
    missing = [max(0, line.shrink[-1] - (line.end - line.earliest)) for line in lines]
    failed = {at: short for at, short in enumerate(missing) if short}
    rest = [at for at in range(len(order)) if at not in failed]
    placed: dict[int, Solved] = {}
    # A named line gives its time to its neighbours, so the others are solved once more.
    while rest:
        windows = [order[at].window for at in rest]
        bounds = [lines[at] for at in rest]
        rows = _rows(windows, bounds, rate, options)
        solved = _exact(bounds, rows, _solve(bounds, rows, options.prices), options)
        # Groups of lines that fit as a whole, and the lines that are in the way.
        for group in _groups(len(rest), rows):
            if not any(solved[at].missing for at in group):
                placed |= {rest[at]: solved[at] for at in group}
        failed |= {rest[at]: short for at, short in _worst(solved, rows).items()}
        rest = [at for at in rest if at not in placed and at not in failed]
    ranks = sorted(range(len(order)), key=lambda at: order[at].index)
    return Placement(
        tuple(
            replace(order[at], start=placed[at].start, length=placed[at].length)
            for at in ranks
            if at in placed
        ),
        tuple(NotPlaced(order[at].index, DOES_NOT_FIT, failed[at]) for at in ranks if at in failed),
    )


def _worst(solved_lines: Sequence[Solved], rows: Iterable[Row]) -> dict[int, int]:
    """Name the lines that miss most; those near a named one get another chance without it."""
    neighbours: defaultdict[int, set[int]] = defaultdict(set)
    for row in rows:
        neighbours[row.first].add(row.second)
        neighbours[row.second].add(row.first)
    named: dict[int, int] = {}
    spared: set[int] = set()
    lacking = [at for at, solved in enumerate(solved_lines) if solved.missing]
    for at in sorted(lacking, key=lambda at: (-solved_lines[at].missing, at)):
        # One that is named gives room to those around it: they may fit in the next round.
        if at in spared:
            continue
        named[at] = solved_lines[at].missing
        spared |= neighbours[at].union(*(neighbours[near] for near in neighbours[at]))
    return named


def _line(take: TimedTake, rate: int, options: PlacementOptions, tempo: TempoLimits) -> LineBounds:
    """Return the bounds of a take; lengths at tempo bands are rounded to the take's own."""
    span, reach = take.window.span, take.window.reach
    easy = options.easy_tempo
    faster = (min(1 + easy, tempo.fastest), min(1 + 2 * easy, tempo.fastest), tempo.fastest)
    slower = (max(1 - easy, tempo.slowest), max(1 - 2 * easy, tempo.slowest), tempo.slowest)
    natural = take.natural
    bounds = LineBounds(
        onset=span.start,
        earliest=max(reach.start, span.start - to_samples(options.earliest_s, rate)),
        latest=max(span.start, min(reach.end, span.start + to_samples(options.latest_s, rate))),
        end=reach.end,
        natural=natural,
        shrink=tuple(math.ceil(natural / ratio) for ratio in faster),
        grow=tuple(math.floor(natural / ratio) for ratio in slower),
        short=math.ceil(span.length * tempo.shorter),
        long=math.floor(span.length * tempo.longer),
        overrun=span.end + to_samples(options.overrun_s, rate),
        near=to_samples(options.near_s, rate),
        weight=1 + (take.window.index * _GOLDEN) % 1 / 100,
    )
    if (start := take.pin.start) is not None:
        bounds = replace(bounds, onset=start, earliest=start, latest=start)
    if (length := take.pin.length) is not None:
        fixed = (length,) * len(faster)
        bounds = replace(bounds, natural=length, shrink=fixed, grow=fixed)
    return bounds


def _rows(
    windows: Sequence[Window], lines: Sequence[LineBounds], rate: int, options: PlacementOptions
) -> list[Row]:
    """Return the rows between neighbours that could meet, in order of their onsets."""
    gap = to_samples(options.gap_s, rate)
    both = list(zip(windows, lines, strict=True))
    longest = max(line.end - window.span.start for window, line in both)
    before = max(window.span.start - line.earliest for window, line in both)
    rows: list[Row] = []
    for first, window in enumerate(windows):
        # No line after the horizon can reach back to this one.
        horizon = window.span.start + longest + before + gap
        for second in range(first + 1, len(windows)):
            if windows[second].span.start > horizon:
                break
            if lines[first].end + gap <= lines[second].earliest:
                continue
            # No overlap, or no more of it than the original has.
            one, two = window.span, windows[second].span
            if window.speaker == windows[second].speaker:
                rows.append(Row(first, second, -min(gap, max(0, one.gap(two)))))
            elif one.overlap(two):
                rows.append(Row(first, second, one.end - two.start))
                rows.append(Row(second, first, two.end - one.start))
            else:
                rows.append(Row(first, second, 0))
    return rows


def _solve(lines: Sequence[LineBounds], rows: Sequence[Row], prices: Prices) -> list[Solved]:
    """Solve lines that can meet together, and the others apart: the result is the same."""
    # A take grows only where it is too short; the rows left out hold wherever both lines go.
    longest = [line.grow[-1] if line.natural < line.short else line.natural for line in lines]
    ends = [min(line.end, line.latest + most) for line, most in zip(lines, longest, strict=True)]
    tied = [row for row in rows if ends[row.first] > lines[row.second].earliest + row.room]
    rows_of: defaultdict[int, list[Row]] = defaultdict(list)
    for row in tied:
        rows_of[row.first].append(row)
    solved: dict[int, Solved] = {}
    batch: list[int] = []
    for group in _groups(len(lines), tied):
        batch += group
        if len(batch) >= _BATCH or len(solved) + len(batch) == len(lines):
            rank = {at: place for place, at in enumerate(batch)}
            own = [Row(rank[r.first], rank[r.second], r.room) for at in batch for r in rows_of[at]]
            found = solve([lines[at] for at in batch], own, prices)
            solved |= zip(batch, found, strict=True)
            batch = []
    return [solved[at] for at in range(len(lines))]


def _exact(
    lines: Sequence[LineBounds],
    rows: Sequence[Row],
    solved_lines: Sequence[Solved],
    options: PlacementOptions,
) -> list[Solved]:
    """Make every bound hold in whole samples, by shortening only.

    Drops tempo changes too small to be worth touching the sound: a take slowed by less goes back
    to its own length, and one sped up by less is sped up a little more.
    """
    starts = [
        min(max(solved.start, line.earliest), line.latest)
        for line, solved in zip(lines, solved_lines, strict=True)
    ]
    least = options.least_change
    ends = [line.end for line in lines]
    for row in rows:
        ends[row.first] = min(ends[row.first], starts[row.second] + row.room)
    exact: list[Solved] = []
    for line, solved, start, end in zip(lines, solved_lines, starts, ends, strict=True):
        length = min(solved.length + solved.missing, end - start, line.grow[-1])
        shortage = max(0, line.shrink[-1] - length)
        if line.natural < length and length * (1 - least) < line.natural:
            length = line.natural
        elif length < line.natural < length * (1 + least):
            length = max(line.shrink[-1], math.floor(line.natural / (1 + least)))
        exact.append(Solved(start, length, shortage))
    return exact


def _groups(count: int, rows: Sequence[Row]) -> list[list[int]]:
    """Return the groups of lines that chains of rows tie together; no group affects another."""
    # Not at the top: only who places needs them.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = [row.first for row in rows], [row.second for row in rows]
    ties = coo_array(([True] * len(rows), ends), shape=(count, count))
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for at, group in enumerate(connected_components(ties, directed=False)[1].tolist()):
        groups[group].append(at)
    return list(groups.values())
