from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.spans import (
    Span,
    complement,
    intersect,
    merge,
    to_samples,
    to_seconds,
    total,
)

spans = st.builds(
    lambda start, length: Span(start, start + length), st.integers(0, 200), st.integers(0, 40)
)
lists = st.lists(spans, max_size=12)
BOUNDS = Span(20, 180)


def samples(of: list[Span]) -> set[int]:
    """The samples that spans cover, counted one by one: slow, and beyond doubt."""
    return {sample for span in of for sample in range(span.start, span.end)}


@given(st.integers(0, 500_000 * 4 * 3600), st.sampled_from([8_000, 44_100, 48_000, 500_000]))
def test_six_decimals_bring_every_sample_back(sample: int, rate: int) -> None:
    assert to_samples(to_seconds(sample, rate), rate) == sample


def test_a_span_does_not_end_before_it_starts() -> None:
    assert Span(5, 5).length == 0
    with pytest.raises(ValueError, match="cannot end"):
        Span(5, 4)


@given(lists, st.integers(0, 5))
def test_merged_spans_cover_the_same_and_lie_apart(of: list[Span], gap: int) -> None:
    merged = merge(of, gap)
    assert samples(merge(of)) == samples(of)
    assert samples(merged) >= samples(of)
    assert all(one.gap(two) > gap for one, two in pairwise(merged))
    assert total(of) == len(samples(of))


@given(lists, lists)
def test_the_intersection_is_what_both_cover(left: list[Span], right: list[Span]) -> None:
    common = intersect(left, right)
    assert samples(common) == samples(left) & samples(right)
    assert merge(common) == common


@given(lists)
def test_the_complement_is_what_is_left_of_the_bounds(of: list[Span]) -> None:
    free = complement(of, BOUNDS)
    assert samples(free) == samples([BOUNDS]) - samples(of)
    assert all(span.length for span in free)


@given(spans, spans, st.integers(-30, 30), st.integers(-30, 30))
def test_one_span_against_another(one: Span, two: Span, before: int, after: int) -> None:
    assert one.overlap(two) == len(samples([one]) & samples([two]))
    clipped = one.clip(two)
    assert samples([clipped] if clipped else []) == samples([one]) & samples([two])
    padded = one.pad(before, after)
    assert padded.start == max(0, one.start - before)
    assert padded.end == max(padded.start, one.end + after)


@pytest.mark.parametrize(("sample", "inside"), [(9, False), (10, True), (19, True), (20, False)])
def test_a_span_is_half_open(sample: int, inside: bool) -> None:
    assert Span(10, 20).contains(sample) is inside
