"""The linear programme of a placement: lines and rows in, whole samples out.

Per line there are small non-negative variables, each a step of one kind with its own price; start
and length are sums of them, so that a piecewise-linear convex cost needs no further rows. All
numbers are offsets from the line's own onset, hence small, whole and exact in float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of each departure from the ideal, per sample of it; only their ratios matter.

    Not round, so that no two ways to help a line cost exactly the same.

    Attributes:
        onset_near: price per second of starting off the original's onset, within `near_s`.
        onset_far: price per second of starting off the original's onset, beyond `near_s`.
        early: factor on both when it is too early: heard sooner than too late (ITU-R BT.1359).
        tempo_easy: changing the length within the easy tempo: not heard (Quené 2006: 5 %).
        tempo_near: price of changing the length by up to twice the easy tempo.
        tempo_far: price of changing the length by more than twice the easy tempo.
        duration: being shorter or longer than the original by more than the tolerance.
        overrun: ending much later than the original.
        miss: not fitting at all; costs more than all else together.
    """

    onset_near: float = 1.0
    onset_far: float = 6.3
    early: float = 2.03
    tempo_easy: float = 0.7
    tempo_near: float = 5.3
    tempo_far: float = 12.7
    duration: float = 1.13
    overrun: float = 6.1
    miss: float = 1000.0


@dataclass(frozen=True, slots=True)
class LineBounds:
    """Bounds of one take, in whole samples.

    Attributes:
        onset: where the original starts; `earliest` and `latest` bound the start around it.
        end: the end of its reach: a wall.
        natural: the take's own length; `shrink` and `grow` are the lengths that the tempo bands end
            at, nearest first (easy, near, far).
        short, long: lengths between which the duration costs nothing.
        overrun: ends after this cost.
        near: starts at most this far from the onset are cheap.
        weight: factor on all its prices. A little different for every line, so that there is one
            best placement and not several: else a change in one scene could move lines of another.
    """

    onset: int
    earliest: int
    latest: int
    end: int
    natural: int
    shrink: tuple[int, ...]
    grow: tuple[int, ...]
    short: int
    long: int
    overrun: int
    near: int
    weight: float


@dataclass(frozen=True, slots=True)
class Row:
    """``end(first) <= start(second) + room``; a negative `room` is a gap to be kept."""

    first: int
    second: int
    room: int


@dataclass(frozen=True, slots=True)
class Solved:
    """Start and length of a line; `missing`: samples it is shorter than its top tempo allows."""

    start: int
    length: int
    missing: int


class _Builder:
    """Collects variables and rows of a sparse linear programme."""

    def __init__(self) -> None:
        self.costs: list[float] = []
        self.uppers: list[float] = []
        self.terms: list[tuple[int, int, float]] = []
        self.limits: list[float] = []
        self.weight = 1.0

    def variable(self, cost: float, upper: float) -> int:
        self.costs.append(cost * self.weight)
        self.uppers.append(upper)
        return len(self.costs) - 1

    def row(self, terms: Sequence[tuple[int, float]], limit: float) -> None:
        at = len(self.limits)
        self.terms.extend((at, column, factor) for column, factor in terms)
        self.limits.append(limit)

    def solve(self) -> NDArray[np.float64]:
        # Not at the top: only who places needs the solver.
        from scipy.optimize import linprog
        from scipy.sparse import csr_matrix

        rows, columns, factors = zip(*self.terms, strict=True) if self.terms else ((), (), ())
        shape = (len(self.limits), len(self.costs))
        matrix = csr_matrix((factors, (rows, columns)), shape=shape) if self.terms else None
        bounds = np.column_stack([np.zeros(len(self.costs)), np.array(self.uppers)])
        solution = linprog(
            np.array(self.costs),
            A_ub=matrix,
            b_ub=np.array(self.limits) if self.terms else None,
            bounds=bounds,
            # The simplex method returns corners, which are whole samples; interior points are not.
            method="highs-ds",
        )
        if solution.x is None:
            raise ArithmeticError(f"the placement could not be solved: {solution.message}")
        return solution.x


Sum = list[tuple[int, float]]


def solve(lines: Sequence[LineBounds], rows: Sequence[Row], prices: Prices) -> list[Solved]:
    """Return start and length of every line at the least total price.

    There is always a solution: what cannot be had is reported as `Solved.missing`.
    """
    if not lines:
        return []
    programme = _Builder()
    starts: list[Sum] = []
    lengths: list[Sum] = []
    tempo = (prices.tempo_easy, prices.tempo_near, prices.tempo_far)
    for line in lines:
        programme.weight = line.weight
        start = _start_steps(programme, line, prices)
        # Away from the take's own length; growing only if it is too short.
        length = _bands(programme, line.natural, line.shrink, tempo)
        if line.natural < line.short:
            length += _bands(programme, line.natural, line.grow, tempo)
        length.append((programme.variable(prices.miss, line.shrink[-1]), -1.0))
        _own_rows(programme, line, start + length, length, prices)
        starts.append(start)
        lengths.append(length)
    for row in rows:
        first, second = lines[row.first], lines[row.second]
        ends = starts[row.first] + lengths[row.first]
        limit = second.onset + row.room - first.onset - first.natural
        programme.row([*ends, *((c, -f) for c, f in starts[row.second])], limit)
    x = programme.solve()
    return [
        Solved(
            line.onset + _value(x, start),
            line.natural + _value(x, length),
            round(float(x[length[-1][0]])),
        )
        for line, start, length in zip(lines, starts, lengths, strict=True)
    ]


def _value(x: NDArray[np.float64], terms: Sum) -> int:
    return round(sum(float(x[column]) * factor for column, factor in terms))


def _start_steps(programme: _Builder, line: LineBounds, prices: Prices) -> Sum:
    """Return the steps of the start away from the onset: convex, so the cheap ones come first."""
    steps: Sum = []
    for room, sign, factor in (
        (line.onset - line.earliest, -1.0, prices.early),
        (line.latest - line.onset, 1.0, 1.0),
    ):
        near = min(line.near, room)
        for width, price in ((near, prices.onset_near), (room - near, prices.onset_far)):
            if width > 0:
                steps.append((programme.variable(price * factor, width), sign))
    return steps


def _bands(
    programme: _Builder, natural: int, edges: tuple[int, ...], prices: Sequence[float]
) -> Sum:
    steps: Sum = []
    inner = natural
    for edge, price in zip(edges, prices, strict=True):
        if edge != inner:
            sign = 1.0 if edge > inner else -1.0
            steps.append((programme.variable(price, abs(edge - inner)), sign))
        inner = edge
    return steps


def _own_rows(programme: _Builder, line: LineBounds, end: Sum, length: Sum, prices: Prices) -> None:
    """Add the line's wall, and the prices of a duration and an end unlike the original's."""
    latest_end = line.latest + max(line.natural, line.grow[-1])
    natural_end = line.onset + line.natural
    # Rows that cannot bind only cost time.
    if latest_end > line.end:
        programme.row(end, line.end - natural_end)
    if line.natural < line.short:
        lacking = programme.variable(prices.duration, np.inf)
        row = [(column, -factor) for column, factor in length]
        programme.row([*row, (lacking, -1.0)], line.natural - line.short)
    if line.natural > line.long:
        excess = programme.variable(prices.duration, np.inf)
        programme.row([*length, (excess, -1.0)], line.long - line.natural)
    if latest_end > line.overrun:
        late = programme.variable(prices.overrun, np.inf)
        programme.row([*end, (late, -1.0)], line.overrun - natural_end)
