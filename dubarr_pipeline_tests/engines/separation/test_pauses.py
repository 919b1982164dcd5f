from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from dubarr_pipeline.engines.separation.pauses import Background, lines_of
from dubarr_pipeline.engines.separation.spectrum import Grid
from dubarr_pipeline.spans import Span, intersect, merge

RATE = 16_000
GRID = Grid.at(RATE)
LEAST = GRID.size + 3 * GRID.hop


@pytest.mark.parametrize(("room", "count"), [(LEAST - 1, 0), (LEAST, 1), (LEAST + 1, 1)])
def test_a_pause_is_heard_from_four_frames_on(room: int, count: int) -> None:
    (line,) = lines_of([Span(room, room + RATE)], room + RATE, RATE, GRID)
    assert (len(line.before), len(line.after)) == (count, 0)


def test_no_more_than_four_seconds_next_to_the_line_are_heard() -> None:
    (line,) = lines_of([Span(60 * RATE, 61 * RATE)], 120 * RATE, RATE, GRID)
    assert line.before == (Span(56 * RATE, 60 * RATE),)
    assert line.after == (Span(61 * RATE, 65 * RATE),)


def test_pauses_beyond_neighbouring_lines_are_heard_too_but_none_over_ten_seconds_away() -> None:
    speech = [Span(s * RATE, (s + 3) * RATE) for s in range(0, 40, 4)]
    line = lines_of(speech, 43 * RATE, RATE, GRID)[5]
    assert [p.start // RATE for p in line.before] == [19, 15, 11]
    assert [p.start // RATE for p in line.after] == [23, 27, 31]


@given(
    st.lists(st.tuples(st.integers(0, 400_000), st.integers(1, 60_000)), max_size=12),
    st.integers(460_000, 500_000),
)
def test_pauses_never_lie_in_speech_nor_outside_the_film(
    raw: list[tuple[int, int]], end: int
) -> None:
    speech = merge(Span(start, start + length) for start, length in raw)
    for line in lines_of(speech, end, RATE, GRID):
        heard = [*line.before, *line.after]
        assert intersect(heard, speech) == []
        assert all(0 <= p.start < p.end <= end and p.length >= LEAST for p in heard)
        assert sum(p.length for p in line.before) <= 4 * RATE


@pytest.mark.parametrize(("seconds", "knots"), [(29, 0), (31, 1), (46, 2), (600, 38)])
def test_a_long_line_is_sounded_every_fifteen_seconds(seconds: int, knots: int) -> None:
    span = Span(RATE, (1 + seconds) * RATE)
    (line,) = lines_of([span], 700 * RATE, RATE, GRID)
    found = line.knots(RATE, GRID)
    assert len(found) == knots
    assert all(span.start <= k.start and k.end <= span.end for k in found)


def test_the_background_goes_straight_from_one_moment_to_the_next_and_stays_beyond() -> None:
    powers = np.array([[[1.0]], [[3.0]], [[2.0]]], np.float32)
    known = Background(np.array([0.0, 10.0, 20.0]), powers)
    found = known.at(np.array([-5.0, 0.0, 5.0, 10.0, 15.0, 20.0, 99.0]))
    assert_allclose(found[0, :, 0], [1, 1, 2, 3, 2.5, 2, 2])


def test_one_known_moment_serves_for_all() -> None:
    known = Background(np.array([7.0]), np.full((1, 2, 3), 4, np.float32))
    assert known.at(np.arange(5.0)).shape == (2, 5, 3)
