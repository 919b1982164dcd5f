from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.script.model import Segment
from dubarr_pipeline.spans import Span, complement
from dubarr_pipeline.timing.windows import WindowOptions, windows

RATE = 1000
FILM = Span(0, 20_000)
OPTIONS = WindowOptions(before_s=0.1, after_s=1.0, shortest_s=0.5)


def _segment(index: int, start: int, end: int, speaker: str = "A", kind: str = "speech") -> Segment:
    return Segment(index, Span(start, end), speaker, "text", kind=kind)  # type: ignore[arg-type]


def _reach(*segments: Segment) -> list[Span]:
    return [window.reach for window in windows(segments, FILM, RATE, OPTIONS)]


@pytest.mark.parametrize(
    ("gap", "lent"), [(0, 0), (1, 1), (999, 999), (1000, 1000), (1001, 1000), (5000, 1000)]
)
def test_borrows_no_more_silence_after_it_than_there_is_and_than_allowed(
    gap: int, lent: int
) -> None:
    first, _ = _reach(_segment(0, 1000, 2000), _segment(1, 2000 + gap, 9000, "B"))
    assert first.end == 2000 + lent


@pytest.mark.parametrize(("gap", "lent"), [(0, 0), (99, 99), (100, 100), (101, 100)])
def test_borrows_no_more_silence_before_it_than_there_is_and_than_allowed(
    gap: int, lent: int
) -> None:
    _, second = _reach(_segment(0, 1000, 2000), _segment(1, 2000 + gap, 9000, "B"))
    assert second.start == 2000 + gap - lent


def test_the_film_is_a_wall_at_both_ends() -> None:
    assert _reach(_segment(0, 30, 1000), _segment(1, 18_000, 19_500)) == [
        Span(0, 2000),
        Span(17_900, 20_000),
    ]


def test_a_line_within_anothers_speech_borrows_nothing() -> None:
    assert _reach(_segment(0, 1000, 5000), _segment(1, 2000, 3000, "B"))[1] == Span(2000, 3000)


def test_nobody_borrows_from_a_song_and_songs_get_no_window() -> None:
    found = windows(
        [_segment(0, 1000, 2000), _segment(1, 2300, 9000, kind="song")], FILM, RATE, OPTIONS
    )
    assert [(w.index, w.reach.end) for w in found] == [(0, 2300)]


def test_also_occupied_stretches_are_not_borrowed() -> None:
    (window,) = windows([_segment(0, 1000, 2000)], FILM, RATE, OPTIONS, [Span(2200, 2300)])
    assert window.reach == Span(900, 2200)


@pytest.mark.parametrize(
    ("length", "free", "budget"),
    [(200, 5000, 500), (200, 100, 300), (499, 5000, 500), (500, 5000, 500), (501, 5000, 501)],
)
def test_a_very_short_line_is_drafted_for_the_least_length_that_its_window_has(
    length: int, free: int, budget: int
) -> None:
    end = 1000 + length
    window, _ = windows(
        [_segment(0, 1000, end), _segment(1, end + free, end + free + 100)], FILM, RATE, OPTIONS
    )
    assert window.budget == budget
    assert window.budget_s(RATE) == budget / RATE


@given(st.lists(st.tuples(st.integers(0, 19_000), st.integers(1, 3000)), min_size=1, max_size=12))
def test_windows_hold_their_line_and_only_silence_beside_it(found: list[tuple[int, int]]) -> None:
    segments = [
        _segment(i, start, min(20_000, start + length), "AB"[i % 2])
        for i, (start, length) in enumerate(sorted(found))
    ]
    silence = complement([s.span for s in segments], FILM)
    for segment, window in zip(segments, windows(segments, FILM, RATE, OPTIONS), strict=True):
        span, reach = window.span, window.reach
        assert span == segment.span
        assert FILM.start <= reach.start <= span.start
        assert span.end <= reach.end <= FILM.end
        for lent in (Span(reach.start, span.start), Span(span.end, reach.end)):
            assert not lent.length or any(lent.clip(free) == lent for free in silence)
