from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.engines.separation.windows import Blend, SeparationWindow, WindowPlan
from dubarr_pipeline.spans import Span, merge

PLAN = WindowPlan(samples=100, length=20, stride=15)


def test_windows_lie_at_multiples_of_the_stride_and_end_with_the_film():
    found = list(PLAN.covering([Span(0, 100)]))
    assert [w.span for w in found] == [
        Span(0, 20), Span(15, 35), Span(30, 50), Span(45, 65), Span(60, 80), Span(75, 95),
        Span(90, 100),
    ]  # fmt: skip
    assert [w.heard for w in found[:-1]] == [w.span for w in found[:-1]]
    # What the last one lacks is put on both sides of it, in half.
    assert found[-1].heard == Span(85, 105)


@pytest.mark.parametrize(
    ("span", "starts"),
    [
        (Span(0, 1), [0]),
        (Span(14, 15), [0]),
        (Span(15, 16), [0, 15]),
        (Span(19, 20), [0, 15]),
        (Span(20, 21), [15]),
        (Span(34, 46), [15, 30, 45]),
        (Span(99, 100), [90]),
        (Span(5, 5), []),
    ],
)
def test_only_windows_that_touch_are_taken(span: Span, starts: list[int]):
    spans = [span] if span.length else []
    assert [w.span.start for w in PLAN.covering(spans)] == starts


spans_of_film = st.lists(
    st.tuples(st.integers(0, 99), st.integers(1, 40)).map(
        lambda t: Span(t[0], min(100, t[0] + t[1]))
    ),
    max_size=6,
).map(merge)


@given(spans_of_film, st.integers(2, 40), st.integers(1, 40))
def test_every_span_is_covered_by_all_windows_that_touch_it_once(
    spans: list[Span], length: int, stride: int
):
    plan = WindowPlan(100, length, min(stride, length))
    every = list(plan.covering([Span(0, 100)]))
    wanted = [w for w in every if any(w.span.overlap(span) for span in spans)]
    assert list(plan.covering(spans)) == wanted


@given(st.integers(2, 40), st.data())
def test_equal_windows_blend_into_the_film_itself(length: int, data: st.DataObject):
    stride = data.draw(st.integers(1, length))
    plan = WindowPlan(100, length, stride)
    film = np.random.default_rng(length).standard_normal((2, 100)).astype(np.float32)
    blend = Blend(plan, 2)
    for window in plan.covering([Span(0, 100)]):
        blend.add(window, film[:, window.span.start : window.span.end])
    np.testing.assert_allclose(blend.read(0, 100), film, rtol=1e-5, atol=1e-6)


def test_the_weights_are_those_of_demucs():
    np.testing.assert_allclose(
        WindowPlan(10, 5, 4).weights(5), np.array([1, 2, 3, 2, 1], np.float32) / 3
    )
    np.testing.assert_allclose(WindowPlan(10, 4, 3).weights(3), np.array([1, 2, 2]) / 2)


def test_a_seam_goes_over_gradually():
    blend = Blend(WindowPlan(100, 20, 10), 1)
    blend.add(SeparationWindow(Span(0, 20), Span(0, 20)), np.zeros((1, 20), np.float32))
    blend.add(SeparationWindow(Span(10, 30), Span(10, 30)), np.ones((1, 20), np.float32))
    steps = np.diff(blend.read(0, 30)[0])
    assert (steps >= 0).all()
    assert steps.max() < 0.12


def test_it_holds_no_more_than_what_is_still_wanted():
    plan = WindowPlan(10**9, 20, 15)
    blend = Blend(plan, 2)
    for window in plan.covering([Span(0, 1_000), Span(10**9 - 500, 10**9)]):
        blend.add(window, np.ones((2, window.span.length), np.float32))
        assert blend.read(window.span.end - 1, window.span.end + 1).tolist() == [[1, 0], [1, 0]]
        blend.forget(window.span.end - 5)
        assert sum(run._sound.shape[1] for run in blend._runs) <= 2 * 20
    assert not blend.read(500, 600).any()


def test_what_lies_before_a_gap_is_kept_until_it_is_fetched():
    plan = WindowPlan(10**9, 20, 15)
    blend = Blend(plan, 1)
    for window in plan.covering([Span(0, 40), Span(10**9 - 5, 10**9)]):
        blend.add(window, np.ones((1, window.span.length), np.float32))
    assert blend.read(0, 40).all()
    assert blend.read(10**9 - 5, 10**9).all()
    assert sum(run._sound.shape[1] for run in blend._runs) < 100


def test_where_nothing_lies_there_is_silence():
    blend = Blend(PLAN, 2)
    assert not blend.read(-5, 500).any()
    assert blend.read(3, 3).shape == (2, 0)
