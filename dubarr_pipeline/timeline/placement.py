"""Where every take of a language starts, and at what tempo: the whole film solved at once.

Each line is bound to its own place on the clock (its onset, its window), never to the line before
it, so no error can be carried along the film. What the lines share is only the pauses between
them, and those couple neighbours by differences of starts and ends. With piecewise-linear costs
that is a linear programme; since every bound is a whole number of samples and every row a
difference of two times, the matrix is totally unimodular and its corners are whole samples (it is
the dual of a network flow). HiGHS solves it; the rounding after it is a guard that can only
shorten a take within its bounds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeVar

from dubarr_pipeline.timeline.placement_programme import Line, Prices, Row, Solved, solve
from dubarr_pipeline.timeline.spans import Span, to_samples
from dubarr_pipeline.timeline.windows import Window

DOES_NOT_FIT = "does_not_fit"
"""The name of the failure of a line for which no place could be found."""
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True)
class PlacementOptions:
    """The bounds within which takes may move and change their tempo.

    Attributes:
        earliest_s, latest_s: a take starts at most this much before or after the original.
        slowest, fastest: bounds of the tempo.
        least_change: a tempo nearer to 1 than this is not worth touching the sound for.
        easy_tempo: a change up to this is cheap.
        near_s: onset errors up to this are cheap.
        overrun_s: ending later than the original by up to this is cheap.
        shorter, longer: durations between these multiples of the original's cost nothing.
        gap_s: silence kept between lines of one speaker, where the original had as much.
        prices: what each departure costs.
    """

    earliest_s: float = 0.1
    latest_s: float = 0.3
    slowest: Fraction = Fraction(85, 100)
    fastest: Fraction = Fraction(120, 100)
    least_change: Fraction = Fraction(1, 100)
    easy_tempo: Fraction = Fraction(5, 100)
    near_s: float = 0.04
    overrun_s: float = 0.3
    shorter: Fraction = Fraction(90, 100)
    longer: Fraction = Fraction(105, 100)
    gap_s: float = 0.08
    prices: Prices = field(default_factory=Prices)


@dataclass(frozen=True, slots=True)
class TakeToPlace:
    """A chosen take and the window it belongs to; `length` in samples of the clock, untouched."""

    window: Window
    length: int

    def __post_init__(self) -> None:
        if self.length <= 0:
            raise ValueError(f"line {self.window.index}: a take of {self.length} samples")


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a take lies: `length` samples from `start`, made from `natural` samples."""

    index: int
    speaker: str
    start: int
    length: int
    natural: int

    @property
    def span(self) -> Span:
        """The stretch of the clock that the take fills."""
        return Span(self.start, self.start + self.length)

    @property
    def tempo(self) -> Fraction:
        """Playback ratio: above 1 is faster. Exactly 1: the sound is not touched."""
        return Fraction(self.natural, self.length)


@dataclass(frozen=True, slots=True)
class NotPlaced:
    """A line for which there is no place, and how many samples it is short of at the top tempo."""

    index: int
    failure: str
    shortage: int


@dataclass(frozen=True, slots=True)
class Placement:
    """All lines of a language, each in exactly one of the two lists, in order of their index."""

    placed: tuple[Placed, ...]
    failed: tuple[NotPlaced, ...]


def place(
    takes: Iterable[TakeToPlace], rate: int, options: PlacementOptions | None = None
) -> Placement:
    """Choose the start and tempo of every take of one language, for the whole film at once.

    The result does not depend on the order of `takes`. A line that cannot fit is named in `failed`,
    and the others are placed as if it were not there.

    Args:
        takes: one per line; indexes are unique.
        rate: samples per second of the clock.
        options: bounds and costs.
    """
    options = options or PlacementOptions()
    order = sorted(takes, key=lambda take: (take.window.span.start, take.window.index))
    lines = [_line(take, rate, options) for take in order]
    missing = [_hopeless(line) for line in lines]
    failed = {at: short for at, short in enumerate(missing) if short}
    rest = [at for at in range(len(order)) if at not in failed]
    placed: dict[int, Solved] = {}
    while rest:
        windows = [order[at].window for at in rest]
        fitted, missed = _attempt(windows, [lines[at] for at in rest], rate, options)
        placed |= {rest[at]: solved for at, solved in fitted.items()}
        failed |= {rest[at]: short for at, short in missed.items()}
        rest = [at for at in rest if at not in placed and at not in failed]
    return Placement(
        _by_index(_placed(order[at], solved) for at, solved in placed.items()),
        _by_index(
            NotPlaced(order[at].window.index, DOES_NOT_FIT, short) for at, short in failed.items()
        ),
    )


_Outcome = TypeVar("_Outcome", Placed, NotPlaced)


def _by_index(outcomes: Iterable[_Outcome]) -> tuple[_Outcome, ...]:
    return tuple(sorted(outcomes, key=lambda outcome: outcome.index))


def _hopeless(line: Line) -> int:
    """Samples that the line is short of even with all of its window to itself."""
    return max(0, line.shrink[-1] - (line.end - line.earliest))


def _attempt(
    windows: Sequence[Window], lines: Sequence[Line], rate: int, options: PlacementOptions
) -> tuple[dict[int, Solved], dict[int, int]]:
    """Solve once: the lines of groups that fit as a whole, and the lines that are in the way."""
    rows = _rows(windows, lines, rate, options)
    found = _exact(lines, rows, solve(lines, rows, options.prices), options)
    fitted: dict[int, Solved] = {}
    for group in _groups(len(lines), rows):
        if not any(found[at].missing for at in group):
            fitted |= {at: found[at] for at in group}
    return fitted, _worst(found, rows)


def _worst(found: Sequence[Solved], rows: Iterable[Row]) -> dict[int, int]:
    """Name the lines that miss most; those near a named one get another chance without it."""
    beside: defaultdict[int, set[int]] = defaultdict(set)
    for row in rows:
        beside[row.first].add(row.second)
        beside[row.second].add(row.first)
    named: dict[int, int] = {}
    spared: set[int] = set()
    lacking = [at for at, solved in enumerate(found) if solved.missing]
    for at in sorted(lacking, key=lambda at: (-found[at].missing, at)):
        if at in spared:
            continue
        named[at] = found[at].missing
        spared |= beside[at].union(*(beside[near] for near in beside[at]))
    return named


def _placed(take: TakeToPlace, found: Solved) -> Placed:
    window = take.window
    return Placed(window.index, window.speaker, found.start, found.length, take.length)


def _line(take: TakeToPlace, rate: int, options: PlacementOptions) -> Line:
    span, reach, natural = take.window.span, take.window.reach, take.length
    return Line(
        onset=span.start,
        earliest=max(reach.start, span.start - to_samples(options.earliest_s, rate)),
        latest=max(span.start, min(reach.end, span.start + to_samples(options.latest_s, rate))),
        end=reach.end,
        natural=natural,
        shrink=_lengths(natural, options, faster=True),
        grow=_lengths(natural, options, faster=False),
        short=math.ceil(span.length * options.shorter),
        long=math.floor(span.length * options.longer),
        overrun=span.end + to_samples(options.overrun_s, rate),
        near=to_samples(options.near_s, rate),
        weight=1 + (take.window.index * _GOLDEN) % 1 / 100,
    )


def _lengths(natural: int, options: PlacementOptions, *, faster: bool) -> tuple[int, int, int]:
    """Whole lengths at the edges of the tempo bands, rounded towards the take's own."""
    easy = options.easy_tempo
    if faster:
        tempos = (min(1 + easy, options.fastest), min(1 + 2 * easy, options.fastest))
        lengths = [math.ceil(natural / tempo) for tempo in (*tempos, options.fastest)]
    else:
        tempos = (max(1 - easy, options.slowest), max(1 - 2 * easy, options.slowest))
        lengths = [math.floor(natural / tempo) for tempo in (*tempos, options.slowest)]
    return lengths[0], lengths[1], lengths[2]


def _rows(
    windows: Sequence[Window], lines: Sequence[Line], rate: int, options: PlacementOptions
) -> list[Row]:
    """Who must end before whom may start: neighbours that could meet, in order of their onsets."""
    gap = to_samples(options.gap_s, rate)
    longest = max(line.end - line.onset for line in lines)
    before = max(line.onset - line.earliest for line in lines)
    rows: list[Row] = []
    for first, window in enumerate(windows):
        horizon = window.span.start + longest + before + gap
        for second in range(first + 1, len(windows)):
            if windows[second].span.start > horizon:
                break
            if lines[first].end + gap > lines[second].earliest:
                rows += _pair(windows, first, second, gap)
    return rows


def _pair(windows: Sequence[Window], first: int, second: int, gap: int) -> list[Row]:
    """Rows between two lines: no overlap, or no more of it than the original has."""
    one, two = windows[first].span, windows[second].span
    if windows[first].speaker == windows[second].speaker:
        return [Row(first, second, -min(gap, max(0, one.gap(two))))]
    if not one.overlap(two):
        return [Row(first, second, 0)]
    return [Row(first, second, one.end - two.start), Row(second, first, two.end - one.start)]


def _exact(
    lines: Sequence[Line], rows: Sequence[Row], found: Sequence[Solved], options: PlacementOptions
) -> list[Solved]:
    """Make every bound hold in whole samples, by shortening only.

    Drops tempo changes too small to be worth touching the sound: a take slowed by less goes back
    to its own length, and one sped up by less is sped up a little more.
    """
    starts = [
        min(max(solved.start, line.earliest), line.latest)
        for line, solved in zip(lines, found, strict=True)
    ]
    ends = [line.end for line in lines]
    for row in rows:
        ends[row.first] = min(ends[row.first], starts[row.second] + row.room)
    exact: list[Solved] = []
    for line, solved, start, end in zip(lines, found, starts, ends, strict=True):
        length = min(solved.length + solved.missing, end - start, line.grow[-1])
        shortage = max(0, line.shrink[-1] - length)
        exact.append(Solved(start, _worthwhile(line, length, options), shortage))
    return exact


def _worthwhile(line: Line, length: int, options: PlacementOptions) -> int:
    least = options.least_change
    if line.natural < length and length * (1 - least) < line.natural:
        return line.natural
    if length < line.natural < length * (1 + least):
        return max(line.shrink[-1], math.floor(line.natural / (1 + least)))
    return length


def _groups(count: int, rows: Iterable[Row]) -> list[list[int]]:
    """Lines that a chain of rows ties together; what happens in one group stays in it."""
    root = list(range(count))

    def find(at: int) -> int:
        while root[at] != at:
            root[at] = root[root[at]]
            at = root[at]
        return at

    for row in rows:
        one, two = sorted((find(row.first), find(row.second)))
        root[two] = one
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for at in range(count):
        groups[find(at)].append(at)
    return list(groups.values())
