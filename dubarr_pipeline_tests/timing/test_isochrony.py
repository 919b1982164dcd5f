from __future__ import annotations

from fractions import Fraction

import pytest

from dubarr_pipeline.spans import Span
from dubarr_pipeline.timing.isochrony import (
    DubbedLine,
    measure,
    overlap_score,
    overrun,
    percentile,
    same_speaker_overlaps,
    share_within,
    tempo_histogram,
    voiced_share,
)


def _line(source: Span, dub: Span, speaker: str = "A", reach: Span | None = None) -> DubbedLine:
    return DubbedLine(speaker, source, dub, reach)


def test_overlap_score_is_shorter_over_longer_in_both_directions() -> None:
    lines = [_line(Span(0, 100), Span(0, 80)), _line(Span(0, 50), Span(7, 107))]
    assert overlap_score(lines) == pytest.approx((0.8 + 0.5) / 2)
    assert overlap_score([]) == 1.0


@pytest.mark.parametrize(("percent", "expected"), [(95, 95), (99, 99), (100, 100), (0, 1)])
def test_percentile_is_a_value_that_occurred(percent: int, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == expected
    assert percentile([], percent) == 0


def test_voiced_share_counts_time_once() -> None:
    assert voiced_share([Span(0, 100), Span(50, 150)], [Span(0, 75), Span(60, 75)]) == 0.5
    assert voiced_share([], [Span(0, 1)]) == 1.0


def test_same_speaker_overlaps_are_found_also_behind_a_long_line() -> None:
    spans = [Span(0, 100), Span(10, 20), Span(30, 40), Span(100, 110)]
    lines = [_line(span, span) for span in spans]
    lines.append(_line(Span(0, 200), Span(0, 200), "B"))
    assert same_speaker_overlaps(lines) == [(0, 1), (0, 2)]


@pytest.mark.parametrize(
    ("dub", "over"), [(Span(10, 90), 0), (Span(9, 90), 1), (Span(10, 91), 1), (Span(5, 95), 10)]
)
def test_overrun(dub: Span, over: int) -> None:
    assert overrun(_line(Span(20, 80), dub, reach=Span(10, 90))) == over


def test_tempo_histogram_gives_edges_to_the_side_of_one() -> None:
    tempos = [Fraction(n, 100) for n in (84, 85, 90, 95, 99, 100, 101, 105, 110, 120, 121)]
    assert tempo_histogram(tempos) == (1, 1, 1, 1, 3, 1, 1, 1, 1)


@pytest.mark.parametrize(("tempo", "share"), [(95, 1), (94, 0), (105, 1), (106, 0)])
def test_share_within_is_exact(tempo: int, share: int) -> None:
    assert share_within([Fraction(tempo, 100)], Fraction(5, 100)) == share


def test_measure_of_one_late_line() -> None:
    found = measure([_line(Span(0, 1000), Span(40, 1040), reach=Span(0, 1100))], 1000)
    assert (found.lines, found.onset_p95_ms, found.overruns) == (1, 40.0, 0)
    assert found.voiced_share == 0.96
    failed_too = measure([_line(Span(0, 1000), Span(0, 1000))], 1000, [Span(0, 2000)])
    assert failed_too.voiced_share == 0.5
