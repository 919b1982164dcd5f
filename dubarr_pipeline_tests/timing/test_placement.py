from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubarr_pipeline.script.model import Segment
from dubarr_pipeline.spans import Span
from dubarr_pipeline.timing import placement, placement_lp
from dubarr_pipeline.timing.isochrony import DubbedLine, same_speaker_overlaps
from dubarr_pipeline.timing.placement import (
    Placement,
    TimedTake,
    place,
)
from dubarr_pipeline.timing.placement_lp import LineBounds, Prices, Row, Solved
from dubarr_pipeline.timing.tempo import DOES_NOT_FIT, TempoLimits
from dubarr_pipeline.timing.windows import WindowOptions, windows

RATE = 1000
LIMITS = TempoLimits()


def _takes(
    lines: list[tuple[int, int, str, int]],
    film: int = 100_000,
    borrowing: WindowOptions | None = None,
) -> list[TimedTake]:
    """``(start, end, speaker, natural)`` of each line, in milliseconds."""
    segments = [Segment(i, Span(a, b), who, "x") for i, (a, b, who, _) in enumerate(lines)]
    found = windows(segments, Span(0, film), RATE, borrowing)
    return [TimedTake.untouched(w, line[3]) for w, line in zip(found, lines, strict=True)]


def _one(natural: int, film: int = 3000) -> Placement:
    """One line at 1.0-3.0 s that can borrow nothing after it."""
    return place(_takes([(1000, 3000, "A", natural)], film), RATE)


def test_a_take_that_fits_is_not_touched() -> None:
    (line,) = _one(1950).placed
    assert (line.start, line.length, line.tempo) == (1000, 1950, 1)


@pytest.mark.parametrize(
    ("natural", "fits"),
    [(2000, True), (2400, True), (2520, True), (2521, False), (5000, False)],
)
def test_the_fastest_tempo_and_all_the_silence_are_the_limit(natural: int, fits: bool) -> None:
    # 2.0 s and 0.1 s before it, at 1.20: 2520 samples
    found = _one(natural)
    assert len(found.placed) == fits
    if fits:
        (line,) = found.placed
        assert line.start >= 900
        assert line.start + line.length <= 3000
        assert 1 <= line.tempo <= Fraction(120, 100)
    else:
        (failed,) = found.failed
        assert failed.failure == DOES_NOT_FIT
        assert failed.index == 0
        assert failed.shortage >= 1


@pytest.mark.parametrize("natural", [2001, 2010, 2019, 2020])
def test_a_tempo_is_one_or_worth_it(natural: int) -> None:
    (line,) = place(_takes([(1000, 3000, "A", natural)], 3000, WindowOptions(0, 0)), RATE).placed
    assert line.tempo >= Fraction(101, 100)
    assert line.length <= 2000


def test_a_much_too_short_take_is_slowed_gently_and_starts_on_time() -> None:
    (line,) = _one(1000).placed
    assert line.start == 1000
    assert Fraction(95, 100) <= line.tempo < 1


def test_two_neighbours_share_one_pause() -> None:
    found = place(_takes([(1000, 2000, "A", 1250), (2300, 3300, "A", 1000)]), RATE)
    first, second = found.placed
    assert second.start == 2300
    assert first.span.end <= second.start - 80
    assert first.tempo <= Fraction(105, 100)


def test_no_error_is_carried_to_the_next_line() -> None:
    lines = [(1000 * i, 1000 * i + 900, "A", 1070 if i < 90 else 850) for i in range(100)]
    found = place(_takes(lines, 200_000), RATE)
    assert all(abs(line.start - 1000 * line.index) <= 100 for line in found.placed)
    assert found.placed[-1].start == 99_000


def test_lines_overlap_no_longer_than_the_original() -> None:
    found = place(_takes([(1000, 3000, "A", 2400), (2500, 4500, "B", 2000)]), RATE)
    first, second = found.placed
    assert first.span.overlap(second.span) <= 500


def test_a_speaker_whose_lines_overlap_in_the_script_does_not_talk_over_themselves() -> None:
    found = place(_takes([(1000, 3000, "A", 2000), (2900, 4500, "A", 1600)]), RATE)
    assert not found.failed
    assert found.placed[0].span.end <= found.placed[1].start


def test_only_the_worst_of_a_group_is_named() -> None:
    lines = [(1000, 2000, "A", 990), (2000, 3000, "A", 2000), (3000, 4000, "A", 990)]
    found = place(_takes(lines), RATE)
    assert [line.index for line in found.failed] == [1]
    assert [line.length for line in found.placed] == [990, 990]


def test_nothing_to_place() -> None:
    assert place([], RATE) == Placement((), ())


def test_a_take_without_sound_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="line 0"):
        _takes([(0, 100, "A", 0)])


@st.composite
def _films(draw: st.DrawFn) -> list[TimedTake]:
    clock = draw(st.integers(0, 500))
    lines: list[tuple[int, int, str, int]] = []
    for _ in range(draw(st.integers(1, 12))):
        length = draw(st.integers(1, 3000))
        natural = max(1, length * draw(st.integers(40, 190)) // 100)
        lines.append((clock, clock + length, draw(st.sampled_from("ABC")), natural))
        clock = max(clock, clock + length + draw(st.integers(-1500, 1500)))
    film = max(end for _, end, _, _ in lines) + draw(st.integers(0, 800))
    return _takes(lines, film)


def _check(takes: list[TimedTake], found: Placement) -> None:
    assert sorted([x.index for x in (*found.placed, *found.failed)]) == sorted(
        take.window.index for take in takes
    )
    by_index = {take.window.index: take for take in takes}
    for line in found.placed:
        window = by_index[line.index].window
        assert line.natural == by_index[line.index].natural
        assert LIMITS.slowest <= line.tempo <= LIMITS.fastest
        assert line.tempo == 1 or abs(line.tempo - 1) >= Fraction(1, 120)
        assert -100 <= line.start - window.span.start <= 300
        assert window.reach.start <= line.start
        assert line.span.end <= window.reach.end
    for at, one in enumerate(found.placed):
        for two in found.placed[at + 1 :]:
            _check_pair(by_index, one, two)
    assert all(line.failure == DOES_NOT_FIT and line.shortage > 0 for line in found.failed)


def _check_pair(takes: dict[int, TimedTake], one: TimedTake, two: TimedTake) -> None:
    first, second = takes[one.index].window.span, takes[two.index].window.span
    if one.window.speaker != two.window.speaker:
        assert one.span.overlap(two.span) <= first.overlap(second)
        return
    assert one.start <= two.start
    assert one.span.end + min(80, max(0, first.gap(second))) <= two.start


@settings(max_examples=150, deadline=None)
@given(_films())
def test_whatever_the_film_bounds_hold_and_nothing_is_lost(takes: list[TimedTake]) -> None:
    found = place(takes, RATE)
    _check(takes, found)


@settings(max_examples=60, deadline=None)
@given(_films(), st.randoms(use_true_random=False))
def test_the_order_of_the_takes_does_not_matter(
    takes: list[TimedTake], chance: random.Random
) -> None:
    mixed = list(takes)
    chance.shuffle(mixed)
    assert place(mixed, RATE) == place(takes, RATE)


@settings(max_examples=60, deadline=None)
@given(_films())
def test_placing_what_is_placed_changes_nothing(takes: list[TimedTake]) -> None:
    found = place(takes, RATE)
    windows_of = {take.window.index: take.window for take in takes}
    again = [
        TimedTake.untouched(replace(windows_of[p.index], span=p.span), p.length)
        for p in found.placed
    ]
    second = place(again, RATE)
    assert not second.failed
    assert [(p.index, p.span, p.tempo) for p in second.placed] == [
        (p.index, p.span, 1) for p in found.placed
    ]


@settings(max_examples=60, deadline=None)
@given(_films())
def test_a_line_is_named_only_if_it_could_not_be_added(takes: list[TimedTake]) -> None:
    """Leaving a failed line out, its own group places without another failure but those named."""
    found = place(takes, RATE)
    failed = {line.index for line in found.failed}
    rest = [take for take in takes if take.window.index not in failed]
    assert place(rest, RATE).placed == found.placed


def test_a_long_film_has_no_overlap_and_its_work_grows_with_its_length() -> None:
    chance = random.Random(3)
    lines: list[tuple[int, int, str, int]] = []
    clock = 0
    for _ in range(1500):
        length = chance.randrange(400, 4000)
        natural = round(length * chance.lognormvariate(-0.02, 0.08))
        lines.append((clock, clock + length, chance.choice("ABCDEF"), natural))
        clock += length + chance.randrange(-200, 900)
    takes = _takes(lines, clock + 5000)
    found = place(takes, RATE)
    _check_bounds_only(found, lines)
    assert len(found.failed) <= 0.02 * len(lines)


def _check_bounds_only(found: Placement, lines: list[tuple[int, int, str, int]]) -> None:
    dubbed = [
        DubbedLine(p.window.speaker, Span(*lines[p.index][:2]), p.span, None, p.tempo)
        for p in found.placed
    ]
    assert same_speaker_overlaps(dubbed) == []
    assert all(abs(line.dub.start - line.source.start) <= 300 for line in dubbed)


@settings(max_examples=60, deadline=None)
@given(_films(), st.integers(1, 5))
def test_lines_solved_apart_are_placed_as_all_of_the_film_together(
    takes: list[TimedTake], batch: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(placement, "_BATCH", batch)
        apart = place(takes, RATE)
        # Everything at once, without leaving a row out.
        patch.setattr(placement, "_solve", placement_lp.solve)
        assert place(takes, RATE) == apart


def counted_lines(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lines of each programme that is solved from now on."""
    lines_of: list[int] = []

    def counted(lines: Sequence[LineBounds], rows: Sequence[Row], prices: Prices) -> list[Solved]:
        lines_of.append(len(lines))
        return placement_lp.solve(lines, rows, prices)

    monkeypatch.setattr(placement, "solve", counted)
    return lines_of


def test_a_longer_film_has_no_larger_programme(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = counted_lines(monkeypatch)
    # Lines of 2.6 s, one every 3.7 s: each may reach into what the next may.
    lines = [(3720 * i, 3720 * i + 2600, "AB"[i % 2], 2300 + i % 7 * 100) for i in range(1000)]
    assert not place(_takes(lines, 3_730_000), RATE).failed
    assert sum(sizes) == 1000
    assert max(sizes) <= 250


def test_many_lines_that_do_not_fit_cost_few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = counted_lines(monkeypatch)
    lines = [(1000 * i, 1000 * i + 1000, "A", 1500 if i % 5 else 1250) for i in range(400)]
    lines = [(a, b, "A", n if i % 3 else 900) for i, (a, b, _, n) in enumerate(lines)]
    found = place(_takes(lines, 401_000), RATE)
    assert len(found.placed) + len(found.failed) == 400
    assert len(found.failed) > 200
    assert len(rounds) <= 6
