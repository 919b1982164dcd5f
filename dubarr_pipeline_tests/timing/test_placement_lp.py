from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubarr_pipeline.timing.placement_lp import LineBounds, Prices, Row, solve

PRICES = Prices()
LINE = LineBounds(
    onset=1000,
    earliest=900,
    latest=1200,
    end=2200,
    natural=1000,
    shrink=(950, 900, 800),
    grow=(1050, 1100, 1200),
    short=950,
    long=1050,
    overrun=2100,
    near=40,
    weight=1.0,
)


def later(samples: int, line: LineBounds = LINE) -> LineBounds:
    """The same line, further on."""
    moved = {name: getattr(line, name) + samples for name in ("onset", "earliest", "latest")}
    return replace(line, **moved, end=line.end + samples, overrun=line.overrun + samples)


def test_nothing_in_nothing_out() -> None:
    assert solve([], [], PRICES) == []


def test_a_line_with_room_stays_as_it_is() -> None:
    (solved,) = solve([LINE], [], PRICES)
    assert (solved.start, solved.length, solved.missing) == (1000, 1000, 0)


def test_a_long_line_is_shortened_to_what_costs_nothing() -> None:
    (solved,) = solve([replace(LINE, natural=1200, shrink=(1140, 1080, 960))], [], PRICES)
    assert solved.missing == 0
    assert 1050 <= solved.length < 1200
    assert solved.start + solved.length <= LINE.end


def test_what_does_not_fit_is_missing_and_the_wall_stands() -> None:
    line = replace(LINE, natural=2000, shrink=(1900, 1800, 1600), earliest=1000, latest=1000)
    (solved,) = solve([line], [], PRICES)
    assert solved.start + solved.length <= line.end
    assert solved.missing == 1600 - 1200


@pytest.mark.parametrize("room", [-100, 0, 150])
def test_a_row_holds_the_room_between_two_lines(room: int) -> None:
    one, two = LINE, later(900)
    first, second = solve([one, two], [Row(0, 1, room)], PRICES)
    assert first.start + first.length <= second.start + room
    free = solve([one, two], [], PRICES)
    assert free[0].start + free[0].length > free[1].start


def test_being_late_is_cheaper_than_being_early_but_not_for_ever() -> None:
    prices = replace(PRICES, tempo_easy=100, tempo_near=100, tempo_far=100)

    def moved(overlap: int) -> list[int]:
        lines = [LINE, later(1000 - overlap)]
        solved = solve(lines, [Row(0, 1, 0)], prices)
        return [place.start - line.onset for place, line in zip(solved, lines, strict=True)]

    assert moved(40) == [0, 40]
    assert moved(60) == [-20, 40]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(700, 1500), st.integers(600, 1400)), min_size=1, max_size=6),
    st.integers(-50, 200),
)
def test_every_bound_holds_whatever_the_lines(lines: list[tuple[int, int]], room: int) -> None:
    bounds: list[LineBounds] = []
    onset = 1000
    for number, (step, natural) in enumerate(lines):
        shrink = (natural * 95 // 100, natural * 90 // 100, natural * 80 // 100)
        grow = (natural * 105 // 100, natural * 110 // 100, natural * 120 // 100)
        line = replace(LINE, natural=natural, shrink=shrink, grow=grow, weight=1 + number / 1000)
        bounds.append(later(onset - 1000, line))
        onset += step
    rows = [Row(at, at + 1, room) for at in range(len(bounds) - 1)]
    solved = solve(bounds, rows, PRICES)
    for line, place in zip(bounds, solved, strict=True):
        assert line.earliest <= place.start <= line.latest
        assert place.start + place.length <= line.end
        assert line.shrink[-1] - place.missing <= place.length <= line.grow[-1]
    for row in rows:
        first, second = solved[row.first], solved[row.second]
        assert first.start + first.length <= second.start + row.room
