from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.script.fit.values import speech_share, speech_shares, uncovered_speech
from dubarr_pipeline.spans import Span, intersect, total

spans = st.lists(
    st.tuples(st.integers(0, 500), st.integers(0, 60)).map(lambda s: Span(s[0], s[0] + s[1])),
    max_size=12,
)


@pytest.mark.parametrize(
    ("lines", "reach", "shortest", "expected"),
    [
        ([], 0, 1, [Span(10, 20), Span(40, 60)]),
        ([Span(10, 20)], 0, 1, [Span(40, 60)]),
        ([Span(15, 45)], 0, 1, [Span(10, 15), Span(45, 60)]),
        ([Span(15, 45)], 5, 1, [Span(50, 60)]),
        ([Span(15, 45)], 0, 5, [Span(10, 15), Span(45, 60)]),
        ([Span(15, 45)], 0, 6, [Span(45, 60)]),
        ([Span(50, 50)], 30, 1, [Span(10, 20), Span(40, 60)]),
    ],
)
def test_uncovered_speech(
    lines: list[Span], reach: int, shortest: int, expected: list[Span]
) -> None:
    speech = [Span(40, 60), Span(10, 20)]
    assert uncovered_speech(speech, lines, reach, shortest) == expected


@given(spans, spans)
def test_speech_is_either_covered_or_named(speech: list[Span], lines: list[Span]) -> None:
    rest = uncovered_speech(speech, lines)
    assert total(rest) + total(intersect(speech, lines)) == total(speech)
    assert not intersect(rest, lines)


@given(spans, spans)
def test_shares_count_the_samples_on_speech(lines: list[Span], speech: list[Span]) -> None:
    shares = speech_shares(lines, speech)
    for line, share in zip(lines, shares, strict=True):
        assert share * max(1, line.length) == pytest.approx(total(intersect([line], speech)))
        assert share == speech_share(line, speech)
